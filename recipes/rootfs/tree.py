"""What stands in a root file system, and where its bytes come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from recipes.elf.segments import Reader

Kind = Literal["file", "dir", "symlink", "device", "fifo"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of a root. `mode` is the permission bits, `target` a symbolic link's text, `mtime` in seconds.

    Names with the same `inode` are hard links to one file.
    """

    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    target: str = ""
    inode: int = 0


@dataclass(frozen=True, slots=True)
class Skipped:
    """A member of a layer that was left out, and why."""

    name: str
    why: str


class Tree(Protocol):
    """The names of a root without any following of links: paths are absolute, and their folders are real folders."""

    @property
    def skipped(self) -> tuple[Skipped, ...]: ...

    def entry(self, path: str) -> Entry | None: ...

    def children(self, path: str) -> tuple[str, ...]:
        """The names in a folder, sorted by their bytes."""

    def reader(self, path: str) -> Reader:
        """The content of a regular file."""
