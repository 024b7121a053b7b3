"""`zig c++`: clang with musl and libc++ of its own, for every CPU. Source: ziglang.org, "Language Reference"."""

from __future__ import annotations

import os
from collections.abc import Iterable

from recipes.architecture import ARCHITECTURES, architecture
from recipes.compile.paths import usable
from recipes.compile.recipe import ZIG_FLAGS, Recipe, ToolchainName
from recipes.compile.toolchains.probe import ask, find_toolchain, identify
from recipes.compile.toolchains.protocol import CgoCompiler, CompilerType, Probe, Toolchain
from recipes.compile.wheels import brought_by, in_wheel
from recipes.errors import BadInput, ToolMissing
from recipes.model import Environment, Platform
from recipes.support.shell import which
from recipes.support.workspace import Workspace

_LFS64 = "-D_LARGEFILE64_SOURCE"
"""For `off64_t`, `pread64` and the like: glibc gives them with _GNU_SOURCE, musl no longer does.

Source: musl's release notes of 1.2.4.
"""


class Zig(CompilerType, CgoCompiler):
    name: ToolchainName = "zig"
    program = "zig"
    hint = f"install it into this environment: {brought_by('zig')}"
    lost = f"the zig-* recipes: musl, and C++ for other CPUs ({brought_by('zig')})"
    misled_by = frozenset({"ZIG_LIB_DIR", "ZIG_LIBC", "ZIG_LOCAL_CACHE_DIR"})
    brings_its_own_libc = True
    prints_linker_map = True
    builds_libraries = "musl and libc++"
    wrapper_flags = ("-Wno-unused-command-line-argument",)

    def find(self, platform: Platform) -> str | None:
        # The binary inside the wheel: going through `python -m ziglang` only starts an interpreter more.
        return in_wheel("ziglang/zig") or which("zig")

    def probe(self, tool: str) -> Probe:
        version = ask(tool, "version")
        watched, identity = identify([tool], version)
        library = os.path.join(os.path.dirname(os.path.realpath(tool)), "lib", "")
        toolchain = Toolchain(
            name=self.name,
            version=version,
            argv=(tool, "c++"),
            identity=identity,
            c=(tool, "cc"),
            archiver=(tool, "ar"),
            own=library if os.path.isdir(library) else "",
        )
        return Probe(toolchain, watched)

    def check_platform(self, platform: Platform) -> None:
        self.target(platform)

    def caches(self, workspace: Workspace) -> Environment:
        """Zig's own cache stays where zig wants it, if that can be written."""
        if os.environ.get("ZIG_GLOBAL_CACHE_DIR"):
            return ()
        home = os.environ.get("HOME")
        folder = os.environ.get("XDG_CACHE_HOME") or (home and os.path.join(home, ".cache"))
        if folder and usable(os.path.join(folder, "zig")):
            return ()
        return (("ZIG_GLOBAL_CACHE_DIR", str(workspace.cache / "zig")),)

    def target(self, platform: Platform) -> tuple[str, ...]:
        row = architecture(platform.architecture)
        if not row.zig or platform.variant not in row.zig_cpus:
            known = ", ".join(f"linux/{each.name}" for each in ARCHITECTURES.values() if each.zig)
            raise BadInput(f"zig cannot build for {platform}", hint=f"it knows {known}")
        return ("-target", row.zig, *row.zig_cpus[platform.variant])

    def triple(self, platform: Platform) -> str:
        return self.target(platform)[1]

    def check_cgo(self, recipe: Recipe, platform: Platform) -> None:
        self.check_platform(platform)

    def for_cgo(self, recipe: Recipe, workspace: Workspace) -> tuple[tuple[str, ...], str]:
        try:
            zig = find_toolchain(self, workspace)
        except ToolMissing as error:
            raise ToolMissing(f"zig not found (needed by recipe {recipe.name}, for cgo)", self.hint) from error
        return zig.c, zig.identity

    def cgo_environment(
        self, c: tuple[str, ...], platform: Platform, *, pie: bool
    ) -> Iterable[tuple[str, tuple[str, ...]]]:
        for name, driver in (("CC", "cc"), ("CXX", "c++")):
            yield name, (c[0], driver, *self.target(platform), _LFS64)
        # cgo links once for itself, with -fPIC: that would be a set of libraries of its own.
        yield "CGO_LDFLAGS", ZIG_FLAGS if pie else (*ZIG_FLAGS, "-fno-PIC")
