"""Tests of recipes/elf/search.py: a program that embeds another one does not need what that one needs."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from recipes.elf.markers import Traits, examine, examine_reader
from recipes.elf.search import embedded_files
from recipes.elf.segments import BytesReader
from tests.compilers import Compilers
from tests.verdict import programs

GO_EMBEDS = """package main

import (
	_ "embed"
	"os"
)

//go:embed data
var data []byte

func main() { os.Stdout.Write(data[:4]) }
"""


def embedding(compilers: Compilers, data: Path, *flags: str, keyword: str = "const") -> Path:
    """A static C program with a file in its data: read-only, or, as `xxd -i` writes it, writable."""
    section = ".rodata" if keyword else ".data"
    source = f"""
    __asm__(".pushsection {section}\\n .balign 16\\n data: .incbin \\"{data}\\"\\n .balign 16\\n end:\\n .popsection");
    extern {keyword} char data[], end[];
    #include <unistd.h>
    int main(void) {{ return write(1, data, end - data) < 0; }}
    """
    return compilers.c(source, "-static", "-O2", *flags)


def needs(traits: Traits) -> tuple[object, ...]:
    return traits.go, traits.libc, traits.strings - {"glibc"}, traits.openssl_dir, traits.locales


@pytest.mark.parametrize("keyword", ["const", ""])
@pytest.mark.parametrize("flags", [(), ("-Wl,-z,noseparate-code",)])
def test_an_embedded_program_is_not_its_own(compilers: Compilers, keyword: str, flags: tuple[str, ...]) -> None:
    """A C program with users, with UTF-8 names, and one in Go, in the data of one that needs nothing."""
    plain = needs(examine(compilers.c(programs.HELLO_C, "-static", "-O2")))
    for inner in (
        compilers.c(programs.C_USER, "-static", "-O2"),
        compilers.stripped(compilers.c(programs.C_UTF8, "-static", "-O2")),
        compilers.go(programs.GO_ZONE, "-ldflags=-s -w"),
    ):
        assert needs(examine(inner)) != plain
        outer = embedding(compilers, inner, *flags, keyword=keyword)
        assert outer.read_bytes().count(inner.read_bytes()) == 1
        assert needs(examine(outer)) == plain
        assert needs(examine(compilers.stripped(outer))) == plain


def test_a_c_library_of_an_embedded_program(compilers: Compilers) -> None:
    """A program with musl's strings that embeds one with glibc keeps all of its own, wherever they stand."""
    inner = compilers.c(programs.HELLO_C, "-static", "-O2")
    held = 'const char texts[] = "No error information\\0/etc/passwd\\0/etc/services\\0x";'
    data = f'__asm__(".pushsection .rodata\\n .incbin \\"{inner}\\"\\n .popsection");'
    for source in (f"{held} {data}", f"{data} {held}"):
        found = examine(compilers.c(f"{source} void _start(void) {{}}", "-static", "-nostdlib"))
        assert found.libc == "musl"
        assert found.strings == {"musl", "/etc/passwd", "/etc/services"}


def test_what_stands_behind_an_embedded_program_is_its_own(compilers: Compilers) -> None:
    """The search goes on where the embedded file ends."""
    inner = compilers.c(programs.HELLO_C, "-static", "-O2")
    for kept in ("/usr/share/zoneinfo", "en_US.UTF-8"):
        data = bytearray(embedding(compilers, inner).read_bytes())
        end = data.find(inner.read_bytes()) + inner.stat().st_size
        text = b"\0" + kept.encode() + b"\0"
        data[end : end + len(text)] = text
        found = examine_reader(BytesReader(bytes(data)))
        assert ("zoneinfo" in found.strings) is (kept[0] == "/")
        assert found.locales == (() if kept[0] == "/" else (kept,))


def test_data_behind_the_last_section_is_not_loaded(compilers: Compilers, tmp_path: Path) -> None:
    """What is appended to a program, as self-extracting ones do, is not looked at."""
    outer = compilers.c(programs.HELLO_C, "-static", "-O2")
    for inner in (compilers.c(programs.C_USER, "-static", "-O2"), compilers.go(programs.GO_ZONE, "-ldflags=-s -w")):
        both = tmp_path / inner.parent.name
        both.write_bytes(outer.read_bytes() + bytes(-outer.stat().st_size % 4096) + inner.read_bytes())
        assert needs(examine(both)) == needs(examine(outer))


@pytest.mark.parametrize("mode", ["exe", "pie"])
def test_a_go_program_that_embeds_another(compilers: Compilers, tmp_path: Path, mode: str) -> None:
    """go:embed of a Go program with zones and a stub: none of its functions is the outer one's."""
    flags = ("-ldflags=-s -w", f"-buildmode={mode}")
    for source, function in ((programs.GO_ZONE, "time.LoadLocation"), (programs.GO_STUB, "")):
        inner = compilers.go(source, "-ldflags=-s -w").read_bytes()
        go = examine(compilers.go_embedding(GO_EMBEDS, inner, *flags)).go
        assert go is not None
        assert go.links("os.(*File).Write")
        assert not go.has_cgo_stub
        assert not function or not go.links(function)


def test_fragments_are_no_files(compilers: Compilers) -> None:
    """A magic number, a header, a file that is cut off: strings behind them still count."""
    program = compilers.c(programs.HELLO_C).read_bytes()
    for fragment in (b"\x7fELF", program[:64], program[:-1], b"\x7fELF\2\1\1" + bytes(64), b"\x7fELF\xff" + bytes(64)):
        assert embedded_files(BytesReader(b"." + fragment), 0, 1 + len(fragment)) == []
    assert embedded_files(BytesReader(b"." + program), 0, 1 + len(program)) == [(1, 1 + len(program))]
    assert embedded_files(BytesReader(program), 0, len(program)) == []  # itself


def test_many_headers_cost_little() -> None:
    """A megabyte of headers that each claim a long table is given up on."""
    header = struct.pack(
        "<4s5B7xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, 2, 62, 1, 0, 64, 0, 0, 64, 56, 1000, 64, 0, 0
    )
    data = header * (1 << 14)
    assert embedded_files(BytesReader(data), 0, len(data)) == []
