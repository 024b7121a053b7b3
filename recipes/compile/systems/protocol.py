"""What a planner is: one function, and the value that it returns."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from recipes.compile.context import BuildContext
from recipes.compile.step import Step


class PlannedSteps(NamedTuple):
    """The steps after the build folder is there; the last one's output is the program. The rest is as in `Plan`."""

    steps: tuple[Step, ...]
    unset: tuple[str, ...]
    environment_only: frozenset[str] = frozenset()
    atomic: bool = False
    runs_build_files: bool = False


class Planner(Protocol):
    """One way to turn a sample's files into a program. Each module of this folder that `SYSTEMS` names is one."""

    def steps(self, context: BuildContext) -> PlannedSteps:
        """Raises: ToolMissing; BadInput where the sample cannot be built like that."""
