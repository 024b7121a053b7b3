"""The last step of a build that is not ours: find the program, copy it out, and keep what its linker said."""

from __future__ import annotations

import os
import time
from pathlib import Path

from recipes.compile import record as records
from recipes.compile.files import sha256, stamp
from recipes.compile.linker import project_warnings
from recipes.compile.plan import Plan
from recipes.compile.product import Product, find, no_such
from recipes.compile.record import StepResult
from recipes.compile.step import Step
from recipes.compile.systems.buildtools import find as find_tool
from recipes.compile.systems.wrapper import MAP, MESSAGES
from recipes.errors import BadInput
from recipes.model import Command
from recipes.support import shell


def pick(planned: Plan, step: Step, product: Product, earlier: list[StepResult], echo: bool) -> StepResult:
    """Copy the program to the step's output. `earlier` are the steps before it, whose warnings count where the program
    has none of its own: it was not linked by the recipe's compiler then, or was moved.

    Raises: BadInput that lists the programs, where there is none or it is not clear which.
    """
    program = product.tree / find(product, planned.sample.name)
    command = Command(("cp", "--", os.path.relpath(program, planned.work), step.output.name), planned.work)
    step.output.unlink(missing_ok=True)
    done = shell.check(command, echo=echo)
    if step.linker_map is not None:
        step.linker_map.unlink(missing_ok=True)
        if os.path.isfile(f"{program}{MAP}"):
            shell.check(Command(("cp", "--", f"{program}{MAP}", str(step.linker_map))))
    try:
        warnings = project_warnings(Path(f"{program}{MESSAGES}").read_text(errors="replace"))
    except OSError:
        warnings = tuple(dict.fromkeys(text for made in earlier for text in made.warnings))
    output = (str(step.output), sha256(step.output), stamp(str(step.output)))
    return StepResult(
        key=records.key(planned, step),
        checked=time.time_ns(),
        output=output,
        seconds=done.seconds,
        warnings=warnings,
        argv=command.argv,
    )


def wrong_target(planned: Plan, message: str) -> BadInput | None:
    """The error for a --target that Ninja does not know, with the programs that it does know."""
    target, ninja = planned.sample.target, find_tool("ninja")
    if not target or f"unknown target '{target}'" not in message or ninja is None:
        return None
    done = shell.run(Command((ninja, "-t", "targets", "all"), planned.work / "build"))
    known = []
    for line in done.stdout.decode(errors="replace").splitlines():
        name, _, rule = line.rpartition(": ")
        # CMake's rules are called CXX_EXECUTABLE_LINKER__…, Meson's cpp_LINKER also for shared libraries.
        if "EXECUTABLE_LINKER" in rule or (rule.endswith("_LINKER") and ".so" not in name):
            known.append(name)
    return no_such(planned.sample.name, target, sorted(known))
