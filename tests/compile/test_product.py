"""Tests of recipes/compile/product.py: which of the files that a build system left is the program that is meant."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from recipes.architecture import architecture
from recipes.compile.product import Product, find, programs
from recipes.errors import BadInput
from recipes.model import Platform
from tests.compilers import Compilers

HERE = architecture(Platform.host().architecture).elf_machine
ELSEWHERE = 22
"""s390: no test of this project runs there."""


@pytest.fixture(scope="session")
def program(compilers: Compilers) -> Path:
    return compilers.c("int main(void) { return 0; }")


class Tree:
    """A build folder that is filled by hand."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder, self._program = folder, program
        folder.mkdir()

    def put(self, *names: str, mode: int = 0o755) -> None:
        for name in names:
            place = self.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._program, place)
            place.chmod(mode)

    def found(self, target: str = "", *, alone: bool = False) -> str:
        return str(find(Product(self.folder, target, HERE, alone), "it"))

    def error(self, target: str = "", *, alone: bool = False) -> tuple[str, str]:
        with pytest.raises(BadInput) as caught:
            self.found(target, alone=alone)
        return caught.value.message, caught.value.hint


@pytest.fixture
def tree(tmp_path: Path, program: Path) -> Tree:
    return Tree(tmp_path / "tree", program)


# ── what is a program ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_only_one_is_meant(tree: Tree) -> None:
    """Wherever it is."""
    tree.put("src/deep/app")
    assert tree.found() == "src/deep/app"


def test_what_is_no_program_does_not_count(tree: Tree, tmp_path: Path) -> None:
    """A script, a file that may not be executed, objects, libraries, links, and what compilers were tried out with."""
    tree.put("app", "conftest", "conftest.2", "unit.o", "plugin.so")
    tree.put("CMakeFiles/3.30/a.out", "meson-private/sanitycheck", "_deps/tool/tool", "sub/.deps/x", ".git/hook")
    tree.put("not-executable", mode=0o644)
    (tree.folder / "script").write_text("#!/bin/sh\n")
    (tree.folder / "script").chmod(0o755)
    (tree.folder / "link").symlink_to("app")
    (tree.folder / "nowhere").symlink_to("none")
    assert tree.found() == "app"


def test_what_a_build_makes_for_its_own_use_does_not_count(tree: Tree) -> None:
    """It runs on another CPU than the program that is asked for."""
    tree.put("app", "generator")
    with open(tree.folder / "generator", "r+b") as file:
        file.seek(18)  # e_machine
        file.write(ELSEWHERE.to_bytes(2, "little"))
    assert tree.found() == "app"
    assert programs(tree.folder, ELSEWHERE) == (Path("generator"),)


def test_several_names_are_one_program(tree: Tree) -> None:
    """Hard links, as git has a hundred of them, count under the first of the names."""
    tree.put("git")
    os.link(tree.folder / "git", tree.folder / "a-git-add")
    assert tree.found() == "a-git-add"


# ── which one is meant ───────────────────────────────────────────────────────────────────────────────────────────────


def test_none_at_all(tree: Tree) -> None:
    """A library alone is no program."""
    tree.put("libit.so")
    assert tree.error() == ("the build of it made no program for this platform", "does it build only a library?")
    assert tree.error("app")[0] == "it makes no program 'app'; it makes none"


def test_several_are_listed(tree: Tree) -> None:
    """In the order of their names; a few dozen of them, and how many more there are."""
    tree.put("b", "a/c")
    assert tree.error() == ("it makes 2 programs: a/c, b", "choose one with --target")
    tree.put(*(f"many/{number:02}" for number in range(40)))
    message, _ = tree.error()
    assert message.endswith("many/37 and 2 more")
    assert message.startswith("it makes 42 programs: a/c, b, many/00, ")


@pytest.mark.parametrize("target", ["app", "tools/app", "other"])
def test_a_target_is_a_path_or_a_name(tree: Tree, target: str) -> None:
    """What lies there is meant, whatever else is called so; a name alone finds the only one that has it."""
    tree.put("app", "tools/app", "deep/down/other")
    assert tree.found(target) == {"other": "deep/down/other"}.get(target, target)


def test_a_name_that_several_have(tree: Tree) -> None:
    """They are listed as paths, which tell them apart."""
    tree.put("x/app", "y/app", "z/other")
    assert tree.error("app") == ("it makes several app: x/app, y/app", "give the path with --target")


def test_a_target_that_there_is_not(tree: Tree) -> None:
    """The programs that there are, and the nearest of them."""
    tree.put("server", "client")
    assert tree.error("sever") == ("it makes no program 'sever'; it makes client, server", "did you mean 'server'?")


def test_what_was_built_alone_may_have_any_name(tree: Tree) -> None:
    """Where nothing but the target was built, the only program is it; not where there are two."""
    tree.put("the-client")
    assert tree.found("client", alone=True) == "the-client"
    assert "no program 'client'" in tree.error("client")[0]
    tree.put("another")
    assert "no program 'client'" in tree.error("client", alone=True)[0]
