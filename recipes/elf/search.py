"""Finding bytes in what a program loads, and what in there is a file of its own that it only carries along.

Source: System V gABI, "ELF Header".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

from recipes.elf.segments import Header, Reader

CHUNK = 1 << 20
_EXECUTABLE, _WRITABLE = 1, 2
_MAGIC = b"\x7fELF"
_FORMS = {1: "16sHHIIIIIHHHHHH", 2: "16sHHIQQQIHHHHHH"}
_KINDS = (1, 2, 3)  # object file, program, shared library
_SIZES = {1: (52, 32, 40), 2: (64, 56, 64)}  # of the header itself, a program header, a section header
_MOST_HEADER_BYTES = 65536
_MOST_FILES = 4096


def occurrences(reader: Reader, header: Header, what: bytes, align: int, *, writable: bool) -> Iterator[int]:
    """File offsets of `what` in the loaded data, at multiples of `align`. At most one chunk is in memory.

    With `writable`, only data that can be written to is searched; otherwise all but code, where code is kept apart.
    """
    for start, end in _ranges(header, writable=writable):
        yield from _within(reader, start, end, what, align)


def _ranges(header: Header, *, writable: bool) -> list[tuple[int, int]]:
    if writable:
        return list(header.loaded(lambda segment: bool(segment.flags & _WRITABLE)))
    data = header.loaded(lambda segment: bool(segment.flags & _WRITABLE) or not segment.flags & _EXECUTABLE)
    return list(data) or list(header.loaded())


def _within(reader: Reader, start: int, end: int, what: bytes, align: int) -> Iterator[int]:
    for at in range(start, end, CHUNK):
        chunk = reader.read_at(at, min(CHUNK + len(what) - 1, end - at))
        found = chunk.find(what)
        while found >= 0:
            if (at + found) % align == 0:
                yield at + found
            found = chunk.find(what, found + 1)


def is_embedded(reader: Reader, header: Header, at: int, *, writable: bool) -> bool:
    """Whether a place that `occurrences` found is inside a file that the program only carries along."""
    ranges = (each for each in _ranges(header, writable=writable) if each[0] <= at < each[1])
    return any(
        first <= at < last for start, end in ranges for first, last in embedded_files(reader, start, end, before=at)
    )


def embedded_files(reader: Reader, start: int, end: int, before: int | None = None) -> list[tuple[int, int]]:
    """Start and end of the whole ELF files between two places of a program's data, without those inside of others.

    `before` is where none that is looked for starts any more.
    """
    found: list[tuple[int, int]] = []
    limit = end if before is None else before
    # The program's own header is at 0.
    for at in islice(_within(reader, max(start, 1), limit, _MAGIC, 1), _MOST_FILES):
        size = _size(reader, at, end - at) if not found or at >= found[-1][1] else 0
        if size:
            found.append((at, at + size))
    return found


def _size(reader: Reader, at: int, most: int) -> int:
    """How many bytes the tables of the ELF file at `at` say that it has; 0 where there is none, or not all of it."""
    raw = reader.read_at(at, 64)
    form = _FORMS.get(raw[4]) if len(raw) == 64 else None
    if form is None or raw[5] not in (1, 2) or raw[6] != 1:
        return 0
    order = "<" if raw[5] == 1 else ">"
    _, kind, _, _, _, programs, sections, _, *sizes = struct.unpack_from(order + form, raw)
    own, program_size, program_count, section_size, section_count, _ = sizes
    if (
        kind not in _KINDS
        or (own, program_size or _SIZES[raw[4]][1], section_size or _SIZES[raw[4]][2]) != _SIZES[raw[4]]
    ):
        return 0
    ends = [own, programs + program_size * program_count, sections + section_size * section_count]
    table = reader.read_at(at + programs, min(program_size * program_count, _MOST_HEADER_BYTES))
    for entry in range(0, len(table) - program_size + 1, program_size or 1):
        offset, size = struct.unpack_from(order + ("8xQ16xQ" if raw[4] == 2 else "4xI8xI"), table, entry)
        ends.append(offset + size)
    return max(ends) if own < max(ends) <= most else 0
