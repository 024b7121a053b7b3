"""Layers: written from files, taken from a tar, measured, and read back.

A layer that we write is one USTAR: names sorted with folders before what they hold, owner 0:0 without names, fixed
modes, one fixed time.
Source: OCI image-spec, "Image Layer Filesystem Changeset"; POSIX.1-1988, "ustar Interchange Format".
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

from recipes.errors import BadArchive, BadInput
from recipes.model import Descriptor, FileEntry, Layer
from recipes.package.encode import MEDIA_TYPES, Compression, Encoder, decompressed, encoding
from recipes.package.store import Store

if TYPE_CHECKING:
    from tarfile import TarFile

_BLOCK = 512
_READ = 1 << 20
_END = bytes(2 * _BLOCK)


def source_date_epoch() -> int:
    """Seconds since 1970 for every time in an image: SOURCE_DATE_EPOCH, or 0.

    Source: reproducible-builds.org, "SOURCE_DATE_EPOCH specification". Raises: BadInput.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return 0
    # What a USTAR header can hold ends in the year 2242.
    if not (text.isascii() and text.isdigit()) or int(text) >= 8**11:
        raise BadInput(f"SOURCE_DATE_EPOCH is {text!r}", hint="it has to be a number of seconds since 1970, or unset")
    return int(text)


def write_layer(store: Store, entries: Iterable[FileEntry], compression: Compression) -> Layer:
    """One layer with these files, streamed into the store. The same entries give the same digest on any machine."""
    ordered = sorted(entries, key=lambda entry: entry.name.encode("utf-8", "surrogateescape"))
    sized = [(entry, entry.size()) for entry in ordered]
    moment = source_date_epoch()
    headers = [_header(entry, size, moment) for entry, size in sized]
    length = sum(len(header) + size + -size % _BLOCK for header, (_, size) in zip(headers, sized, strict=True))
    length += len(_END)
    with store.writer() as blob, encoding(blob, compression, length) as encoder:
        for header, (entry, size) in zip(headers, sized, strict=True):
            encoder.write(header)
            for data in _content(entry, size):
                encoder.write(data)
            encoder.write(bytes(-size % _BLOCK))
        encoder.write(_END)
        diff_id = encoder.finish()
    descriptor = Descriptor(MEDIA_TYPES[compression], blob.digest, blob.size)
    content = sum(size or len(os.fsencode(entry.link)) for entry, size in sized)
    return Layer(descriptor, diff_id, content, length)


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


def _header(entry: FileEntry, size: int, moment: int) -> bytes:
    import tarfile  # most often a record says what a layer became, and none is written

    info = tarfile.TarInfo(entry.name.rstrip("/"))
    info.type, info.linkname = tarfile.DIRTYPE if entry.source is None else tarfile.REGTYPE, entry.link
    if entry.link:
        info.type = tarfile.SYMTYPE
    info.mode, info.uid, info.gid, info.size, info.mtime = entry.mode, entry.uid, entry.gid, size, moment
    try:
        return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape")
    except ValueError:  # a name over 255 bytes or a file over 8 GiB: PAX has room for both
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _content(entry: FileEntry, size: int) -> Iterator[bytes]:
    if entry.source is None:
        return
    if isinstance(entry.source, bytes):
        yield entry.source
        return
    with open(entry.source, "rb", buffering=0) as file:
        left = size
        while left:
            data = file.read(min(_READ, left))
            if not data:
                raise BadInput(f"{str(entry.source)!r} became shorter while it was read", hint="try again")
            left -= len(data)
            yield data
        if file.read(1):
            raise BadInput(f"{str(entry.source)!r} became longer while it was read", hint="try again")


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
