"""The last step of a build that is not ours: find the program, copy it out, and keep what its linker said."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection
from pathlib import Path

from recipes.compile import record as records
from recipes.compile.files import sha256, stamp
from recipes.compile.linker import project_warnings
from recipes.compile.named import named_files
from recipes.compile.paths import log_of
from recipes.compile.plan import Plan
from recipes.compile.product import Candidate, NoProgram, Product, by_file, candidates, find, named, no_such, programs
from recipes.compile.record import BuildRecord, StepResult
from recipes.compile.step import Step
from recipes.compile.systems.buildtools import find as find_tool
from recipes.compile.systems.wrapper import MAP, MESSAGES
from recipes.errors import BadInput
from recipes.model import Command
from recipes.support import shell

_NO_RULE = re.compile(r"No rule to make target [`']([^']*)'")


def pick(
    planned: Plan, step: Step, product: Product, record: BuildRecord, make_target: Callable[[Step], object], echo: bool
) -> StepResult:
    """Copy the program to the step's output. `make_target` carries out the step that makes what is asked for by name,
    where the project does not make it by default. The warnings of the steps before count where the program has none of
    its own: it was not linked by the recipe's compiler then, or was moved.

    Raises: BadInput that lists the programs, where there is none or it is not clear which; CommandFailed.
    """
    chosen = _choose(planned, step, product, record, make_target)
    names = [product.tree / path for path in chosen.paths]
    command = Command(("cp", "--", os.path.relpath(names[0], planned.work), step.output.name), planned.work)
    step.output.unlink(missing_ok=True)
    done = shell.check(command, echo=echo)
    mapped = False
    if step.linker_map is not None:
        step.linker_map.unlink(missing_ok=True)
        for path in [f"{name}{MAP}" for name in names if os.path.isfile(f"{name}{MAP}")][:1]:
            shell.check(Command(("cp", "--", path, str(step.linker_map))))
            mapped = True
    said = [text for name in names if (text := _text(Path(f"{name}{MESSAGES}"))) is not None]
    if said:
        warnings = project_warnings(said[0])
    else:
        before = [record.steps[each.title] for each in planned.steps[:-1] if each.title in record.steps]
        warnings = tuple(dict.fromkeys(text for made in before for text in made.warnings))
    return StepResult(
        key=records.key(planned, step),
        checked=time.time_ns(),
        output=(str(step.output), sha256(step.output), stamp(str(step.output))),
        seconds=done.seconds,
        warnings=warnings,
        argv=command.argv,
        mapped=mapped,
        installed=chosen.place(os.path.basename(product.target) or chosen.path.name),
        named=named_files(step.output, product.installed) if product.installed else (),
    )


def made(product: Product) -> list[str]:
    """Every program that is there now, by one of its paths."""
    found = programs(product.tree, product.machine)
    return [str(product.tree / names[0]) for names in by_file(product.tree, found)]


def _choose(
    planned: Plan, step: Step, product: Product, record: BuildRecord, make_target: Callable[[Step], object]
) -> Candidate:
    found, name = candidates(product), planned.sample.name
    if not (found or product.target) and planned.runs_build_files:
        log = str(log_of(planned.work, "build"))
        raise NoProgram(
            f"the build of {name} made no program for this platform",
            f"does it build only a library? What it said is in {log!r}",
        )
    if not product.target:  # what an earlier call had made by name in addition does not count
        known = {path for path, _, _ in record.programs}
        return find(product, name, [each for each in found if _is_one_of(known, product, each)])
    if step.target_step is not None and not named(product.target, found):
        make_target(step.target_step)
        before = {each.path for each in found}
        found = candidates(product)
        file = _file_of(product)
        meant = [each for each in found if each.lies_at(file)] or [each for each in found if each.path not in before]
        if not named(product.target, found) and len(meant) == 1:
            return meant[0]
    return find(product, name, found)


def _is_one_of(known: Collection[str], product: Product, candidate: Candidate) -> bool:
    """Whether it is among the paths of `known`, or only where the project is installed."""
    return any(path.parts[0] == os.pardir or str(product.tree / path) in known for path in candidate.paths)


def wrong_target(planned: Plan, step: Step, message: str) -> BadInput | None:
    """The error for a --target that the build system does not know, with the programs that it does know."""
    product = planned.steps[-1].product
    if product is None or step is not planned.steps[-1].target_step:
        return None
    target, known = product.target, [str(each.path) for each in candidates(product)]
    if f"unknown target '{target}'" in message:
        known = _ninja_programs(product) or known
    elif not any(missing == target for missing in _NO_RULE.findall(message)):
        return None
    return no_such(planned.sample.name, target, sorted(known))


def _ninja_programs(product: Product) -> list[str]:
    known = []
    for line in _ask_ninja(product, "targets", "all"):
        name, _, rule = line.rpartition(": ")
        # CMake's rules are called CXX_EXECUTABLE_LINKER__…, Meson's cpp_LINKER also for shared libraries.
        if "EXECUTABLE_LINKER" in rule or (rule.endswith("_LINKER") and ".so" not in name):
            known.append(name)
    return known


def _file_of(product: Product) -> str:
    """The file that Ninja makes for a target which is only another name for it; "" where there is none.

    Source: Ninja manual, "Extra tools", query.
    """
    lines = [line.strip() for line in _ask_ninja(product, "query", product.target)]
    if "input: phony" not in lines or "outputs:" not in lines:
        return ""
    inputs = lines[lines.index("input: phony") + 1 : lines.index("outputs:")]
    return inputs[0] if len(inputs) == 1 else ""


def _ask_ninja(product: Product, *words: str) -> list[str]:
    ninja = find_tool("ninja")
    if ninja is None or not (product.tree / "build.ninja").is_file():
        return []
    return shell.run(Command((ninja, "-t", *words), product.tree)).stdout.decode(errors="replace").splitlines()


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None
