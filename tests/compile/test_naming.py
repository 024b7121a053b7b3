"""Tests of recipes/compile/naming.py, and of reading what anybody may have written into a project's files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recipes.compile.files import text_of
from recipes.compile.gostamps import version_stamps
from recipes.compile.missing import advice
from recipes.compile.naming import declared_names, fixes_of, given_names, patches_of
from recipes.compile.systems import extras


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_the_names_of_a_source_package(tmp_path: Path) -> None:
    """The folder's, then Debian's, each also without its version; a name that no file can have is none."""
    folder = tmp_path / "It-1.2"
    write(folder, {"debian/control": "# of it\nSource: other2\nSection: misc\nSource: third\n"})
    assert given_names(folder) == ("It-1.2", "it-1.2", "It", "it", "other2", "other")
    write(folder, {"debian/control": f"Source: {'x' * 256}"})
    assert given_names(folder) == ("It-1.2", "it-1.2", "It", "it")
    write(folder, {"debian/control": "Source: last"})
    assert given_names(folder)[-1] == "last"


@pytest.mark.parametrize("text", ['{"descriptive_name": "it"', "[]", "{}", ""])
def test_what_meson_did_not_write(tmp_path: Path, text: str) -> None:
    """A damaged description names nothing, and the others still count."""
    write(tmp_path, {"meson-info/intro-projectinfo.json": text, "configure": "PACKAGE_NAME='It'\n"})
    assert declared_names(tmp_path) == ("It", "it")


def test_the_patches_of_a_source_package(tmp_path: Path) -> None:
    """In their order, without comments; none from outside; and those of them that fix something."""
    series = "one.patch\n# two.patch\n\nthree -p1 # why\n/etc/passwd\n../../secret\nCVE-2026-1.patch\ngone.patch\n"
    write(tmp_path, {"debian/patches/series": series, "debian/patches/one.patch": "+++ b/x\n"})
    write(tmp_path, {"debian/patches/three": "Description: fix cve-2026-12345\n", "secret": "CVE-2026-9"})
    names = ("one.patch", "three", "CVE-2026-1.patch", "gone.patch")
    assert patches_of(tmp_path) == tuple(tmp_path / "debian/patches" / name for name in names)
    assert [path.name for path in fixes_of(tmp_path)] == ["three", "CVE-2026-1.patch"]
    assert patches_of(tmp_path / "nothing") == ()


def test_what_has_no_text(tmp_path: Path) -> None:
    """A pipe, which would be waited for, a folder, and what is not there; bytes that are no text are replaced."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bytes").write_bytes(b"\xffa\r\nb")
    assert [text_of(tmp_path / name) for name in ("pipe", ".", "gone")] == ["", "", ""]
    assert text_of(tmp_path / "bytes") == "�a\nb"


def test_text_that_is_made_to_take_long(tmp_path: Path) -> None:
    """Each would take hours if it was looked at again and again from each of its lines or words."""
    size = 1 << 20
    write(tmp_path, {"main.go": "package main\n" + "var (\n" * size, ".goreleaser.yml": "\n" * size})
    assert version_stamps("example.org/app", "example.org/app", "v1.2.3", tmp_path, {}) == ()
    write(tmp_path, {"CMakeLists.txt": "\n" * size + "set(tests" + " " * size, "meson.options": "\n" * size})
    assert (extras.of_cmake(tmp_path), tuple(extras.of_meson(tmp_path))) == ((), ())
    assert advice(["-a" * 2000], "configure: error: " + "-a" * 2000, own_libc=False) == ""
