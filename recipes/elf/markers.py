"""What a program gives away about itself: decisive strings, symbols, and what Go wrote down.

A marker is only used where it decides: `dlopen`, `gconv` and `locale-archive` are in every static glibc program, so
they say nothing and are not here.
"""

from __future__ import annotations

import functools
import os
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from recipes.elf.dynamic import Dynamic, read_dynamic
from recipes.elf.golang import GoFacts, read_go
from recipes.elf.search import CHUNK, embedded_files
from recipes.elf.segments import (
    PT_GNU_STACK,
    PT_INTERP,
    PT_LOAD,
    FileReader,
    Header,
    Reader,
    read_header,
    section_of_type,
)

# Each stands between NULs or inside a longer string; what it decides is said in docs/hazards.md.
_STRINGS = {
    "passwd": b"__nss_passwd_lookup2",
    "group": b"__nss_group_lookup2",
    "services": b"__nss_services_lookup2",
    "protocols": b"__nss_protocols_lookup2",
    "hosts": b"__nss_hosts_lookup2",
    "zoneinfo": b"/usr/share/zoneinfo",
    "iostream": b"basic_string",
    "named-locale": b"locale::locale null not valid",
    "curses": b"Error opening terminal: %s.\n",
    "setupterm": b"terminals database is inaccessible",
    "tmpfile": b"%.*s/%.*sXXXXXX",
    "/etc/passwd": b"/etc/passwd",
    "/etc/group": b"/etc/group",
    "/etc/services": b"/etc/services",
    "/bin/sh": b"/bin/sh\0",
    "exit-0": b"exit 0\0",
    "musl-tmpfile": b"/tmp/tmpfile_XXXXXX",
    "glibc": b"GLIBC_TUNABLES",
    "musl": b"No error information",
    "openssl": b"SSL_CERT_FILE",
    "sqlite": b"SQLITE_TMPDIR\0",
}
# Decisive beside a call that takes a path: "/tmp/x.XXXXXX", or the folder alone.
_TEMP_FOLDERS = {"/tmp": b"\0/tmp\0", "/tmp/": b"/tmp/"}
TEMP_MAKERS = (
    *("mkstemp", "mkstemp64", "mkostemp", "mkostemp64", "mkstemps", "mkstemps64", "mkostemps", "mkostemps64"),
    *("mkdtemp", "mktemp"),
)
LOCALE_SETTERS = ("setlocale", "newlocale")
# In a program with glibc these say nothing: it has the paths for more than one purpose.
_NOT_GLIBC = frozenset(("glibc", "musl", "musl-tmpfile", "/etc/passwd", "/etc/group", "/etc/services"))
# What several of them share is looked for first: most data has none of it.
_SHARED = {
    **{name: b"_lookup2" for name, text in _STRINGS.items() if text.endswith(b"_lookup2")},
    **dict.fromkeys(_TEMP_FOLDERS, b"/tmp"),
}
_UTF8 = b".UTF-8"
_LOCALE = re.compile(rb"(?:C|[a-z]{2,3}_[A-Z]{2})\.UTF-8")
_LONGEST_LOCALE = 16
_MUSL_START = b"__init_libc"
_CERT_FILE = b"/cert.pem\0"
_OVERLAP = 512
_SHT_SYMTAB = 2
_MOST_SYMBOL_BYTES = 24 << 20


@dataclass(frozen=True, slots=True)
class Traits:
    """What a file gives away: all that the rules ask about it, read once and good for every base.

    `strings` are keys of the marker tables, `openssl_dir` is what OpenSSL was configured with, `locales` are the names
    of UTF-8 locales that it holds. `symbols` are what a file that is not stripped defines, `weak` what it refers to
    weakly and does not define. `stack` is the size in PT_GNU_STACK, None without one.
    """

    header: Header = field(repr=False)
    dynamic: Dynamic = field(repr=False)
    go: GoFacts | None = None
    libc: Literal["glibc", "musl"] | None = None
    strings: frozenset[str] = frozenset()
    openssl_dir: str | None = None
    symbols: frozenset[str] = field(default=frozenset(), repr=False)
    weak: frozenset[str] = frozenset()
    stack: int | None = None
    locales: tuple[str, ...] = ()
    imported: frozenset[str] = field(default=frozenset(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "imported", frozenset(symbol.name for symbol in self.dynamic.imports))

    @property
    def is_static(self) -> bool:
        return self.header.segment(PT_INTERP) is None

    def names_file(self, path: str) -> bool:
        """Whether it holds the name of a file that its C library reads in certain functions alone.

        musl's functions do; every static glibc program has such names, and Go programs read the files in their own way.
        """
        return path in self.strings and self.libc != "glibc" and self.go is None

    def imports(self, *names: str) -> str | None:
        """The first of `names` that the loader has to find for it."""
        if self.imported.isdisjoint(names):
            return None
        return next((symbol.name for symbol in self.dynamic.imports if symbol.name in names), None)


def examine(path: Path) -> Traits:
    """`examine_reader` for a file on disk, remembered for as long as the file does not change.

    Raises: NotElf, TruncatedElf, BadInput.
    """
    with FileReader(path) as reader:
        status = os.fstat(reader.fileno())
        return _examine_file(os.fspath(path), status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _examine_file(path: str, inode: int, size: int, changed: int) -> Traits:
    with FileReader(Path(path)) as reader:
        return examine_reader(reader)


def examine_reader(reader: Reader) -> Traits:
    """Read everything that the rules may ask for. Raises: NotElf, TruncatedElf."""
    header = read_header(reader)
    dynamic = read_dynamic(reader, header)
    stack = header.segment(PT_GNU_STACK)
    size = stack.memory_size if stack else None
    go = read_go(reader, header)
    if header.segment(PT_INTERP) is not None or (go and go.settings.get("CGO_ENABLED") != "1"):
        # What a dynamic program uses is in its imports, and what a Go program uses in its function names.
        calls = {symbol.name for symbol in dynamic.imports} if go is None else set()
        folders = {} if calls.isdisjoint(TEMP_MAKERS) else _TEMP_FOLDERS
        speaks = not calls.isdisjoint(LOCALE_SETTERS)
        held = _find_strings(reader, header, folders, locales=speaks) if folders or speaks else _Held()
        return Traits(header, dynamic, go, strings=frozenset(held.names), stack=size, locales=tuple(held.locales))
    symbols, weak = _read_symbols(reader, header)
    folders = {} if symbols.isdisjoint(TEMP_MAKERS) else _TEMP_FOLDERS
    held = _find_strings(reader, header, {**_STRINGS, **folders}, locales=True)
    libc: Literal["glibc", "musl"] | None = None
    if "glibc" in held.names:
        libc = "glibc"
    elif "musl" in held.names or _MUSL_START.decode() in symbols:
        libc = "musl"
    found = frozenset(held.names)
    return Traits(header, dynamic, go, libc, found, held.openssl, symbols, weak, size, tuple(held.locales))


@dataclass(slots=True)
class _Held:
    """What was found in a program's data, and before which place; `locales` has its keys in order."""

    names: set[str] = field(default_factory=set)
    openssl: str | None = None
    locales: dict[str, None] = field(default_factory=dict)
    before: int = 0

    def count(self) -> int:
        return len(self.names) + len(self.locales) + (self.openssl is not None)


def _find_strings(reader: Reader, header: Header, wanted: Mapping[str, bytes], *, locales: bool) -> _Held:
    """What is wanted of the loaded data; code only where the linker did not keep it apart."""
    held = _Held()
    apart = sum(segment.type == PT_LOAD for segment in header.segments) > 2
    for start, end in header.loaded(lambda segment: not (apart and segment.flags & 1)):
        done = held.names if held.openssl else held.names - {"openssl"}
        past = _NOT_GLIBC if "glibc" in done else frozenset()
        missing = {name: text for name, text in wanted.items() if name not in done | past}
        found = _scan(reader, [(start, end)], missing, locales=locales)
        # Files that it embeds are seldom, and looking for them costs as much as looking for a string.
        if inside := embedded_files(reader, start, end, before=found.before):
            own = list(zip((start, *(last for _, last in inside)), (*(first for first, _ in inside), end), strict=True))
            seen = {*found.names, "openssl"} if found.openssl else found.names
            again = _scan(reader, own, {name: missing[name] for name in seen}, locales=bool(found.locales))
            # Another's glibc has hidden what this one has in its place.
            hidden = "glibc" in found.names - again.names
            found = _scan(reader, own, missing, locales=locales) if hidden else again
        held.names |= found.names
        held.openssl = held.openssl or found.openssl
        held.locales.update(found.locales)
    return held


def _scan(reader: Reader, places: Sequence[tuple[int, int]], wanted: Mapping[str, bytes], *, locales: bool) -> _Held:
    missing, held = dict(wanted), _Held()
    if glibc := missing.pop("glibc", b""):
        # It stands behind nearly all else, and makes six other searches needless.
        held.before = next((end for end, chunk in _chunks(reader, places) if glibc in chunk), 0)
        if held.before:
            held.names.add("glibc")
            missing = {name: text for name, text in missing.items() if name not in _NOT_GLIBC}
    for end, chunk in _chunks(reader, places):
        known = held.count()
        rare = {each for name in missing if (each := _SHARED.get(name))}
        absent = {each for each in rare if each not in chunk}
        for name in [name for name, text in missing.items() if _SHARED.get(name) not in absent and text in chunk]:
            held.names.add(name)
            del missing[name]
        if "openssl" in wanted and held.openssl is None and (last := chunk.find(_CERT_FILE)) > 0:
            first = chunk.rfind(b"\0", 0, last) + 1
            held.openssl = os.fsdecode(chunk[first:last]) if chunk[first : first + 1] == b"/" else None
        held.locales.update(dict.fromkeys(_locales(chunk)) if locales else {})
        if held.count() > known:
            held.before = max(held.before, end)
    return held


def _chunks(reader: Reader, places: Sequence[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
    """Pieces of these places, and where each ends. They overlap, so that no string is cut in all of them."""
    for start, end in places:
        for at in range(start, end, CHUNK):
            chunk = reader.read_at(at, min(CHUNK + _OVERLAP, end - at))
            yield at + len(chunk), chunk


def _locales(chunk: bytes) -> Iterator[str]:
    end = chunk.find(_UTF8)
    while end >= 0:
        last = end + len(_UTF8)
        start = chunk.rfind(b"\0", max(0, last - _LONGEST_LOCALE), last) + 1
        if chunk.startswith(b"\0", last) and _LOCALE.fullmatch(chunk, start, last):
            yield chunk[start:last].decode()
        end = chunk.find(_UTF8, last)


def _read_symbols(reader: Reader, header: Header) -> tuple[frozenset[str], frozenset[str]]:
    """Names that .symtab defines, and names that it has weak and undefined. Both empty for a stripped file."""
    table = section_of_type(reader, header, _SHT_SYMTAB)
    if table is None or table.strings is None or max(table.size, table.strings[1]) > _MOST_SYMBOL_BYTES:
        return frozenset(), frozenset()
    raw, names = reader.read_at(table.offset, table.size), reader.read_at(*table.strings)
    wide = header.bits == 64
    width = 24 if wide else 16
    defined, weak = set(), set()
    for entry in struct.iter_unpack(header.order + ("IBBHQQ" if wide else "IIIBBH"), raw[: len(raw) // width * width]):
        name, info, section = (entry[0], entry[1], entry[3]) if wide else (entry[0], entry[3], entry[5])
        end = names.find(b"\0", name, name + 64)  # the names that the rules know are short
        # The linker turns hidden symbols into local ones; of others' local symbols the names decide nothing.
        if end < 0 or (info >> 4 == 0 and names[name:end] != _MUSL_START):
            continue
        if section:
            defined.add(names[name:end])
        elif info >> 4 == 2:
            weak.add(names[name:end])
    return frozenset(map(os.fsdecode, defined)), frozenset(map(os.fsdecode, weak))
