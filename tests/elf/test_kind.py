"""Tests of recipes/elf/kind.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recipes.elf.kind import kind_of
from tests.compilers import Compilers

FIXTURES = Path(__file__).parent / "fixtures"
HELLO = "int main(void) { return 0; }"


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ((), "program"),
        (("-no-pie",), "program"),
        (("-static",), "program"),
        (("-static-pie",), "program"),
        (("-shared", "-fPIC"), "library"),
        (("-c",), "object"),
        (("-r", "-nostdlib"), "object"),
    ],
)
def test_what_gcc_makes(compilers: Compilers, flags: tuple[str, ...], kind: str) -> None:
    """A program is one however it is linked, also without an interpreter; a library and an object file are not."""
    assert kind_of(compilers.c(HELLO, *flags)) == (kind, {"x86_64": 62, "aarch64": 183}[os.uname().machine])


@pytest.mark.parametrize(
    ("name", "kind", "machine"),
    [
        ("i386-static", "program", 3),
        ("arm64-static-pie", "program", 183),
        ("s390x-dynamic", "program", 22),
        ("mips-library", "library", 8),
        ("ppc64-library", "library", 21),
    ],
)
def test_every_class_and_byte_order(name: str, kind: str, machine: int) -> None:
    """The kind and the CPU are told for 32 and 64 bits, little and big endian."""
    assert kind_of(FIXTURES / name) == (kind, machine)


def test_no_content_is_an_error(tmp_path: Path) -> None:
    """Whatever bytes a file has, and however it ends, there is an answer; what is cut within its header is no ELF."""
    whole = (FIXTURES / "arm64-static-pie").read_bytes()
    file = tmp_path / "cut"
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert kind_of(file) in ((("", 0),) if length < 64 else (("program", 183), ("library", 183)))
        file.write_bytes(whole[:length] + b"\xff" * (len(whole) - length))
        assert kind_of(file)[0] in ("", "program", "library", "object")


def test_what_is_no_file_has_no_kind(tmp_path: Path) -> None:
    """A folder, a pipe that nothing writes to, and what is not there are answered without waiting."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "absent"):
        assert kind_of(path) == ("", 0)
