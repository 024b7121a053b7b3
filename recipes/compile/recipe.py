"""The named ways to build: language × toolchain × linkage × size effort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recipes.errors import unknown
from recipes.model import Environment, Language

ToolchainName = Literal["gcc", "zig", "go"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to build. `static` is what it promises; whether that came true, the file says.

    `compile_flags` and `link_flags` are for C++, `build_flags` and `env` for Go. `rung` is its place among the ways to
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
    cgo: ToolchainName | None = None
    """For Go: whose C compiler cgo code is compiled with; None: there is no cgo."""
    linker_flags: str = ""
    """For Go: what its own linker is told."""
    rung: int | None = None

    @property
    def lto(self) -> bool:
        return any(flag.startswith("-flto") for flag in self.compile_flags)


_GO_FLAGS = ("-trimpath", "-buildvcs=false")

_ALL = (
    Recipe(
        "gcc-dynamic", "c++", False, "gcc", "plain g++: the contrast that every table starts from", ("-O2",), rung=3
    ),
    Recipe("gcc-static", "c++", True, "gcc", "g++ -static, nothing else: the textbook", ("-O2",), ("-static",)),
    Recipe(
        "gcc-static-small",
        "c++",
        True,
        "gcc",
        "g++ -static with section garbage collection, LTO and strip",
        ("-Os", "-flto=auto", "-ffunction-sections", "-fdata-sections"),
        # noseparate-code is worth two pages of padding (8 KB of hello). Without RELRO it would be 0.2 KB less, and
        # the program would lose a protection: no.
        (
            "-static",
            "-Os",
            "-flto=auto",
            "-s",
            "-Wl,--gc-sections",
            "-Wl,-z,noseparate-code",
            "-Wl,--build-id=none",
        ),
        rung=2,
    ),
    Recipe(
        "zig-static-small",
        "c++",
        True,
        "zig",
        "zig c++ with musl and libc++, LTO and strip; builds for other CPUs too",
        # LTO takes 23 KB off hello. -Oz and -ffunction-sections change nothing.
        ("-Os", "-flto"),
        ("-static", "-Os", "-flto", "-s", "-Wl,--gc-sections"),
        rung=1,
    ),
    Recipe(
        "go-static",
        "go",
        True,
        "go",
        "CGO_ENABLED=0, -trimpath, -ldflags '-s -w'",
        build_flags=_GO_FLAGS,
        linker_flags="-s -w",
        env=(("CGO_ENABLED", "0"),),
        rung=1,
    ),
    Recipe(
        "go-dynamic",
        "go",
        False,
        "go",
        "cgo on: dynamic as soon as net or os/user is imported",
        build_flags=_GO_FLAGS,
        linker_flags="-s -w",
        env=(("CGO_ENABLED", "1"), ("CC", "gcc")),
        cgo="gcc",
        rung=3,
    ),
    Recipe(
        "go-cgo-static",
        "go",
        True,
        "go",
        "cgo on, its C code compiled and linked statically with zig's musl; builds for other CPUs too",
        build_flags=_GO_FLAGS,
        linker_flags="-s -w -linkmode=external -extldflags=-static",
        env=(("CGO_ENABLED", "1"),),
        cgo="zig",
        rung=2,
    ),
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _ALL}


def ladder(language: Language) -> tuple[Recipe, ...]:
    """The recipes on the way to the smallest image: static ones first, those of dynamic programs last."""
    found = [(recipe.rung, recipe) for recipe in RECIPES.values() if recipe.language == language and recipe.rung]
    return tuple(recipe for _, recipe in sorted(found, key=lambda pair: pair[0]))


def find(name: str) -> Recipe:
    """Raises: BadInput with the nearest known name."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]
