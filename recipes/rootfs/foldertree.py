"""A folder of this machine as a tree. The host follows no link: every step is opened by itself, from the one before."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from recipes.elf.segments import Reader
from recipes.errors import BadInput
from recipes.rootfs.tree import Entry, Kind, Skipped

_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "fifo",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


class FolderTree:
    """A `Tree` over a folder; "" is the empty one. Raises: BadInput where it is not a folder, or may not be read."""

    skipped: tuple[Skipped, ...] = ()

    def __init__(self, folder: Path) -> None:
        try:
            self._top = _Descriptor(os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise BadInput(f"cannot read the folder {str(folder)!r}: {why}") from error

    def entry(self, path: str) -> Entry | None:
        folder = self._folder(path)
        if folder is None:
            return None
        name = path.rpartition("/")[2]
        try:
            status = os.stat(name or ".", dir_fd=folder.number, follow_symlinks=False)
            kind = _KINDS[stat.S_IFMT(status.st_mode)]
            target = os.readlink(name, dir_fd=folder.number) if kind == "symlink" else ""
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
                return None
            raise _unreadable(path, error) from error
        return Entry(
            kind=kind,
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            size=status.st_size if kind == "file" else 0,
            mtime=int(status.st_mtime),
            target=target,
            inode=status.st_dev << 64 | status.st_ino,
        )

    def children(self, path: str) -> tuple[str, ...]:
        folder = self._folder(path.rstrip("/") + "/.")
        if folder is None:
            return ()
        try:
            # O_PATH gives no right to list: open the same folder again for reading.
            descriptor = _Descriptor(os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder.number))
            return tuple(sorted(os.listdir(descriptor.number), key=os.fsencode))
        except OSError as error:
            raise _unreadable(path, error) from error

    def reader(self, path: str) -> Reader:
        folder = self._folder(path)
        if folder is None:
            raise BadInput(f"the root has no {path!r}")
        name = path.rpartition("/")[2]
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            return _Opened(_Descriptor(os.open(name, flags, dir_fd=folder.number)), path)
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from error

    def _folder(self, path: str) -> _Descriptor | None:
        """The folder that holds the last name of `path`."""
        folder = self._top
        for part in path.split("/")[1:-1]:
            try:
                folder = _Descriptor(os.open(part, _STEP, dir_fd=folder.number))
            except (FileNotFoundError, NotADirectoryError):
                return None
            except (OSError, ValueError) as error:
                raise _unreadable(path, error) from error
        return folder


class _Descriptor:
    """A file descriptor that is closed when nothing refers to it any more."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


class _Opened:
    def __init__(self, descriptor: _Descriptor, path: str) -> None:
        status = os.fstat(descriptor.number)
        if not stat.S_ISREG(status.st_mode):
            raise BadInput(f"{path!r} is not a regular file")
        self._descriptor = descriptor
        self.size = status.st_size

    def read_at(self, offset: int, length: int) -> bytes:
        if offset < 0 or offset >= self.size:
            return b""
        return os.pread(self._descriptor.number, min(length, self.size - offset), offset)


def _unreadable(path: str, error: OSError | ValueError) -> BadInput:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return BadInput(f"cannot read {path!r} of the root: {why}", hint="you must be able to read every file of a root")
