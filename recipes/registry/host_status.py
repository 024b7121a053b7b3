"""Which hosts did not answer lately, so that the same time-out is not waited for twice.

One small JSON file per host. A host that was silent is not asked again for some minutes, unless the user asks for
something of it by name; then once per run.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recipes.errors import Unavailable
from recipes.support.records import keep_value, kept_value
from recipes.support.workspace import Workspace, drop, keeping

SECONDS = 300.0
_started = time.time()
_answered: set[Path] = set()


class Unreachable(Unavailable):
    """The host itself does not answer, so that asking it for something else would only mean to wait again."""


@dataclass(frozen=True, slots=True)
class _SilentHost:
    time: float
    message: str
    hint: str


@contextlib.contextmanager
def reaching(host: str, workspace: Workspace, *, retry: bool, alone: bool = True) -> Iterator[None]:
    """The block asks `host` for the first time; its Unreachable is remembered, and raised at once the next time.

    With `alone`, one at a time asks a host that has not answered yet, so that a whole table waits for it only once.
    """
    record = workspace.bases / "unreachable" / f"{re.sub(r'[^a-z0-9.-]', '_', host.lower())}.json"
    if record in _answered:
        yield
        return
    with keeping(record.with_suffix(".lock")) if alone else contextlib.nullcontext():
        _recall(record, since=_started if retry else time.time() - SECONDS)
        try:
            yield
        except Unreachable as error:
            keep_value(record, _SilentHost(time.time(), error.message, error.hint))
            raise
        drop(record)
        _answered.add(record)


def _recall(record: Path, since: float) -> None:
    known = kept_value(record, _SilentHost)
    # A time in the future comes from a clock that was wrong.
    if known is not None and since <= known.time <= time.time():
        raise Unreachable(
            known.message, hint="it did not answer some minutes ago; name it explicitly to try again at once"
        )
