"""The programs that run a project's own build: this machine's first, else the wheels of this environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recipes.compile.wheels import brought_by, in_wheel
from recipes.errors import ToolMissing
from recipes.support.shell import which

if TYPE_CHECKING:
    from recipes.support.system import Found

BuildTool = Literal["cmake", "ninja", "meson", "make", "autoreconf"]

_IN_WHEEL = {"cmake": "cmake/data/bin/cmake", "ninja": "ninja/data/bin/ninja"}
_HINT: dict[BuildTool, str] = {
    "cmake": f"install CMake, or its wheel into this environment: {brought_by('build')}",
    "ninja": f"install Ninja, or its wheel into this environment: {brought_by('build')}",
    "meson": f"install Meson, or its wheel into this environment: {brought_by('build')}",
    "make": "install GNU make; on Debian the package is make",
    "autoreconf": "install autoconf, automake and libtool, or run autoreconf -fi on a machine that has them: "
    "a project with a `configure` needs none",
}
_LOST: dict[BuildTool, str] = {
    "cmake": f"projects with a CMakeLists.txt ({brought_by('build')})",
    "ninja": f"projects with a CMakeLists.txt or a meson.build ({brought_by('build')})",
    "meson": f"projects with a meson.build ({brought_by('build')})",
    "make": "projects with a Makefile or a configure script",
    "autoreconf": "projects with a configure.ac and no configure script",
}


def find(tool: BuildTool) -> str | None:
    """Its absolute path."""
    found = which(tool) or (which("gmake") if tool == "make" else None)
    # A wheel's own command for cmake may be a script that starts the real one, so what is in the wheel goes first.
    if found is not None and Path(found).parent != Path(sys.prefix, "bin"):
        return found
    inside = in_wheel(_IN_WHEEL[tool]) if tool in _IN_WHEEL else None
    beside = os.path.join(sys.prefix, "bin", tool)
    return inside or found or (beside if os.access(beside, os.X_OK) else None)


def require(tool: BuildTool, name: str) -> str:
    """Raises: ToolMissing, naming the sample `name` that needs it."""
    found = find(tool)
    if found is None:
        raise ToolMissing(f"{tool} not found (needed to build {name})", _HINT[tool])
    return found


def doctor() -> tuple[Found, ...]:
    """One row for each: its version, or what is lost without it."""
    from recipes.model import Command
    from recipes.support import shell
    from recipes.support.system import Found

    rows = []
    for tool, lost in _LOST.items():
        path = find(tool)
        version = None
        if path is not None:
            done = shell.run(Command((path, "--version"), env=(("LC_ALL", "C"),)), timeout=20)
            words = done.stdout.decode(errors="replace").split()
            version = next((word for word in words if word[:1].isdigit()), "yes") if done.exit_code == 0 else None
        rows.append(Found(tool, version, Path(path) if path else None, lost))
    return tuple(rows)
