"""Answers about content that does not change, kept under `build/cache`.

The key holds everything that the answer depends on, this project's own rules included: a newer version asks again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from recipes.support.records import keep_value, kept_value

Answer = TypeVar("Answer")

_HERE = Path(__file__).parents[1]
_RULES = ("elf", "rootfs", "loader", "verdict")
"""The rooms whose files decide what is answered."""


def cached(folder: Path, key: object, ask: Callable[[], Answer], kind: type[Answer]) -> Answer:
    """The answer, a `kind`, kept in `folder` for `key` (JSON-like), else what `ask` returns, which is then kept."""
    text = json.dumps([_rules(), key], sort_keys=True)
    record = folder / f"{hashlib.sha256(os.fsencode(text)).hexdigest()}.json"
    answer = kept_value(record, kind)
    if answer is None:
        answer = ask()
        keep_value(record, answer)
    return answer


@cache
def _rules() -> str:
    """Which version of the rules this is: a digest of the files that they are written in."""
    digest = hashlib.sha256()
    for path in (
        f"{_HERE}/model.py",
        f"{_HERE}/architecture.py",
        *(path for room in _RULES for path in _modules(f"{_HERE}/{room}")),
    ):
        with open(path, "rb", buffering=0) as file:
            content = file.read()
        digest.update(b"%d " % len(content) + content)
    return digest.hexdigest()


def _modules(folder: str) -> list[str]:
    return [f"{folder}/{name}" for name in sorted(os.listdir(folder)) if name.endswith(".py")]
