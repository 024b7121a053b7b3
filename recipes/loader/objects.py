"""The ELF files of a root, each read once, and what a loader meets when it opens one."""

from __future__ import annotations

import os
import re
import struct
import threading
import weakref
from dataclasses import dataclass, field
from typing import NamedTuple

from recipes.architecture import of_elf_machine
from recipes.elf.dynamic import Dynamic, Import, read_dynamic
from recipes.elf.segments import ET_EXEC
from recipes.errors import BadArchive, NotElf, TruncatedElf
from recipes.loader.ldcache import LdCache, read_ldcache
from recipes.model import Searched
from recipes.rootfs.root import RootFs

_MOST_CONFIG_BYTES = 16 << 20
_MOST_LOADER_BYTES = 8 << 20
_MOST_REMEMBERED = 50_000
_RELEASE = re.compile(rb"(?:GNU C Library|ld\.so) \([^\0\n]{1,200}\) (?:stable|development) release version (\d+\.\d+)")


@dataclass(frozen=True, slots=True, eq=False)
class Object:
    """An ELF file of the root. `dynamic` is without symbols: see `Objects.symbols`."""

    path: str
    """without links"""
    inode: int
    dynamic: Dynamic = field(repr=False)


class LoadAttempt(NamedTuple):
    """What a path leads to: an object; or nothing, with `error` where that ends the search instead of going on."""

    object: Object | None
    found: str
    """in words"""
    error: str = ""
    nameless: bool = False
    """whether the message does not say where the file is"""
    other_class: bool = False
    denied: bool = False
    loop: bool = False
    """whether opening it fails with ELOOP, which ends the search in one list of folders, and no other list's"""


_ABSENT = LoadAttempt(None, "no such file")
# The loader has words for few errors, and Linux's numbers for the others. Source: glibc, `elf/dl-minimal.c`.
_EISDIR = 21
_LOOP = LoadAttempt(None, "a loop of links", loop=True)
_DENIED = LoadAttempt(None, "not readable by the image's user; skipped", denied=True)


class Objects:
    """One root's objects. Everything is remembered, since a root does not change."""

    def __init__(self, root: RootFs) -> None:
        self._root = weakref.ref(root)
        self._opened: dict[tuple[str, int, int, bool], LoadAttempt] = {}
        self._by_inode: dict[int, Object | str] = {}
        self._symbols: dict[int, Dynamic] = {}
        self._files: dict[str, bytes] = {}
        self._releases: dict[int, str] = {}
        self._caches: dict[bool, LdCache | None] = {}
        self.searches: dict[object, tuple[LoadAttempt, str, tuple[Searched, ...]]] = {}
        self.lacking: dict[object, list[Import]] = {}

    @property
    def root(self) -> RootFs:
        root = self._root()
        assert root is not None  # the caller holds it
        return root

    def open(self, path: str, like: Dynamic) -> LoadAttempt:
        """What glibc's loader, which is `like`, meets at `path`, as a library.

        Source: glibc, `elf/dl-load.c`, `open_verify` and `_dl_map_object_from_fd`.
        """
        opened = self.take(path, like) if self.may_open(path) else _DENIED
        if opened.object is None:
            return opened
        if opened.object.dynamic.os_abi not in (0, 3):
            return LoadAttempt(None, "an ELF file for another system", "ELF file OS ABI invalid")
        if not _same_convention(like, opened.object.dynamic):
            return LoadAttempt(None, "an ELF file of another calling convention; skipped")
        error = _no_library(opened.object.dynamic)
        return LoadAttempt(None, "an ELF file that is not a library", error, nameless=True) if error else opened

    def may_open(self, path: str) -> bool:
        """Whether opening it does not fail with EACCES; what is not there fails otherwise."""
        root = self.root
        return root.may_read(path) if root.exists(path) else not root.barrier(path)

    def take(self, path: str, like: Dynamic) -> LoadAttempt:
        """The same for who need not be able to read it: the kernel, about a program's loader."""
        key = (path, like.bits, like.machine, like.little_endian)
        if key not in self._opened:
            if len(self._opened) > _MOST_REMEMBERED:
                self._opened.clear()
            self._opened[key] = self._open(path, like)
        return self._opened[key]

    def _open(self, path: str, like: Dynamic) -> LoadAttempt:
        entry = self.root.stat(path)
        if entry is None:
            return _LOOP if self.root.is_loop(path) else _ABSENT
        if entry.kind == "dir":
            return LoadAttempt(None, "a folder", f"cannot read file data: Error {_EISDIR}")
        if entry.kind != "file":
            return LoadAttempt(None, f"a {entry.kind}", "file too short")
        start = self.root.read(path, 0, 64)
        if len(start) < (64 if like.bits == 64 else 52):
            return LoadAttempt(None, f"a file of {len(start)} bytes", "file too short")
        if start[:4] != b"\x7fELF":
            return LoadAttempt(None, "not an ELF file", "invalid ELF header")
        if start[4] != (2 if like.bits == 64 else 1):
            return LoadAttempt(None, "an ELF file of another class; skipped", other_class=True)
        if (start[5] == 1) != like.little_endian:
            little = "little" if like.little_endian else "big"
            return LoadAttempt(
                None, "an ELF file of the other byte order", f"ELF file data encoding not {little}-endian"
            )
        kind, machine = struct.unpack_from("<HH" if like.little_endian else ">HH", start, 16)
        if machine != like.machine:
            return LoadAttempt(None, "an ELF file for another machine; skipped")
        if kind not in (2, 3):
            return LoadAttempt(None, "not a library", "only ET_DYN and ET_EXEC can be loaded")
        found = self.load(path)
        if isinstance(found, str):
            return LoadAttempt(None, "a broken ELF file", found)
        return LoadAttempt(found, "found")

    def load(self, path: str) -> Object | str:
        """The object at `path`, which is a regular file, or why it cannot be read."""
        canonical = self.root.resolve(path)
        entry = self.root.stat(path)
        assert canonical is not None
        assert entry is not None
        known = self._by_inode.get(entry.inode)
        if known is None:
            try:
                dynamic = read_dynamic(self.root.reader(canonical), symbols=False)
                known = Object(canonical, entry.inode, dynamic)
            except (NotElf, TruncatedElf, BadArchive) as error:
                known = error.message
            self._by_inode[entry.inode] = known
        return known

    def symbols(self, found: Object) -> Dynamic:
        """All of an object, symbols included; its `dynamic` itself, without them, where they cannot be read."""
        if found.inode not in self._symbols:
            try:
                self._symbols[found.inode] = read_dynamic(self.root.reader(found.path))
            except (NotElf, TruncatedElf):
                self._symbols[found.inode] = found.dynamic
        return self._symbols[found.inode]

    def content(self, path: str, most: int = _MOST_LOADER_BYTES) -> bytes:
        """A small file, such as the loader itself; b"" where there is none."""
        if path not in self._files:
            entry = self.root.stat(path)
            regular = entry is not None and entry.kind == "file"  # the loader itself need not be readable
            self._files[path] = self.root.read(path, 0, most) if regular else b""
        return self._files[path]

    def release(self, found: Object) -> str:
        """The release of glibc that a libc or a loader is of, such as 2.36; "" where it does not say, as no loader did
        before 2.33.
        """
        if found.inode not in self._releases:
            banner = _RELEASE.search(self.root.read(found.path, 0, _MOST_LOADER_BYTES))
            self._releases[found.inode] = banner[1].decode() if banner else ""
        return self._releases[found.inode]

    def text(self, path: str) -> str | None:
        """A small text file; None where there is none, or it may not be read."""
        readable = self.root.is_file(path) and self.root.may_read(path)
        return os.fsdecode(self.content(path)) if readable else None

    def ldcache(self, little_endian: bool) -> LdCache | None:
        """/etc/ld.so.cache; None where there is none."""
        if little_endian not in self._caches:
            cache = None
            if self.root.is_file("/etc/ld.so.cache") and self.root.may_read("/etc/ld.so.cache"):
                data = self.root.read("/etc/ld.so.cache", 0, _MOST_CONFIG_BYTES)
                cache = read_ldcache(data, little_endian=little_endian)
            self._caches[little_endian] = cache
        return self._caches[little_endian]


def _same_convention(loader: Dynamic, library: Dynamic) -> bool:
    """Whether e_flags lets the loader take a library.

    Source: glibc, `elf_machine_matches_host` in sysdeps/*/dl-machine.h; `VALID_FLOAT_ABI` in
    sysdeps/unix/sysv/linux/arm/ldsodefs.h.
    """
    row = of_elf_machine(loader.machine)
    mine, its = loader.flags & row.abi_mask, library.flags & row.abi_mask
    return mine == its or (row.unmarked_fits and 0 in (mine, its))


def _no_library(dynamic: Dynamic) -> str:
    """What the loader has against a program under a library's name; "" for nothing."""
    if dynamic.type == ET_EXEC:
        return "cannot dynamically load executable"
    if not dynamic.has_dynamic:
        return "object file has no dynamic section"
    return "cannot dynamically load position-independent executable" if dynamic.pie else ""


_known: weakref.WeakKeyDictionary[RootFs, Objects] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def objects_of(root: RootFs) -> Objects:
    """The objects of a root, the same ones for as long as the root lives."""
    with _lock:
        if root not in _known:
            _known[root] = Objects(root)
        return _known[root]
