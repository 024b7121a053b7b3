"""A file → ElfFacts: the headers with pyelftools, which no other file imports, the dynamic segment with `dynamic`.

pyelftools trusts its input: a hostile file makes it raise a dozen kinds of errors, or read for minutes. So everything
it looks at has been checked by `segments` before, the section headers, which the loader does not look at either, are
kept from it, and the dynamic segment has one reader, the one that the loader's rules use.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any, Literal, cast

from recipes.architecture import name_of_elf
from recipes.elf.dynamic import Dynamic, read_dynamic
from recipes.elf.segments import FileReader, Header, Reader, read_header, read_notes, section_of_type
from recipes.errors import BadInput
from recipes.model import ElfFacts, Linkage

_NT_GNU_BUILD_ID = 3
_PF_X = 1
_SHT_SYMTAB = 2


def read_elf(path: Path) -> ElfFacts:
    """Read what the program headers and the dynamic segment of `path` say.

    Returns: sizes in bytes; `needed` is () for static and static-PIE.
    Raises: NotElf, TruncatedElf; BadInput where there is no such file, or it may not be read.
    Source: System V gABI, "Program Header" and "Dynamic Section".
    """
    return read_copy(path, path)


def read_copy(path: Path, original: Path) -> ElfFacts:
    """`read_elf` for a copy: what is wrong with the file is said of `original`."""
    with FileReader(path) as reader:
        try:
            return read_facts(reader)
        except BadInput as error:
            raise type(error)(f"{str(original)!r}: {error.message}", error.hint) from error


def read_facts(reader: Reader) -> ElfFacts:
    """`read_elf` for anything that can be read, such as a member of a root. Raises: NotElf, TruncatedElf."""
    header = read_header(reader)
    return facts_of(reader, header, read_dynamic(reader, header, symbols=False))


def facts_of(reader: Reader, header: Header, dynamic: Dynamic) -> ElfFacts:
    """The facts of a file whose header and dynamic segment were read. Raises: NotElf, TruncatedElf."""
    from elftools.elf.elffile import ELFFile

    elf = ELFFile(cast(IO[bytes], io.BufferedReader(_WithoutSections(reader, header))))
    kind = elf["e_type"].removeprefix("ET_")
    segments: dict[str, Any] = {}
    for segment in elf.iter_segments():
        segments.setdefault(segment["p_type"], segment)
    pie = kind == "DYN" and dynamic.pie
    linkage = _linkage("PT_INTERP" in segments, bool(dynamic.needed), kind, pie)
    stack = segments.get("PT_GNU_STACK")
    return ElfFacts(
        size=reader.size,
        bits=elf.elfclass,
        little_endian=elf.little_endian,
        os_abi=elf.e_ident_raw[7],
        type=kind,
        machine=name_of_elf(header.machine, header.bits, little_endian=header.little_endian),
        entry=elf["e_entry"],
        linkage=linkage,
        interpreter=dynamic.interpreter,
        needed=() if linkage.is_static else dynamic.needed,
        soname=dynamic.soname,
        rpath=_split(dynamic.rpath),
        runpath=_split(dynamic.runpath),
        stripped=section_of_type(reader, header, _SHT_SYMTAB) is None,
        pie=pie,
        relro=_relro("PT_GNU_RELRO" in segments, dynamic),
        nx=stack is not None and not stack["p_flags"] & _PF_X,
        build_id=next(
            (
                data.hex()
                for name, kind, data in read_notes(reader, header)
                if (name, kind) == (b"GNU", _NT_GNU_BUILD_ID)
            ),
            None,
        ),
    )


def _linkage(interpreter: bool, needed: bool, kind: str, pie: bool) -> Linkage:
    if interpreter:
        return Linkage.DYNAMIC if needed else Linkage.LOADER_ONLY
    if kind == "EXEC":
        return Linkage.STATIC
    return Linkage.STATIC_PIE if pie and not needed else Linkage.SHARED_LIBRARY


def _relro(segment: bool, dynamic: Dynamic) -> Literal["full", "partial", "none"]:
    if not segment:
        return "none"
    return "full" if dynamic.bind_now else "partial"


def _split(path: str | None) -> tuple[str, ...]:
    return () if path is None else tuple(path.split(":"))


class _WithoutSections(io.RawIOBase):
    """The file as a stream in which the ELF header names no section table: offset, count and name index are 0."""

    def __init__(self, reader: Reader, header: Header) -> None:
        self._reader = reader
        self._at = 0
        offset, width = (40, 8) if header.bits == 64 else (32, 4)
        size = 64 if header.bits == 64 else 52
        start = bytearray(reader.read_at(0, size))
        start[offset : offset + width] = bytes(width)
        start[size - 4 :] = bytes(4)
        self._start = bytes(start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._reader.size)[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._at < len(self._start):
            data = self._start[self._at :][: len(buffer)]
        else:
            data = self._reader.read_at(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
