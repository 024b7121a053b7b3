"""The way that people go by hand: `-Os`, `-static` and `-s` handed to the project's own build in a copy of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recipes.elf.facts import read_elf
from recipes.errors import CommandFailed, RecipeError, ToolMissing
from recipes.model import Command
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.gallery.public import public, telling

_SECONDS = 900.0
_JOBS = f"-j{len(os.sched_getaffinity(0))}"


@dataclass(frozen=True, slots=True)
class ByHand:
    """The bytes of the program; None where that way leads to none, and `said` is why."""

    size: int | None
    said: str


def build(program: str, source: Path, system: str, workspace: Workspace) -> ByHand:
    """Build a copy of `source` with the build system that ours was built with."""
    with workspace.temporary("by-hand") as folder:
        copy = folder / source.name
        shutil.copytree(source, copy, symlinks=True)
        try:
            for argv in commands(system):
                shell.check(Command(argv, copy, (("LC_ALL", "C"),)), timeout=_SECONDS)
        except CommandFailed as error:
            return ByHand(None, public(f"{error.message}: {telling(error.output)}", copy, folder))
        except ToolMissing as error:
            return ByHand(None, error.message)
        found = list(_static_programs(copy, program))
    return ByHand(min(found), "") if found else ByHand(None, f"no static program {program} comes out of it")


def commands(system: str) -> tuple[tuple[str, ...], ...]:
    """What is typed for a project with that build system; nothing where there is no usual way."""
    match system:
        case "cmake":
            static = ("-DCMAKE_EXE_LINKER_FLAGS=-static -s", "-DBUILD_SHARED_LIBS=OFF", "-DCMAKE_BUILD_TYPE=MinSizeRel")
            return ("cmake", "-S.", "-Bby-hand", *static), ("cmake", "--build", "by-hand", _JOBS)
        case "meson":
            static = ("-Dbuildtype=minsize", "-Ddefault_library=static", "-Dprefer_static=true")
            return ("meson", "setup", "by-hand", *static, "-Dc_link_args=-static -s"), (
                "meson",
                "compile",
                "-C",
                "by-hand",
            )
        case "autotools":
            return ("./configure", "CFLAGS=-Os", "CXXFLAGS=-Os", "LDFLAGS=-static -s"), ("make", _JOBS)
        case "make":
            return (("make", "CFLAGS=-Os", "LDFLAGS=-static -s", _JOBS),)
        case _:
            return ()


def _static_programs(folder: Path, name: str) -> Iterator[int]:
    for path in folder.rglob(name):
        if path.is_file() and not path.is_symlink():
            try:
                facts = read_elf(path)
            except RecipeError:
                continue
            if facts.linkage.is_static:
                yield facts.size
