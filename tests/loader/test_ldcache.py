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


# ── written here, byte by byte: what no ldconfig of this machine writes ──────────────────────────────────────────────

AMD64, TLS = 0x0303, 1 << 63
NAMED = 1 << 62
"""Bit 30 of the upper half: the lower half is the number of a glibc-hwcaps folder's name."""


def old_cache(*entries: tuple[str, str], order: str = "<") -> bytes:
    """The format of libc5's times: names are counted from the end of the table."""
    strings, table = b"", b""
    for name, path in entries:
        table += struct.pack(f"{order}iII", AMD64, len(strings), len(strings) + len(name) + 1)
        strings += f"{name}\0{path}\0".encode()
    return b"ld.so-1.7.0\0" + struct.pack(f"{order}I", len(entries)) + table + strings


def new_cache(
    *entries: tuple[str, str, int],
    hwcaps: tuple[str, ...] = (),
    order: str = "<",
    mark: int | None = None,
    sections: tuple[int, ...] = (1,),
) -> bytes:
    """glibc's format: names are counted from the start. An entry is a name, its path and what hardware it asks for.

    `sections` are the kinds of the extension's sections, of which those of kind 1 list `hwcaps`.
    """
    mark = (2 if order == "<" else 3) if mark is None else mark
    start = 48 + 24 * len(entries)
    strings, table = b"", b""
    for name, path, hardware in entries:
        key = start + len(strings)
        table += struct.pack(f"{order}iIIIQ", AMD64, key, key + len(name) + 1, 0, hardware)
        strings += f"{name}\0{path}\0".encode()
    numbers = []
    for name in hwcaps:
        numbers.append(start + len(strings))
        strings += f"{name}\0".encode()
    at = start + len(strings)
    extension = b""
    if hwcaps:
        extension = struct.pack(f"{order}II", 0xEAA42174, len(sections))
        behind = at + 8 + 16 * len(sections)
        for kind in sections:
            extension += struct.pack(f"{order}IIII", kind, 0, behind if kind == 1 else at, 4 * len(hwcaps))
        extension += struct.pack(f"{order}{len(hwcaps)}I", *numbers)
    head = struct.pack(f"{order}IIB3xI12x", len(entries), len(strings), mark, at if hwcaps else 0)
    return b"glibc-ld.so.cache1.1" + head + table + strings + extension


def listed(data: bytes, *, little_endian: bool = True) -> list[tuple[str, str]]:
    """Each path with its glibc-hwcaps folder, in the order of the file."""
    cache = read_ldcache(data, little_endian=little_endian)
    return [(entry.path, entry.hwcap) for entries in cache.entries.values() for entry in entries]


LEVELS = ("x86-64-v2", "x86-64-v3")
FOR_LEVELS = (("liba.so", "/plain", 0), ("liba.so", "/two", NAMED | 0), ("liba.so", "/three", NAMED | 1))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("sections", [(1,), (0, 1), (0, 7, 1)])
def test_an_entry_names_its_hwcaps_folder_by_number(order: str, sections: tuple[int, ...]) -> None:
    """In either byte order, and whatever other sections the extension has."""
    data = new_cache(*FOR_LEVELS, hwcaps=LEVELS, order=order, sections=sections)
    assert listed(data, little_endian=order == "<") == [
        ("/plain", ""),
        ("/two", "x86-64-v2"),
        ("/three", "x86-64-v3"),
    ]


def test_the_best_folder_that_the_cpu_uses() -> None:
    """The machine's order of folders decides, not the file's; without folders of the machine the baseline is left."""
    cache = read_ldcache(new_cache(*FOR_LEVELS, hwcaps=LEVELS))
    assert cache.find("liba.so", "amd64", 64, ("x86-64-v3", "x86-64-v2")) == "/three"
    assert cache.find("liba.so", "amd64", 64, ("x86-64-v2",)) == "/two"
    assert cache.find("liba.so", "amd64", 64) == "/plain"
    only = read_ldcache(new_cache(*FOR_LEVELS[1:], hwcaps=LEVELS))
    assert only.find("liba.so", "amd64", 64) is None


def test_a_new_format_behind_the_old_one() -> None:
    """The new one counts, with its names counted from its own start, which is the next multiple of eight."""
    for name in ("liba.so", "liba.so.1", "liba.so.12"):
        old = old_cache((name, "/old"), (f"{name}.x", "/old"))
        assert listed(old) == [("/old", ""), ("/old", "")]
        table = len(old) - len(f"{name}\0/old\0{name}.x\0/old\0")
        behind = old[:table].ljust(-(-table // 8) * 8, b"\0") + new_cache(*FOR_LEVELS, hwcaps=LEVELS)
        assert listed(behind) == [("/plain", ""), ("/two", "x86-64-v2"), ("/three", "x86-64-v3")]


@pytest.mark.parametrize(("order", "mark", "used"), [
    ("<", 0, True), ("<", 1, False), ("<", 2, True), ("<", 3, False), ("<", 6, True),
    (">", 0, True), (">", 1, False), (">", 2, False), (">", 3, True),
])  # fmt: skip
def test_the_mark_of_the_byte_order(order: str, mark: int, used: bool) -> None:
    """0 is from before there was one, 1 is invalid, 2 little and 3 big; only two bits of it count."""
    data = new_cache(("liba.so", "/a", 0), order=order, mark=mark)
    assert listed(data, little_endian=order == "<") == ([("/a", "")] if used else [])


def test_marks_of_hardware() -> None:
    """Entries with marks that the machine has not are passed over, up to all of them; those after them count."""
    entries = (("liba.so", "/both", TLS | 2), ("liba.so", "/avx512_1", 4), ("liba.so", "/tls", TLS))
    cache = read_ldcache(new_cache(*entries, ("liba.so", "/plain", 0)))
    found = {marks: cache.find("liba.so", "amd64", 64, hardware=marks) for marks in (TLS | 2, TLS, 2, 0)}
    assert found == {TLS | 2: "/both", TLS: "/tls", 2: "/plain", 0: "/plain"}


def test_what_the_file_in_a_hwcaps_folder_asks_for() -> None:
    """ldconfig writes its own level beside the folder: an entry above that of the CPU is passed over."""
    entries = (("liba.so", "/three", NAMED | 3 << 32 | 0), ("liba.so", "/two", NAMED | 1 << 32 | 0))
    cache = read_ldcache(new_cache(*entries, hwcaps=("x86-64-v2",)))
    found = [cache.find("liba.so", "amd64", 64, ("x86-64-v2",), level=level) for level in (2, 4)]
    assert found == ["/two", "/three"]


def test_the_last_entry_without_the_loaders_own_mark() -> None:
    """It takes the first with its mark; of those that only fit, the last."""
    entries = (("liba.so", "/one", 0), ("liba.so", "/two", 0), ("liba.so", "/three", 0))
    for marks, path in (((1, 1, 1), "/three"), ((1, 0x303, 0x303), "/two"), ((0x303, 1, 1), "/one")):
        data = new_cache(*entries)
        for (_, where, _), mark in zip(entries, marks, strict=True):
            at = data.index(where.encode() + b"\0")
            entry = data.index(struct.pack("<I", at)) - 8
            data = data[:entry] + struct.pack("<i", mark) + data[entry + 4 :]
        assert read_ldcache(data).find("liba.so", "amd64", 64) == path


def test_a_folder_that_the_extension_does_not_name() -> None:
    """Its entries are passed over; those after them count. So is every folder where the extension is not one."""
    missing = ("liba.so", "/none", NAMED | 2)
    data = new_cache(missing, *FOR_LEVELS, hwcaps=LEVELS)
    named = [("/plain", ""), ("/two", "x86-64-v2"), ("/three", "x86-64-v3")]
    assert listed(data) == named
    for other in (
        data.replace(struct.pack("<I", 0xEAA42174), bytes(4)),
        new_cache(missing, *FOR_LEVELS, hwcaps=LEVELS, sections=(2,)),
        data[: data.index(struct.pack("<I", 0xEAA42174)) + 7],
        data[: data.index(struct.pack("<I", 0xEAA42174)) + 8 + 15],
        data[:-1],
        data.replace(struct.pack("<I", 8) + data[-8:], struct.pack("<I", 7) + data[-8:]),  # no whole number of names
    ):
        assert listed(other) == named[:1]


def test_a_folder_whose_name_is_outside_of_the_file() -> None:
    """Its entries are nobody's: they are not those of the baseline."""
    data = new_cache(*FOR_LEVELS, hwcaps=LEVELS)
    lost = data[:-8] + struct.pack("<I", len(data)) + data[-4:]
    assert [path for path, hwcap in listed(lost) if hwcap in ("", *LEVELS)] == ["/plain", "/three"]


def test_where_a_cache_ends() -> None:
    """A table that ends with the file is read; one entry more than there is room for makes the file no cache."""
    data = new_cache(("liba.so", "/a", 0))
    assert listed(data) == [("/a", "")]
    assert listed(data[:-1]) == []  # the last name has no end
    assert listed(_counting(data, 20, 2)) == []
    # Names may be anywhere: of a table without any behind it, the head of the file is one.
    full = data[:48] + struct.pack("<iIIIQ", AMD64, 0, 0, 0, 0)
    assert listed(full) == [("glibc-ld.so.cache1.1\1", "")]
    assert listed(full[:-1]) == []
    old = old_cache(("liba.so", "/a"))
    assert listed(old) == [("/a", "")]
    assert listed(old[:-1]) == []
    assert listed(_counting(old, 12, 3)) == []


def _counting(data: bytes, at: int, entries: int) -> bytes:
    return data[:at] + struct.pack("<I", entries) + data[at + 4 :]


def test_names_that_overlap_are_not_copied_without_end() -> None:
    """All names together may cost eight times the file: what goes past that is left out, as no ldconfig writes it."""
    long = "x" * 4000
    fits = new_cache(*((long, f"/{number}", 0) for number in range(4)))
    assert [path for path, _ in listed(fits)] == ["/0", "/1", "/2", "/3"]
    one = new_cache((long, "/a", 0), *((("b", "/b", 0),) * 500))
    table = bytearray(one)
    for number in range(1, 501):  # the same long name again and again
        table[48 + 24 * number + 4 : 48 + 24 * number + 8] = one[52:56]
    found = listed(bytes(table))
    assert 0 < len(found) < 500
    assert sum(len(long) for _ in found) <= 8 * len(one)
