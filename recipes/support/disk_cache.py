"""Answers about content that does not change, kept under `build/cache`.

The key holds everything that the answer depends on, this project's own rules included: a newer version asks again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from recipes.model import ElfFacts, Finding, Level, Library, Linkage, Searched, Status, Verdict
from recipes.support.workspace import keep, kept

Answer = TypeVar("Answer", ElfFacts, Verdict)

_HERE = Path(__file__).parents[1]
_RULES = ("elf", "rootfs", "loader", "verdict")
"""The rooms whose files decide what is answered."""


def cached(
    folder: Path, key: object, ask: Callable[[], Answer], from_json: Callable[[dict[str, Any]], Answer]
) -> Answer:
    """The answer kept in `folder` for `key` (JSON-like), else what `ask` returns, which is kept from now on."""
    text = json.dumps([_rules(), key], sort_keys=True)
    record = folder / f"{hashlib.sha256(os.fsencode(text)).hexdigest()}.json"
    try:
        return from_json(json.loads(kept(record)))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or damaged: ask
    answer = ask()
    keep(record, json.dumps(asdict(answer)).encode())
    return answer


def facts_from_json(data: dict[str, Any]) -> ElfFacts:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    values["linkage"] = Linkage(data["linkage"])
    return ElfFacts(**values)


def verdict_from_json(data: dict[str, Any]) -> Verdict:
    findings = tuple(Finding(**(each | {"level": Level(each["level"])})) for each in data["findings"])
    libraries = tuple(
        Library(**(each | {"searched": tuple(Searched(**step) for step in each["searched"])}))
        for each in data["libraries"]
    )
    return Verdict(Status(data["status"]), findings, libraries)


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
