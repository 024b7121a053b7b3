"""What was measured, one file each below build/gallery/results, so that an interrupted run goes on where it was.

A file is named by what the measurement depends on. It is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from recipes.support.records import kept_value, write_value

Value = TypeVar("Value")


class Results:
    """The results of a folder. With `again`, what is asked for with a way to make it is made anew."""

    def __init__(self, folder: Path, *, again: bool = False) -> None:
        self.folder = folder
        self.again = again

    def get(self, kind: type[Value], name: str, *inputs: object) -> Value | None:
        """What was measured for these inputs; None where nothing was yet."""
        return kept_value(self._path(kind, name, inputs), kind)

    def have(self, kind: type[Value], name: str, *inputs: object, make: Callable[[], Value]) -> Value:
        """The same, measured now where it was not."""
        found = None if self.again else self.get(kind, name, *inputs)
        if found is not None:
            return found
        made = make()
        write_value(self._path(kind, name, inputs), made)
        return made

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, kind: type[Any], name: str, inputs: tuple[object, ...]) -> Path:
        plain = [asdict(each) if is_dataclass(each) and not isinstance(each, type) else each for each in inputs]
        key = hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]
        return self.folder / f"{name}-{kind.__name__.lower()}-{key}.json"
