"""Tests of recipes/compile/systems: which planner a sample gets."""

from __future__ import annotations

from dataclasses import replace
from typing import cast, get_args

import pytest

from recipes.compile.plan import plan
from recipes.compile.recipe import RECIPES
from recipes.compile.systems import autotools, cmake, go, make, meson, planner_of, sources
from recipes.compile.systems.protocol import Planner
from recipes.errors import BadInput
from recipes.model import BuildSystem, Platform
from recipes.samples.reader import prebuilt
from recipes.support.workspace import Workspace
from tests.compile.programs import HELLO, write


def test_every_build_system_has_a_planner() -> None:
    """Each build system that a sample may name can be planned."""
    planners: tuple[Planner, ...] = (sources, cmake, meson, autotools, make, go)
    sample = prebuilt("/bin/sh")
    assert tuple(planner_of(replace(sample, build=name)) for name in get_args(BuildSystem)) == planners


def test_an_unknown_build_system_is_an_error(workspace: Workspace) -> None:
    """It is not taken for loose sources; the nearest known one is named."""
    sample = replace(write(workspace, {"main.cpp": HELLO}), build=cast(BuildSystem, "cmaek"))
    with pytest.raises(BadInput, match="unknown build system 'cmaek'") as caught:
        plan(sample, RECIPES["gcc-static"], Platform.host(), workspace)
    assert caught.value.hint == "did you mean 'cmake'?"


@pytest.mark.parametrize("recipe", ["go-static", "gcc-static"])
def test_a_recipe_for_another_language_is_an_error(recipe: str, workspace: Workspace) -> None:
    """C++ is not planned as Go nor Go as C++, and a program that is there already is not planned at all."""
    cpp = write(workspace, {"main.cpp": HELLO})
    go = write(workspace, {"main.go": "package main\n\nfunc main() {}\n"}, "other")
    wrong = cpp if RECIPES[recipe].language == "go" else go
    for sample in (wrong, prebuilt("/bin/sh")):
        with pytest.raises(BadInput, match=f"recipe {recipe} builds .*{sample.name} is"):
            plan(sample, RECIPES[recipe], Platform.host(), workspace)
