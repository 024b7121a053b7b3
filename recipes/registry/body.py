"""A blob of the store as the body of a request: its length is known, and it is never in memory as a whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from recipes.model import Descriptor
from recipes.oci.store import Store
from recipes.support.console import Advance
from recipes.support.work import Stopped

_CHUNK = 1 << 17


class FileBody:
    """The bytes of `blob`, from the start each time they are asked for, until `stop` is set.

    `moved` counts every byte that went out, `at` those since it was last begun.
    """

    def __init__(self, store: Store, blob: Descriptor, advance: Advance, stop: threading.Event) -> None:
        self._store, self._blob, self._advance, self._stop = store, blob, advance, stop
        self.moved = self.at = 0

    def __len__(self) -> int:
        return self._blob.size

    def __iter__(self) -> Iterator[bytes]:
        """Raises: Stopped; BadArchive where it has gone or was damaged, and then the last bytes are not sent."""
        self._advance(-self.at)  # after a redirection, or a challenge, it is sent once more
        self.at = 0
        with self._store.open(self._blob.digest) as file:
            # Never more than was announced: the rest would be taken for the next request.
            while data := file.read(min(_CHUNK, self._blob.size - self.at)):
                if self.at + len(data) == self._blob.size:
                    while file.read(_CHUNK):
                        pass  # up to the end, where it is checked
                if self._stop.is_set():
                    raise Stopped
                yield data
                self.at += len(data)
                self.moved += len(data)
                self._advance(len(data))
