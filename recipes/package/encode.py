"""How a layer's bytes are compressed, and how any layer's bytes are read back.

The digest of a compressed layer has to survive another machine, so the encoder must not be whichever zlib Python was
linked with. libdeflate (through the pinned `deflate`) gives the same bytes on every CPU, compresses better than zlib at
the same level and is faster. It takes whole buffers, so the stream is cut into members of `CHUNK` bytes: RFC 1952,
section 2.2, makes a gzip file "a series of members", and every reader of container layers reads it as one. Cutting also
bounds the memory and lets all processors work; where the cuts are depends on the content's length alone.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Protocol

from recipes.errors import BadArchive
from recipes.model import Compression

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

MEDIA_TYPES: dict[Compression, str] = {
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "none": "application/vnd.oci.image.layer.v1.tar",
}

CHUNK = 4 << 20
"""Bytes of a gzip member. Smaller ones cost ratio (each starts with an empty window), larger ones cost memory."""

SMALL = 32 << 20
"""Up to this length the best ratio is worth the time; beyond it, speed is."""

_SMALL_LEVEL, _UNKNOWN_LEVEL, _LARGE_LEVEL = 7, 6, 1
# 9 takes twice as long as 7 for 0.3 % less.
_ZSTD_LEVEL = 3

_FHCRC, _FEXTRA, _FNAME, _FCOMMENT = 2, 4, 8, 16
_MAX_HEADER_BYTES = 1 << 18


class Sink(Protocol):
    def write(self, data: bytes | bytearray, /) -> object: ...


class Encoder:
    """Takes an uncompressed tar, passes the compressed layer on to `sink`, and knows the tar's digest.

    `length` is the tar's length in bytes; it decides the level and must be right. None: not known beforehand.
    """

    def __init__(self, sink: Sink, compression: Compression, length: int | None) -> None:
        self._sink = sink
        self._diff = hashlib.sha256()
        self._length = length
        self._seen = 0
        self._held: list[bytes] = []
        self._held_bytes = 0
        parallel = compression == "gzip" and (length is None or length > CHUNK)
        self._pool = _new_pool() if parallel else None
        self._pending: deque[Future[bytearray]] = deque()
        self._compression = compression
        self._level = _UNKNOWN_LEVEL if length is None else _SMALL_LEVEL if length <= SMALL else _LARGE_LEVEL
        self._zstd = _zstd_compressor(length) if compression == "zstd" else None

    def write(self, data: bytes) -> None:
        self._diff.update(data)
        self._seen += len(data)
        if self._compression == "none":
            self._sink.write(data)
        elif self._zstd is not None:
            self._sink.write(self._zstd.compress(data))
        else:
            self._held.append(data)
            self._held_bytes += len(data)
            if self._held_bytes >= CHUNK:
                self._cut()

    def finish(self) -> str:
        """Write what is left; returns the diff ID. Must be called once, also to give the threads back."""
        try:
            if self._length not in (None, self._seen):
                raise BadArchive(f"a layer of {self._length} bytes turned out to have {self._seen}")
            if self._zstd is not None:
                self._sink.write(self._zstd.flush())
            elif self._compression == "gzip":
                if self._held_bytes or self._seen == 0:
                    self._compress(memoryview(b"".join(self._held)))
                while self._pending:
                    self._sink.write(self._pending.popleft().result())
        finally:
            self.close()
        return f"sha256:{self._diff.hexdigest()}"

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _cut(self) -> None:
        held = memoryview(b"".join(self._held))
        whole = len(held) - len(held) % CHUNK
        for start in range(0, whole, CHUNK):
            self._compress(held[start : start + CHUNK])
        self._held, self._held_bytes = [bytes(held[whole:])], len(held) - whole

    def _compress(self, chunk: memoryview) -> None:
        if self._pool is None:
            self._sink.write(_member(chunk, self._level))
            return
        self._pending.append(self._pool.submit(_member, chunk, self._level))
        if len(self._pending) > 2 * _workers():
            self._sink.write(self._pending.popleft().result())


@contextmanager
def encoding(sink: Sink, compression: Compression, length: int | None) -> Iterator[Encoder]:
    """An Encoder whose threads end with the block, however it ends."""
    encoder = Encoder(sink, compression, length)
    try:
        yield encoder
    finally:
        encoder.close()


def decompressed(source: IO[bytes]) -> IO[bytes]:
    """The uncompressed bytes of a gzip, zstd or plain stream, told apart by their first bytes. Closes `source`.

    Raises: BadArchive, while reading, where the stream is truncated or damaged.
    """
    head = source.read(4)
    if head[:2] == b"\x1f\x8b":
        return io.BufferedReader(_Decoded(source, head, _GzipDecoder()), 1 << 20)
    if head == b"\x28\xb5\x2f\xfd":
        return io.BufferedReader(_Decoded(source, head, _ZstdDecoder()), 1 << 20)
    return io.BufferedReader(_Decoded(source, head, _PlainDecoder()), 1 << 20)


def _new_pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(_workers())


def _workers() -> int:
    return max(1, len(os.sched_getaffinity(0)))


def _member(chunk: memoryview, level: int) -> bytearray:
    import deflate

    return deflate.gzip_compress(chunk, level)


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def _zstd_compressor(length: int | None) -> _Compressor:
    import zstandard

    # One thread: with several, the bytes depend on how many there are.
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compressobj(
        size=-1 if length is None else length
    )


class _Decoder(Protocol):
    @property
    def error(self) -> type[Exception]:
        """What `feed` raises for a damaged stream."""

    def feed(self, data: bytes) -> bytes: ...

    @property
    def complete(self) -> bool:
        """Whether the stream may end here."""


class _PlainDecoder:
    error = ValueError
    complete = True

    def feed(self, data: bytes) -> bytes:
        return data


class _GzipDecoder:
    """All members of a gzip file. Decoders all give the same bytes, so the fastest does; as an encoder it would not."""

    def __init__(self) -> None:
        from isal import isal_zlib

        self.error: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stub names an instance
        self._new = partial(isal_zlib.decompressobj, wbits=31)
        self._member = self._new()
        self._begun = False
        self._held = b""
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        out = []
        data, self._held = self._held + data, b""
        while data:
            if not self._begun:
                # Some writers pad the file with zero bytes behind the last member.
                if self.complete and not data.strip(b"\0"):
                    break
                # ISA-L misreads a header that comes in pieces.
                if not _has_header(data):
                    self._held, self.complete = data, False
                    break
                self._member, self._begun = self._new(), True
            out.append(self._member.decompress(data))
            data = self._member.unused_data
            self.complete = self._member.eof
            self._begun = not self.complete
        return b"".join(out)


def _has_header(data: bytes) -> bool:
    """Whether `data`, where a gzip member starts, has its header to the end. Source: RFC 1952, section 2.3.

    Raises: ValueError for one that does not end within reason.
    """
    flags, end = int.from_bytes(data[3:4], "little"), 10
    if flags & _FEXTRA:
        end += 2 + int.from_bytes(data[10:12], "little")
    for text in (_FNAME, _FCOMMENT):
        if flags & text:
            end = data.find(b"\0", end) + 1 or len(data) + 1
    if flags & _FHCRC:
        end += 2
    if end > _MAX_HEADER_BYTES:
        raise ValueError("the header of a gzip member has no end")
    return end <= len(data)


class _ZstdDecoder:
    """All frames of a zstd file."""

    def __init__(self) -> None:
        import zstandard

        self.error = zstandard.ZstdError
        # Layers come from anywhere: a frame may not ask for more than 128 MiB of window.
        self._new = zstandard.ZstdDecompressor(max_window_size=128 << 20).decompressobj
        self._frame = self._new()
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        out = []
        while data:
            if self._frame.eof:
                self._frame = self._new()
            out.append(self._frame.decompress(data))
            data = self._frame.unused_data
            self.complete = self._frame.eof
        return b"".join(out)


class _Decoded(io.RawIOBase):
    """A decoder as a raw stream. It reads little at a time, so that a bomb costs time but never memory."""

    _READ = 64 << 10

    def __init__(self, source: IO[bytes], head: bytes, decoder: _Decoder) -> None:
        self._source = source
        self._next = head
        self._decoder = decoder
        self._ready = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the buffer that BufferedReader hands over
        while not self._ready and not self._ended:
            data = self._next or self._source.read(self._READ)
            self._next = b""
            if not data:
                self._ended = True
                if not self._decoder.complete:
                    raise BadArchive("a compressed layer ends too early", hint="fetch it again")
                break
            self._ready = memoryview(self._feed(data))
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _feed(self, data: bytes) -> bytes:
        try:
            return self._decoder.feed(data)
        except (self._decoder.error, ValueError) as error:
            raise BadArchive(f"a compressed layer is damaged: {error}", hint="fetch it again") from error

    def close(self) -> None:
        self._source.close()
        super().close()
