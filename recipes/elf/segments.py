"""The loader's view of a file: its ELF header and program headers, every number checked before it is used.

Sections are the linker's view: they may be gone or wrong in a program that runs well, so nothing here reads them but
`section_of_type`. All reading goes through `Reader`, so that a file on disk and a member of a root are the same thing.
Source: System V gABI, "ELF Header" and "Program Header".
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

from recipes.errors import BadInput, NotElf, TruncatedElf

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
PT_GNU_STACK, PT_GNU_RELRO = 0x6474E551, 0x6474E552
ET_EXEC, ET_DYN = 2, 3
PF_W = 2
SMALLEST_PAGE = 4096

_OTHER_TYPES = {1: "an object file", 4: "a core dump"}
# Linux refuses more bytes of program headers than this, and a longer interpreter path.
_MOST_PROGRAM_HEADER_BYTES = 65536
_PATH_MAX = 4096
_MOST_NOTE_BYTES = 1 << 20


class TruncatedSegment(TruncatedElf):
    """The headers are whole, and what they tell of is not."""


class Reader(Protocol):
    """Bytes at random places. `read_at` returns fewer bytes than asked for only at the end."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, length: int) -> bytes: ...


class FileReader:
    """A file on disk as a `Reader`; a context manager.

    Raises: BadInput where it is missing, may not be read or is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        try:
            # O_NONBLOCK: opening a FIFO would otherwise wait for its writer.
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise BadInput(f"cannot read {str(path)!r}: {why}") from error
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._fd)
            raise BadInput(f"{str(path)!r} is not a regular file")
        self.size = status.st_size

    def read_at(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset) if offset < self.size else b""

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> FileReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BytesReader:
    """Bytes in memory as a `Reader`."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


class MappedReader:
    """A file as it looks once it is mapped: what is left of its last page is zeros."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.size = -(-reader.size // SMALLEST_PAGE) * SMALLEST_PAGE

    def read_at(self, offset: int, length: int) -> bytes:
        wanted = max(min(length, self.size - offset), 0)
        return self._reader.read_at(offset, wanted).ljust(wanted, b"\0")


class RelabelledReader:
    """A file as a loader sees it that takes every file for one of its own class, byte order and machine.

    `changed`: the file says something else.
    """

    def __init__(self, reader: Reader, bits: int, machine: int, *, little_endian: bool) -> None:
        self._reader = reader
        self.size = reader.size
        own = reader.read_at(0, 20)
        marks = b"\x7fELF" + bytes((bits // 32, 1 if little_endian else 2))
        self._start = (marks + own[6:18] + machine.to_bytes(2, "little" if little_endian else "big"))[: len(own)]
        self.changed = own != self._start

    def read_at(self, offset: int, length: int) -> bytes:
        data = self._reader.read_at(offset, length)
        return (self._start[offset:] + data[max(len(self._start) - offset, 0) :])[: len(data)]


class FileHeader(NamedTuple):
    """The ELF header alone, of any kind of ELF file. Numbers are as written."""

    bits: int
    little_endian: bool
    os_abi: int
    type: int
    machine: int
    flags: int
    entry: int
    program_table: tuple[int, int, int]
    """offset, entry size, count: unchecked"""
    section_table: tuple[int, int, int]
    """the same"""


@dataclass(frozen=True, slots=True)
class Segment:
    """One program header. Numbers are as written; what PT_LOAD and PT_INTERP name lies inside the file."""

    type: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int


@dataclass(frozen=True, slots=True)
class Header:
    """The ELF header and its program headers. `type` and `machine` are the ELF numbers."""

    bits: int
    little_endian: bool
    os_abi: int
    type: int
    machine: int
    flags: int
    entry: int
    segments: tuple[Segment, ...]
    section_table: tuple[int, int, int]
    """offset, entry size, count: unchecked"""

    @property
    def order(self) -> str:
        return "<" if self.little_endian else ">"

    def segment(self, kind: int) -> Segment | None:
        return next((segment for segment in self.segments if segment.type == kind), None)

    def loaded(self, wanted: Callable[[Segment], bool] = lambda segment: True) -> Iterator[tuple[int, int]]:
        """Start and end, in the file, of what the PT_LOAD segments that are `wanted` load: each byte once, in order."""
        reached = 0
        for segment in sorted(self.segments, key=lambda segment: segment.offset):
            end = segment.offset + segment.file_size
            if segment.type == PT_LOAD and wanted(segment) and end > reached:
                yield max(segment.offset, reached), end
                reached = end

    def pieces(self, address: int, length: int) -> Iterator[tuple[int, int]]:
        """Offset and size in the file of what is loaded from `address` on, up to `length` bytes.

        PT_LOADs that follow each other in memory are one to the loader, wherever they stand in the file. It ends early
        where nothing of the file is loaded.
        """
        while length > 0:
            for segment in self.segments:
                inside = address - segment.address
                if segment.type == PT_LOAD and 0 <= inside < segment.file_size:
                    break
            else:
                return
            size = min(length, segment.file_size - inside)
            yield segment.offset + inside, size
            address, length = address + size, length - size


def lost_pages(header: Header, size: int, page: int) -> tuple[str, bool]:
    """What of a file that was cut to `size` bytes cannot be mapped, in words; and whether every loader touches that.

    Both C libraries clear what follows a segment's data in its last page, and read the dynamic segment: a page behind
    the end of the file then ends the process. Source: glibc, `_dl_map_segments`; musl, `map_library`.
    """
    mapped = -(-size // page) * page
    lost = [each for each in header.segments if each.type == PT_LOAD and each.offset + each.file_size > mapped]
    if not lost:
        return "", False
    cleared = any(
        each.memory_size > each.file_size and (each.offset + each.file_size) % page and each.flags & PF_W
        for each in lost
    )
    dynamic = header.segment(PT_DYNAMIC)
    start = next((at for at, _ in header.pieces(dynamic.address, 1)), 0) if dynamic else 0
    end = max(each.offset + each.file_size for each in lost)
    return f"cut: a segment ends at byte {end}, the file at byte {size}", cleared or start >= mapped


def read_exactly(reader: Reader, offset: int, length: int, what: str) -> bytes:
    """Raises: TruncatedElf where the file does not hold all of it; nothing is allocated in that case."""
    if offset < 0 or length < 0 or offset + length > reader.size:
        raise TruncatedElf(
            f"the file is truncated: {what} ends at byte {offset + length}, the file at byte {reader.size}",
            hint="copy or build it again",
        )
    data = reader.read_at(offset, length)
    if len(data) != length:
        raise TruncatedElf(f"the file ends inside {what}", hint="copy or build it again")
    return data


def read_file_header(reader: Reader) -> FileHeader:
    """Read what comes first in every ELF file, also in one that is never run. Raises: NotElf, TruncatedElf."""
    start = reader.read_at(0, 64)
    if start[:4] != b"\x7fELF":
        what = "not an ELF file" if start else "not an ELF file: it is empty"
        raise NotElf(what, hint="name a compiled and linked program: scripts and archives are not ELF files")
    if len(start) < 16:
        raise TruncatedElf(
            f"the file is truncated: only {len(start)} bytes of an ELF file", hint="copy or build it again"
        )
    if start[4] not in (1, 2) or start[5] not in (1, 2):
        raise NotElf(f"an ELF file of an unknown kind: class {start[4]}, data encoding {start[5]}")
    wide, little = start[4] == 2, start[5] == 1
    form = ("<" if little else ">") + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH")
    raw = read_exactly(reader, 16, struct.calcsize(form), "the ELF header")
    kind, machine, _, entry, table, sections, flags, _, entry_size, count, section_size, section_count, _ = (
        struct.unpack(form, raw)
    )
    return FileHeader(
        bits=64 if wide else 32,
        little_endian=little,
        os_abi=start[7],
        type=kind,
        machine=machine,
        flags=flags,
        entry=entry,
        program_table=(table, entry_size, count),
        section_table=(sections, section_size, section_count),
    )


def read_header(reader: Reader, *, whole: bool = True) -> Header:
    """Read and check the headers of a program or shared library; not `whole`: what they tell of may lie behind its end.

    Raises: NotElf (also for an ELF file of a kind that is never run, such as an object file), TruncatedElf.
    """
    start = read_file_header(reader)
    if start.type not in (ET_EXEC, ET_DYN):
        what = _OTHER_TYPES.get(start.type, f"an ELF file of type {start.type}")
        raise NotElf(f"it is {what}, not a program", "link it first")
    table, entry_size, count = start.program_table
    if count == 0:
        raise NotElf("the ELF file has no program headers, so nothing of it can be loaded")
    if entry_size != (56 if start.bits == 64 else 32) or count * entry_size > _MOST_PROGRAM_HEADER_BYTES:
        raise NotElf(f"the ELF file has {count} program headers of {entry_size} bytes, which Linux refuses")
    raw = read_exactly(reader, table, count * entry_size, "the program header table")
    segments = tuple(_segments(raw, start.bits == 64, start.little_endian))
    for segment in segments:
        # The others are not read before the program runs, and some not even then.
        decisive = segment.type in (PT_LOAD, PT_INTERP)
        if whole and decisive and segment.file_size and segment.offset + segment.file_size > reader.size:
            raise TruncatedSegment(
                f"the file is truncated: a segment ends at byte {segment.offset + segment.file_size}, "
                f"the file at byte {reader.size}",
                hint="copy or build it again",
            )
    return Header(
        bits=start.bits,
        little_endian=start.little_endian,
        os_abi=start.os_abi,
        type=start.type,
        machine=start.machine,
        flags=start.flags,
        entry=start.entry,
        segments=segments,
        section_table=start.section_table,
    )


def _segments(table: bytes, wide: bool, little: bool) -> Iterator[Segment]:
    order = "<" if little else ">"
    if wide:
        for kind, flags, offset, address, _, file_size, memory_size, _ in struct.iter_unpack(order + "IIQQQQQQ", table):
            yield Segment(kind, flags, offset, address, file_size, memory_size)
    else:
        for kind, offset, address, _, file_size, memory_size, flags, _ in struct.iter_unpack(order + "IIIIIIII", table):
            yield Segment(kind, flags, offset, address, file_size, memory_size)


def read_interpreter(reader: Reader, header: Header) -> str | None:
    """The path in PT_INTERP; None where there is none. Raises: NotElf where Linux would refuse it."""
    segment = header.segment(PT_INTERP)
    if segment is None:
        return None
    if not 2 <= segment.file_size <= _PATH_MAX:
        raise NotElf(f"its interpreter path is {segment.file_size} bytes long, which Linux refuses")
    raw = read_exactly(reader, segment.offset, segment.file_size, "the interpreter path")
    if raw[-1:] != b"\0":
        raise NotElf("its interpreter path does not end in a NUL, which Linux refuses")
    return os.fsdecode(raw.split(b"\0", 1)[0])


def read_notes(reader: Reader, header: Header) -> Iterator[tuple[bytes, int, bytes]]:
    """Name, type and content of every note in the PT_NOTE segments. A malformed rest of a segment is left out."""
    budget = _MOST_NOTE_BYTES
    for segment in header.segments:
        if segment.type != PT_NOTE:
            continue
        raw = reader.read_at(segment.offset, min(segment.file_size, budget))
        budget -= len(raw)
        # GNU property notes are aligned to 8 in 64-bit files; all others to 4, whatever the segment says.
        align = 8 if header.bits == 64 and b"\x05\0\0\0GNU\0" in raw[8:16] and header.little_endian else 4
        at = 0
        while at + 12 <= len(raw):
            name_size, size, kind = struct.unpack_from(header.order + "III", raw, at)
            content = at + 12 + -(-name_size // 4) * 4
            if content + size > len(raw):
                break
            yield raw[at + 12 : at + 12 + name_size].rstrip(b"\0"), kind, raw[content : content + size]
            at = content + -(-size // align) * align


@dataclass(frozen=True, slots=True)
class Section:
    """Where a section stands in the file, and where its string table does (offset and size)."""

    offset: int
    size: int
    strings: tuple[int, int] | None


def section_of_type(reader: Reader, header: Header, kind: int) -> Section | None:
    """The first section of a type. Section headers that lie are as none: programs run without them."""
    offset, size, count = header.section_table
    wide = header.bits == 64
    if size != (64 if wide else 40) or offset == 0 or offset + size * count > reader.size:
        return None
    form = header.order + ("IIQQQQIIQQ" if wide else "10I")
    table = list(struct.iter_unpack(form, reader.read_at(offset, size * count)))
    for entry in table:
        if entry[1] == kind and entry[4] + entry[5] <= reader.size:
            strings = table[entry[6]] if entry[6] < len(table) else None
            held = strings is not None and strings[4] + strings[5] <= reader.size
            return Section(entry[4], entry[5], (strings[4], strings[5]) if strings and held else None)
    return None
