"""What the dynamic loader reads from a file: the dynamic segment and what it points to. No section header is used.

Source: System V gABI, "Dynamic Section" and "Hash Table"; LSB Core, "Symbol Versioning"; glibc, `elf/dl-load.c`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, compress, repeat
from typing import NamedTuple

from recipes.architecture import of_elf_machine
from recipes.elf import dlopennote
from recipes.elf.dlopennote import OpenedLater, read_dlopen_note
from recipes.elf.segments import (
    PT_DYNAMIC,
    Header,
    Reader,
    Segment,
    read_exactly,
    read_header,
    read_interpreter,
    read_notes,
)
from recipes.errors import NotElf, TruncatedElf

DT_NEEDED, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ = 1, 4, 5, 6, 10
DT_PLTRELSZ, DT_PLTREL, DT_JMPREL = 2, 20, 23
DT_RELA, DT_RELASZ, DT_RELACOUNT = 7, 8, 0x6FFFFFF9
DT_REL, DT_RELSZ, DT_RELCOUNT = 17, 18, 0x6FFFFFFA
DT_SONAME, DT_RPATH, DT_RUNPATH = 14, 15, 29
DT_BIND_NOW, DT_FLAGS, DT_FLAGS_1 = 24, 30, 0x6FFFFFFB
DT_RELR, DT_AUXILIARY, DT_FILTER = 36, 0x7FFFFFFD, 0x7FFFFFFF
DT_GNU_HASH, DT_VERSYM = 0x6FFFFEF5, 0x6FFFFFF0
DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
DT_MIPS_SYMTABNO, DT_MIPS_GOTSYM, DT_MIPS_XHASH = 0x70000011, 0x70000013, 0x70000036
DF_BIND_NOW = 0x8
DF_1_NOW, DF_1_NODEFLIB, DF_1_PIE = 0x1, 0x800, 0x08000000

_MOST_STRING_BYTES = 64 << 20
_MOST_ENTRIES = 65536
_MOST_NEEDED = 4096
_MOST_OPENED_LATER = 256
_LONGEST_NAME = 65536
_BLOCK = 65536
_HIDDEN, _FIRST_VERSION = 0x8000, 2
_MIPS, _STO_MIPS_PLT = 8, 8
_NOTE_ABI_TAG, _NOTE_PROPERTIES, _X86_ISA_NEEDED = 1, 5, 0xC0008002


@dataclass(frozen=True, slots=True)
class NeededVersion:
    """A version that must (or, weak, should) be defined by `file`. `index` is what symbols refer to it by."""

    file: str
    name: str
    weak: bool
    index: int


class Import(NamedTuple):  # big programs have 10,000s
    """A symbol that another file must define; `version` and `file` are None where it is unversioned.

    `lazy`: only calls name it (DT_JMPREL), so glibc looks it up when it is first called, unless told to bind now.
    """

    name: str
    weak: bool
    version: str | None = None
    file: str | None = None
    lazy: bool = False

    @property
    def answered_by(self) -> tuple[str, ...]:
        """Which `Dynamic.offers` of a file answer it for glibc's loader. Source: glibc, `check_match`."""
        return (self.name,) if self.version is None else (f"{self.name}@{self.version}", f"{self.name}@")


@dataclass(frozen=True, slots=True)
class Dynamic:
    """All of one file that the loaders' rules need. `machine` is the ELF number; () and None where nothing is said.

    `rpath` and `runpath` are as written, unsplit. `versions_defined` has no base version (the file's own name).
    `filters` are the libraries that stand in for this one, and whether each may be absent (DT_AUXILIARY).
    `imports` are the symbols that relocations name, in musl's order of work; `exports` those that musl's loader can
    see (it skips the hidden versions of a symbol and indirect functions); `offers` is what glibc's sees: see `answers`.
    `isa_needed` is the bit set of GNU_PROPERTY_X86_ISA_1_NEEDED: 1 baseline, 2 v2, 4 v3, 8 v4.
    `kernel_needed` is the ABI tag note's Linux version, `opened_later` what the dlopen note names.
    """

    bits: int
    little_endian: bool
    type: int
    machine: int
    flags: int
    os_abi: int
    interpreter: str | None = None
    has_dynamic: bool = False
    needed: tuple[str, ...] = ()
    filters: tuple[tuple[str, bool], ...] = ()
    soname: str | None = None
    rpath: str | None = None
    runpath: str | None = None
    pie: bool = False
    no_default_lib: bool = False
    bind_now: bool = False
    packed_relocations: bool = False
    versions_needed: tuple[NeededVersion, ...] = ()
    versions_defined: frozenset[str] = frozenset()
    has_version_definitions: bool = False
    has_symbol_versions: bool = False
    isa_needed: int = 0
    kernel_needed: tuple[int, int, int] | None = None
    opened_later: tuple[OpenedLater, ...] = ()
    imports: tuple[Import, ...] = field(default=(), repr=False)
    exports: frozenset[str] = field(default=frozenset(), repr=False)
    offers: frozenset[str] = field(default=frozenset(), repr=False)

    def answers(self, symbol: Import) -> bool:
        """Whether glibc's loader takes a definition of this file for `symbol`."""
        return not self.offers.isdisjoint(symbol.answered_by)


def read_dynamic(reader: Reader, header: Header | None = None, *, symbols: bool = True) -> Dynamic:
    """Read what the loader reads; `header` is the file's, where it was read already.

    `symbols` False leaves `imports` and `exports` out.

    Raises: NotElf, TruncatedElf.
    """
    header = header or read_header(reader)
    isa, kernel, opened_later = _read_demands(reader, header)
    start = Dynamic(
        bits=header.bits,
        little_endian=header.little_endian,
        type=header.type,
        machine=header.machine,
        flags=header.flags,
        os_abi=header.os_abi,
        interpreter=read_interpreter(reader, header),
        isa_needed=isa,
        kernel_needed=kernel,
        opened_later=opened_later,
    )
    segment = header.segment(PT_DYNAMIC)
    if segment is None:
        return start
    memory = _Memory(reader, header)
    entries = _read_entries(memory, segment)
    tags = dict(entries)  # of a tag that occurs twice the loaders take the last
    strings = _Strings(memory, tags)
    flags, flags_1 = tags.get(DT_FLAGS, 0), tags.get(DT_FLAGS_1, 0)
    needed = tuple(strings.text(value) for tag, value in entries if tag == DT_NEEDED)
    if len(needed) > _MOST_NEEDED:
        raise NotElf(f"it needs {len(needed)} libraries, more than any linker writes")
    versions = tuple(_read_version_needs(memory, strings, tags))
    definitions = dict(_read_version_definitions(memory, strings, tags))
    dynamic = replace(
        start,
        has_dynamic=True,
        needed=needed,
        filters=tuple(
            (strings.text(value), tag == DT_AUXILIARY) for tag, value in entries if tag in (DT_AUXILIARY, DT_FILTER)
        ),
        soname=strings.text(tags[DT_SONAME]) if DT_SONAME in tags else None,
        rpath=strings.text(tags[DT_RPATH]) if DT_RPATH in tags else None,
        runpath=strings.text(tags[DT_RUNPATH]) if DT_RUNPATH in tags else None,
        pie=bool(flags_1 & DF_1_PIE),
        no_default_lib=bool(flags_1 & DF_1_NODEFLIB),
        bind_now=DT_BIND_NOW in tags or bool(flags & DF_BIND_NOW) or bool(flags_1 & DF_1_NOW),
        packed_relocations=DT_RELR in tags,
        versions_needed=versions,
        versions_defined=frozenset(definitions.values()),
        has_version_definitions=DT_VERDEF in tags,
        has_symbol_versions=DT_VERSYM in tags,
    )
    if not symbols or DT_SYMTAB not in tags:
        return dynamic
    table = _Symbols(memory, strings, tags, versions)
    seen, offers = table.exports(definitions)
    return replace(dynamic, imports=tuple(table.imports()), exports=seen, offers=offers)


def relocation_types(reader: Reader) -> frozenset[int]:
    """The types of the relocations of a file, but of all relative ones only the last. Raises: NotElf, TruncatedElf."""
    header = read_header(reader)
    segment = header.segment(PT_DYNAMIC)
    if segment is None:
        return frozenset()
    memory = _Memory(reader, header)
    tags = dict(_read_entries(memory, segment))
    return _Symbols(memory, _Strings(memory, {}), tags, ()).types()


def is_pie(reader: Reader, header: Header) -> bool:
    """Whether the file says that it is a program, not a library (DF_1_PIE). Raises: TruncatedElf."""
    segment = header.segment(PT_DYNAMIC)
    if segment is None:
        return False
    tags = dict(_read_entries(_Memory(reader, header), segment))
    return bool(tags.get(DT_FLAGS_1, 0) & DF_1_PIE)


def _read_entries(memory: _Memory, segment: Segment) -> list[tuple[int, int]]:
    """By address, as the loaders do: none of them looks at the segment's place in the file."""
    header, size = memory.header, segment.file_size
    width = header.bits // 4
    raw = memory.read(segment.address, min(size - size % width, _MOST_ENTRIES * width), "the dynamic segment")
    entries: list[tuple[int, int]] = []
    for tag, value in struct.iter_unpack(header.order + ("QQ" if header.bits == 64 else "II"), raw):
        if tag == 0:
            return entries
        entries.append((tag, value))
    raise TruncatedElf("the dynamic segment has no DT_NULL at its end", hint="copy or build it again")


def _read_demands(reader: Reader, header: Header) -> tuple[int, tuple[int, int, int] | None, tuple[OpenedLater, ...]]:
    """The CPU level (a bit set) and the Linux version that the notes ask for, and the libraries that they name."""
    isa, kernel = 0, None
    opened_later: list[OpenedLater] = []
    for name, kind, content in read_notes(reader, header):
        if (name, kind) == (dlopennote.OWNER, dlopennote.TYPE) and len(opened_later) < _MOST_OPENED_LATER:
            opened_later += read_dlopen_note(content)
        if name != b"GNU":
            continue
        if kind == _NOTE_ABI_TAG and len(content) >= 16:
            system, *version = struct.unpack_from(header.order + "4I", content)
            kernel = (version[0], version[1], version[2]) if system == 0 else None
        elif kind == _NOTE_PROPERTIES:
            at, align = 0, header.bits // 8
            while at + 8 <= len(content):
                what, size = struct.unpack_from(header.order + "II", content, at)
                if what == _X86_ISA_NEEDED and size == 4 and at + 12 <= len(content):
                    isa |= struct.unpack_from(header.order + "I", content, at + 8)[0]
                at += 8 + -(-size // align) * align
    return isa, kernel, tuple(opened_later[:_MOST_OPENED_LATER])


class _Memory:
    """What is loaded where: reads by address. Small reads come from cached blocks.

    All reads together may cost a small multiple of the file: segments that load the same bytes again and again would
    make much of little. Each piece of a read after the first costs a block, as it has to be looked for.
    """

    def __init__(self, reader: Reader, header: Header) -> None:
        self._reader = reader
        self.header = header
        self._blocks: dict[int, bytes] = {}
        self._budget = 16 * reader.size + _MOST_STRING_BYTES

    def read(self, address: int, length: int, what: str) -> bytes:
        """Raises: TruncatedElf where the segments do not load all of it."""
        pieces = list(self.header.pieces(address, max(length, 1)))
        self._budget -= length + _BLOCK * max(len(pieces) - 1, 0)
        if self._budget < 0:
            raise NotElf("its tables claim more than the file can hold")
        data = b"".join(self._piece(*piece, what) for piece in pieces)
        if len(data) < max(length, 1):
            raise TruncatedElf(f"{what} lies outside of the loaded segments", hint="copy or build it again")
        return data[:length]

    def _piece(self, offset: int, length: int, what: str) -> bytes:
        first = offset // _BLOCK
        if length > _BLOCK or (offset + length - 1) // _BLOCK != first:
            return read_exactly(self._reader, offset, length, what)
        block = self._blocks.get(first)
        if block is None:
            block = self._blocks[first] = self._reader.read_at(first * _BLOCK, _BLOCK)
        data = block[offset - first * _BLOCK :][:length]
        if len(data) != length:
            raise TruncatedElf(f"the file ends inside {what}", hint="copy or build it again")
        return data

    def unpack(self, form: str, address: int, what: str) -> tuple[int, ...]:
        form = self.header.order + form
        return struct.unpack(form, self.read(address, struct.calcsize(form), what))

    def rest(self, address: int) -> int:
        """How many bytes of the file are loaded from `address` on, without a gap; no more than the file has."""
        return sum(size for _, size in self.header.pieces(address, self._reader.size))


class _Strings:
    """The dynamic string table. All names together may cost a small multiple of it, or the file is refused."""

    def __init__(self, memory: _Memory, tags: dict[int, int]) -> None:
        size = tags.get(DT_STRSZ, 0) if DT_STRTAB in tags else 0
        if size > _MOST_STRING_BYTES:
            raise NotElf(f"its dynamic string table claims {size} bytes, more than any linker writes")
        self._data = memory.read(tags[DT_STRTAB], size, "the dynamic string table") if size else b""
        self._known: dict[int, str] = {}
        self._budget = 16 * size + _BLOCK

    def text(self, offset: int) -> str:
        known = self._known.get(offset)
        if known is None:
            known = self._known[offset] = os.fsdecode(next(self._each([offset])))
        return known

    def texts(self, offsets: Collection[int]) -> list[str]:
        """Many names at once: big programs export 100,000s."""
        return os.fsdecode(b"\0".join(self._each(offsets))).split("\0") if offsets else []

    def _each(self, offsets: Iterable[int]) -> Iterator[bytes]:
        data, find = self._data, self._data.find
        for offset in offsets:
            end = find(b"\0", offset, offset + _LONGEST_NAME)
            if end < 0:
                raise TruncatedElf("a name lies outside of the dynamic string table", hint="copy or build it again")
            self._budget -= end - offset
            if self._budget < 0:
                raise NotElf("its names overlap more than any linker lets them")
            yield data[offset:end]


def _read_version_needs(memory: _Memory, strings: _Strings, tags: dict[int, int]) -> Iterator[NeededVersion]:
    address, left = tags.get(DT_VERNEED), min(tags.get(DT_VERNEEDNUM, 0), _MOST_ENTRIES)
    budget = _MOST_ENTRIES
    while address is not None and left > 0:
        _, count, file, first, following = memory.unpack("HHIII", address, "a version need")
        name, at = strings.text(file), address + first
        for _ in range(count):
            budget -= 1
            if budget < 0:
                raise NotElf("it needs more versions than any linker writes")
            _, flags, index, version, step = memory.unpack("IHHII", at, "a version need")
            yield NeededVersion(name, strings.text(version), bool(flags & 2), index & 0x7FFF)
            at += step
            if step == 0:
                break
        left -= 1
        address = address + following if following else None


def _read_version_definitions(memory: _Memory, strings: _Strings, tags: dict[int, int]) -> Iterator[tuple[int, str]]:
    """Index and name of each."""
    address, left = tags.get(DT_VERDEF), min(tags.get(DT_VERDEFNUM, 0), _MOST_ENTRIES)
    while address is not None and left > 0:
        _, flags, index, count, _, first, following = memory.unpack("HHHHIII", address, "a version definition")
        if count and not flags & 1:  # 1: the base version, which is the file's own name
            name, _ = memory.unpack("II", address + first, "a version definition")
            yield index & 0x7FFF, strings.text(name)
        left -= 1
        address = address + following if following else None


def _mips64_info(info: int, order: str) -> tuple[int, int]:
    """Symbol and type. They are fields of their own here, not parts of a number. Source: SGI, "64-bit ELF Object
    File Specification", 2.9.
    """
    symbol, _, _, _, kind = struct.unpack(order + "I4B", struct.pack(order + "Q", info))
    return symbol, kind


class _Symbols:
    """The dynamic symbol table, of which no tag tells the length."""

    def __init__(
        self, memory: _Memory, strings: _Strings, tags: dict[int, int], versions: tuple[NeededVersion, ...]
    ) -> None:
        self._memory, self._strings, self._tags = memory, strings, tags
        self._versions = {version.index: version for version in versions}
        self._wide = memory.header.bits == 64
        self._mips64 = self._wide and memory.header.machine == _MIPS
        self._form = memory.header.order + ("IBBHQQ" if self._wide else "IIIBBH")
        self._width = 24 if self._wide else 16

    def _entries(self, first: int, count: int) -> Iterator[tuple[int, int, int, int, int]]:
        """Name, value, binding, type and section index of `count` symbols."""
        if count <= 0:
            return
        raw = self._memory.read(self._tags[DT_SYMTAB] + first * self._width, count * self._width, "the symbol table")
        if self._wide:
            for name, info, _, section, value, _ in struct.iter_unpack(self._form, raw):
                yield name, value, info >> 4, info & 15, section
        else:
            for name, value, _, info, _, section in struct.iter_unpack(self._form, raw):
                yield name, value, info >> 4, info & 15, section

    def _version_numbers(self, first: int, count: int) -> tuple[int, ...]:
        """The entries of DT_VERSYM for `count` symbols. Raises: TruncatedElf."""
        raw = self._memory.read(self._tags[DT_VERSYM] + 2 * first, 2 * count, "the symbol versions")
        return struct.unpack(f"{self._memory.header.order}{count}H", raw)

    def imports(self) -> Iterator[Import]:
        """The symbols that relocations name and that another file must define, each once."""
        # Of what is copied the program holds the variable, but the loader must find the original elsewhere.
        copy = of_elf_machine(self._memory.header.machine).copy_relocation
        relocated: dict[int, bool] = {}
        at_once: set[int] = set()
        for index, kind, lazy in chain(self._global_offsets(), self._relocations()):
            relocated[index] = relocated.get(index, False) or kind == copy
            if not lazy:
                at_once.add(index)
        if not relocated:
            return
        entries = list(self._entries(0, max(relocated) + 1))
        wanted: list[tuple[int, int, bool]] = []
        for index, copied in relocated.items():
            at, _, binding, _, section = entries[index]
            if binding != 0 and (section == 0 or copied):
                wanted.append((index, at, binding == 2))
        numbers: tuple[int, ...] = ()
        if wanted and DT_VERSYM in self._tags:
            numbers = self._version_numbers(0, max(wanted)[0] + 1)
        names = self._strings.texts([at for _, at, _ in wanted])
        for name, (index, _, weak) in zip(names, wanted, strict=True):
            version = self._versions.get(numbers[index] & 0x7FFF) if numbers else None
            yield Import(
                name,
                weak,
                version.name if version else None,
                version.file if version else None,
                index not in at_once,
            )

    def exports(self, definitions: Mapping[int, str]) -> tuple[frozenset[str], frozenset[str]]:
        """What musl's loader can find by name, and what answers glibc's: `name` for a request without a version,
        `name@version` for that version, `name@` for any. `definitions` are the versions by index.
        """
        first, end = self._hashed()
        if end <= first:
            return frozenset(), frozenset()
        versions = self._version_numbers(first, end - first) if DT_VERSYM in self._tags else ()
        # Bindings global, weak, unique; types none, object, function, common, TLS, and for glibc indirect function
        # (10); a value unless TLS, and for glibc unless absolute (0xFFF1).
        names: list[int] = []
        by_musl: list[bool] = []
        numbers: list[int] = []
        for (name, value, binding, kind, section), version in zip(
            self._entries(first, end - first), versions or repeat(0), strict=False
        ):
            if not section or binding not in (1, 2, 10) or kind not in (0, 1, 2, 5, 6, 10):
                continue
            if value or kind == 6 or section == 0xFFF1:
                names.append(name)
                by_musl.append(kind != 10 and (value != 0 or kind == 6) and not version & _HIDDEN)
                numbers.append(version)
        texts = self._strings.texts(names)
        offers = set()
        for text, version in zip(texts, numbers, strict=True):
            index, hidden = version & 0x7FFF, version & _HIDDEN
            # Older programs have no versions: they get the first version there was, or the default one.
            if index <= _FIRST_VERSION or not hidden:
                offers.add(text)
            if index in definitions:
                offers.add(f"{text}@{definitions[index]}")
            elif not hidden:
                offers.add(f"{text}@")
        return frozenset(compress(texts, by_musl)), frozenset(offers)

    def _hashed(self) -> tuple[int, int]:
        """First and end index of the symbols that can be looked up by name."""
        memory, tags = self._memory, self._tags
        if DT_GNU_HASH in tags:
            buckets, first, bloom, _ = memory.unpack("4I", tags[DT_GNU_HASH], "the hash table")
            at = tags[DT_GNU_HASH] + 16 + bloom * (memory.header.bits // 8)
            raw = memory.read(at, 4 * buckets, "the hash table") if buckets else b""
            last = max(struct.unpack(f"{memory.header.order}{buckets}I", raw), default=0)
            if last < first:
                return 0, 0
            chained = at + 4 * buckets + 4 * (last - first)
            words = memory.read(chained, memory.rest(chained) & ~3, "the hash table")
            for (word,) in struct.iter_unpack(memory.header.order + "I", words):
                last += 1
                if word & 1:
                    return first, last
            raise TruncatedElf("a chain of the hash table does not end", hint="copy or build it again")
        if DT_MIPS_XHASH in tags and DT_HASH not in tags:
            return 0, tags.get(
                DT_MIPS_SYMTABNO, 0
            )  # it sorts the symbols beside their table, of which any may be there
        if DT_HASH in tags:
            # s390x and alpha write 8-byte words here; no 32-bit count is 0 where there are symbols.
            _, count = memory.unpack(
                "QQ" if memory.header.machine == 22 and self._wide else "II", tags[DT_HASH], "the hash table"
            )
            return 0, count
        return 0, 0

    def _global_offsets(self) -> Iterator[tuple[int, int, bool]]:
        """What `_relocations` gives, of the GOT's global entries, which MIPS has instead of relocations.

        One that leads to a stub waits for a call. Source: glibc, `sysdeps/mips/dl-machine.h`, `elf_machine_got_rel`.
        """
        if self._memory.header.machine != _MIPS or DT_MIPS_GOTSYM not in self._tags:
            return
        first, end = self._tags[DT_MIPS_GOTSYM], self._tags.get(DT_MIPS_SYMTABNO, 0)
        if first >= end:
            return
        address, size = self._tags[DT_SYMTAB] + first * self._width, (end - first) * self._width
        table = struct.iter_unpack(self._form, self._memory.read(address, size, "the symbol table"))
        for index, fields in enumerate(table, first):
            _, info, other, section, value, _ = fields if self._wide else (0, *fields[3:], fields[1], 0)
            if section == 0:
                yield index, 0, info & 15 == 2 and value != 0 and not other & _STO_MIPS_PLT

    def _size_without_calls(self, table: int, size: int) -> int:
        """Bytes of a table up to DT_JMPREL, where a linker has counted the calls in both.

        Source: glibc, `elf/dynamic-link.h`.
        """
        tags = self._tags
        whole, calls = tags.get(size, 0), tags.get(DT_PLTRELSZ, 0)
        both = tags.get(DT_PLTREL) == table and tags.get(table, 0) + whole == tags.get(DT_JMPREL, 0) + calls
        return max(whole - calls, 0) if both else whole

    def types(self) -> frozenset[int]:
        """The types of the relocations, but of all that a linker has counted as relative only the last one's."""
        found: set[int] = set()
        for raw, form, _ in self._tables(relative=True):
            if self._mips64:
                found |= {_mips64_info(e[1], self._memory.header.order)[1] for e in struct.iter_unpack(form, raw)}
            else:
                mask = 0xFFFFFFFF if self._wide else 0xFF
                found |= {e[1] & mask for e in struct.iter_unpack(form, raw)}
        return frozenset(found)

    def _relocations(self) -> Iterator[tuple[int, int, bool]]:
        """Symbol index, type, and whether it may wait for a call, of each relocation that names a symbol.

        In the order in which musl applies them.
        """
        for raw, form, lazy in self._tables():
            if self._mips64:
                parts = [_mips64_info(e[1], self._memory.header.order) for e in struct.iter_unpack(form, raw)]
                yield from [(symbol, kind, lazy) for symbol, kind in parts if symbol]
            elif self._wide:
                named = [e[1] for e in struct.iter_unpack(form, raw) if e[1] >> 32]
                yield from [(info >> 32, info & 0xFFFFFFFF, lazy) for info in named]
            else:
                named = [e[1] for e in struct.iter_unpack(form, raw) if e[1] >> 8]
                yield from [(info >> 8, info & 0xFF, lazy) for info in named]

    def _tables(self, *, relative: bool = False) -> Iterator[tuple[bytes, str, bool]]:
        """The tables of relocations, piece by piece: the bytes, how they are packed, whether they may wait for calls.

        What a linker has counted as relative is left out, but for the last one where `relative` is asked for.
        """
        tags = self._tags
        with_addend = tags.get(DT_PLTREL) == DT_RELA
        for table, size, addend, counted in (
            (DT_JMPREL, tags.get(DT_PLTRELSZ, 0), with_addend, 0),
            (DT_REL, self._size_without_calls(DT_REL, DT_RELSZ), False, tags.get(DT_RELCOUNT, 0)),
            (DT_RELA, self._size_without_calls(DT_RELA, DT_RELASZ), True, tags.get(DT_RELACOUNT, 0)),
        ):
            if table not in tags or size == 0:
                continue
            form = (
                self._memory.header.order
                + ("QQ" if self._wide else "II")
                + (("q" if self._wide else "i") if addend else "")
            )
            width = struct.calcsize(form)
            # The relative ones come first and name nothing; big position-independent programs have 100,000s of them.
            passed = max(counted - 1, 0) if relative else counted
            address, end = tags[table] + passed * width, tags[table] + size // width * width
            while address < end:
                part = min(end - address, 4096 * width)
                yield self._memory.read(address, part, "the relocations"), form, table == DT_JMPREL
                address += part
