"""Tests of recipes/rootfs/packages.py, against dpkg itself where it is there."""

from __future__ import annotations

import os
from pathlib import Path

from recipes.model import Command
from recipes.rootfs.packages import folders_beside
from recipes.rootfs.root import RootFs
from recipes.support import shell
from tests.need import need, need_tool

STATUS = """\
Package: it-core
Status: install ok installed
Source: it (1.2-3)
Depends: it-data (= 1.2-3), libc6 (>= 2.34) | libc6-udeb, other

Package: it-data
Source: it (1.2-3)
Pre-Depends: it-core

Package: other
Depends: it-core

Package: libc6
Source: glibc
"""


def root(tmp_path: Path, **lists: str) -> RootFs:
    """A root with dpkg's books: for each package its files, separated by blanks."""
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    for name, files in lists.items():
        (info / f"{name.replace('_', '-')}.list").write_text("".join(f"{file}\n" for file in files.split()))
    return RootFs.from_directory(tmp_path)


def test_folders_of_the_package_and_of_its_own_data(tmp_path: Path) -> None:
    """What the program's package has, and one of the same source that it depends on; not what is for people to read."""
    found = root(
        tmp_path,
        it_core="/. /usr /usr/bin /usr/bin/it /usr/lib/it /usr/lib/it/a /usr/share/doc/it /usr/share/doc/it/copyright",
        it_data="/. /usr/share/it /usr/share/it/b /usr/lib/x86_64-linux-gnu/it /usr/lib/x86_64-linux-gnu/it/c",
        other="/. /usr/lib/other /usr/lib/other/d",
    )
    assert folders_beside(found, "/usr/bin/it") == ("/usr/lib/it", "/usr/lib/x86_64-linux-gnu/it", "/usr/share/it")


def test_a_folder_of_many_is_nobodys_own(tmp_path: Path) -> None:
    """Where packages of more than three sources have files, it is shared; three may be one thing's plugins."""
    lists = {f"p{number}": "/usr/share/all /usr/share/all/x" for number in range(4)}
    extra = "".join(f"\nPackage: p{number}\n" for number in range(4))
    found = root(tmp_path, it_core="/usr/bin/it /usr/share/all /usr/share/all/it /usr/lib/it /usr/lib/it/a", **lists)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS + extra)
    assert folders_beside(found, "/usr/bin/it") == ("/usr/lib/it",)


def test_a_program_that_stands_in_such_a_folder(tmp_path: Path) -> None:
    """Several versions may be side by side there, each with a folder of its own."""
    found = root(tmp_path, it_core="/usr/lib/it/v1/bin/it /usr/lib/it/v1/lib/a /usr/lib/it/v1.conf")
    assert folders_beside(found, "/usr/lib/it/v1/bin/it") == ("/usr/lib/it/v1",)
    assert folders_beside(root(tmp_path / "b", it_core="/usr/lib/it/it /usr/lib/it/a"), "/usr/lib/it/it") == (
        "/usr/lib/it",
    )


def test_a_place_from_before_bin_was_a_link(tmp_path: Path) -> None:
    """dpkg wrote /bin/it down, and the file is /usr/bin/it now."""
    found = root(tmp_path, it_core="/bin /bin/it /usr/lib/it /usr/lib/it/a")
    assert folders_beside(found, "/usr/bin/it") == ("/usr/lib/it",)


def test_what_dpkg_does_not_know(tmp_path: Path) -> None:
    """A file of no package, a root without books, books without a status: nothing is said, and nothing breaks."""
    assert folders_beside(root(tmp_path / "a", it_core="/usr/bin/it /usr/lib/it/a"), "/usr/bin/another") == ()
    (tmp_path / "b").mkdir()
    assert folders_beside(RootFs.from_directory(tmp_path / "b"), "/usr/bin/it") == ()
    found = root(tmp_path / "c", it_core="/usr/bin/it /usr/lib/it/a")
    (tmp_path / "c/var/lib/dpkg/status").unlink()
    assert folders_beside(found, "/usr/bin/it") == ()


def test_perl_of_this_machine(tmp_path: Path) -> None:
    """The folders are those of the package that dpkg says has the program."""
    need(os.path.exists("/usr/bin/perl") and os.path.exists("/var/lib/dpkg/status"), "Debian's perl")
    owner = shell.check(Command((need_tool("dpkg"), "--search", "/usr/bin/perl"))).stdout.decode().partition(":")[0]
    files = shell.check(Command(("dpkg", "--listfiles", owner))).stdout.decode().split()
    folders = folders_beside(RootFs.from_directory(Path("/")), "/usr/bin/perl")
    assert folders
    assert set(folders) <= set(files)
