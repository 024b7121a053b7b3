"""A root file system as a closed world: names are resolved inside it, and nothing of the host is ever consulted.

Paths are absolute inside the root. Every component is looked up by itself; an absolute link restarts at the root, `..`
at the root stays there, and more than 40 links in a row lead nowhere, as in Linux. What an account that is not root
sees of it ends at the folders that it may not pass.
Source: path_resolution(7).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from recipes.elf.segments import Reader
from recipes.errors import BadInput
from recipes.rootfs.accounts import Account
from recipes.rootfs.foldertree import FolderTree
from recipes.rootfs.layering import LINKS_IN_A_ROW
from recipes.rootfs.layertree import Cache, LayerSource, LayerTree
from recipes.rootfs.tree import Entry, Skipped, Tree

__all__ = ["Entry", "LayerSource", "RootFs", "Skipped"]

_CHUNK = 1 << 20
_ROOT = Account()
_MOST_REMEMBERED = 200_000


class RootFs:
    """What an image's processes see. Asking twice is cheap: what was found is remembered, as a root does not change."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._account = _ROOT
        self._entries: dict[str, Entry | None] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._resolved: dict[tuple[str, bool], str | None] = {}
        self._loops: set[str] = set()
        self._views: dict[Account, RootFs] = {}
        self._larger: dict[tuple[str, int], RootFs] = {}
        self._beneath: dict[tuple[str, ...], RootFs] = {}

    @classmethod
    def from_layers(cls, layers: Sequence[LayerSource], cache: Cache | None = None) -> RootFs:
        """The root of layers, the lowest first, through an index in `cache`; no layers are scratch.

        Raises: BadArchive for layers that cannot be trusted.
        """
        return cls(LayerTree(layers, cache if layers else None))

    @classmethod
    def from_directory(cls, path: Path) -> RootFs:
        """A folder as a root, read when asked. Raises: BadInput."""
        return cls(FolderTree(path))

    def seen_by(self, account: Account) -> RootFs:
        """The same root as a process of `account` sees it, the same one for as long as this one lives."""
        if account.uid == 0:
            return self
        account = account._replace(home="")
        if account not in self._views:
            view = RootFs(self._tree)
            view._account, view._entries, view._names = account, self._entries, self._names
            self._views[account] = view
        return self._views[account]

    def with_folder(self, path: str, mode: int = 0o755) -> RootFs:
        """The same root, in which there is a folder at `path`: itself, where there is something already."""
        if self.exists(path):
            return self
        if (path, mode) not in self._larger:
            self._larger[path, mode] = RootFs(_WithFolder(self._tree, self.standing(path), mode))
        return self._larger[path, mode]

    def beneath_mounts(self, folders: tuple[str, ...]) -> RootFs:
        """The same root without what these folders hold, as where other file systems are mounted on them.

        Itself, where they hold nothing.
        """
        if not any(self._tree.entry(folder) is not None and self._tree.children(folder) for folder in folders):
            return self
        if folders not in self._beneath:
            self._beneath[folders] = RootFs(_WithoutContents(self._tree, folders))
        return self._beneath[folders]

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Members that were left out of the layers, up to 100 of them."""
        return self._tree.skipped

    # ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def resolve(self, path: str, follow: bool = True) -> str | None:
        """The path without links, `.` and `..`; None where it leads to nothing. `follow` is about its last name."""
        key = (path, follow)
        if key not in self._resolved:
            if len(self._resolved) > _MOST_REMEMBERED:
                self._resolved.clear()
            self._resolved[key] = self._walk(path, follow)
        return self._resolved[key]

    def standing(self, path: str) -> str:
        """Where a file that is put at an absolute `path` will stand: the folders on the way may be links."""
        above, _, name = path.rstrip("/").rpartition("/")
        if not above:
            return path
        return f"{(self.resolve(above) or self.standing(above)).rstrip('/')}/{name}"

    def lookup(self, path: str) -> Entry | None:
        """What a path names, without following its last name; None where that is nothing."""
        found = self.resolve(path, follow=False)
        return None if found is None else self._entry(found)

    def stat(self, path: str) -> Entry | None:
        """What a path leads to; None where that is nothing."""
        found = self.resolve(path)
        return None if found is None else self._entry(found)

    def exists(self, path: str) -> bool:
        return self.resolve(path) is not None

    def is_folder(self, path: str) -> bool:
        entry = self.stat(path)
        return entry is not None and entry.kind == "dir"

    def is_file(self, path: str) -> bool:
        entry = self.stat(path)
        return entry is not None and entry.kind == "file"

    def mode(self, path: str) -> int:
        """The permission bits of what a path leads to; 0 where that is nothing."""
        entry = self.stat(path)
        return 0 if entry is None else entry.mode

    def may_execute(self, path: str) -> bool:
        """Whether the account may execute the file that a path leads to."""
        entry = self.stat(path)
        return entry is not None and entry.kind == "file" and self._account.may(entry, 1)

    def may_read(self, path: str) -> bool:
        """Whether the account may read what a path leads to; `reader` reads all the same, as a kernel does."""
        entry = self.stat(path)
        return entry is not None and self._account.may(entry, 4)

    def lends_rights(self, path: str) -> bool:
        """Whether a file that the account executes runs with the rights of another user or group.

        Not asked of root: engines with a user namespace of root alone ignore the marks of all other accounts, and
        others have little to lend to it. Source: Linux, fs/exec.c, `bprm_fill_uid`.
        """
        entry = self.stat(path)
        if self._account.uid == 0 or entry is None or entry.kind != "file":
            return False
        of_group = entry.mode & 0o2010 == 0o2010 and entry.gid != self._account.gid
        return of_group or (bool(entry.mode & 0o4000) and entry.uid != self._account.uid)

    def barrier(self, path: str) -> str:
        """The folder on the way that the account may not pass; "" where there is none."""
        return next((each for each in self._stops(path) if self.is_folder(each)), "")

    def file_on_the_way(self, path: str) -> str:
        """The file, links followed, that has a name behind it; "" where there is none."""
        return next((each for each in self._stops(path) if not self.is_folder(each)), "")

    def is_loop(self, path: str) -> bool:
        """Whether a path leads to nothing because its links lead on and on."""
        return self.resolve(path) is None and path in self._loops

    def may_pass_top(self) -> bool:
        """Whether the account may pass `/`, as far as the layers say. All else here takes it that it may."""
        return self._account.uid == 0 or self._may_pass("/")

    def names(self, path: str) -> tuple[str, ...]:
        """The names in a folder, sorted; () where there is none."""
        found = self.resolve(path)
        entry = None if found is None else self._entry(found)
        if found is None or entry is None or entry.kind != "dir":
            return ()
        if found not in self._names:
            if len(self._names) > _MOST_REMEMBERED:
                self._names.clear()
            self._names[found] = self._tree.children(found)
        return self._names[found]

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """All that the root holds, links not followed: sorted within each folder, a folder before what is in it."""
        pending = ["/"]
        while pending:
            path = pending.pop()
            entry = self._tree.entry(path)
            if entry is None:
                continue  # gone meanwhile, which only a folder of this machine can be
            if path != "/":
                yield path, entry
            if entry.kind == "dir":
                above = "" if path == "/" else path
                pending += [f"{above}/{name}" for name in reversed(self._tree.children(path))]

    # ── contents ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def reader(self, path: str) -> Reader:
        """The regular file that a path leads to. Raises: BadInput where there is none, BadArchive."""
        found = self.resolve(path)
        entry = None if found is None else self._entry(found)
        if found is None or entry is None:
            raise BadInput(f"the root has no {path!r}")
        if entry.kind != "file":
            raise BadInput(f"{path!r} is not a regular file in the root")
        return self._tree.reader(found)

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of a regular file, fewer than asked for only at its end. Raises: BadInput, BadArchive."""
        reader = self.reader(path)
        return reader.read_at(offset, reader.size - offset if length is None else length)

    def stream(self, path: str) -> Iterator[bytes]:
        """A regular file in pieces of up to 1 MiB. Raises: BadInput, BadArchive."""
        reader = self.reader(path)
        for offset in range(0, reader.size, _CHUNK):
            yield reader.read_at(offset, _CHUNK)

    def copy_file(self, path: str, out: IO[bytes]) -> None:
        """Write a regular file to `out`. Raises: BadInput, BadArchive."""
        for data in self.stream(path):
            out.write(data)

    # ── how ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _entry(self, path: str) -> Entry | None:
        """`path` has no links, so it is asked of the tree as it is."""
        if path not in self._entries:
            if len(self._entries) > _MOST_REMEMBERED:
                self._entries.clear()
            self._entries[path] = self._tree.entry(path)
        return self._entries[path]

    def _may_pass(self, folder: str) -> bool:
        entry = self._entry(folder)
        return entry is None or self._account.may(entry, 1)

    def _stops(self, path: str) -> list[str]:
        """Where the way to a path ends before it: at a folder that the account may not pass, or at a file."""
        stops: list[str] = []
        self._walk(path, follow=True, stops=stops)
        return stops

    def _walk(self, path: str, follow: bool, stops: list[str] | None = None) -> str | None:
        if not path or "\0" in path:
            return None
        pending = path.split("/")[::-1]
        at, links, restricted = "", 0, self._account.uid != 0
        while pending:
            part = pending.pop()
            # What the layers say of the top decides in some engines alone: see `may_pass_top`.
            if part and at and restricted and not self._may_pass(at):
                if stops is not None:
                    stops.append(at)
                return None
            if part == "..":
                at = at.rpartition("/")[0]
            if part in ("", ".", ".."):
                continue
            here = f"{at}/{part}"
            entry = self._entry(here)
            if entry is None:
                return None
            if entry.kind == "symlink" and (pending or follow):
                links += 1
                if links > LINKS_IN_A_ROW:
                    self._loops.add(path)
                if links > LINKS_IN_A_ROW or not entry.target:
                    return None
                if entry.target.startswith("/"):
                    at = ""
                pending += entry.target.split("/")[::-1]
            elif pending and entry.kind != "dir":  # also with nothing but a slash behind it
                if stops is not None:
                    stops.append(here)
                return None
            else:
                at = here
        return at or "/"


class _WithFolder:
    """A tree with one folder more, and the folders on the way there."""

    def __init__(self, tree: Tree, path: str, mode: int) -> None:
        self._tree = tree
        self._path = path
        self._mode = mode
        self._children: dict[str, str] = {}
        while path not in ("", "/"):
            above, _, name = path.rpartition("/")
            self._children[above or "/"] = name
            path = above
        self._folders = {f"{above.rstrip('/')}/{name}" for above, name in self._children.items()}

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        return self._tree.skipped

    def entry(self, path: str) -> Entry | None:
        if path in self._folders:
            return self._tree.entry(path) or Entry("dir", self._mode if path == self._path else 0o755)
        return self._tree.entry(path)

    def children(self, path: str) -> tuple[str, ...]:
        known = self._tree.children(path) if self._tree.entry(path) is not None else ()
        more = self._children.get(path)
        return known if more is None or more in known else tuple(sorted((*known, more), key=os.fsencode))

    def reader(self, path: str) -> Reader:
        return self._tree.reader(path)


class _WithoutContents:
    """A tree in which some folders are empty."""

    def __init__(self, tree: Tree, folders: tuple[str, ...]) -> None:
        self._tree = tree
        self._folders = folders
        self._hidden = tuple(f"{folder}/" for folder in folders)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        return self._tree.skipped

    def entry(self, path: str) -> Entry | None:
        return None if path.startswith(self._hidden) else self._tree.entry(path)

    def children(self, path: str) -> tuple[str, ...]:
        return () if path in self._folders else self._tree.children(path)

    def reader(self, path: str) -> Reader:
        return self._tree.reader(path)
