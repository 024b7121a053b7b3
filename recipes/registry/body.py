"""A blob of the store as the body of a request: its length is known, and it is never in memory as a whole."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

from recipes.errors import BadArchive
from recipes.model import Descriptor
from recipes.notes import Advance

_CHUNK = 1 << 17


class Stopped(Exception):
    """Another part of the same push has failed, or was interrupted."""


class FileBody:
    """The bytes of `path`, from the start each time they are asked for, until `stop` is set.

    `moved` counts every byte that went out, `at` those since it was last begun.
    """

    def __init__(self, path: Path, blob: Descriptor, advance: Advance, stop: threading.Event) -> None:
        self._path, self._blob, self._advance, self._stop = path, blob, advance, stop
        self.moved = self.at = 0

    def __len__(self) -> int:
        return self._blob.size

    def __iter__(self) -> Iterator[bytes]:
        """Raises: Stopped; BadArchive where the file has gone or was shortened."""
        self._advance(-self.at)  # after a redirection, or a challenge, it is sent once more
        self.at = 0
        try:
            with open(self._path, "rb") as file:
                # Never more than was announced: the rest would be taken for the next request.
                while data := file.read(min(_CHUNK, self._blob.size - self.at)):
                    if self._stop.is_set():
                        raise Stopped
                    yield data
                    self.at += len(data)
                    self.moved += len(data)
                    self._advance(len(data))
        except FileNotFoundError as error:
            raise BadArchive(f"the blob {self._blob.digest} has gone from the store", hint="build again") from error
        if self.at != self._blob.size:
            raise BadArchive(f"the blob {self._blob.digest} was shortened in the store", hint="build again")


def check_file(path: Path, blob: Descriptor) -> None:
    """Raises: BadArchive where the file is not the blob, so that a registry is right to refuse it."""
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if f"sha256:{found}" != blob.digest:
        raise BadArchive(f"the blob {blob.digest} is damaged in the store", hint="remove build/ and build again")
