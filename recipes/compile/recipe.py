"""The named ways to build: language × toolchain × linkage × size effort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recipes.errors import BadInput, unknown
from recipes.model import Environment, Language, Sample

ToolchainName = Literal["gcc", "clang", "zig", "go"]
CgoName = Literal["gcc", "zig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to build. `static` is what it promises; whether that came true, the file says.

    `compile_flags` and `link_flags` are for C++, `build_flags` and `env` for Go. `rank` is its place among the ways to
    the smallest image, the one that is usually smallest first; None is for those that are there to be compared with.
    """

    name: str
    language: Language
    static: bool
    toolchain: ToolchainName
    summary: str
    compile_flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()
    build_flags: tuple[str, ...] = ()
    env: Environment = ()
    cgo: CgoName | None = None
    """For Go: whose C compiler cgo code is compiled with; None: there is no cgo."""
    with_cgo: str = ""
    """For Go without cgo: the recipe for a program that turns out to need code in C."""
    linker_flags: str = ""
    """For Go: what its own linker is told."""
    rank: int | None = None

    @property
    def lto(self) -> bool:
        return any(flag.startswith("-flto") for flag in self.compile_flags)


_GO_FLAGS = ("-trimpath", "-buildvcs=false")

ZIG_FLAGS = ("-Os", "-flto")
"""LTO takes 23 KB off hello. -Oz and -ffunction-sections change nothing.

zig builds its libraries for each set of such flags, which takes minutes: whatever is linked with zig has the same.
"""

_ALL = (
    Recipe(
        name="gcc-dynamic",
        language="c++",
        static=False,
        toolchain="gcc",
        summary="plain g++: the contrast that every table starts from",
        compile_flags=("-O2",),
        rank=3,
    ),
    Recipe(
        name="gcc-static",
        language="c++",
        static=True,
        toolchain="gcc",
        summary="g++ -static, nothing else: the textbook",
        compile_flags=("-O2",),
        link_flags=("-static",),
    ),
    Recipe(
        name="gcc-static-small",
        language="c++",
        static=True,
        toolchain="gcc",
        summary="g++ -static with section garbage collection, LTO and strip",
        compile_flags=("-Os", "-flto=auto", "-ffunction-sections", "-fdata-sections"),
        # noseparate-code is worth two pages of padding (8 KB of hello). Without RELRO it would be 0.2 KB less, and
        # the program would lose a protection: no.
        link_flags=(
            "-static",
            "-Os",
            "-flto=auto",
            "-s",
            "-Wl,--gc-sections",
            "-Wl,-z,noseparate-code",
            "-Wl,--build-id=none",
        ),
        rank=2,
    ),
    Recipe(
        name="clang-static-small",
        language="c++",
        static=True,
        toolchain="clang",
        summary="clang++ -static with section garbage collection and strip, on this machine's libstdc++ and libc",
        # No LTO: the size of every sample stays the same to the byte, and not every linker has LLVM's plugin.
        compile_flags=("-Os", "-ffunction-sections", "-fdata-sections"),
        link_flags=("-static", "-Os", "-s", "-Wl,--gc-sections", "-Wl,-z,noseparate-code", "-Wl,--build-id=none"),
    ),
    Recipe(
        name="zig-static-small",
        language="c++",
        static=True,
        toolchain="zig",
        summary="zig c++ with musl and libc++, LTO and strip; builds for other CPUs too",
        compile_flags=ZIG_FLAGS,
        link_flags=("-static", *ZIG_FLAGS, "-s", "-Wl,--gc-sections"),
        rank=1,
    ),
    Recipe(
        name="go-static",
        language="go",
        static=True,
        toolchain="go",
        summary="CGO_ENABLED=0, -trimpath, -ldflags '-s -w'",
        build_flags=_GO_FLAGS,
        linker_flags="-s -w",
        env=(("CGO_ENABLED", "0"),),
        with_cgo="go-cgo-static",
        rank=1,
    ),
    Recipe(
        name="go-dynamic",
        language="go",
        static=False,
        toolchain="go",
        summary="cgo on: dynamic as soon as net or os/user is imported",
        build_flags=_GO_FLAGS,
        linker_flags="-s -w",
        env=(("CGO_ENABLED", "1"), ("CC", "gcc")),
        cgo="gcc",
        rank=3,
    ),
    Recipe(
        name="go-cgo-static",
        language="go",
        static=True,
        toolchain="go",
        summary="cgo on, its C code compiled and linked statically with zig's musl; builds for other CPUs too",
        build_flags=_GO_FLAGS,
        linker_flags="-s -w -linkmode=external -extldflags=-static",
        env=(("CGO_ENABLED", "1"),),
        cgo="zig",
        rank=2,
    ),
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _ALL}


_USUAL: dict[Language, tuple[str, ...]] = {"c++": ("gcc-static-small", "zig-static-small"), "go": ("go-static",)}


def by_rank(language: Language) -> tuple[Recipe, ...]:
    """The recipes on the way to the smallest image: static ones first, those of dynamic programs last."""
    found = [(recipe.rank, recipe) for recipe in RECIPES.values() if recipe.language == language and recipe.rank]
    return tuple(recipe for _, recipe in sorted(found, key=lambda pair: pair[0]))


def usual(language: Language) -> tuple[Recipe, ...]:
    """The recipe of a sample that names none: the first that this machine can carry out. Raises: BadInput."""
    if language not in _USUAL:
        raise unknown("language", language, _USUAL)
    return tuple(RECIPES[name] for name in _USUAL[language])


def check_language(recipe: Recipe, sample: Sample) -> None:
    """Raises: BadInput, naming the recipes for the sample's language, where `recipe` is for another one."""
    if recipe.language != sample.language:
        fitting = [known.name for known in RECIPES.values() if known.language == sample.language]
        raise BadInput(
            f"recipe {recipe.name} builds {recipe.language}, and {sample.name} is written in {sample.language}",
            hint=f"use one of {', '.join(fitting)}",
        )


def find(name: str) -> Recipe:
    """Raises: BadInput with the nearest known name."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]
