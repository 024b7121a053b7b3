"""Layers: written from files, taken from a tar, measured, and read back.

A layer that we write is one USTAR: names sorted with folders before what they hold, owner 0:0 without names, fixed
modes, one fixed time.
Source: OCI image-spec, "Image Layer Filesystem Changeset"; POSIX.1-1988, "ustar Interchange Format".
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from functools import partial
from typing import IO, TYPE_CHECKING

from recipes.errors import BadArchive
from recipes.model import Compression, Descriptor, FileEntry, Layer
from recipes.oci.config import source_date_epoch
from recipes.oci.encode import Encoder, decompressed, encoding
from recipes.oci.media_types import OCI_LAYERS
from recipes.oci.store import Store
from recipes.rootfs.layering import Merger
from recipes.rootfs.tarindex import read_members
from recipes.support.disk import Room

if TYPE_CHECKING:
    from recipes.oci.tar import Entry

_READ = 1 << 20


def write_layer(store: Store, files: Iterable[FileEntry], compression: Compression) -> Layer:
    """One layer with these files, streamed into the store. The same files give the same digest on any machine."""
    from recipes.oci import tar  # most often a record says what a layer became, and none is written

    entries = _entries(files)
    return layer_from_entries(store, entries, compression, tar.length(entries))


def layer_pieces(files: Iterable[FileEntry]) -> Iterator[bytes]:
    """The tar that `write_layer` makes of these files, from the files as they are now."""
    from recipes.oci import tar

    return tar.pieces(_entries(files))


def layer_from_entries(
    store: Store, entries: Iterable[Entry], compression: Compression, length: int | None = None
) -> Layer:
    """The layer whose tar has these entries, each name once. `length` is the tar's, where it is known beforehand."""
    from recipes.oci import tar

    content = seen = 0

    def counted() -> Iterator[Entry]:
        nonlocal content
        for entry in entries:
            content += len(os.fsencode(entry.info.linkname)) if entry.info.issym() else entry.info.size
            yield entry

    with store.writer() as blob, encoding(blob, compression, length) as encoder:
        for piece in tar.pieces(counted()):
            seen += len(piece)
            encoder.write(piece)
        diff_id = encoder.finish()
    return Layer(Descriptor(OCI_LAYERS[compression], blob.digest, blob.size), diff_id, content, seen)


def layer_from_tar(store: Store, stream: IO[bytes], compression: Compression) -> Layer:
    """A plain tar as a layer, kept byte for byte. `stream` need not be seekable and is read to its end.

    Raises: BadArchive where it is not a tar, RecipeError where there is no room for what is in it.
    """
    with store.writer() as blob, encoding(blob, compression, None) as encoder:
        passing = _Passing(stream, encoder, store)
        content = _measure(passing)
        diff_id = encoder.finish()
    return Layer(Descriptor(OCI_LAYERS[compression], blob.digest, blob.size), diff_id, content, passing.size)


def layer_from_blob(store: Store, descriptor: Descriptor) -> Layer:
    """The layer that a blob of the store holds: unpacked once, to find its diff ID and its size.

    Raises: BadArchive where the blob is damaged or not a tar, RecipeError where there is no room for what is in it.
    """
    with decompressed(store.open(descriptor.digest)) as stream, encoding(_Nowhere(), "none", None) as encoder:
        passing = _Passing(stream, encoder, store)
        content = _measure(passing)
        diff_id = encoder.finish()
    return Layer(descriptor, diff_id, content, passing.size)


def open_layer(store: Store, layer: Layer) -> IO[bytes]:
    """The layer's uncompressed tar. Raises: BadArchive, also while reading."""
    return decompressed(store.open(layer.descriptor.digest))


def _entries(files: Iterable[FileEntry]) -> list[Entry]:
    moment = source_date_epoch()
    ordered = sorted(files, key=lambda file: file.name.encode("utf-8", "surrogateescape"))
    return [_entry(file, moment) for file in ordered]


def _entry(file: FileEntry, moment: int) -> Entry:
    import tarfile

    from recipes.oci import tar

    info = tarfile.TarInfo(file.name.rstrip("/"))
    info.mode, info.uid, info.gid, info.mtime = file.mode, file.uid, file.gid, moment
    if file.link:
        info.type, info.linkname = tarfile.SYMTYPE, file.link
        return tar.Entry(info)
    if file.source is None:
        info.type = tarfile.DIRTYPE
        return tar.Entry(info)
    info.size = file.size()
    if isinstance(file.source, bytes):
        return tar.Entry(info, partial(io.BytesIO, file.source))
    return tar.Entry(info, partial(io.FileIO, file.source))


class _Nowhere:
    def write(self, data: bytes | bytearray) -> int:
        return len(data)


class _Passing:
    """A tar that passes by, once: as `read_members` wants it, and all of it on its way to the encoder.

    It ends where it would not fit into the free space, whether or not this run unpacks it.
    """

    def __init__(self, stream: IO[bytes], encoder: Encoder, store: Store) -> None:
        self._stream, self._encoder = stream, encoder
        self._room = Room(store.root, "an unpacked layer")
        self._most = self._room.need(0)
        self._chunk = b""
        self.size = 0

    def read_at(self, offset: int, length: int) -> bytes:
        data = b""
        while len(data) < length and self._reach(offset + len(data)):
            start = offset + len(data) - (self.size - len(self._chunk))
            data += self._chunk[start : start + length - len(data)]
        return data

    def pass_on(self) -> bool:
        """Go on by one chunk; False at the end."""
        self._chunk = self._stream.read(_READ)
        self.size += len(self._chunk)
        self._check(self.size)
        self._encoder.write(self._chunk)
        return bool(self._chunk)

    def _reach(self, offset: int) -> bool:
        self._check(offset)
        while offset >= self.size:
            if not self.pass_on():
                return False
        return True

    def _check(self, size: int) -> None:
        if size > self._most:
            self._room.need(size)


def _measure(passing: _Passing) -> int:
    """What the layer adds to the size that an engine shows: the bytes of its files, and of its links' targets.

    Docker's overlay2 adds up `st_size` of everything but folders in the unpacked layer, each inode once; a symbolic
    link's `st_size` is the length of its target. Source: moby, `daemon/graphdriver/overlay2` and `pkg/directory`.
    """
    merger = Merger()
    try:
        merger.add(read_members(passing), 0)
    except BadArchive:
        _pass_all(passing)  # a blob that is not what its digest says is told as that
        raise
    _pass_all(passing)  # padding behind the end of the archive belongs to the layer too
    members = {node.inode: node.member for _, _, node in merger.walk()}
    return sum(len(each.target) if each.kind == "symlink" else each.size for each in members.values())


def _pass_all(passing: _Passing) -> None:
    while passing.pass_on():
        pass
