"""What a disk does to what is written: whether there is room for it, and whether it outlasts a loss of power.

Every file that is kept is flushed to the disk before it gets its name, and its folder afterwards, unless
FROMSCRATCH_NO_SYNC is set: a variable rather than an option, as nearly every task writes and it is the machine that
decides, such as one that is thrown away after its only job.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TypeVar

from recipes.errors import CannotWrite

_RESERVE = 16 << 20
_STEP = 64 << 20
"""After so many bytes the free space is looked at again: others write there too."""

_NOT_SUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EACCES}
"""From file systems that cannot flush what they are asked to, and for folders that may be written to but not read."""

Target = TypeVar("Target", int, Path)


class Room:
    """What may still be written where `folder` is; `what` is written, in words for the error."""

    def __init__(self, folder: Path, what: str) -> None:
        self._folder, self._what = folder, what
        self._left = 0

    def take(self, count: int) -> None:
        """`count` bytes are about to be written. Raises: CannotWrite where the disk would be full."""
        self._left -= count
        if self._left < 0:
            free = self.need(count)
            self._left = min(free, _STEP) - count

    def need(self, size: int) -> int:
        """The bytes that are free, if `size` fit in. Raises: CannotWrite where they do not."""
        free = free_bytes(self._folder)
        if size > free:
            raise CannotWrite(
                f"cannot write {self._what} into {str(self._folder)!r}: the disk would be full: "
                f"{size:,} more bytes are needed, {free:,} are free",
                hint="free some space there; nothing of it was kept",
            )
        return free

    def each(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces, each when there is room for it."""
        for piece in pieces:
            self.take(len(piece))
            yield piece


def free_bytes(folder: Path) -> int:
    """How much may be written where `folder` is: a reserve stays free. No limit where the file system names none."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return sys.maxsize
    reserve = min(_RESERVE, status.f_blocks * status.f_frsize // 20)
    return max(0, status.f_bavail * status.f_frsize - reserve) if status.f_blocks else sys.maxsize


def sync_file(file: IO[bytes]) -> None:
    """What was written to `file` is on the disk afterwards. Raises: OSError."""
    file.flush()
    if _is_wanted():
        _supported(os.fsync, file.fileno())


def sync_folder(folder: Path) -> None:
    """The names in `folder` are on the disk afterwards. Raises: OSError."""
    _with_folder(os.fsync, folder)


def sync_all(folder: Path) -> None:
    """All of the file system that `folder` is on: one call for thousands of files. Raises: OSError."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def syncfs(descriptor: int) -> None:
        if libc.syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    _with_folder(syncfs, folder)


def _with_folder(sync: Callable[[int], None], folder: Path) -> None:
    def opened(folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)

    if _is_wanted():
        _supported(opened, folder)


def _supported(sync: Callable[[Target], None], target: Target) -> None:
    try:
        sync(target)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise


def _is_wanted() -> bool:
    return not os.environ.get("FROMSCRATCH_NO_SYNC")
