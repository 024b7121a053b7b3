"""Layers: written from files, taken from a tar, measured, and read back.

A layer that we write is one USTAR: names sorted with folders before what they hold, owner 0:0 without names, fixed
modes, one fixed time.
Source: OCI image-spec, "Image Layer Filesystem Changeset"; POSIX.1-1988, "ustar Interchange Format".
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, cast

from recipes.errors import BadArchive
from recipes.model import Compression, Descriptor, FileEntry, Layer
from recipes.package.config import source_date_epoch
from recipes.package.encode import MEDIA_TYPES, Encoder, decompressed, encoding
from recipes.package.store import Store

if TYPE_CHECKING:
    from tarfile import TarFile

    from recipes.package.tar import Entry

_READ = 1 << 20


def write_layer(store: Store, files: Iterable[FileEntry], compression: Compression) -> Layer:
    """One layer with these files, streamed into the store. The same files give the same digest on any machine."""
    from recipes.package import tar  # most often a record says what a layer became, and none is written

    entries = _entries(files)
    return layer_from_entries(store, entries, compression, tar.length(entries))


def layer_pieces(files: Iterable[FileEntry]) -> Iterator[bytes]:
    """The tar that `write_layer` makes of these files, from the files as they are now."""
    from recipes.package import tar

    return tar.pieces(_entries(files))


def layer_from_entries(
    store: Store, entries: Iterable[Entry], compression: Compression, length: int | None = None
) -> Layer:
    """The layer whose tar has these entries, each name once. `length` is the tar's, where it is known beforehand."""
    from recipes.package import tar

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
    return Layer(Descriptor(MEDIA_TYPES[compression], blob.digest, blob.size), diff_id, content, seen)


def layer_from_tar(store: Store, stream: IO[bytes], compression: Compression) -> Layer:
    """A plain tar as a layer, kept byte for byte. `stream` need not be seekable and is read to its end.

    Raises: BadArchive where it is no tar.
    """
    with store.writer() as blob, encoding(blob, compression, None) as encoder:
        tee = _Tee(stream, encoder)
        content = _measure(tee)
        diff_id = encoder.finish()
    return Layer(Descriptor(MEDIA_TYPES[compression], blob.digest, blob.size), diff_id, content, tee.length)


def layer_from_blob(store: Store, descriptor: Descriptor) -> Layer:
    """The layer that a blob of the store holds: unpacked once, to find its diff ID and its size.

    Raises: BadArchive where the blob is damaged or no tar.
    """
    blob = open(store.blob(descriptor.digest), "rb")  # noqa: SIM115  # the decompressed stream closes it
    with decompressed(blob) as stream, encoding(_Nowhere(), "none", None) as encoder:
        tee = _Tee(stream, encoder)
        content = _measure(tee)
        diff_id = encoder.finish()
    return Layer(descriptor, diff_id, content, tee.length)


def open_layer(store: Store, layer: Layer) -> IO[bytes]:
    """The layer's uncompressed tar. Raises: BadArchive, also while reading."""
    return decompressed(open(store.blob(layer.descriptor.digest), "rb"))


def _entries(files: Iterable[FileEntry]) -> list[Entry]:
    moment = source_date_epoch()
    ordered = sorted(files, key=lambda file: file.name.encode("utf-8", "surrogateescape"))
    return [_entry(file, moment) for file in ordered]


def _entry(file: FileEntry, moment: int) -> Entry:
    import tarfile

    from recipes.package import tar

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


class _Tee:
    """Hands the stream to tarfile, and everything that is read to the encoder."""

    def __init__(self, stream: IO[bytes], encoder: Encoder) -> None:
        self._stream = stream
        self._encoder = encoder
        self.length = 0

    def read(self, size: int = _READ) -> bytes:
        data = self._stream.read(size)
        self.length += len(data)
        self._encoder.write(data)
        return data


def _measure(stream: _Tee) -> int:
    """What the layer adds to the size that an engine shows: the bytes of its files, and of its links' targets.

    Docker's overlay2 adds up `st_size` of everything but folders in the unpacked layer, each inode once; a symbolic
    link's `st_size` is the length of its target. Source: moby, `daemon/graphdriver/overlay2` and `pkg/directory`.
    """
    sizes: dict[str, int] = {}
    with _as_tar(stream) as archive:
        for member in archive:
            name = member.name.strip("/").removeprefix("./")
            if member.issym():
                sizes[name] = len(os.fsencode(member.linkname))
            elif member.isreg() and not name.rpartition("/")[2].startswith(".wh."):
                sizes[name] = member.size
            elif not member.islnk():
                sizes.pop(name, None)
            # Nobody asks for a member again, and a list of a hundred thousand would be kept for nothing.
            archive.members = []  # type: ignore[attr-defined]
    while stream.read():
        pass  # padding behind the end of the archive belongs to the layer too
    return sum(sizes.values())


@contextmanager
def _as_tar(stream: _Tee) -> Iterator[TarFile]:
    import tarfile

    try:
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", bufsize=_READ) as archive:
            yield archive
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise BadArchive(f"a layer is not a readable tar: {error}", hint="fetch or make it again") from error
