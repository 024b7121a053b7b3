"""Roots in memory, for what a folder of this machine cannot show to every user who runs the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from recipes.rootfs.tree import Entry
from tests.fuzz.targets import Files


class Modes(Files):
    """Files in memory, some of them with another mode than 0755."""

    def __init__(self, files: Mapping[str, bytes], modes: Mapping[str, int] | None = None) -> None:
        super().__init__(dict(files))
        self._modes = modes or {}

    def entry(self, path: str) -> Entry | None:
        found = super().entry(path)
        return found if found is None or path not in self._modes else replace(found, mode=self._modes[path])
