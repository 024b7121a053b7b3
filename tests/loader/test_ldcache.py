"""Tests of recipes/loader/ldcache.py: caches that the real ldconfig wrote."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from recipes.loader.ldcache import Cached, LdCache, read_ldcache
from recipes.model import Command
from recipes.support import shell
from tests.compilers import Compilers
from tests.need import need


def ldconfig() -> str:
    tool = shutil.which("ldconfig", path="/sbin:/usr/sbin")
    need(tool, "ldconfig")
    return str(tool)


@pytest.fixture
def root(compilers: Compilers, tmp_path: Path) -> Path:
    """A root with one library in two folders, and in a folder for better CPUs."""
    library = compilers.c("int answer(void) { return 42; }", "-shared", "-fPIC", "-Wl,-soname,libanswer.so.1")
    for folder in ("opt/first", "opt/second", "opt/second/glibc-hwcaps/x86-64-v3"):
        (tmp_path / folder).mkdir(parents=True)
        shutil.copy(library, tmp_path / folder / "libanswer.so.1")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ld.so.conf").write_text("/opt/first\n/opt/second\n")
    return tmp_path


def write(root: Path, form: str) -> bytes:
    shell.check(Command((ldconfig(), "-r", str(root), "-X", "-c", form)))
    return (root / "etc/ld.so.cache").read_bytes()


@pytest.mark.parametrize("form", ["old", "new", "compat"])
def test_every_format(root: Path, form: str) -> None:
    """The old format, the new one, and both in one file name the same library at the same path."""
    shutil.rmtree(root / "opt/second/glibc-hwcaps")  # the old format cannot tell it from the others
    cache = read_ldcache(write(root, form))
    assert cache.find("libanswer.so.1", "amd64", 64) == "/opt/first/libanswer.so.1"
    assert cache.find("libanswer.so.2", "amd64", 64) is None
    assert cache.find("libanswer.so.1", "amd64", 32) is None
    assert cache.find("libanswer.so.1", "arm64", 64) is None


def test_folders_for_better_cpus(root: Path) -> None:
    """The entry of a glibc-hwcaps folder is for machines that use it, and then comes first."""
    cache = read_ldcache(write(root, "new"))
    need(any(entry.hwcap for entry in cache.entries["libanswer.so.1"]), "an ldconfig of glibc 2.33 or newer")
    better = "/opt/second/glibc-hwcaps/x86-64-v3/libanswer.so.1"
    assert cache.find("libanswer.so.1", "amd64", 64, ("x86-64-v3", "x86-64-v2")) == better
    assert cache.find("libanswer.so.1", "amd64", 64, ("x86-64-v2",)) == "/opt/first/libanswer.so.1"


@pytest.mark.parametrize(
    ("architecture", "bits", "e_flags", "marks"),
    [
        ("arm", 32, 0x05000400, {0x0003, 0x0903}),
        ("arm", 32, 0x05000200, {0x0003, 0x0B03}),
        ("riscv64", 64, 0x5, {0x1003}),
        ("riscv64", 64, 0x1, {0x0F03}),
        ("ppc64", 64, 1, {0x0503}),
        ("ppc64le", 64, 2, {0x0503}),
        ("loong64", 64, 0x43, {0x1203}),
        ("mips64le", 64, 0x80000007, {0x0703}),
        ("mips64le", 64, 0x80000407, {0x0E03}),
        ("mips64le", 32, 0x80000027, {0x0603}),
        ("mipsle", 32, 0x70001007, {0x0003}),
        ("mips", 32, 0x70001407, {0x0C03}),
    ],
)
def test_each_calling_convention_has_its_mark(architecture: str, bits: int, e_flags: int, marks: set[int]) -> None:
    """What ldconfig writes for libraries of a CPU is taken by the loader of the same calling convention alone."""
    every = (*range(0x0003, 0x1300, 0x100),)
    entries: dict[str, tuple[Cached, ...]] = {hex(mark): (Cached(f"/lib/{mark:04x}", mark),) for mark in every}
    taken = {mark for mark in every if LdCache(entries).find(hex(mark), architecture, bits, e_flags=e_flags)}
    assert taken == marks


def test_this_machines_own() -> None:
    """All that ldconfig -p prints is there, in its order, and every path is the same."""
    path = Path("/etc/ld.so.cache")
    need(path.exists(), "/etc/ld.so.cache")
    cache = read_ldcache(path.read_bytes())
    printed: dict[str, list[str]] = {}
    for line in shell.check(Command((ldconfig(), "-p"))).stdout.decode().splitlines():
        name, arrow, where = line.strip().partition(" => ")
        if arrow:
            printed.setdefault(name.partition(" ")[0], []).append(where)
    assert {name: [entry.path for entry in entries] for name, entries in cache.entries.items()} == printed


def test_what_is_no_cache_is_empty(root: Path) -> None:
    """Cut, counted too high, of the other byte order or something else: as glibc does, it is ignored."""
    new, old = write(root, "new"), write(root, "old")
    assert read_ldcache(b"") == read_ldcache(b"hello" * 100) == LdCache({})
    assert read_ldcache(new[:40]) == read_ldcache(old[:14]) == LdCache({})
    many = struct.pack("<I", 0xFFFFFFFF)
    assert read_ldcache(new[:20] + many + new[24:]) == LdCache({})
    assert read_ldcache(old[:12] + many + old[16:]) == LdCache({})
    assert read_ldcache(new, little_endian=False) == LdCache({})
    for length in range(0, len(new), 3):
        read_ldcache(new[:length])
