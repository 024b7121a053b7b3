"""What a program gives away about itself: decisive strings, symbols, and what Go wrote down.

A marker is only used where it decides: `dlopen`, `gconv` and `locale-archive` are in every static glibc program, so
they say nothing and are not here.
"""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from recipes.elf.dynamic import Dynamic, read_dynamic
from recipes.elf.golang import GoFacts, read_go
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
    "nsswitch": b"/etc/nsswitch.conf",
    "zoneinfo": b"/usr/share/zoneinfo",
    "iostream": b"basic_string",
    "named-locale": b"locale::locale null not valid",
    "curses": b"Error opening terminal: %s.\n",
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
    "gcc-unwind": b"libgcc_s.so.1",
}
_MUSL_START = b"__init_libc"
_CERT_FILE = b"/cert.pem\0"
_CHUNK = 1 << 20
_OVERLAP = 512
_SHT_SYMTAB = 2
_MOST_SYMBOL_BYTES = 24 << 20


@dataclass(frozen=True, slots=True)
class Traits:
    """What a file gives away: all that the rules ask about it, read once and good for every base.

    `strings` are keys of the marker table, `openssl_dir` is what OpenSSL was configured with. `symbols` are what a
    file that is not stripped defines, `weak` what it refers to weakly and does not define. `stack` is the size in
    PT_GNU_STACK, None without one.
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
        return Traits(header, dynamic, go, stack=size)
    found, openssl = _find_strings(reader, header)
    symbols, weak = _read_symbols(reader, header)
    libc: Literal["glibc", "musl"] | None = None
    if "glibc" in found:
        libc = "glibc"
    elif "musl" in found or _MUSL_START.decode() in symbols:
        libc = "musl"
    return Traits(header, dynamic, go, libc, found, openssl, symbols, weak, size)


def _find_strings(reader: Reader, header: Header) -> tuple[frozenset[str], str | None]:
    missing, found, openssl = dict(_STRINGS), set(), None
    for chunk in _loaded_data(reader, header):
        for name in [name for name, text in missing.items() if text in chunk]:
            found.add(name)
            del missing[name]
        if openssl is None and (end := chunk.find(_CERT_FILE)) > 0:
            start = chunk.rfind(b"\0", 0, end) + 1
            openssl = os.fsdecode(chunk[start:end]) if chunk[start : start + 1] == b"/" else None
    return frozenset(found), openssl


def _loaded_data(reader: Reader, header: Header) -> Iterator[bytes]:
    """The loaded data in overlapping chunks; code only where the linker did not keep it apart."""
    apart = sum(segment.type == PT_LOAD for segment in header.segments) > 2
    for start, end in header.loaded(lambda segment: not (apart and segment.flags & 1)):
        for at in range(start, end, _CHUNK):
            yield reader.read_at(at, min(_CHUNK + _OVERLAP, end - at))


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
