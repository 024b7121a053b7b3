"""Tests of recipes/elf/dynamic.py."""

from __future__ import annotations

import contextlib
import importlib
import random
import re
import struct
from pathlib import Path
from typing import Any

import pytest

from recipes.elf.dynamic import (
    DT_JMPREL,
    DT_MIPS_GOTSYM,
    DT_MIPS_SYMTABNO,
    DT_MIPS_XHASH,
    DT_PLTREL,
    DT_PLTRELSZ,
    DT_REL,
    DT_RELA,
    DT_RELASZ,
    DT_RELSZ,
    DT_SYMTAB,
    Import,
    read_dynamic,
)
from recipes.elf.facts import read_elf
from recipes.elf.markers import examine_reader
from recipes.elf.segments import PT_DYNAMIC, PT_LOAD, PT_NOTE, BytesReader, FileReader
from recipes.errors import BadInput, NotElf, TruncatedElf
from recipes.model import Command
from recipes.support import shell
from tests.compilers import Compilers, programs_of_this_machine
from tests.elf.fixtures.make import FIXTURES, SONAME, STRSZ, STRTAB, make_elf
from tests.need import need, need_tool

HELLO = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }'


DF_1_PIE = 0x08000000


def test_facts_are_what_pyelftools_reads() -> None:
    """Interpreter, libraries, own name, paths, PIE of this machine's programs: read by us and by pyelftools."""
    programs, libraries = programs_of_this_machine(), libraries_of_this_machine()[::10]
    assert programs
    assert libraries
    for program in programs + libraries:
        facts = read_elf(program)
        with program.open("rb") as file:
            tags = _tags(elffile().ELFFile(file))
        for field, tag in ({"interpreter": "PT_INTERP", "soname": "DT_SONAME"}).items():
            assert [getattr(facts, field)] == (tags.get(tag) or [None]), (program, field)
        for field, tag in ({"rpath": "DT_RPATH", "runpath": "DT_RUNPATH"}).items():
            assert ":".join(getattr(facts, field)) == "".join(tags.get(tag, [])), (program, field)
        assert facts.linkage.is_static or list(facts.needed) == tags.get("DT_NEEDED", []), program
        assert facts.pie == any(flags & DF_1_PIE for flags in tags.get("DT_FLAGS_1", [])), program


def libraries_of_this_machine() -> list[Path]:
    return [path for path in sorted(Path("/usr/lib").glob("*-linux-gnu/lib*.so.*")) if path.is_file()]


def elffile() -> Any:
    """pyelftools' module; it has types, but not for all that is asked of it here."""
    return importlib.import_module("elftools.elf.elffile")


def _tags(elf: Any) -> dict[str, list[Any]]:
    """What the interpreter's segment and the dynamic one hold, by tag: texts where they are texts, else numbers."""
    found: dict[str, list[Any]] = {}
    for segment in elf.iter_segments():
        if segment["p_type"] == "PT_INTERP":
            found["PT_INTERP"] = [segment.get_interp_name()]
        for tag in segment.iter_tags() if segment["p_type"] == "PT_DYNAMIC" else ():
            name = tag.entry.d_tag
            texts = ("needed", "soname", "rpath", "runpath")
            text = next((getattr(tag, text) for text in texts if hasattr(tag, text)), None)
            found.setdefault(name, []).append(tag.entry.d_val if text is None else text)
    return found


def test_agrees_with_pyelftools_symbol_by_symbol() -> None:
    """Strings, version needs and definitions are what pyelftools reads from the sections, in a sample of real files."""
    files = programs_of_this_machine()[::25] + libraries_of_this_machine()[::40]
    need(files, "programs and libraries")
    for path in files:
        with FileReader(path) as reader:
            dynamic = read_dynamic(reader)
        with path.open("rb") as file:
            elf = elffile().ELFFile(file)
            section = elf.get_section_by_name(".dynamic")
            if section is None:
                continue
            tags = list(section.iter_tags())
            assert dynamic.needed == tuple(tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"), path
            needs = elf.get_section_by_name(".gnu.version_r")
            theirs = [
                (file_.name, aux.name, aux["vna_other"])
                for file_, auxes in (needs.iter_versions() if needs else ())
                for aux in auxes
            ]
            assert [(need.file, need.name, need.index) for need in dynamic.versions_needed] == theirs, path
            definitions = elf.get_section_by_name(".gnu.version_d")
            names = {
                next(auxes).name
                for entry, auxes in (definitions.iter_versions() if definitions else ())
                if not entry["vd_flags"] & 1
            }
            assert dynamic.versions_defined == names, path
            undefined = {
                symbol.name
                for symbol in elf.get_section_by_name(".dynsym").iter_symbols()
                if symbol["st_shndx"] == "SHN_UNDEF" and symbol.name
            }
            assert {symbol.name for symbol in dynamic.imports} - undefined <= _copied(elf), path


def _copied(elf: Any) -> set[str]:
    """Names of the variables that the program holds a copy of."""
    names = elf.get_section_by_name(".dynsym")
    table = elf.get_section_by_name(".rela.dyn")
    return {
        names.get_symbol(entry["r_info_sym"]).name for entry in table.iter_relocations() if entry["r_info_type"] == 5
    }


def test_each_symbol_names_its_version_and_file(compilers: Compilers) -> None:
    """A symbol is traced through .gnu.version to the version and the library that must define it."""
    with FileReader(compilers.c(HELLO)) as reader:
        dynamic = read_dynamic(reader)
    puts = next(symbol for symbol in dynamic.imports if symbol.name == "puts")
    assert puts.file == "libc.so.6"
    assert puts.version is not None
    assert re.fullmatch(r"GLIBC_2\.[\d.]+", puts.version)
    assert next(symbol for symbol in dynamic.imports if symbol.name == "__gmon_start__") == Import(
        "__gmon_start__", True
    )


@pytest.mark.parametrize("hash_style", ["gnu", "sysv", "both"])
def test_exports_are_found_with_either_hash_table(compilers: Compilers, hash_style: str) -> None:
    """Both kinds of hash table tell where the symbols end; hidden ones are not exported."""
    source = (
        "int one(void) { return 1; } int two; static int three(void) { return 3; } int four(void) { return three(); }"
    )
    source += '__attribute__((visibility("hidden"))) int five(void) { return 5; }'
    with FileReader(compilers.c(source, "-shared", "-fPIC", f"-Wl,--hash-style={hash_style}")) as reader:
        dynamic = read_dynamic(reader)
    assert {"one", "two", "four"} <= dynamic.exports
    assert not {"three", "five"} & dynamic.exports


def test_a_program_without_exports_still_has_imports(compilers: Compilers) -> None:
    """Its hash table is empty and tells nothing: the relocations do."""
    with FileReader(compilers.c(HELLO, "-Wl,--hash-style=gnu")) as reader:
        dynamic = read_dynamic(reader)
    assert "puts" in {symbol.name for symbol in dynamic.imports}
    assert not dynamic.exports


def test_a_file_without_section_headers_has_all_of_it(compilers: Compilers) -> None:
    """Versions and symbols come from the dynamic segment: without section headers they are the same."""
    data = bytearray(compilers.c(HELLO).read_bytes())
    whole = read_dynamic(BytesReader(bytes(data)))
    data[40:48] = bytes(8)
    data[58:64] = bytes(6)
    assert read_dynamic(BytesReader(bytes(data))) == whole
    assert whole.versions_needed


def test_packed_relative_relocations_ask_for_a_version(compilers: Compilers) -> None:
    """-z pack-relative-relocs asks for GLIBC_ABI_DT_RELR, which is not a number."""
    need(
        "pack-relative-relocs" in shell.check(Command((need_tool("ld"), "--help"))).stdout.decode(),
        "a linker with DT_RELR",
    )
    with FileReader(compilers.c(HELLO, "-Wl,-z,pack-relative-relocs")) as reader:
        dynamic = read_dynamic(reader)
    assert "GLIBC_ABI_DT_RELR" in {version.name for version in dynamic.versions_needed}


def test_cpu_level_and_kernel_are_read_from_the_notes(compilers: Compilers) -> None:
    """GNU_PROPERTY_X86_ISA_1_NEEDED and the ABI tag, as the linker writes them."""
    need(read_elf(Path("/proc/self/exe").resolve()).machine == "amd64", "an x86-64 machine")
    with FileReader(compilers.c(HELLO, "-Wl,-z,x86-64-v3")) as reader:
        dynamic = read_dynamic(reader)
    assert dynamic.isa_needed & 4
    assert not dynamic.isa_needed & 8
    assert dynamic.kernel_needed is not None


@pytest.mark.parametrize("little", [True, False], ids=["little", "big"])
def test_a_relocation_of_mips64_names_its_symbol(little: bool) -> None:
    """Its r_info is a symbol number and four bytes, whatever the byte order: no 64-bit number."""
    order = "<" if little else ">"
    copied = struct.pack(order + "QI4B", 0, 1, 0, 0, 0, 126)
    data = make_elf(
        machine=8,
        little=little,
        entry=0,
        names=((SONAME, b"missing"),),
        numbers=((DT_RELSZ, 2 * len(copied)),),
        tables=(
            (DT_SYMTAB, bytes(24) + 2 * struct.pack(order + "IBBHQQ", 1, 0x11, 0, 5, 0x10000, 8)),
            (DT_REL, copied + struct.pack(order + "QI4B", 0, 2, 0, 0, 18, 3)),
        ),
    )
    assert read_dynamic(BytesReader(data)).imports == (Import("missing", False),)


@pytest.mark.parametrize("bits", [32, 64])
def test_mips_looks_up_the_global_entries_of_its_got(bits: int) -> None:
    """No relocation names them: an undefined variable at once, a function with a stub when it is called, one that has
    a PLT entry (STO_MIPS_PLT) at once as well; what the file defines itself is no import.
    """

    def symbol(name: int, kind: int, section: int, value: int, other: int = 0) -> bytes:
        if bits == 64:
            return struct.pack("<IBBHQQ", name, 0x10 + kind, other, section, value, 0)
        return struct.pack("<IIIBBH", name, value, 0, 0x10 + kind, other, section)

    symbols = [
        bytes(24 if bits == 64 else 16),
        symbol(1, 2, 0, 0),  # before DT_MIPS_GOTSYM
        symbol(9, 1, 0, 0),
        symbol(18, 2, 0, 0x10000),
        symbol(27, 2, 0, 0x10000, 8),
        symbol(34, 1, 5, 0x10000),
    ]
    data = make_elf(
        bits=bits,
        machine=8,
        entry=0,
        names=((SONAME, b"nowhere\0variable\0function\0planned\0own"),),
        numbers=((DT_MIPS_GOTSYM, 2), (DT_MIPS_SYMTABNO, len(symbols))),
        tables=((DT_SYMTAB, b"".join(symbols)),),
    )
    found = {symbol.name: symbol.lazy for symbol in read_dynamic(BytesReader(data)).imports}
    assert found == {"variable": False, "function": True, "planned": False}


def test_mips_libraries_with_a_hash_table_of_their_own() -> None:
    """DT_MIPS_XHASH alone: any symbol of the table may be found through it, and DT_MIPS_SYMTABNO says how many."""
    names = b"lost\0here\0there"
    symbols = [struct.pack("<IIIBBH", at, value, 0, 0x12, 0, section) for at, value, section in (
        (0, 0, 0), (1, 0, 0), (6, 0x10000, 5), (11, 0x10000, 5),
    )]  # fmt: skip
    tables = ((DT_SYMTAB, b"".join(symbols)), (DT_MIPS_XHASH, struct.pack("<4I", 1, 2, 1, 0)))
    numbers = ((DT_MIPS_SYMTABNO, len(symbols)), (DT_MIPS_GOTSYM, len(symbols)))
    data = make_elf(bits=32, machine=8, entry=0, names=((SONAME, names),), numbers=numbers, tables=tables)
    dynamic = read_dynamic(BytesReader(data))
    assert dynamic.exports == {"here", "there"}
    assert dynamic.answers(Import("here", weak=False))


@pytest.mark.parametrize("shared", [True, False], ids=["in DT_RELASZ", "apart"])
def test_calls_that_the_other_relocations_end_with_wait(shared: bool) -> None:
    """binutils counts .rela.plt in DT_RELASZ as well, for riscv64: its functions are bound lazily still."""
    width = struct.calcsize("<QQq")
    calls = struct.pack("<QQq", 0, 1 << 32 | 5, 0)
    others = struct.pack("<QQq", 0, 2 << 32 | 2, 0)
    symbols = bytes(24) + struct.pack("<IBBHQQ", 1, 0x12, 0, 0, 0, 0) + struct.pack("<IBBHQQ", 10, 0x11, 0, 0, 0, 0)
    data = make_elf(
        machine=243,
        entry=0,
        names=((SONAME, b"function\0variable"),),
        numbers=((DT_RELASZ, 2 * width if shared else width), (DT_PLTRELSZ, width), (DT_PLTREL, DT_RELA)),
        tables=((DT_SYMTAB, symbols), (DT_RELA, others), (DT_JMPREL, calls)),
    )
    found = {symbol.name: symbol.lazy for symbol in read_dynamic(BytesReader(data)).imports}
    assert found == {"variable": False, "function": True}


def test_crafted_tables_end_in_our_own_errors() -> None:
    """A dynamic segment without end, names outside of the table, endless chains: NotElf or TruncatedElf."""
    endless = bytearray(FIXTURES["amd64-paths"])
    while (at := endless.rfind(bytes(16))) > 400:
        endless[at : at + 16] = b"\x01".ljust(8, b"\0") * 2
    with pytest.raises(TruncatedElf):
        read_dynamic(BytesReader(bytes(endless)))
    with pytest.raises(NotElf):
        read_dynamic(BytesReader(b"\x7fELF" + bytes(60)))
    with pytest.raises(TruncatedElf):
        read_dynamic(BytesReader(make_elf(names=((SONAME, b"x" * 70000),))))


@pytest.mark.parametrize("kind", [PT_NOTE, PT_LOAD])
def test_a_thousand_segments_over_the_same_bytes_cost_no_more_than_one(kind: int) -> None:
    """Each byte is looked at once, whoever names it how often: minutes of work would fit into a megabyte else."""
    size = 64 + 1001 * 56
    body = bytes(16 << 20)
    header = (
        b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1001, 0, 0, 0)
    )
    table = struct.pack("<IIQQQQQQ", PT_LOAD, 4, 0, 0, 0, size + len(body), size + len(body), 8)
    table += 1000 * struct.pack("<IIQQQQQQ", kind, 4, size, 0, 0, len(body), len(body), 8)
    reader = Counting(header + table + body)
    examine_reader(reader)
    assert reader.bytes_read < 10 * reader.size


def test_a_table_in_a_thousand_pieces_is_refused() -> None:
    """Each piece of a read has to be looked for among all segments: of few bytes that would make seconds of work."""
    count, strings = 1100, 0x800000
    dynamic = struct.pack("<6Q", STRTAB, strings, STRSZ, count, 0, 0)
    place = 64 + (count + 2) * 56
    whole = place + len(dynamic)
    pieces = [(PT_LOAD, 0, 0x400000, whole), (PT_DYNAMIC, place, 0x400000 + place, len(dynamic))]
    pieces += [(PT_LOAD, whole + index, strings + index, 1) for index in range(count)]
    table = b"".join(struct.pack("<IIQQQQQQ", kind, 4, at, to, to, size, size, 1) for kind, at, to, size in pieces)
    header = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400000, 64, 0, 0, 64, 56, len(pieces), 0, 0, 0)
    file = b"\x7fELF\x02\x01\x01" + bytes(9) + header + table + dynamic + bytes(count)
    with pytest.raises(NotElf, match="claim more"):
        read_dynamic(BytesReader(file))


class Counting(BytesReader):
    """A reader that knows how much was asked of it."""

    bytes_read = 0

    def read_at(self, offset: int, length: int) -> bytes:
        data = super().read_at(offset, length)
        self.bytes_read += len(data)
        return data


def test_more_libraries_than_anybody_needs_are_an_error() -> None:
    """Each costs a search, and each search a place in every list."""
    with pytest.raises(NotElf, match="5000 libraries"):
        read_dynamic(BytesReader(make_elf(needed=(b"liba.so",) * 5000)))


def test_mutated_files_end_in_our_own_errors(compilers: Compilers) -> None:
    """Whatever bytes are changed in real files, reading ends soon, in a value or in our own error."""
    choose = random.Random(3)  # noqa: S311  # reproducible, not secret
    seeds = [
        *FIXTURES.values(),
        compilers.c(HELLO).read_bytes(),
        compilers.c(HELLO, "-static-pie").read_bytes()[:400000],
    ]
    for _ in range(1500):
        data = bytearray(choose.choice(seeds))
        for _ in range(choose.randint(1, 6)):
            at = choose.randrange(min(len(data), choose.choice((64, 1024, len(data)))))
            data[at] = choose.choice((0, 1, 0x7F, 0x80, 0xFF, choose.randrange(256)))
        with contextlib.suppress(BadInput):
            read_dynamic(BytesReader(bytes(data)))
