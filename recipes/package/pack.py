"""A folder or a tree of entries as one deterministic tar stream: sorted names, owner 0:0, time 0.

Nothing is held in memory but names: contents are streamed, so a sparse file of many gigabytes costs only time.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from recipes.errors import BadInput

WriteTo = Callable[[IO[bytes]], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a tar. `open` gives the content of a regular file."""

    info: tarfile.TarInfo
    open: Callable[[], IO[bytes]] | None = None


def new_entry(name: str, kind: bytes, mode: int, *, link: str = "", data: bytes | None = None) -> Entry:
    """An entry with owner 0:0 and time 0; `data` is the content of a regular file."""
    import io

    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname = kind, mode, link
    if data is None:
        return Entry(info)
    info.size = len(data)
    return Entry(info, lambda: io.BytesIO(data))


def write_tar(out: IO[bytes], entries: Iterable[Entry]) -> None:
    """Write the entries in their order, as a PAX tar that needs no extended header where names are short and plain."""
    with tarfile.open(
        fileobj=out, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for entry in entries:
            if entry.open is None:
                archive.addfile(entry.info)
            else:
                with entry.open() as content:
                    archive.addfile(entry.info, content)


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


@contextlib.contextmanager
def piped(write: WriteTo) -> Iterator[IO[bytes]]:
    """The bytes that `write` writes, as a stream to read: both ends work side by side, and nothing is kept.

    What `write` raises is raised when the block ends; a reader that stops early ends the writer.
    """
    reading, writing = os.pipe()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with os.fdopen(writing, "wb", buffering=1 << 16) as out:
                write(out)
        except BrokenPipeError:
            pass  # the reader has had enough
        except BaseException as error:  # raised again in the thread that waits for it
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    with os.fdopen(reading, "rb", buffering=1 << 16) as stream:
        thread.start()
        try:
            yield stream
        except Exception:
            stream.close()
            thread.join()
            if failures:  # a stream that ends too early is only what the writer's failure looks like from here
                raise failures[0] from None
            raise
        stream.close()
    thread.join()
    if failures:
        raise failures[0]


def _open(path: str) -> IO[bytes]:
    try:
        return open(path, "rb")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> BadInput:
    return BadInput(f"cannot read {path!r}: {error.strerror}", hint="every file of a root has to be readable to you")
