"""Tests of recipes/elf/golang.py."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from recipes.elf.golang import GoFacts, read_go
from recipes.elf.segments import BytesReader, FileReader, read_header
from recipes.model import Command
from recipes.support import shell
from tests.compilers import Compilers
from tests.elf.fixtures.make import FIXTURES
from tests.need import need_tool

SOURCE = """package main

import "time"

func main() {
	_, err := time.LoadLocation("Europe/Berlin")
	println(err == nil)
}
"""


def facts_of(path: Path) -> GoFacts | None:
    with FileReader(path) as reader:
        return read_go(reader, read_header(reader))


@pytest.mark.parametrize("flags", [(), ("-ldflags=-s -w", "-trimpath"), ("-buildmode=pie", "-trimpath")])
def test_build_information_is_what_go_says(compilers: Compilers, flags: tuple[str, ...]) -> None:
    """Version and settings are those of `go version -m`, in plain, stripped and position-independent programs."""
    program = compilers.go(SOURCE, *flags, trimmed=False)
    facts = facts_of(program)
    assert facts is not None
    told = shell.check(Command((need_tool("go"), "version", "-m", str(program)))).stdout.decode().splitlines()
    assert told[0].endswith(f": {facts.version}")
    settings = [line.split("\t")[2] for line in told if line.startswith("\tbuild\t")]
    assert settings
    assert {setting.partition("=")[0] for setting in settings} == set(facts.settings)
    assert facts.settings["CGO_ENABLED"] == "0"
    assert facts.path == "command-line-arguments"


@pytest.mark.parametrize(
    ("flags", "env"),
    [
        ((), ()),
        (("-ldflags=-s -w",), ()),
        (("-buildmode=pie", "-ldflags=-s -w"), ()),
        pytest.param(("-ldflags=-s -w",), (("GOARCH", "arm64"),), marks=pytest.mark.slow),
        pytest.param(("-ldflags=-s -w",), (("GOARCH", "386"),), marks=pytest.mark.slow),
        pytest.param(("-ldflags=-s -w",), (("GOARCH", "s390x"),), marks=pytest.mark.slow),
        pytest.param(("-ldflags=-s -w",), (("GOARCH", "riscv64"),), marks=pytest.mark.slow),
    ],
)
def test_function_names_survive(compilers: Compilers, flags: tuple[str, ...], env: tuple[tuple[str, str], ...]) -> None:
    """Linked functions are found, others are not: stripped, position-independent, other CPUs and byte orders."""
    facts = facts_of(compilers.go(SOURCE, *flags, env=env))
    assert facts is not None
    assert facts.links("time.LoadLocation")
    assert not facts.links("time.Load")
    assert not facts.links("crypto/x509.loadSystemRoots")
    assert not facts.links_package("time/tzdata")


@pytest.mark.parametrize("quantum", [1, 2, 4])
def test_a_cpus_smallest_instruction_is_what_the_table_says(compilers: Compilers, quantum: int) -> None:
    """Go 1.19 wrote 4 for riscv64, Go 1.26 writes 2: no CPU is held to one number."""
    data = compilers.go(SOURCE, "-ldflags=-s -w").read_bytes()
    start = struct.pack("<I", 0xFFFFFFF1) + bytes(2)
    assert data.count(start + bytes((1, 8))) == 1
    reader = BytesReader(data.replace(start + bytes((1, 8)), start + bytes((quantum, 8))))
    facts = read_go(reader, read_header(reader))
    assert facts is not None
    assert facts.links("time.LoadLocation")


def test_a_tag_links_its_package(compilers: Compilers) -> None:
    """-tags timetzdata is seen by the package that it links, and by the setting that -trimpath keeps."""
    facts = facts_of(compilers.go(SOURCE, "-tags=timetzdata"))
    assert facts is not None
    assert facts.links_package("time/tzdata")
    assert facts.settings["-tags"] == "timetzdata"


def test_a_program_without_sections_is_read(compilers: Compilers) -> None:
    """No section name is asked for: zeroed section headers change nothing."""
    data = bytearray(compilers.go(SOURCE, "-ldflags=-s -w").read_bytes())
    data[40:48] = bytes(8)
    reader = BytesReader(bytes(data))
    facts = read_go(reader, read_header(reader))
    assert facts is not None
    assert facts.links("time.LoadLocation")


def test_other_programs_are_not_go(compilers: Compilers) -> None:
    """C programs and tiny files are None, also one that holds the magic and nothing behind it."""
    assert facts_of(compilers.c("int main(void) { return 0; }")) is None
    reader = BytesReader(FIXTURES["amd64-paths"])
    assert read_go(reader, read_header(reader)) is None
    source = (
        r'char magic[64] __attribute__((aligned(16))) = "\xff Go buildinf:\b\2"; int main(void) { return magic[0]; }'
    )
    assert facts_of(compilers.c(source)) is None


EMBEDS = """package main

import (
	"fmt"
	"os"
	"time"
)

//go:noinline
func word(at int) uint32 {
	table := [...]uint32{0xFFFFFFF1, 0x08010000, 1, 0, 1, 0, 0, 0, 72, 0, 80, 0, 90, 0, 100, 0, 110, 0, 7, 7, 7, 7}
	return table[at]
}

func main() {
	_, e := time.LoadLocation("Europe/Berlin")
	fmt.Println(word(len(os.Args)), e)
}
"""


def test_an_embedded_table_is_not_the_programs_own(compilers: Compilers) -> None:
    """Read-only data that looks like a pclntab, before the real one: the names are those of the real one."""
    program = compilers.go(EMBEDS, "-ldflags=-s -w")
    table = struct.pack("<II5Q", 0xFFFFFFF1, 0x08010000, 1, 1, 0, 72, 80)
    data = program.read_bytes()
    assert 0 < data.find(table) < data.rfind(table[:8])
    facts = facts_of(program)
    assert facts is not None
    assert facts.links("time.LoadLocation")
