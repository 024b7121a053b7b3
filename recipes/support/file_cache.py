"""Files that only save work, by name: each is there as a whole or not at all."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from recipes.support.workspace import replacing


@dataclass(frozen=True, slots=True)
class FileCache:
    """The files of `folder`. What reads them has to find out whether they are what was written."""

    folder: Path

    def open(self, name: str) -> IO[bytes] | None:
        """None where it is not there, or not ours to read."""
        try:
            return open(self.folder / name, "rb", opener=_no_link)
        except OSError:
            return None

    def create(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """A file object that becomes the file `name` when the block ends well. Raises: CannotWrite."""
        return replacing(self.folder / name)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)
