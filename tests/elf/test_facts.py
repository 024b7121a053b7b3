"""Tests of recipes/elf/facts.py."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import struct
from pathlib import Path

import pytest

from recipes.elf.facts import read_elf
from recipes.errors import BadInput, NotElf, TruncatedElf
from recipes.model import Command, Linkage
from recipes.support import shell
from tests.compilers import Compilers, programs_of_this_machine
from tests.elf.fixtures.make import FIXTURES, make_elf
from tests.need import need_tool

HERE = Path(__file__).parent / "fixtures"
HELLO = "int main(void) { return 0; }"


def test_fixtures_are_what_their_script_makes() -> None:
    """The committed files and the script that stands beside them say the same."""
    for name, data in FIXTURES.items():
        assert (HERE / name).read_bytes() == data, name


@pytest.mark.parametrize(
    ("name", "bits", "machine", "linkage", "build_id"),
    [
        ("i386-dynamic", 32, "386", Linkage.DYNAMIC, None),
        ("arm-static", 32, "arm", Linkage.STATIC, None),
        ("arm64-static-pie", 64, "arm64", Linkage.STATIC_PIE, bytes(range(20)).hex()),
        ("riscv64-loader-only", 64, "riscv64", Linkage.LOADER_ONLY, None),
        ("s390x-dynamic", 64, "s390x", Linkage.DYNAMIC, bytes(20).hex()),
        ("ppc64-library", 64, "ppc64", Linkage.SHARED_LIBRARY, None),
        ("mips-library", 32, "mips", Linkage.SHARED_LIBRARY, None),
    ],
)
def test_every_class_and_byte_order_is_read(
    name: str, bits: int, machine: str, linkage: Linkage, build_id: str | None
) -> None:
    """32 and 64 bits, little and big endian: machine, linkage and build id are right in all four."""
    facts = read_elf(HERE / name)
    assert (facts.bits, facts.machine, facts.linkage, facts.build_id) == (bits, machine, linkage, build_id)
    assert facts.size == (HERE / name).stat().st_size
    assert facts.stripped


def test_paths_and_names_are_read_as_written() -> None:
    """rpath and runpath are split at colons, $ORIGIN stays; empty parts stay too, since the loader sees them."""
    facts = read_elf(HERE / "amd64-paths")
    assert facts.needed == ("liba.so", "libb.so")
    assert facts.rpath == ("/one", "$ORIGIN/two")
    assert facts.runpath == ("$ORIGIN/../lib", "", "/x")
    assert not facts.nx


def test_names_that_are_not_utf8_survive() -> None:
    """File names are bytes: what is not UTF-8 comes back as the same bytes."""
    facts = read_elf(HERE / "amd64-latin1-name")
    assert facts.interpreter is not None
    assert os.fsencode(facts.interpreter) == b"/lib/ld-\xe9.so"
    assert os.fsencode(facts.needed[0]) == b"lib\xff.so"


@pytest.mark.parametrize(
    ("flags", "linkage"),
    [
        ((), Linkage.DYNAMIC),
        (("-no-pie",), Linkage.DYNAMIC),
        (("-static",), Linkage.STATIC),
        (("-static-pie",), Linkage.STATIC_PIE),
        (("-shared", "-fPIC"), Linkage.SHARED_LIBRARY),
        (("-nostdlib", "-pie", "-Wl,-e,main", "-Wl,-dynamic-linker,/lib64/ld-linux-x86-64.so.2"), Linkage.LOADER_ONLY),
    ],
)
def test_linkage_of_what_gcc_builds(compilers: Compilers, flags: tuple[str, ...], linkage: Linkage) -> None:
    """Each row of the linkage table, as the real compiler makes it, stripped or not."""
    program = compilers.c(HELLO, *flags)
    facts = read_elf(program)
    assert facts.linkage is linkage
    assert not facts.stripped
    assert facts.needed == () or not linkage.is_static
    stripped = read_elf(compilers.stripped(program))
    assert (stripped.linkage, stripped.stripped) == (linkage, True)


@pytest.mark.parametrize(
    ("flags", "relro", "nx"),
    [
        (("-Wl,-z,norelro",), "none", True),
        (("-Wl,-z,relro,-z,lazy",), "partial", True),
        (("-Wl,-z,relro,-z,now",), "full", True),
        (("-Wl,-z,relro,-z,now", "-Wl,-z,execstack"), "full", False),
    ],
)
def test_hardening_of_what_gcc_builds(compilers: Compilers, flags: tuple[str, ...], relro: str, nx: bool) -> None:
    """RELRO and NX are what was asked of the linker."""
    facts = read_elf(compilers.c(HELLO, *flags))
    assert (facts.relro, facts.nx) == (relro, nx)


def test_a_file_without_section_headers_is_read(compilers: Compilers, tmp_path: Path) -> None:
    """Section headers that are gone, or lie, change nothing but whether it counts as stripped: the program runs."""
    program = compilers.c(HELLO)
    data = bytearray(program.read_bytes())
    whole = read_elf(program)
    for offset in (0, len(data) + 4096, 1 << 62):
        data[40:48] = offset.to_bytes(8, "little")
        bare = tmp_path / "bare"
        bare.write_bytes(data)
        facts = read_elf(bare)
        assert (facts.linkage, facts.needed, facts.build_id) == (whole.linkage, whole.needed, whole.build_id)
        assert facts.stripped


def test_whatever_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Missing, a folder, a FIFO, empty, text, an object file, a core dump: each is said in words, none is static."""
    fifo, empty, script = tmp_path / "fifo", tmp_path / "empty", tmp_path / "script"
    os.mkfifo(fifo)
    empty.write_bytes(b"")
    script.write_text("#!/bin/sh\n")
    for path in (tmp_path / "missing", tmp_path, fifo, Path("/dev/zero")):
        with pytest.raises(BadInput):
            read_elf(path)
    for path in (empty, script):
        with pytest.raises(NotElf, match="not an ELF file"):
            read_elf(path)
    for kind, words in ((1, "object file"), (4, "core dump")):
        (tmp_path / "odd").write_bytes(make_elf(kind=kind))
        with pytest.raises(NotElf, match=words):
            read_elf(tmp_path / "odd")


def test_every_truncation_is_an_error(compilers: Compilers, tmp_path: Path) -> None:
    """However short the file is cut, as long as a segment loses a byte, it is an error and never a static program."""
    for source in (HERE / "arm64-static-pie", HERE / "i386-dynamic", compilers.c(HELLO, "-static")):
        data = source.read_bytes()
        end = max(int(line.split()[1], 16) + int(line.split()[4], 16) for line in _loads(source))
        cut = tmp_path / "cut"
        for length in [*range(min(600, end)), *range(600, end, max(1, end // 50)), end - 1]:
            cut.write_bytes(data[:length])
            with pytest.raises((NotElf, TruncatedElf)):
                read_elf(cut)
        cut.write_bytes(data[:end])
        read_elf(cut)


def test_segments_that_nobody_loads_may_lie(compilers: Compilers, tmp_path: Path) -> None:
    """A note that ends behind the file's end keeps nobody from running the program, nor us from reading it."""
    data = bytearray(compilers.c(HELLO, "-static").read_bytes())
    table, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    notes = [at for at in range(table, table + count * size, size) if struct.unpack_from("<I", data, at) == (4,)]
    assert notes
    for at in notes:
        struct.pack_into("<Q", data, at + 8, len(data) + 4096)
    lying = tmp_path / "lying"
    lying.write_bytes(data)
    lying.chmod(0o755)
    assert read_elf(lying).linkage is Linkage.STATIC
    assert shell.run(Command((str(lying),))).exit_code == 0


def test_a_crafted_size_allocates_nothing(tmp_path: Path) -> None:
    """Numbers near 2^64 in any header field end in our own error, with no more memory than before."""
    data = (HERE / "amd64-paths").read_bytes()
    crafted = tmp_path / "crafted"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for at in range(16, len(data) - 8, 4):
        for value in (0xFFFFFFFFFFFFFFFF, 0x7FFFFFFFFFFFFFF0, 1 << 40, 0):
            crafted.write_bytes(data[:at] + value.to_bytes(8, "little") + data[at + 8 :])
            with contextlib.suppress(BadInput):
                read_elf(crafted)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10


def test_facts_agree_with_readelf() -> None:
    """binutils' readelf, another reader of the same headers, sees the same in the programs of this machine."""
    need_tool("readelf")
    programs = programs_of_this_machine()[::10]
    assert programs
    for program in programs:
        text = shell.check(Command(("readelf", "-Wldn", str(program)), env=(("LC_ALL", "C"),))).stdout.decode()
        facts = read_elf(program)
        interpreter = re.search(r"program interpreter: (.*)\]", text)
        assert facts.interpreter == (interpreter[1] if interpreter else None), program
        assert facts.needed == tuple(re.findall(r"\(NEEDED\).*\[(.*)\]", text)), program
        assert (
            facts.runpath == tuple(":".join(re.findall(r"\(RUNPATH\).*\[(.*)\]", text)).split(":")) or not facts.runpath
        )
        assert facts.pie == (" PIE" in "".join(re.findall(r"\(FLAGS_1\).*", text))), program
        build_id = re.search(r"Build ID: (\w+)", text)
        assert facts.build_id == (build_id[1] if build_id else None), program


def test_a_big_file_is_not_read_whole(compilers: Compilers, tmp_path: Path) -> None:
    """A 2 GB file is read by seeking: no more than a few megabytes come into memory."""
    big = tmp_path / "big"
    shutil.copy(compilers.c(HELLO, "-static"), big)
    os.truncate(big, 2 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read_elf(big).size == 2 << 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10


def _loads(path: Path) -> list[str]:
    text = shell.check(Command((need_tool("readelf"), "-Wl", str(path)), env=(("LC_ALL", "C"),))).stdout.decode()
    return [line for line in text.splitlines() if re.match(r"  [A-Z_]+ +0x", line)]
