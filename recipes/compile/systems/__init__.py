"""The ways to turn files into a program: one planner each."""

from __future__ import annotations

from importlib import import_module
from typing import cast, get_args

from recipes.compile.systems.protocol import Planner
from recipes.errors import unknown
from recipes.model import BuildSystem, Sample

SYSTEMS: tuple[BuildSystem, ...] = get_args(BuildSystem)
"""The module of this folder that plans for each has its name."""


def planner_of(sample: Sample) -> Planner:
    """The planner, loaded when the first sample needs it. Raises: BadInput for a build system that none knows."""
    if sample.build not in SYSTEMS:
        raise unknown("build system", sample.build, SYSTEMS)
    return cast(Planner, import_module(f"recipes.compile.systems.{sample.build}"))
