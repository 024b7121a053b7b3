"""The ELF files of a root, each read once, and what a loader meets when it opens one."""

from __future__ import annotations

import errno
import posixpath
import re
import struct
import threading
import weakref
from dataclasses import dataclass, field
from typing import NamedTuple

from recipes.architecture import of_elf_machine
from recipes.elf.dynamic import Dynamic, Import, read_dynamic, relocation_types
from recipes.elf.segments import (
    ET_EXEC,
    SMALLEST_PAGE,
    BytesReader,
    MappedReader,
    Reader,
    RelabelledReader,
    TruncatedSegment,
    lost_pages,
    read_file_header,
    read_header,
)
from recipes.errors import BadArchive, NotElf, TruncatedElf
from recipes.loader.ldcache import LdCache, read_ldcache
from recipes.loader.loading import Problem
from recipes.model import Searched
from recipes.rootfs.root import RootFs

_MOST_CONFIG_BYTES = 16 << 20
_MOST_LOADER_BYTES = 8 << 20
_MOST_REMEMBERED = 50_000
_RELEASE = re.compile(rb" release version (\d+\.\d+)")  # a search for what begins otherwise takes ten times as long
_WHOSE = re.compile(rb"(?:GNU C Library|ld\.so) \([^\0\n]{1,200}\) (?:stable|development)\Z")


@dataclass(frozen=True, slots=True, eq=False)
class Object:
    """An ELF file of the root. `dynamic` is without symbols: see `Objects.symbols`."""

    path: str
    """without links"""
    inode: int
    dynamic: Dynamic = field(repr=False)
    cut: bool = False
    """whether the end of its last page is not in the file, and reads as zeros"""
    taken_for: Dynamic | None = field(default=None, repr=False)
    """the loader whose kind of file it is taken for, whatever its header says"""
    claim: str = ""
    """what its header says that it is, where it is taken for something else"""


class LoadAttempt(NamedTuple):
    """What a path leads to: an object; or nothing, with `error` where that ends the search instead of going on."""

    object: Object | None
    found: str
    """in words"""
    error: str = ""
    nameless: bool = False
    """whether the message does not say where the file is"""
    other_class: bool = False
    errno: int = 0
    """what the system has against it: Linux's number"""
    death: str = ""
    """the signal that ends the process when it is loaded; that is certain, unless `doubtful`"""
    doubtful: bool = False


_ABSENT = LoadAttempt(None, "no such file", errno=errno.ENOENT)
_LOOP = LoadAttempt(None, "a loop of links", errno=errno.ELOOP)
_DENIED = LoadAttempt(None, "not readable by the image's user; skipped", errno=errno.EACCES)
_OTHER_CLASS = LoadAttempt(None, "an ELF file of another class; skipped", other_class=True, errno=errno.ENOENT)
_OTHER_MACHINE = LoadAttempt(None, "an ELF file for another machine; skipped", errno=errno.ENOENT)
_OTHER_CONVENTION = LoadAttempt(None, "an ELF file of another calling convention; skipped", errno=errno.ENOENT)

_GNU_ABI, _ARM_ABI = 3, 64
_386, _MIPS, _S390, _ARM, _AMD64, _RISCV = 3, 8, 22, 40, 62, 243
SIGBUS = "Bus error (exit code 135)"
_LARGEST_PAGE = 65536
_LARGEST_PAGES = dict.fromkeys((_386, _S390, _ARM, _AMD64, _RISCV), SMALLEST_PAGE)
_MOST_MIPS_VERSION = 5


class Objects:
    """One root's objects. Everything is remembered, since a root does not change."""

    def __init__(self, root: RootFs) -> None:
        self._root = weakref.ref(root)
        self._opened: dict[tuple[str, int, int, bool, bool], LoadAttempt] = {}
        self._by_inode: dict[int, Object | str] = {}
        self._unchecked: dict[tuple[int, int, int, bool], Object | str] = {}
        self._symbols: dict[Object, Dynamic] = {}
        self._types: dict[Object, frozenset[int]] = {}
        self._files: dict[str, bytes] = {}
        self._releases: dict[int, str] = {}
        self._caches: dict[bool, LdCache | None] = {}
        self._entries: dict[tuple[str, tuple[str, ...]], bool] = {}
        self.searches: dict[object, tuple[LoadAttempt, str, tuple[Searched, ...]]] = {}
        self.lacking: dict[object, list[Import]] = {}
        self.subfolders: dict[object, tuple[str, ...]] = {}

    @property
    def root(self) -> RootFs:
        root = self._root()
        assert root is not None  # the caller holds it
        return root

    def open(self, path: str, like: Dynamic) -> LoadAttempt:
        """What glibc's loader, which is `like`, meets at `path`, as a library.

        Source: glibc, `elf/dl-load.c`, `open_verify` and `_dl_map_object_from_fd`.
        """
        opened = self.take(path, like, library=True) if self.may_open(path) else _DENIED
        if opened.object is None:
            return opened
        if not _same_convention(like, opened.object.dynamic):
            return _OTHER_CONVENTION
        error = _no_library(opened.object.dynamic)
        return LoadAttempt(None, "an ELF file that is not a library", error, nameless=True) if error else opened

    def may_open(self, path: str) -> bool:
        """Whether opening it does not fail with EACCES; what is not there fails otherwise."""
        root = self.root
        return root.may_read(path) if root.exists(path) else not root.barrier(path)

    def has_any(self, folder: str, names: tuple[str, ...]) -> bool:
        """Whether a folder has an entry of one of the names."""
        key = (folder, names)
        if key not in self._entries:
            self._entries[key] = any(self.root.exists(f"{folder}/{name}") for name in names)
        return self._entries[key]

    def error_of(self, path: str) -> int:
        """Why opening a path fails: Linux's number; 0 where it does not."""
        root = self.root
        if not self.may_open(path):
            return errno.EACCES
        if root.exists(path):
            return 0
        if root.is_loop(path):
            return errno.ELOOP
        while not root.exists(path := posixpath.dirname(path) or "/"):
            pass
        return errno.ENOENT if root.is_folder(path) else errno.ENOTDIR

    def take(self, path: str, like: Dynamic, *, library: bool = False) -> LoadAttempt:
        """The same for who need not be able to read it: the kernel, about a program's loader."""
        key = (path, like.bits, like.machine, like.little_endian, library)
        if key not in self._opened:
            if len(self._opened) > _MOST_REMEMBERED:
                self._opened.clear()
            self._opened[key] = self._open(path, like, library)
        return self._opened[key]

    def _open(self, path: str, like: Dynamic, library: bool) -> LoadAttempt:
        entry = self.root.stat(path)
        if entry is None:
            return _LOOP if self.root.is_loop(path) else _ABSENT
        if entry.kind == "dir":
            return LoadAttempt(None, "a folder", "cannot read file data", errno=errno.EISDIR)
        if entry.kind != "file":
            return LoadAttempt(None, f"a {entry.kind}", "file too short")
        start = self.root.read(path, 0, 64)
        if len(start) < (64 if like.bits == 64 else 52):
            return LoadAttempt(None, f"a file of {len(start)} bytes", "file too short")
        if start[:4] != b"\x7fELF":
            return LoadAttempt(None, "not an ELF file", "invalid ELF header")
        if start[4] != (2 if like.bits == 64 else 1):
            return _OTHER_CLASS
        kind, machine = struct.unpack_from("<HH" if like.little_endian else ">HH", start, 16)
        if machine != like.machine:  # as it is for every real file of the other byte order
            return _OTHER_MACHINE
        if (start[5] == 1) != like.little_endian:
            little = "little" if like.little_endian else "big"
            return LoadAttempt(
                None, "an ELF file of the other byte order", f"ELF file data encoding not {little}-endian"
            )
        strange = _strange_identity(start, like) if library else ""
        if strange:
            return LoadAttempt(None, "an ELF file for another system", strange)
        if kind not in (2, 3):
            return LoadAttempt(None, "not a library", "only ET_DYN and ET_EXEC can be loaded")
        if library and (error := _broken_table(start, entry.size, like)):
            return LoadAttempt(None, "a broken ELF file", error)
        found = self.load(path)
        if isinstance(found, str):
            lost, certain = self.lost(path)
            return LoadAttempt(None, lost or "a broken ELF file", found, death=lost and SIGBUS, doubtful=not certain)
        return LoadAttempt(found, "found")

    def lost(self, path: str, taken_for: Dynamic | None = None) -> tuple[str, bool]:
        """What of a library cannot be mapped, in words; and whether it is certain that this ends the process."""
        reader = self._reader(path, taken_for)
        try:
            header = read_header(reader, whole=False)
        except (NotElf, TruncatedElf):
            return "", False
        return lost_pages(header, reader.size, _LARGEST_PAGES.get(header.machine, _LARGEST_PAGE))

    def load(self, path: str) -> Object | str:
        """The object at `path`, which is a regular file, or why it cannot be read."""
        canonical, inode = self._file(path)
        if inode not in self._by_inode:
            self._by_inode[inode] = self._loaded(canonical, inode)
        return self._by_inode[inode]

    def load_unchecked(self, path: str, loader: Dynamic) -> Object | str:
        """The same for a loader that takes each file for one of its own kind, whatever class and machine it names."""
        canonical, inode = self._file(path)
        key = (inode, loader.bits, loader.machine, loader.little_endian)
        if key not in self._unchecked:
            reader = self._reader(canonical, loader)
            other = isinstance(reader, RelabelledReader) and reader.changed
            self._unchecked[key] = self._loaded(canonical, inode, loader) if other else self.load(path)
        return self._unchecked[key]

    def _file(self, path: str) -> tuple[str, int]:
        canonical = self.root.resolve(path)
        entry = self.root.stat(path)
        assert canonical is not None
        assert entry is not None
        return canonical, entry.inode

    def _loaded(self, path: str, inode: int, taken_for: Dynamic | None = None) -> Object | str:
        reader = self._reader(path, taken_for)
        claim = _claim(self.root.read(path, 0, 20)) if taken_for else ""
        try:
            dynamic, cut = self._read(reader)
        except (NotElf, TruncatedElf, BadArchive) as error:
            return error.message
        return Object(path, inode, dynamic, cut, taken_for, claim)

    def _read(self, reader: Reader) -> tuple[Dynamic, bool]:
        """The dynamic segment without symbols; and whether the file was cut within its last page."""
        try:
            return read_dynamic(reader, symbols=False), False
        except TruncatedSegment:
            return read_dynamic(MappedReader(reader), symbols=False), True

    def _reader(self, path: str, taken_for: Dynamic | None) -> Reader:
        reader = self.root.reader(path)
        if taken_for is None:
            return reader
        return RelabelledReader(reader, taken_for.bits, taken_for.machine, little_endian=taken_for.little_endian)

    def _whole(self, found: Object) -> Reader:
        reader = self._reader(found.path, found.taken_for)
        return MappedReader(reader) if found.cut else reader

    def symbols(self, found: Object) -> Dynamic:
        """All of an object, symbols included; its `dynamic` itself, without them, where they cannot be read."""
        if found not in self._symbols:
            try:
                self._symbols[found] = read_dynamic(self._whole(found))
            except (NotElf, TruncatedElf):
                self._symbols[found] = found.dynamic
        return self._symbols[found]

    def relocation_types(self, found: Object) -> frozenset[int]:
        """The types of an object's relocations; none where they cannot be read."""
        if found not in self._types:
            try:
                self._types[found] = relocation_types(self._whole(found))
            except (NotElf, TruncatedElf):
                self._types[found] = frozenset()
        return self._types[found]

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
            data = self.root.read(found.path, 0, _MOST_LOADER_BYTES)
            banners = _RELEASE.finditer(data)
            banner = next((each for each in banners if _WHOSE.search(data, each.start() - 250, each.start())), None)
            self._releases[found.inode] = banner[1].decode() if banner else ""
        return self._releases[found.inode]

    def settings(self, path: str) -> bytes:
        """A small file; b"" where there is none, or it may not be read."""
        return self.content(path) if self.root.is_file(path) and self.root.may_read(path) else b""

    def ldcache(self, little_endian: bool) -> LdCache | None:
        """/etc/ld.so.cache; None where there is none."""
        if little_endian not in self._caches:
            cache = None
            if self.root.is_file("/etc/ld.so.cache") and self.root.may_read("/etc/ld.so.cache"):
                data = self.root.read("/etc/ld.so.cache", 0, _MOST_CONFIG_BYTES)
                cache = read_ldcache(data, little_endian=little_endian)
            self._caches[little_endian] = cache
        return self._caches[little_endian]


def cut_within_a_page(found: Object, name: str, needed_by: str) -> Problem:
    """The doubt about a library that every loader maps, although the end of its last page is lost."""
    evidence = f"{needed_by} needs {name}, and {found.path} is cut: the end of its last page reads as zeros"
    message = "no error, or Segmentation fault (exit code 139)"
    return Problem("library-broken", message, evidence, name, needed_by)


def _claim(start: bytes) -> str:
    """What the first bytes of a file say that it is, in words."""
    try:
        header = read_file_header(BytesReader(start.ljust(64, b"\0")))
    except NotElf as error:
        return error.message
    order = "little" if header.little_endian else "big"
    return f"{header.bits}-bit {order}-endian for {of_elf_machine(header.machine).name or header.machine}"


def _strange_identity(start: bytes, like: Dynamic) -> str:
    """What the loader has against the first bytes of an ELF file for its machine.

    Files for other machines Debian's build has passed over before; one as released looks at this first.
    Source: glibc, `open_verify`; `VALID_ELF_OSABI` and `VALID_ELF_ABIVERSION` in sysdeps/gnu/ldsodefs.h, and in
    sysdeps/unix/sysv/linux/{arm,mips}/ldsodefs.h.
    """
    version, system, abi_version = start[6:9]
    if version != 1:
        return "ELF file version ident does not match current one"
    if system not in (0, _GNU_ABI) and not (system == _ARM_ABI and like.machine == _ARM):
        return "ELF file OS ABI invalid"
    most = _MOST_MIPS_VERSION if like.machine == _MIPS else 0
    if abi_version > most and system != _GNU_ABI:  # how far those go depends on the release
        return "ELF file ABI version invalid"
    if any(start[9:16]):
        return "nonzero padding in e_ident"
    (file_version,) = struct.unpack_from("<I" if like.little_endian else ">I", start, 20)
    return "" if file_version == 1 else "ELF file version does not match current one"


def _broken_table(start: bytes, size: int, like: Dynamic) -> str:
    """What the loader has against where a file says that its program headers are."""
    order = "<" if like.little_endian else ">"
    at = struct.unpack_from(order + ("32xQ" if like.bits == 64 else "28xI"), start)[0]
    width, count = struct.unpack_from(order + "HH", start, 54 if like.bits == 64 else 42)
    if width != (56 if like.bits == 64 else 32):
        return "ELF file's phentsize not the expected size"
    if at + width * count > size:
        return "cannot read file data"
    return "" if count else "object file has no loadable segments"


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
