"""Tests of recipes/loader/objects.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.architecture import Kind
from recipes.elf.dynamic import read_dynamic
from recipes.elf.segments import BytesReader
from recipes.loader.glibcpaths import machine_of
from recipes.loader.objects import objects_of
from recipes.rootfs.root import RootFs
from tests.elf.fixtures.make import SONAME, make_elf


@pytest.mark.parametrize(
    ("machine", "level", "folders"),
    [
        (62, 3, ("x86-64-v3", "x86-64-v2")),
        (62, 1, ()),
        (22, 3, ("z14", "z13")),
        (21, 2, ("power9",)),
        (3, 4, ()),
        (183, 4, ()),
    ],
)
def test_each_cpu_has_its_own_hwcaps_folders(machine: int, level: int, folders: tuple[str, ...]) -> None:
    """Those of its level and below, the best first."""
    assert machine_of((), Kind(level=level), machine, (2, 33)).hwcaps == folders
    assert machine_of((), Kind(level=level), machine, ()).hwcaps == ()  # of before there were any


@pytest.mark.parametrize(
    ("machine", "bits", "of_loader", "of_library", "taken"),
    [
        (40, 32, 0x05000400, 0x05000400, True),
        (40, 32, 0x05000400, 0x05000000, True),
        (40, 32, 0x05000400, 0x05000200, False),
        (40, 32, 0x05000200, 0x05000400, False),
        (243, 64, 5, 5, True),
        (243, 64, 5, 4, True),
        (243, 64, 5, 1, False),
        (21, 64, 2, 2, True),
        (21, 64, 2, 0, True),
        (21, 64, 2, 1, False),
        (8, 64, 0x80000007, 0x60000007, True),
        (8, 64, 0x80000007, 0x80000407, False),
        (8, 32, 0x70001007, 0x70001027, False),
        (62, 64, 0, 7, True),
    ],
)
def test_libraries_of_another_calling_convention_are_passed_over(
    tmp_path: Path, machine: int, bits: int, of_loader: int, of_library: int, taken: bool
) -> None:
    """e_flags names it; on arm and ppc64 a library that names none fits all."""

    def file(flags: int) -> bytes:
        return make_elf(bits=bits, machine=machine, entry=0, names=((SONAME, b"liba.so"),), flags=flags)

    (tmp_path / "liba.so").write_bytes(file(of_library))
    root = RootFs.from_directory(tmp_path)
    opened = objects_of(root).open("/liba.so", read_dynamic(BytesReader(file(of_loader))))
    assert not opened.error
    assert (opened.object is not None) == taken
