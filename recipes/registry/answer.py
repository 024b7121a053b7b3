"""What came back for a request: a status, and a body that is read no further than it may be long."""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from recipes.errors import BadArchive, Unavailable, shortened
from recipes.oci.reference import ImageName
from recipes.registry.connections import PIECE
from recipes.registry.session import plain

if TYPE_CHECKING:
    from requests import Response

_LEFT_BYTES = 1 << 16
_LEFT_SECONDS = 1.0
"""What is read of an answer that is not needed, so that the next request need not connect again."""

_REASON = 100
_ZLIB = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Content-Encoding → zlib's `wbits`."""


class BrokenOff(Unavailable):
    """The connection broke in the middle of an answer."""


class Answer:
    """The answer to a request, whose body is still to come. To be closed, or used in a `with` block."""

    def __init__(self, response: Response, image: ImageName) -> None:
        self._response = response
        self._image = image
        self.status = response.status_code
        self.reason = shortened(response.reason or "", _REASON)
        self.headers = response.headers
        self.url = response.url

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._response.close()

    def close(self) -> None:
        """Give the connection back to serve the next request, where little is left to be read; else close it."""
        from urllib3.exceptions import HTTPError

        with contextlib.suppress(HTTPError, OSError, Unavailable):
            connection = self._response.raw.connection
            if connection is not None and connection.sock is not None:
                connection.sock.settimeout(_LEFT_SECONDS)
            left = _LEFT_BYTES
            while left > 0 and (data := self._read(left)):
                left -= len(data)
        self._response.close()

    @property
    def wait(self) -> float:
        """How many seconds the registry asks to wait; 0.0 where it does not say so in seconds."""
        text = self.headers.get("Retry-After", "")
        return float(text) if re.fullmatch(r"\d{1,6}", text) else 0.0

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes. Raises: BrokenOff, Unavailable for a body that was compressed on its way."""
        if self._encoding:
            raise Unavailable(
                f"{self._image.host} sends a blob with a Content-Encoding that was not asked for: {self._encoding!r}",
                hint="a proxy before the registry must not compress what it passes on",
            )
        with self._breaking_off():
            while data := self._read(PIECE):
                yield data

    def body(self, limit: int, what: str = "its manifest") -> bytes:
        """The whole body, any Content-Encoding undone. Raises: BrokenOff, BadArchive for more than `limit` bytes."""
        data = bytearray()
        with self._breaking_off():
            while piece := self._read(min(PIECE, limit + 1 - len(data))):
                data += piece
                if len(data) > limit:
                    raise self._too_long(limit, what)
        return self._decoded(bytes(data), limit, what) if self._encoding else bytes(data)

    def _decoded(self, data: bytes, limit: int, what: str) -> bytes:
        bad = BadArchive(f"{self._image}: {what} has a Content-Encoding that cannot be undone: {self._encoding!r}")
        if self._encoding not in _ZLIB:
            raise bad
        decoder = zlib.decompressobj(_ZLIB[self._encoding])
        try:
            content = decoder.decompress(data, limit + 1)
        except zlib.error as error:
            raise bad from error
        if len(content) > limit:
            raise self._too_long(limit, what)
        if not decoder.eof or decoder.unused_data:
            raise bad
        return content

    def _too_long(self, limit: int, what: str) -> BadArchive:
        return BadArchive(f"{self._image}: {what} has more than {limit} bytes")

    @property
    def _encoding(self) -> str:
        """What the bytes were compressed with on their way, "" for nothing, as was asked for."""
        text = self.headers.get("Content-Encoding", "").strip().lower()
        return "" if text == "identity" else shortened(text, _REASON)

    def _read(self, size: int) -> bytes:
        # Not `stream`, whose own reading of chunks goes past the meter's steps. The bytes are as they came: were a
        # Content-Encoding undone here, digests would be wrong, and memory without a bound.
        data: bytes = self._response.raw.read(size, decode_content=False)
        return data

    @contextlib.contextmanager
    def _breaking_off(self) -> Iterator[None]:
        from urllib3.exceptions import HTTPError

        try:
            yield
        except (HTTPError, OSError) as error:
            raise BrokenOff(f"{self._image.host} broke off: {plain(error)}", hint="try again") from error
