"""Layers as a tree: an index of the names, kept by the layers' digests, and the uncompressed tars for the contents.

A layer is compressed in the store, and nothing in the middle of a compressed stream can be read without what comes
before it. So a layer's tar is kept uncompressed in the cache, once for all roots that share it, and a library is one
`pread` at a known offset: that costs disk, and microseconds instead of seconds. The tar is written only when an index
has to be made or a content is read; a root that is opened again and asked for names touches its index alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
import weakref
import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from recipes.elf.segments import Reader
from recipes.errors import BadArchive, BadInput, CannotWrite
from recipes.rootfs.index import VERSION, Index, encode
from recipes.rootfs.layering import Merger
from recipes.rootfs.tarindex import read_members
from recipes.rootfs.tree import Entry, Skipped
from recipes.support import disk
from recipes.support.digest import digest_of

_CHUNK = 1 << 20
_MOST_LAYERS = 65535


@dataclass(frozen=True, slots=True)
class LayerSource:
    """A layer by diff ID (`sha256:…` of its uncompressed tar); `open` gives that tar as a stream."""

    diff_id: str
    open: Callable[[], IO[bytes]]


class Cache(Protocol):
    """Files that outlast the process, by name; they lie in `folder`, whose free space is what they may take."""

    @property
    def folder(self) -> Path: ...

    def open(self, name: str) -> IO[bytes] | None:
        """None where there is none."""

    def create(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """What is written in the block is the file once that has ended well. Raises: CannotWrite."""


class LayerTree:
    """A `Tree` over layers, the lowest first. `cache` None keeps everything for this process alone."""

    def __init__(self, layers: Sequence[LayerSource], cache: Cache | None) -> None:
        if len(layers) > _MOST_LAYERS:
            raise BadArchive(f"{len(layers)} layers are more than any engine takes")
        self._layers = tuple(layers)
        self._cache = cache
        self._tars: dict[int, _Tar] = {}
        self._lock = threading.Lock()
        self._index = self._known() or self._indexed()

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        return self._index.skipped

    def entry(self, path: str) -> Entry | None:
        row = self._index.find(os.fsencode(path))
        return None if row is None else self._index.entry(row)

    def children(self, path: str) -> tuple[str, ...]:
        return tuple(os.fsdecode(name) for name in self._index.names(os.fsencode(path)))

    def reader(self, path: str) -> Reader:
        row = self._index.find(os.fsencode(path))
        if row is None:
            raise BadInput(f"the root has no {path!r}")
        layer, offset, size = self._index.place(row)
        if offset < 0:
            raise BadArchive(
                f"{path!r} is sparse in its layer, which is not supported", hint="write the tar without -S"
            )
        return _Part(self._tar(layer), offset, size)

    # ── the cache ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _known(self) -> Index | None:
        """The index from the cache; None where it is missing or not what was written."""
        file = self._cache.open(self._index_name()) if self._cache is not None else None
        if file is None:
            return None
        try:
            with file:
                return Index(file.read())
        except (OSError, BadArchive):
            return None

    def _indexed(self) -> Index:
        merger, sizes = Merger(), []
        for number in range(len(self._layers)):
            tar = self._tar(number, fresh=True)
            merger.add(read_members(tar), number)
            sizes.append(tar.size)
        data = encode(merger, sizes)
        if self._cache is not None:
            with contextlib.suppress(CannotWrite), self._cache.create(self._index_name()) as file:
                file.write(data)
        return Index(data)

    def _index_name(self) -> str:
        chain = "\n".join((str(VERSION), *(layer.diff_id for layer in self._layers)))
        return f"{hashlib.sha256(chain.encode()).hexdigest()}.index"

    def _tar(self, number: int, *, fresh: bool = False) -> _Tar:
        with self._lock:
            tar = self._tars.get(number)
            if tar is None:
                size = None if fresh else self._index.sizes[number]
                tar = self._tars[number] = _Tar(_uncompressed(self._layers[number], self._cache, size))
            return tar


class _Tar:
    """An uncompressed tar; its file is closed when nothing refers to it any more."""

    def __init__(self, file: IO[bytes]) -> None:
        self._descriptor = file.fileno()
        self.size = _size(file)
        weakref.finalize(self, file.close)

    def read_at(self, offset: int, length: int) -> bytes:
        """Raises: BadArchive where the disk fails."""
        if offset >= self.size:
            return b""
        try:
            return os.pread(self._descriptor, min(length, self.size - offset), offset)
        except OSError as error:
            raise BadArchive(
                f"an unpacked layer cannot be read: {error.strerror}", hint="is the disk failing?"
            ) from error


class _Part:
    """The bytes of one member."""

    def __init__(self, tar: _Tar, offset: int, size: int) -> None:
        self._tar = tar
        self._offset = offset
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        if offset < 0 or offset >= self.size:
            return b""
        return self._tar.read_at(self._offset + offset, min(length, self.size - offset))


def _uncompressed(layer: LayerSource, cache: Cache | None, size: int | None) -> IO[bytes]:
    """The layer's tar: from the cache where it is there (and `size` bytes long), else from its source.

    What cannot be cached is unpacked for this process alone. Raises: BadArchive where the content is not what the diff
    ID says; CannotWrite.
    """
    if cache is None:
        return _unnamed(layer)
    name = f"{hashlib.sha256(layer.diff_id.encode()).hexdigest()}.tar"
    for _ in range(2):
        file = cache.open(name)
        if file is not None:
            if size in (None, _size(file)):
                return file
            file.close()
        try:
            with cache.create(name) as out:
                _copy(layer, out, cache.folder)
        except CannotWrite:
            return _unnamed(layer)
    raise BadArchive(
        f"the layer {layer.diff_id} has changed since it was indexed", hint=f"remove {str(cache.folder)!r}"
    )


def _unnamed(layer: LayerSource) -> IO[bytes]:
    with contextlib.ExitStack() as undo:
        try:
            file = undo.enter_context(tempfile.TemporaryFile())
            _copy(layer, file, Path(tempfile.gettempdir()))
        except OSError as error:
            raise CannotWrite(
                f"no temporary file for the layer {layer.diff_id}: {error.strerror}",
                hint="set TMPDIR to another folder",
            ) from error
        undo.pop_all()
    return file


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _copy(layer: LayerSource, out: IO[bytes], folder: Path) -> None:
    digest, room = hashlib.sha256(), disk.Room(folder, "an unpacked layer")
    try:
        opened = layer.open()
    except OSError as error:
        raise BadArchive(f"the layer {layer.diff_id} cannot be read: {error.strerror}") from error
    with opened as stream:
        while data := _read(stream, layer):
            room.take(len(data))
            digest.update(data)
            out.write(data)
    out.flush()
    if layer.diff_id != digest_of(digest):
        raise BadArchive(f"the content of the layer {layer.diff_id} does not match that digest")


def _read(stream: IO[bytes], layer: LayerSource) -> bytes:
    try:
        return stream.read(_CHUNK)
    except (OSError, EOFError, ValueError, zlib.error) as error:  # what broken compression raises
        raise BadArchive(f"the layer {layer.diff_id} cannot be read: {error}") from error
