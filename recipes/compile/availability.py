"""Which recipes this machine can carry out, with what, and what is missing for the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from recipes.compile.recipe import RECIPES, Recipe, usual
from recipes.compile.toolchains import CGO_COMPILERS, TOOLCHAINS
from recipes.compile.toolchains.probe import find_toolchain
from recipes.compile.toolchains.protocol import Toolchain
from recipes.errors import RecipeError, ToolMissing
from recipes.model import Platform, Sample
from recipes.support.workspace import Workspace

if TYPE_CHECKING:
    from recipes.support.system import Found


def available(recipe: Recipe, platform: Platform, workspace: Workspace) -> RecipeError | None:
    """None where this machine can build `recipe` for `platform`; else the error that says why not, and what helps."""
    try:
        require(recipe, platform, workspace)
    except RecipeError as error:
        return error
    return None


def require(recipe: Recipe, platform: Platform, workspace: Workspace, sample: Sample | None = None) -> Toolchain:
    """The toolchain that builds `recipe` for `platform`, and `sample` where that asks for more.

    Raises: ToolMissing, with a hint that names what brings it, or a recipe that does without; BadInput for a platform
    that no toolchain here knows.
    """
    kind = TOOLCHAINS[recipe.toolchain]
    cgo = CGO_COMPILERS[recipe.cgo] if recipe.cgo else None
    if cgo is not None:
        cgo.check_cgo(recipe, platform)
    kind.check_platform(platform)
    try:
        toolchain = find_toolchain(kind, workspace, platform)
    except ToolMissing as error:
        raise kind.missing(recipe, platform) from error
    kind.check_libraries(recipe, toolchain)
    if sample is not None:
        toolchain = kind.fitting(toolchain, sample, workspace)
    if cgo is None:
        return toolchain
    c, identity = cgo.for_cgo(recipe, workspace)  # two compilers make the result
    return replace(toolchain, identity=f"{toolchain.identity}+{identity}", c=c)


def default(sample: Sample, platform: Platform, workspace: Workspace) -> Recipe:
    """The sample's own choice; else the smallest that is a matter of course on this machine. Raises: BadInput."""
    if sample.default_recipe:
        return RECIPES[sample.default_recipe]
    *better, last = usual(sample.language)
    return next((recipe for recipe in better if available(recipe, platform, workspace) is None), last)


def doctor(workspace: Workspace) -> tuple[Found, ...]:
    """One row for each compiler: what it is, or what is lost without it."""
    from recipes.support.system import Found

    rows: list[Found] = []
    for kind in TOOLCHAINS.values():
        try:
            toolchain = find_toolchain(kind, workspace)
        except RecipeError:
            rows.append(Found(kind.program, None, None, kind.lost))
            continue
        rows.append(Found(kind.program, toolchain.version, toolchain.path, kind.lost))
        rows.extend(kind.doctor(toolchain))
    return tuple(rows)
