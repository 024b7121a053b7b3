"""The one plain command, typed as a user would: a process of its own in a project of its own."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.model import Command
from recipes.support import shell
from recipes.support.workspace import make_folder, write_atomically
from tests.gallery.public import public
from tests.gallery.rows import Row

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 1800.0
_TASKS = """\
import sys

sys.path.insert(0, {root!r})
sys.dont_write_bytecode = False
from recipes.tasks import collection

namespace = collection(__file__)
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try of the command with `options` more than the plain one, which has none.

    `works`: it made an image that runs. Then there are sizes in bytes and the image's digest; else `cause` is the one
    line that the command said. `seconds` is the time of the first call, `warm` that of the same call once more.
    """

    version: str
    options: tuple[str, ...]
    works: bool
    cause: str
    seconds: float
    warm: float | None = None
    recipe: str = ""
    base: str = ""
    binary_bytes: int = 0
    image_bytes: int = 0
    digest: str = ""


def new_project(folder: Path) -> None:
    """An empty project at `folder`, which knows our tasks and has built nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    write_atomically(folder / "tasks.py", _TASKS.format(root=str(ROOT)).encode())


def attempt(row: Row, version: str, words: tuple[str, ...], options: tuple[str, ...], project: Path) -> Attempt:
    """Call the row's task for `words` in `project`, and once more where that made an image."""
    done = _call(project, row.task, *words, *options)
    document = _document(done.stdout)
    if done.exit_code != 0 or document is None:
        return Attempt(version, options, False, public(cause(done), ROOT, project, *map(Path, words[:1])), done.seconds)
    again = _call(project, row.task, *words, *options)
    return Attempt(
        version,
        options,
        True,
        "",
        done.seconds,
        again.seconds,
        document["recipe"] or "",
        document["base"],
        document["binary_bytes"],
        document["image_bytes"],
        document["digest"],
    )


def cause(done: shell.Completed) -> str:
    """The one line of what a task said on stderr that tells why it failed: its error, or the reason in its report."""
    if done.stopped:
        return f"stopped at the {done.stopped} of {_SECONDS:g} s"
    lines = done.stderr.decode(errors="replace").splitlines()
    said = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), "")
    document = _document(done.stdout)
    if not said and document is not None:
        said = document["reason"].strip().partition("\n")[0]
    return said or next((line for line in reversed(lines) if line.strip()), f"exit code {done.exit_code}")


def _document(stdout: bytes) -> dict[str, Any] | None:
    """The row of the image that a task reports; None where it reports none."""
    try:
        rows = json.loads(stdout)["rows"]
    except (ValueError, KeyError, TypeError):
        return None
    return rows[0] if rows else None


def _call(project: Path, *words: str) -> shell.Completed:
    argv = (sys.executable, "-m", "invoke", *words, "--engine", "local", "--format", "json")
    return shell.run(Command(argv, project), timeout=_SECONDS)
