"""Make: the compiler on its command line, where a Makefile's own choice does not count.

Source: GNU make manual, "Overriding Variables". CFLAGS is not overridden: a project's own -I and -D would be lost.
"""

from __future__ import annotations

import re
from pathlib import Path

from recipes.compile.context import BuildContext
from recipes.compile.files import text_of
from recipes.compile.step import Step
from recipes.compile.systems import project, wrapper
from recipes.compile.systems.buildtools import require
from recipes.compile.systems.protocol import PlannedSteps

_INSTALL = """\
"$@" DESTDIR="$DESTDIR" install ||
"$@" DESTDIR= PREFIX="$DESTDIR/usr/local" prefix="$DESTDIR/usr/local" install"""
"""A Makefile that does not know DESTDIR mostly has a prefix. Source: GNU Coding Standards, 7.2.4 and 7.2.5."""


PLATFORMS = ("generic", "linux", "unix", "posix")
"""What a project that asks for a platform calls ours, first what asks for least."""

_COMPARED = re.compile(r"^\s*ifeq\s*\(\$[({](\w+)[)}],\s*([\w.-]+)\)", re.MULTILINE)
_VALUES = ("linux-glibc", "linux", "unix", "posix")


def for_platform(folder: Path) -> tuple[str, ...]:
    """The words that make the program for this platform, where a project has several Makefiles or goals for that."""
    own = next((name for name in ("GNUmakefile", "makefile", "Makefile") if (folder / name).is_file()), "")
    name = own or next((path for each in PLATFORMS if (folder / (path := f"{each}/Makefile")).is_file()), "")
    if not name:
        return ()
    text = text_of(folder / name)
    rules = re.findall(r"^([\w .-]+):(?!=)", text, re.MULTILINE)
    goals = {goal for rule in rules for goal in rule.split()}
    goal = next((each for each in PLATFORMS if each in goals), "")
    return tuple(filter(None, ("" if own else f"--file={name}", goal or _platform_setting(text))))


def _platform_setting(makefile: str) -> str:
    """`TARGET=linux-glibc`, where a Makefile compares such a variable with what it calls this platform."""
    variables = {value: name for name, value in reversed(_COMPARED.findall(makefile))}
    value = next((each for each in _VALUES if each in variables), "")
    return f"{variables[value]}={value}" if value else ""


def steps(context: BuildContext) -> PlannedSteps:
    """Built in the copy itself. Raises: ToolMissing, BadInput."""
    its_own = (*_settings(context), *run(context, *context.sample.options))
    return project.planned(context, its_own, context.source, target(context))


def _settings(context: BuildContext) -> tuple[Step, ...]:
    """The default settings of a project that is configured as Linux is, and was not.

    Source: the kernel's documentation, "Kconfig make config".
    """
    folder = context.sample.folder
    if (folder / ".config").exists() or not any((folder / name).is_file() for name in ("Kconfig", "Config.in")):
        return ()
    rules = [path for name in ("Makefile", "scripts/kconfig/Makefile") if (path := folder / name).is_file()]
    if not any(re.search(r"^defconfig:", text_of(path), re.MULTILINE) for path in rules):
        return ()
    argv = (*_make(context), "defconfig")
    return (project.run(context, "configure", context.source, *argv, output=context.source / ".config"),)


def run(context: BuildContext, *words: str) -> tuple[Step, ...]:
    """The build itself, and the installation; `words` may set variables and name goals, which are all that is built."""
    goals = [word for word in words if not word.startswith("-") and "=" not in word]
    argv = _make(context)
    build = project.run(
        context, "build", context.source, *argv, *words, output=context.source, inputs=argv[:1], makes_all=True
    )
    if goals:
        return (build,)
    return (build, project.install(context, context.source, "sh", "-c", _INSTALL, "install", *argv, *words))


def target(context: BuildContext, *, options: bool = True) -> Step | None:
    """What makes the program that is asked for by name."""
    name = context.sample.target
    if not name:
        return None
    settings = [word for word in context.sample.options if word.startswith("-") or "=" in word] if options else []
    words = (*_make(context), *settings, name)
    return project.run(context, f"build {name}", context.source, *words, output=context.source)


def _make(context: BuildContext) -> tuple[str, ...]:
    return (require("make", context.sample.name), f"CC={wrapper.CC}", f"CXX={wrapper.CXX}")
