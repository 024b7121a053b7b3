"""What a planner has to know: what is built, where, with what and for what."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from recipes.compile.recipe import Recipe
from recipes.compile.toolchains import compiler
from recipes.compile.toolchains.protocol import CompilerType, Toolchain
from recipes.model import Platform, Sample
from recipes.support.workspace import Workspace


class BuildContext(NamedTuple):
    """One sample, recipe and platform, and the folder `work` in which that is built.

    A project's build system gets a copy of the files in `source`, the folder `build` for what it builds outside of
    them, and the recipe's compilers in `tools`.
    """

    sample: Sample
    recipe: Recipe
    platform: Platform
    toolchain: Toolchain
    workspace: Workspace
    work: Path
    jobs: int
    """How many things a build system does at once."""

    @property
    def compiler(self) -> CompilerType:
        """Raises: BadInput for a recipe whose toolchain compiles neither C nor C++."""
        return compiler(self.recipe.toolchain)

    @property
    def source(self) -> Path:
        return self.work / "source"

    @property
    def build(self) -> Path:
        return self.work / "build"

    @property
    def tools(self) -> Path:
        return self.work / "tools"

    @property
    def installed(self) -> Path:
        """The folder that stands for / when a project installs itself."""
        return self.work / "install"

    @property
    def foreign(self) -> bool:
        """Whether what is built cannot be run here."""
        return self.platform != Platform.host()
