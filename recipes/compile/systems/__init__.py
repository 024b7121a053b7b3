"""The ways to turn files into a program: one planner each."""

from __future__ import annotations

from recipes.compile.systems import autotools, cmake, go, make, meson, sources
from recipes.compile.systems.protocol import Planner
from recipes.errors import unknown
from recipes.model import BuildSystem, Sample

SYSTEMS: dict[BuildSystem, Planner] = {
    "sources": sources,
    "cmake": cmake,
    "meson": meson,
    "autotools": autotools,
    "make": make,
    "go": go,
}


def planner_of(sample: Sample) -> Planner:
    """Raises: BadInput for a build system that no planner knows."""
    if sample.build not in SYSTEMS:
        raise unknown("build system", sample.build, SYSTEMS)
    return SYSTEMS[sample.build]
