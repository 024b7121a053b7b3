"""What a file is, cheaply: its stat first, its content only where the stat differs from what was recorded."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

Stamp = tuple[int, int, int, int]
"""Size, mtime and ctime in ns, inode. The ctime cannot be set back, so an edit that restores the mtime shows."""

Recorded = tuple[str, str, Stamp]
"""Path, SHA-256 of the content, and the stamp that it had then."""

_TICK = 20_000_000
"""The kernel's clock for files moves in steps of some milliseconds. A file that was changed this shortly before it was
recorded may have changed again within the same step, so its stamp alone proves nothing."""

_MOST_TEXT = 8 << 20


NO_INPUTS = frozenset({".git", ".hg", ".svn", ".venv"})
"""Folders that no program is made of: version control, a Python environment."""


def walk(top: Path, built: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """`os.walk` in a fixed order, without what is not an input of a build: NO_INPUTS and the build folder `built`."""
    own = str(built)
    for parent, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if name not in NO_INPUTS and os.path.join(parent, name) != own)
        yield parent, folders, sorted(files)


def entries_below(top: Path, built: Path) -> Iterator[tuple[os.DirEntry[str], bool]]:
    """The files below `top` and the links there, to folders too, in a fixed order, without what `walk` leaves out; and
    of each whether it leads to a file.

    Links are followed: each folder is looked into once, and none that `top` is in.
    """
    seen = {_identity(folder) for folder in top.resolve().parents}
    waiting = [str(top)]
    while waiting:
        folder, folders = waiting.pop(), []
        with contextlib.suppress(OSError):  # one that may not be read, or is gone by now
            identity = _identity(folder)
            if identity in seen:
                continue
            seen.add(identity)
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                is_folder = _leads_to(entry.is_dir)
                if is_folder and (entry.name in NO_INPUTS or entry.path == str(built)):
                    continue
                if is_folder:
                    folders.append(entry.path)
                is_file = _leads_to(entry.is_file)
                if is_file or entry.is_symlink():
                    yield entry, is_file
        waiting += reversed(folders)


def _leads_to(is_kind: Callable[[], bool]) -> bool:
    """Whether an entry does; a link that leads to itself leads to nothing, and hides none of the others."""
    try:
        return is_kind()
    except OSError:
        return False


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def listed(path: Path) -> str:
    """The name, marked as by `ls -F`: contents do not say what is executable, a folder, or a link, and where to."""
    if path.is_symlink():
        return f"{path} -> {os.readlink(path)}"
    if path.is_dir():
        return f"{path}/"
    return f"{path}*" if os.access(path, os.X_OK) else str(path)


def text_of(path: Path) -> str:
    """The text of a project's file, or its start where it is longer than such files are; "" where there is none."""
    try:
        if not path.is_file():  # a pipe may never end
            return ""
        with open(path, "rb") as file:
            return file.read(_MOST_TEXT).decode(errors="replace").replace("\r\n", "\n")
    except OSError:
        return ""


def stamp(path: str) -> Stamp:
    """Raises OSError."""
    status = os.stat(path)
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def sha256(path: str | os.PathLike[str]) -> str:
    """Hex digits. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Files:
    """The files as one build sees them: each is looked at once."""

    def __init__(self) -> None:
        self._stamps: dict[str, Stamp | None] = {}
        self._contents: dict[str, str] = {}
        self.reread: set[str] = set()
        """Those whose content had to be read, so that recording them anew saves that the next time."""

    def stamp(self, path: str) -> Stamp | None:
        """None where there is no such file."""
        if path not in self._stamps:
            try:
                self._stamps[path] = stamp(path)
            except OSError:
                self._stamps[path] = None
        return self._stamps[path]

    def content(self, path: str) -> str | None:
        if path not in self._contents:
            try:
                self._contents[path] = sha256(path)
            except OSError:
                return None
            self.reread.add(path)
        return self._contents[path]

    def unchanged(self, recorded: Recorded, checked: int) -> bool:
        """Whether the file has the recorded content; `checked` is the time (ns) when it was recorded."""
        path, content, then = recorded
        now = self.stamp(path)
        if now is None:
            return False
        if now == then and now[2] < checked - _TICK:
            return True
        return self.content(path) == content
