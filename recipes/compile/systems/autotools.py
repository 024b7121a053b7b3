"""`configure` and make. Source: "GNU Coding Standards", 7.2; Autoconf manual, "Defining Variables"."""

from __future__ import annotations

import re
from pathlib import Path

from recipes.compile.context import BuildContext
from recipes.compile.files import text_of
from recipes.compile.naming import fixes_of, patches_of
from recipes.compile.step import Step
from recipes.compile.systems import extras, make, project, wrapper
from recipes.compile.systems.buildtools import require
from recipes.compile.systems.protocol import PlannedSteps
from recipes.model import Sample
from recipes.support.shell import which

OWN_SCRIPT = "Configure"
"""What is there before Autoconf, and instead of it: OpenSSL's and lsof's."""

_SOURCES = re.compile(rb"^\+\+\+ \S*?(configure\.(ac|in)|Makefile\.am|\.m4)\b", re.MULTILINE)


def steps(context: BuildContext) -> PlannedSteps:
    """Built in the copy itself: not every project can be built in another folder.

    Raises: ToolMissing, BadInput.
    """
    its_own = [_configure(context), *make.run(context)]
    if _script(context.sample.folder) == "configure" and (
        not (context.sample.folder / "configure").exists() or _is_outdated(context.sample)
    ):
        its_own.insert(0, _make_configure(context))
    return project.planned(context, its_own, context.source, make.target(context, options=False))


def _script(folder: Path) -> str:
    """The script that makes the Makefile: `configure`, which Autoconf may still have to make, or the project's own."""
    names = ("configure", "configure.ac", "configure.in", OWN_SCRIPT)
    return OWN_SCRIPT if next((name for name in names if (folder / name).exists()), "") == OWN_SCRIPT else "configure"


def _make_configure(context: BuildContext) -> Step:
    tool, script = require("autoreconf", context.sample.name), context.source / "configure"
    # What gettext's autopoint brings, a published project has already. Source: gettext manual, 13.5.
    brought = which("autopoint") is None and any(context.sample.folder.glob("**/config.rpath"))
    words = ("AUTOPOINT=true",) if brought else ()
    argv = (*words, tool, "--force", "--install")
    return project.run(context, "make configure", context.source, *argv, output=script, inputs=(tool,))


def _is_outdated(sample: Sample) -> bool:
    """Whether Debian's patches change what `configure` and the Makefiles are made from: they leave those to the build.

    Source: dh_autoreconf(1).
    """
    patches = (fixes_of if sample.without_patches else patches_of)(sample.folder)
    return _is_made(sample.folder) and any(_SOURCES.search(path.read_bytes()) for path in patches if path.is_file())


def _is_made(folder: Path) -> bool:
    return (folder / "configure.ac").exists() or (folder / "configure.in").exists()


def _configure(context: BuildContext) -> Step:
    compiler, recipe, folder = context.compiler, context.recipe, context.sample.folder
    script = _script(folder)
    flags = " ".join(flag for flag in recipe.compile_flags if flag.startswith("-O"))
    variables = [f"CC={wrapper.CC}", f"CXX={wrapper.CXX}", f"AR={wrapper.AR}", f"RANLIB={wrapper.RANLIB}"]
    # Without any, Autoconf would take -g -O2. The recipe's other flags are in its compiler: libtool would not hand
    # all of them on.
    variables += [f"CFLAGS={flags}", f"CXXFLAGS={flags}", "LDFLAGS="]
    argv: tuple[str, ...]
    if _is_autoconf(context):
        host = [f"--host={compiler.triple(context.platform)}"] if context.foreign else []
        # gnulib asks root not to try what root may do; it is tried in a folder of ours. Source: gnulib, m4/mknod.m4.
        argv = (
            "FORCE_UNSAFE_CONFIGURE=1",
            "./configure",
            "--disable-shared",
            "--enable-static",
            *extras.of_configure(folder),
            *host,
            *variables,
        )
        argv = (*argv, *context.sample.options)
    else:  # a script of the project's own: only the environment is sure to be understood
        argv = (*variables, f"./{script}", *(context.sample.options or _platform(folder / script)))
    return project.run(context, "configure", context.source, *argv, output=context.source / script)


def _platform(script: Path) -> tuple[str, ...]:
    """What a script of a project's own that has a case for each platform calls ours."""
    cases = re.findall(r"^\s*\(?(\w+)\)", text_of(script), re.MULTILINE)
    return tuple(name for name in make.PLATFORMS if name in cases)[:1] if script.name == OWN_SCRIPT else ()


def _is_autoconf(context: BuildContext) -> bool:
    if _script(context.sample.folder) == OWN_SCRIPT:
        return False
    try:
        with open(context.sample.folder / "configure", "rb") as file:
            return b"Autoconf" in file.read(8192)
    except FileNotFoundError:  # it will be made by Autoconf
        return True
