"""GCC with this machine's libraries, or Debian's cross compilers. Source: GCC manual, "Invoking GCC"."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from recipes.compile.files import sha256
from recipes.compile.recipe import Recipe, ToolchainName
from recipes.compile.toolchains import gnu
from recipes.compile.toolchains.probe import ask, find_toolchain, identify
from recipes.compile.toolchains.protocol import Archivers, CgoCompiler, CompilerType, Probe, Toolchain
from recipes.errors import ToolMissing
from recipes.model import Platform
from recipes.support.shell import which
from recipes.support.workspace import Workspace

if TYPE_CHECKING:
    from recipes.support.system import Found

_PARTS = ("cc1plus", "cc1", "lto1", "lto-wrapper", "collect2", "liblto_plugin.so", "as", "ld")


class Gcc(CompilerType, CgoCompiler):
    name: ToolchainName = "gcc"
    program = "g++"
    hint = f"install g++, or {gnu.ZIG_INSTEAD}"
    lost = "the gcc-* recipes; C++ is built with zig then"
    misled_by = frozenset(
        {
            *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX"),
            *("GCC_COMPARE_DEBUG", "DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES"),
            *("LD_RUN_PATH", "GNUTARGET", "LDEMULATION"),  # GNU ld
        }
    )

    def find(self, platform: Platform) -> str | None:
        """This machine's g++, or the cross compiler for another platform, by the name that Debian gives it."""
        if platform == Platform.host():
            return which("g++")
        target = gnu.gnu_name(platform)
        return which(f"{target}-g++") if target else None

    def probe(self, tool: str) -> Probe:
        version = ask(tool, "-dumpfullversion", "-dumpversion")
        c = _beside(tool, "gcc") or which("gcc") or tool
        archiver = _beside(tool, "ar") or which("ar") or "ar"
        programs = [ask(tool, f"-print-prog-name={part}") for part in _PARTS]
        libraries = gnu.libraries(tool)
        on_path = tuple((program, which(program)) for program in programs if not os.path.isabs(program))
        tools = [tool, c, archiver, *programs, *libraries.files, *(path for _, path in on_path if path)]
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
        return Probe(toolchain, watched, libraries.absent, on_path)

    def missing(self, recipe: Recipe, platform: Platform) -> ToolMissing:
        if platform == Platform.host():
            return super().missing(recipe, platform)
        return ToolMissing(
            f"no g++ for {platform} found (needed by recipe {recipe.name})",
            hint=f"install a cross compiler, on Debian g++-{(gnu.gnu_name(platform) or '…').replace('_', '-')}, or "
            "use --recipe zig-static-small, which builds for other platforms too",
        )

    def check_libraries(self, recipe: Recipe, toolchain: Toolchain) -> None:
        gnu.check_static(self.program, recipe, toolchain)

    def doctor(self, toolchain: Toolchain) -> Iterable[Found]:
        return gnu.static_row(toolchain)

    def triple(self, platform: Platform) -> str:
        return gnu.triple(platform)

    def object_flags(self, recipe: Recipe, name: str) -> tuple[str, ...]:
        # gcc names what LTO makes after a random number, unless it is given one.
        return (f"-frandom-seed={name}",) if recipe.lto else ()

    def member_flags(self, recipe: Recipe) -> tuple[str, ...]:
        # Objects for LTO alone would need an archiver that knows gcc's plugin.
        return ("-ffat-lto-objects",) if recipe.lto else ()

    def archivers(self, toolchain: Toolchain) -> Archivers:
        # gcc's own ar and ranlib know its LTO objects; the plain ones may not.
        folder = os.path.dirname(toolchain.c[0])
        ar, ranlib = (which(os.path.join(folder, f"gcc-{tool}")) or which(f"gcc-{tool}") for tool in ("ar", "ranlib"))
        return Archivers(
            (ar,) if ar else toolchain.archiver,
            (ranlib or which("ranlib") or "ranlib",),
            know_lto=ar is not None and ranlib is not None,
        )

    def check_cgo(self, recipe: Recipe, platform: Platform) -> None:
        if platform != Platform.host():
            raise ToolMissing(
                f"recipe {recipe.name} builds only for this machine ({Platform.host()}), not for {platform}",
                hint="use --recipe go-static, which builds for other platforms too",
            )

    def for_cgo(self, recipe: Recipe, workspace: Workspace) -> tuple[tuple[str, ...], str]:
        c = which("gcc")
        if c is None:
            raise ToolMissing(
                f"gcc not found (needed by recipe {recipe.name}, for cgo)", "install gcc, or use --recipe go-static"
            )
        try:
            return (), find_toolchain(self, workspace).identity
        except ToolMissing:  # C without C++
            return (), sha256(c)

    def cgo_environment(
        self, c: tuple[str, ...], platform: Platform, *, pie: bool
    ) -> Iterable[tuple[str, tuple[str, ...]]]:
        return ()  # the recipe names it


def _beside(gxx: str, tool: str) -> str | None:
    """Another tool of the same installation: /usr/bin/aarch64-linux-gnu-ar for /usr/bin/aarch64-linux-gnu-g++."""
    folder, name = os.path.split(gxx)
    path = os.path.join(folder, name.replace("g++", tool))
    return path if os.path.exists(path) else None
