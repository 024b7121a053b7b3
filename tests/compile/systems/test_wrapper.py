"""Tests of recipes/compile/systems/wrapper.py: what the real compiler is given for each kind of call."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.compile.recipe import RECIPES
from recipes.compile.systems import wrapper
from recipes.compile.toolchains import compiler
from recipes.model import Command
from recipes.support import shell

RECIPE = RECIPES["zig-static-small"]


def given(folder: Path, *words: str) -> list[str]:
    """The words that reach the compiler when a build system calls it with `words`."""
    (folder / "show").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (folder / "show").chmod(0o755)
    driver = (str(folder / "show"),)
    text = wrapper.script(RECIPE, compiler(RECIPE.toolchain), driver, folder, archivers_know_lto=True)
    (folder / "recipe-cc").write_text(text)
    (folder / "recipe-cc").chmod(0o755)
    done = shell.check(Command((str(folder / "recipe-cc"), *words), folder))
    return done.stdout.decode().splitlines()


def test_a_file_alone_is_compiled_and_linked(tmp_path: Path) -> None:
    """`cc file.c` makes a program, so it gets the recipe's flags: without them zig would build its libraries anew."""
    words = given(tmp_path, "CMakeCCompilerId.c")
    assert "CMakeCCompilerId.c" in words
    assert {*RECIPE.compile_flags, *RECIPE.link_flags} <= set(words)


@pytest.mark.parametrize("words", [(), ("-v",), ("-V",), ("--version",), ("-dumpmachine",)])
def test_a_question_is_passed_on(words: tuple[str, ...], tmp_path: Path) -> None:
    """What asks the compiler about itself compiles nothing, and reaches it as it is."""
    assert given(tmp_path, *words) == list(words or [""])
