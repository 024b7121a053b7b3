"""Tars, written piece by piece: what a layer is, and what an image travels in.

Nothing is held in memory but names: contents are streamed, so a sparse file of many gigabytes costs only time.
Source: POSIX.1-1988, "ustar Interchange Format"; POSIX.1-2001, "pax Extended Header".
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

from recipes.errors import BadInput

_PIECE = 64 << 10
_END = bytes(2 * tarfile.BLOCKSIZE)


class Content(Protocol):
    """What a member holds, read from its start."""

    def read(self, size: int = -1, /) -> bytes: ...

    def __enter__(self) -> Content: ...

    def __exit__(self, kind: Any, error: Any, trace: Any, /) -> object: ...


class Joined(AbstractContextManager["Joined"]):
    """Pieces as a content. A read gives one of them, whatever was asked for."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    def read(self, size: int = -1, /) -> bytes:
        return next((piece for piece in self._pieces if piece), b"")

    def __exit__(self, *error: object) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a tar. `open` gives the content of a regular file: as many bytes as `info` says."""

    info: tarfile.TarInfo
    open: Callable[[], Content] | None = None


def new_entry(name: str, kind: bytes, mode: int, *, link: str = "", data: bytes | None = None) -> Entry:
    """An entry with owner 0:0 and time 0; `data` is the content of a regular file."""
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname = kind, mode, link
    if data is None:
        return Entry(info)
    info.size = len(data)
    return Entry(info, partial(io.BytesIO, data))


def pieces(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The tar with these entries, in their order. Raises: BadInput where a content is not as long as it was said to be.

    Its headers are USTAR's; a PAX header comes before one that has no room for a name, a size or an owner.
    """
    for entry in entries:
        yield _header(entry.info)
        if entry.open is not None:
            with entry.open() as content:
                yield from _content(content, entry.info)
            yield _padding(entry.info.size)
    yield _END


def length(entries: Iterable[Entry]) -> int:
    """The bytes of the tar with these entries."""
    return len(_END) + sum(
        len(_header(entry.info)) + entry.info.size + len(_padding(entry.info.size)) for entry in entries
    )


def folder_entries(root: Path) -> Iterator[Entry]:
    """Everything beneath `root`, sorted. Links stay links, hard ones too; sockets and devices are left out.

    Raises: BadInput for what cannot be read.
    """
    first_names: dict[tuple[int, int], str] = {}
    for path, name, status in walk(root):
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISDIR(status.st_mode):
            yield new_entry(name, tarfile.DIRTYPE, mode)
        elif stat.S_ISLNK(status.st_mode):
            yield new_entry(name, tarfile.SYMTYPE, 0o777, link=os.readlink(path))
        elif stat.S_ISFIFO(status.st_mode):
            yield new_entry(name, tarfile.FIFOTYPE, mode)
        elif stat.S_ISREG(status.st_mode):
            inode = (status.st_dev, status.st_ino)
            first = first_names.setdefault(inode, name) if status.st_nlink > 1 else name
            if first != name:
                yield new_entry(name, tarfile.LNKTYPE, mode, link=first)
            else:
                entry = new_entry(name, tarfile.REGTYPE, mode)
                entry.info.size = status.st_size
                yield Entry(entry.info, partial(_open, path))


def walk(root: Path) -> Iterator[tuple[str, str, os.stat_result]]:
    """(path, name beneath root, lstat) of everything beneath `root`, parents first, sorted by the names' bytes."""
    stack = [("", str(root))]
    while stack:
        name, path = stack.pop()
        try:
            status = os.lstat(path)
            if name:
                yield path, name, status
            if not name or stat.S_ISDIR(status.st_mode):
                below = sorted(os.listdir(path), key=os.fsencode, reverse=True)
                stack += [(f"{name}/{child}" if name else child, f"{path}/{child}") for child in below]
        except OSError as error:
            raise _unreadable(path, error) from error


def _header(info: tarfile.TarInfo) -> bytes:
    try:
        return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape")
    except ValueError:
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _content(content: Content, info: tarfile.TarInfo) -> Iterator[bytes]:
    left = info.size
    while data := content.read(min(_PIECE, left)):
        left -= len(data)
        yield data
    if left or content.read(1):
        name = str(getattr(content, "name", info.name))
        raise BadInput(f"{name!r} became {'shorter' if left > 0 else 'longer'} while it was read", hint="try again")


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _open(path: str) -> IO[bytes]:
    try:
        return open(path, "rb")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> BadInput:
    return BadInput(f"cannot read {path!r}: {error.strerror}", hint="you must be able to read every file of a root")
