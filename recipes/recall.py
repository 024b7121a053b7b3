"""What was once found out about content that does not change, kept under `build/cache`.

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
from recipes.workspace import keep

Answer = TypeVar("Answer", ElfFacts, Verdict)


def recall(
    folder: Path, key: object, ask: Callable[[], Answer], from_json: Callable[[dict[str, Any]], Answer]
) -> Answer:
    """The answer kept in `folder` for `key` (JSON-like), else what `ask` finds out, which is kept from now on."""
    text = json.dumps([_rules(), key], sort_keys=True)
    record = folder / f"{hashlib.sha256(os.fsencode(text)).hexdigest()}.json"
    try:
        return from_json(json.loads(record.read_bytes()))
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
def _rules() -> list[tuple[str, int, int]]:
    """Which version of the rules this is: the files that they are written in, by name, size and time in ns."""
    here = Path(__file__).parent
    files = [here / "model.py", *sorted((here / "inspect").glob("*.py"))]
    stats = [(path, path.stat()) for path in files]
    return [(path.name, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
