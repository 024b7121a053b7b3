"""Clang with this machine's libraries, which are gcc's. Source: Clang documentation, "Clang Compiler User's Manual"."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from recipes.compile.recipe import Recipe, ToolchainName
from recipes.compile.toolchains import gnu
from recipes.compile.toolchains.probe import ask, identify
from recipes.compile.toolchains.protocol import CompilerType, Probe, Toolchain
from recipes.errors import BadInput, ToolMissing
from recipes.model import Platform
from recipes.support.shell import which


class Clang(CompilerType):
    name: ToolchainName = "clang"
    program = "clang++"
    hint = f"install clang, or {gnu.ZIG_INSTEAD}"
    lost = "the clang-* recipes"
    misled_by = frozenset({"CCC_OVERRIDE_OPTIONS", "CCC_ADD_ARGS"})
    wrapper_flags = ("-Wno-unused-command-line-argument",)

    def find(self, platform: Platform) -> str | None:
        """For this machine alone: the libraries of another platform would be another compiler's."""
        return which("clang++") if platform == Platform.host() else None

    def probe(self, tool: str) -> Probe:
        version = ask(tool, "-dumpversion")
        folder, name = os.path.split(tool)
        beside = os.path.join(folder, name.replace("clang++", "clang"))
        c = beside if os.path.exists(beside) else which("clang") or tool
        archiver = which("ar") or ask(tool, "-print-prog-name=llvm-ar")
        libraries = gnu.libraries(tool, listed=True)  # it starts ten times as slowly as gcc
        linker = ask(tool, "-print-prog-name=ld")
        tools = [tool, *_code(tool), c, archiver, linker, *libraries.files]
        watched, identity = identify([path for path in tools if os.path.isabs(path)], version)
        toolchain = Toolchain(
            name=self.name,
            version=version,
            argv=(tool,),
            identity=identity,
            c=(c,),
            archiver=(archiver,),
            static=libraries.static,
        )
        return Probe(toolchain, watched, libraries.absent)

    def missing(self, recipe: Recipe, platform: Platform) -> ToolMissing:
        if platform == Platform.host():
            return super().missing(recipe, platform)
        return ToolMissing(
            f"recipe {recipe.name} builds only for this machine ({Platform.host()}), not for {platform}",
            hint="use --recipe zig-static-small, which builds for other platforms too",
        )

    def check_libraries(self, recipe: Recipe, toolchain: Toolchain) -> None:
        gnu.check_static(self.program, recipe, toolchain)

    def triple(self, platform: Platform) -> str:
        return gnu.triple(platform)


def _code(clang: str) -> Iterator[str]:
    """The libraries that the driver needs: where it is dynamic, nearly all of the compiler is in them."""
    from recipes.elf.dynamic import read_dynamic
    from recipes.elf.segments import FileReader

    try:
        with FileReader(Path(clang)) as reader:
            needed = read_dynamic(reader, symbols=False).needed
    except BadInput:  # a script that starts the real one
        return
    for name in needed:
        yield ask(clang, f"-print-file-name={name}")
