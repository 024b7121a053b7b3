"""From a sample and a recipe to the commands that build it. Nothing is run here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from recipes.compile.availability import require
from recipes.compile.context import BuildContext
from recipes.compile.paths import cell
from recipes.compile.recipe import Recipe, check_language
from recipes.compile.step import Step, folder_step
from recipes.compile.systems import planner_of
from recipes.compile.toolchains.protocol import Toolchain
from recipes.model import Command, Platform, Sample
from recipes.support.workspace import Workspace


class Plan(NamedTuple):
    """The ordered steps that build `sample`. The last one's output is the program.

    `unset` are the words before each argv that keep the caller's environment from changing the result.
    """

    sample: Sample
    recipe: Recipe
    platform: Platform
    toolchain: Toolchain
    work: Path
    steps: tuple[Step, ...]
    unset: tuple[str, ...] = ()
    environment_only: frozenset[str] = frozenset()
    """Variables that say where a compiler keeps its own cache: no part of what is built."""
    atomic: bool = False
    """Its steps are carried out all or not at all: only the last one's output outlives them."""
    runs_build_files: bool = False
    """It runs the commands that the sample's own build files name."""

    @property
    def commands(self) -> tuple[Command, ...]:
        return tuple(step.command for step in self.steps if not step.is_folder and step.text is None)


def plan(sample: Sample, recipe: Recipe, platform: Platform, workspace: Workspace, jobs: int = 0) -> Plan:
    """The commands that build `sample`, in order, each as it can be pasted into a shell.

    A build system does `jobs` things at once; 0: one for each processor.
    Raises: ToolMissing; BadInput where the sample cannot be built like that.
    """
    check_language(recipe, sample)
    planner = planner_of(sample)
    context = _context(sample, recipe, platform, workspace, jobs)
    planned = planner.steps(context)
    return Plan(
        sample=sample,
        recipe=recipe,
        platform=platform,
        toolchain=context.toolchain,
        work=context.work,
        steps=(folder_step(context.work), *planned.steps),
        unset=planned.unset,
        environment_only=planned.environment_only,
        atomic=planned.atomic,
        runs_build_files=planned.runs_build_files,
    )


def cgo_packages(sample: Sample, recipe: Recipe, platform: Platform, workspace: Workspace) -> tuple[str, ...]:
    """The packages of a Go program, besides Go's own, that have code in C; () where go cannot list them."""
    from recipes.compile.systems import go

    return go.cgo_packages(_context(sample, recipe, platform, workspace))


def _context(sample: Sample, recipe: Recipe, platform: Platform, workspace: Workspace, jobs: int = 0) -> BuildContext:
    return BuildContext(
        sample=sample,
        recipe=recipe,
        platform=platform,
        toolchain=require(recipe, platform, workspace, sample),
        workspace=workspace,
        work=cell(sample, recipe.name, platform, workspace),
        jobs=jobs or len(os.sched_getaffinity(0)),
    )
