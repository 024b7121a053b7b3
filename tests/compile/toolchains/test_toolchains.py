"""Tests of recipes/compile/toolchains: what each answers, and what is found of it on this machine."""

from __future__ import annotations

import os
import re
from typing import get_args

import pytest

from recipes.compile.availability import available
from recipes.compile.recipe import RECIPES, CgoName, ToolchainName
from recipes.compile.toolchains import CGO_COMPILERS, TOOLCHAINS, compiler, gnu
from recipes.errors import BadInput, ToolMissing
from recipes.model import Command, Platform
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.need import need_tool


def test_every_name_has_its_toolchain() -> None:
    """Each toolchain that a recipe may name is there under its own name."""
    assert {name: kind.name for name, kind in TOOLCHAINS.items()} == {name: name for name in get_args(ToolchainName)}
    assert set(CGO_COMPILERS) == set(get_args(CgoName))


def test_go_compiles_no_c() -> None:
    """A recipe that would compile C++ with Go is an error, and is not built with something else."""
    with pytest.raises(BadInput, match="go compiles neither C nor C"):
        compiler("go")


@pytest.mark.parametrize("recipe", [recipe.name for recipe in RECIPES.values() if recipe.toolchain == "clang"])
def test_clang_builds_for_this_machine_alone(recipe: str, workspace: Workspace) -> None:
    """For another platform the error names a recipe that can."""
    error = available(RECIPES[recipe], Platform("linux", "s390x"), workspace)
    assert isinstance(error, ToolMissing)
    assert "builds only for this machine" in error.message
    assert "zig-static-small" in error.hint


def test_clang_finds_in_its_folders_what_it_names() -> None:
    """The libraries that are watched, looked up in the folders that clang lists, are those that it links."""
    clang = need_tool("clang++")
    for ours, its in zip(gnu.libraries(clang, listed=True).files, gnu.libraries(clang).files, strict=True):
        assert os.path.realpath(ours) == os.path.realpath(its)


def test_the_whole_of_clang_is_watched() -> None:
    """Where the driver is small, and the compiler in libraries of LLVM, another library is another compiler."""
    clang = need_tool("clang++")
    loaded = shell.check(Command((need_tool("ldd"), clang))).stdout.decode()
    watched = {path.rpartition("/")[2] for path, _ in TOOLCHAINS["clang"].probe(clang).watched}
    assert {"clang++", "ld", "libc.a"} <= watched
    assert set(re.findall(r"^\s*(lib(?:LLVM|clang)\S*) =>", loaded, re.MULTILINE)) <= watched
