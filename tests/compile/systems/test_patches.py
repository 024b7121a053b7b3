"""Tests of recipes/compile/systems/patches.py: what is left of Debian's patches in the copy of a source package."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.compile.systems import patches
from recipes.model import Command
from recipes.support import shell
from tests.need import need_tool

TIME = 1_000_000_000


def change(file: str, before: str, after: str, why: str = "") -> str:
    return f"{why}--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-{before}\n+{after}\n"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """One whose patches are applied: two build on each other, and between them one fixes a vulnerability."""
    need_tool("patch")
    (tmp_path / "debian/patches").mkdir(parents=True)
    files = {
        "debian/patches/series": "one\nfix\ntwo\n",
        "debian/patches/one": change("main.c", "first", "second"),
        "debian/patches/fix": change("safe.c", "open", "shut", "CVE-2026-0001\n"),
        "debian/patches/two": change("main.c", "second", "third"),
        "main.c": "third\n",
        "safe.c": "shut\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "link").symlink_to("gone")
    return tmp_path


def test_all_but_the_fixes_are_taken_out(package: Path) -> None:
    """The last one first; and no file is newer than another one, which `make` would build again for it."""
    done = shell.run(Command(patches.out(package, TIME), package))
    assert (done.exit_code, done.stderr) == (0, b"")
    assert ((package / "main.c").read_text(), (package / "safe.c").read_text()) == ("first\n", "shut\n")
    assert {path.stat().st_mtime for path in package.rglob("*") if not path.is_symlink()} == {TIME}
    assert not list(package.rglob("*.orig"))
    assert not (package / "gone").exists()


def test_a_patch_that_cannot_be_taken_out(package: Path) -> None:
    """The step fails, and with it this way to build; nothing waits for an answer."""
    (package / "main.c").write_text("other\n")
    assert shell.run(Command(patches.out(package, TIME), package)).exit_code != 0
