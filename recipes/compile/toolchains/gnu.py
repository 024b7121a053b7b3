"""What compilers share that link with this machine's GNU C and C++ libraries, start files and linker."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from recipes.architecture import architecture
from recipes.compile.recipe import Recipe
from recipes.compile.toolchains.probe import ask
from recipes.compile.toolchains.protocol import Toolchain
from recipes.compile.wheels import brought_by
from recipes.errors import BadInput, ToolMissing
from recipes.model import Platform

if TYPE_CHECKING:
    from recipes.support.system import Found

ZIG_INSTEAD = f"use --recipe zig-static-small, which needs zig alone: {brought_by('zig')}"

_LIBRARIES = ("libc.a", "libstdc++.a", "libm.a", "libgcc.a", "libgcc_eh.a", "libc.so", "libc.so.6", "libstdc++.so")
_STARTS = ("crt1.o", "Scrt1.o", "crti.o", "crtn.o", "crtbegin.o", "crtbeginS.o", "crtbeginT.o", "crtend.o")
_STATIC = ("libc.a", "libstdc++.a")


class Libraries(NamedTuple):
    """The files that a driver links; `static` says whether static programs can be made of them.

    `absent` are the places where a static library is not: if it is installed later, that has to be noticed.
    """

    files: tuple[str, ...]
    static: bool
    absent: tuple[str, ...]


def libraries(driver: str, *, listed: bool = False) -> Libraries:
    """Where `driver` finds the machine's libraries and start files.

    `listed`: what it finds is the first of that name in the folders that it lists. Else it is asked for each file.
    Raises: CommandFailed.
    """
    folders = tuple(_folders(ask(driver, "-print-search-dirs")))

    def find(name: str) -> str:
        return (_first(name, folders) if listed else None) or ask(driver, f"-print-file-name={name}")

    found = {name: find(name) for name in (*_LIBRARIES, *_STARTS)}
    # What is not there is printed as it was asked for.
    missing = [name for name in _STATIC if not os.path.isabs(found[name])]
    absent = tuple(os.path.join(folder, name) for name in missing for folder in folders)
    return Libraries(tuple(found.values()), not missing, absent)


def _first(name: str, folders: Iterable[str]) -> str | None:
    paths = (os.path.join(folder, name) for folder in folders)
    return next(filter(os.path.exists, paths), None)


def _folders(answer: str) -> Iterator[str]:
    for line in answer.splitlines():
        if line.startswith("libraries: ="):
            yield from dict.fromkeys(os.path.normpath(folder) for folder in line.partition("=")[2].split(":"))


def gnu_name(platform: Platform) -> str | None:
    """The GNU name of a glibc platform, which also starts the names of its cross compiler's commands."""
    row = architecture(platform.architecture)
    return (row.gnu or None) if platform.variant in ("", row.default_variant) else None


def triple(platform: Platform) -> str:
    """The same. Raises: BadInput for a platform that has none, for which no compiler is found either."""
    name = gnu_name(platform)
    if name is None:
        raise BadInput(f"{platform} has no GNU name")
    return name


def check_static(program: str, recipe: Recipe, toolchain: Toolchain) -> None:
    """Raises: ToolMissing where `recipe` links statically and this machine has no static libraries."""
    if recipe.static and not toolchain.static:
        raise ToolMissing(
            f"{program} has no static C and C++ library (needed by recipe {recipe.name})",
            f"install them (Fedora: glibc-static libstdc++-static), or {ZIG_INSTEAD}",
        )


def static_row(toolchain: Toolchain) -> Iterable[Found]:
    """The static libraries as a row of `invoke doctor`."""
    from recipes.support.system import Found

    yield Found("static libc and libstdc++", "found" if toolchain.static else None, None, "the gcc-static* recipes")
