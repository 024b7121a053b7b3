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
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeAlias

from recipes.errors import BadArchive
from recipes.model import Compression
from recipes.support.digest import digest_of

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

CHUNK = 4 << 20
"""Bytes of a gzip member. Smaller ones cost ratio (each starts with an empty window), larger ones cost memory."""

SMALL = 32 << 20
"""Up to this length the best ratio is worth the time; beyond it, speed is."""

_SMALL_LEVEL, _UNKNOWN_LEVEL, _LARGE_LEVEL = 7, 6, 1
# 9 takes twice as long as 7 for 0.3 % less.
_ZSTD_LEVEL = 3

_GZIP_MAGIC, _ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_READ = 256 << 10
_PIECE = 256 << 10

_MAX_WINDOW = 32 << 20
"""What a zstd frame may ask the reader to remember. containers/image and BuildKit write 4 to 32 MiB, by level; `zstd`
writes 8 MiB up to level 19, 32 MiB with 20, and more only with --ultra -21, -22 or --long."""

_MAX_BLOCK = 128 << 10
_BLOCK_HEADER = 3
_RUN = 1
"""The type of a zstd block that is one byte, repeated."""


Source: TypeAlias = "io.BufferedReader[Any]"


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
        return digest_of(self._diff)

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


def compression_of(start: bytes) -> Compression:
    """How a layer is compressed that starts with these four bytes."""
    if start[:2] == _GZIP_MAGIC:
        return "gzip"
    return "zstd" if start == _ZSTD_MAGIC or _is_skippable(start) else "none"


def decompressed(source: IO[bytes]) -> IO[bytes]:
    """The uncompressed bytes of a gzip, zstd or plain stream, told apart by their first bytes. Closes `source`.

    Whatever comes in, it takes less than 64 MiB of memory: what is not read waits compressed.
    Raises: BadArchive, while reading, where the stream is truncated or damaged.
    """
    stream = source if isinstance(source, io.BufferedReader) else io.BufferedReader(source, _READ)  # type: ignore[type-var]
    compression = compression_of(stream.peek(4)[:4])
    if compression == "none":
        return stream
    pieces = _gunzipped(stream) if compression == "gzip" else _unzstd(stream)
    return io.BufferedReader(_Decoded(stream, pieces), 1 << 20)


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


def _gunzipped(source: Source) -> Iterator[bytes]:
    """All members of a gzip file. Decoders all give the same bytes, so the fastest does; as an encoder it would not."""
    from isal import igzip, isal_zlib

    damage: type[Exception] = isal_zlib.IsalError  # type: ignore[assignment]  # its stub names an instance
    # The last is for a header without an end.
    with _in_words(source, igzip.BadGzipFile, damage, OverflowError):
        file = igzip.GzipFile(fileobj=source, mode="rb")  # type: ignore[no-untyped-call]
        while piece := file.read(_PIECE):
            yield piece


def _unzstd(source: Source) -> Iterator[bytes]:
    """All frames of a zstd file. Source: RFC 8878, section 3.1."""
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    with _in_words(source, zstandard.ZstdError, ValueError):
        while start := source.read(4):
            if _is_skippable(start):
                left = int.from_bytes(_exactly(source, 4), "little")
                while left:
                    left -= len(_exactly(source, min(left, _READ)))
                continue
            start += _exactly(source, 1)
            header = start + _exactly(source, zstandard.frame_header_size(start) - len(start))
            about = zstandard.get_frame_parameters(header)
            if about.window_size > _MAX_WINDOW:
                raise BadArchive(
                    f"a layer's zstd window of {about.window_size:,} bytes is more than the {_MAX_WINDOW:,} allowed",
                    hint="compress it with a level up to 20, and without --long",
                )
            frame = decompressor.decompressobj()
            frame.decompress(header)
            yield from map(frame.decompress, _blocks(source))
            if about.has_checksum:
                frame.decompress(_exactly(source, 4))


def _blocks(source: Source) -> Iterator[bytes]:
    """A frame in pieces of one block each, which is at most 128 KiB: libzstd gives at once all that a piece stands for.

    A piece ends with the header of the next block.
    """
    data = _exactly(source, _BLOCK_HEADER)
    is_last = False
    while not is_last:
        word = int.from_bytes(data[-_BLOCK_HEADER:], "little")
        is_last, kind, size = bool(word & 1), word >> 1 & 3, word >> 3
        if size > _MAX_BLOCK:
            raise ValueError(f"a block of {size} bytes")
        yield data
        data = _exactly(source, (1 if kind == _RUN else size) + (0 if is_last else _BLOCK_HEADER))
    yield data


def _exactly(source: Source, count: int) -> bytes:
    """Raises: EOFError."""
    data = source.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _is_skippable(start: bytes) -> bool:
    return start[1:] == b"\x2a\x4d\x18" and start[0] >> 4 == 5


@contextmanager
def _in_words(source: Source, *errors: type[Exception]) -> Iterator[None]:
    """What a decoder raises as a BadArchive, unless the source has something to say of itself at its end."""
    kinds: tuple[type[Exception], ...] = (EOFError, *errors)
    try:
        yield
    except kinds as error:
        while source.read(_READ):
            pass
        words = "ends too early" if isinstance(error, EOFError) else f"is damaged: {error}"
        raise BadArchive(f"a compressed layer {words}", hint="fetch it again") from error


class _Decoded(io.RawIOBase):
    """Pieces as a raw stream, each made when the one before it has been read."""

    def __init__(self, source: Source, pieces: Iterator[bytes]) -> None:
        self._source, self._pieces = source, pieces
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the buffer that BufferedReader hands over
        while not self._ready:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._ready = memoryview(piece)
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        self._source.close()
        super().close()
