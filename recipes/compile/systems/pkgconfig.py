"""Libraries of this machine for loose sources: what pkg-config says about them. Source: pkg-config(1)."""

from __future__ import annotations

import shlex

from recipes.compile import missing
from recipes.compile.context import BuildContext
from recipes.compile.recipe import RECIPES
from recipes.compile.toolchains import TOOLCHAINS
from recipes.errors import BadInput, ToolMissing
from recipes.model import Command
from recipes.support import shell


def flags(context: BuildContext) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words for the compiler and for the linker that the sample's `libs` take.

    Raises: BadInput where the recipe cannot use them; ToolMissing.
    """
    names, recipe = context.sample.libs, context.recipe
    if context.compiler.brings_its_own_libc:
        raise BadInput(
            f"{context.sample.name} is linked with {', '.join(names)}, and recipe {recipe.name} uses none of this "
            "machine's libraries",
            hint=f"use one of {', '.join(_fitting())}",
        )
    prefix = f"{context.compiler.triple(context.platform)}-" if context.foreign else ""
    tool = shell.which(f"{prefix}pkg-config")
    if tool is None:
        raise ToolMissing(
            f"{prefix}pkg-config not found (needed to build {context.sample.name}, which names libs)",
            "install pkg-config; on Debian the package is pkg-config",
        )
    static = ("--static",) if recipe.static else ()
    return _ask(tool, *static, "--cflags", *names), _ask(tool, *static, "--libs", *names)


def _fitting() -> list[str]:
    return [
        recipe.name
        for recipe in RECIPES.values()
        if recipe.language == "c++" and not TOOLCHAINS[recipe.toolchain].brings_its_own_libc
    ]


def _ask(*argv: str) -> tuple[str, ...]:
    done = shell.run(Command(argv, env=(("LC_ALL", "C"),)), timeout=20)
    if done.exit_code == 0:
        return tuple(shlex.split(done.stdout.decode(errors="replace")))
    lines = done.stderr.decode(errors="replace").splitlines() or [f"exit code {done.exit_code}"]
    raise BadInput(f"pkg-config: {lines[-1]}", missing.advice(lines, lines[-1], own_libc=False))
