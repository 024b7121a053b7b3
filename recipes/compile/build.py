"""A plan carried out: only those steps whose inputs have changed are run, and the program is kept by its content.

Objects stay where the commands put them, one folder per sample, recipe and platform, beside a record of what each was
made of. Nothing is trusted without its record, and a record is written after what it speaks of: a build that was killed
half-way is taken up where its last complete step ended.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from recipes.compile import pick as picking
from recipes.compile import record as records
from recipes.compile.depfile import parse
from recipes.compile.files import Files, Recorded, sha256, walk
from recipes.compile.finished import copy, finished, is_there, kept_program
from recipes.compile.gofailure import go_failed
from recipes.compile.linker import linker_warnings, project_warnings
from recipes.compile.paths import built_in, cell
from recipes.compile.plan import Plan, plan
from recipes.compile.recipe import RECIPES, Recipe
from recipes.compile.record import BuildRecord, StepResult
from recipes.compile.step import Step
from recipes.compile.toolchains import TOOLCHAINS
from recipes.errors import CommandFailed, RecipeError
from recipes.model import Build, Platform, Program, Sample
from recipes.support import shell
from recipes.support.console import note, quote
from recipes.support.workspace import Workspace, keep, keeping, make_folder, open_locked, write_atomically

_NOWHERE: Recorded = ("", "", (0, 0, 0, 0))
"""The output of a step of an atomic plan: it is not needed again."""

_ASSEMBLER_READS = re.compile(rb'\.incbin|\.include\s+\\?"')
"""What makes the assembler read a file of its own, of which the compiler's -MD knows nothing."""


def build(
    sample: Sample, recipe: Recipe, platform: Platform, workspace: Workspace, *, jobs: int = 1, echo: bool = True
) -> Program:
    """Carry out the recipe's plan as far as needed, `jobs` commands side by side. Those that run are echoed to stderr.

    Raises: ToolMissing, CommandFailed with the compiler's whole message, BadInput.
    """
    jobs = max(1, jobs)
    planned = plan(sample, recipe, platform, workspace, jobs)
    known = _current(planned, workspace)
    if known is not None:
        return _finished(planned, known, workspace, cached=True)
    make_folder(planned.work)
    with _alone(planned) as lock:
        known = _current(planned, workspace)  # another process may have built it while we waited
        if known is not None:
            return _finished(planned, known, workspace, cached=True)
        if planned.runs_build_files:
            where = str(planned.sample.folder)
            note(f"note: building {where!r} with {planned.sample.build} runs the commands that its build files name")
        made = _carry_out(planned, workspace, jobs, echo, lock)
    return _finished(planned, made, workspace, cached=False)


def smaller(program: Program, workspace: Workspace) -> Iterator[Program]:
    """What static recipes have made of the same sample as it is now, where that is smaller; the smallest first."""
    sample = program.sample
    cells = ((recipe, cell(sample, recipe.name, program.platform, workspace)) for recipe in RECIPES.values())
    known = [(records.read(work), recipe) for recipe, work in cells if recipe.static]
    for record, recipe in sorted(known, key=lambda pair: pair[0].size):
        if recipe.language != sample.language or not 0 < record.size < program.size:
            continue
        with contextlib.suppress(RecipeError):  # what cannot be built now is no advice
            planned = plan(sample, recipe, program.platform, workspace)
            if records.all_unchanged(planned, record, Files()) and _is_kept(workspace, record):
                yield _finished(planned, record, workspace, cached=True)


def _current(planned: Plan, workspace: Workspace) -> BuildRecord | None:
    """The record, where it speaks of exactly this plan and these files, and the program is there."""
    record, files, now = records.read(planned.work), Files(), time.time_ns()
    if not record.sha256 or not _is_kept(workspace, record):
        return None
    if not records.all_unchanged(planned, record, files):
        return None
    if files.reread:  # touched, but the same: know it at once the next time
        records.refresh(record, files, now)
        records.rewrite(planned.work, record)
    return record


@contextlib.contextmanager
def _alone(planned: Plan) -> Iterator[int]:
    """Hold the cell. The compilers inherit the lock, so one that outlives us still keeps others off its files."""
    path = planned.work.with_name(f"{planned.work.name}.lock")
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open_locked(path, wait=False))
        except BlockingIOError:
            note(f"waiting for another build of {planned.sample.name} with {planned.recipe.name}")
            file = stack.enter_context(open_locked(path))
        yield file.fileno()


# ── the steps ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _carry_out(planned: Plan, workspace: Workspace, jobs: int, echo: bool, lock: int) -> BuildRecord:
    steps = [step for step in planned.steps if not step.is_folder]
    old = BuildRecord() if planned.atomic else records.read(planned.work)
    record = BuildRecord({step.title: old.steps[step.title] for step in steps if step.title in old.steps})

    def make(step: Step) -> None:
        if step.product is not None:
            earlier = list(record.steps.values())
            record.steps[step.title] = picking.pick(planned, step, step.product, earlier, echo)
        else:
            record.steps[step.title] = _make(planned, step, workspace, echo, lock)

    for _, group in groupby(steps, lambda step: step.stage):
        files = Files()
        waiting = [step for step in group if planned.atomic or not records.unchanged(planned, step, record, files)]
        try:
            _side_by_side(make, waiting, jobs)
        finally:
            if waiting:
                records.write(planned.work, record)
    product = record.steps[steps[-1].title]
    record.sha256, record.size = product.output[1], product.output[2][0]
    linker_map = steps[-1].linker_map
    record.mapped = linker_map is not None and linker_map.is_file()
    _keep(planned, record, workspace)
    records.write(planned.work, record)
    return record


def _side_by_side(make: Callable[[Step], None], steps: list[Step], jobs: int) -> None:
    """Each step is made; after the first error no further one is begun."""
    if jobs == 1 or len(steps) < 2:
        for step in steps:
            make(step)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(jobs) as pool:
        pending = [pool.submit(make, step) for step in steps]
        try:
            for future in pending:
                future.result()
        except BaseException as error:
            # After ^C what still runs would keep us waiting, and what is ended makes room for the next.
            with contextlib.nullcontext() if isinstance(error, RecipeError) else shell.stopping():
                pool.shutdown(cancel_futures=True)
            raise


def _make(planned: Plan, step: Step, workspace: Workspace, echo: bool, lock: int) -> StepResult:
    if step.text is not None:
        write_atomically(step.output, os.fsencode(step.text), 0o755 if step.is_script else 0o644)
        key, now = records.key(planned, step), time.time_ns()
        return StepResult(key=key, checked=now, output=_NOWHERE, seconds=0.0)
    if not planned.atomic:
        for path in (step.output, step.depfile, step.linker_map):
            if path is not None:  # ar adds to what is there, and what is there may belong to another source
                path.unlink(missing_ok=True)
    if step.remark:
        note(step.remark)
    started = time.time_ns()
    with _first_link(planned, step, workspace):
        done = shell.run(step.command, echo=echo, pass_fds=(lock,))
    message = (done.stderr if step.map_on_stdout else done.stderr + done.stdout).decode(errors="replace")
    if done.exit_code != 0 and planned.sample.build == "go":
        raise go_failed(f"{planned.sample.name}: {step.title}", message)
    if done.exit_code != 0:
        raise picking.wrong_target(planned, message) or CommandFailed(
            f"{planned.sample.name}: {step.title} failed (exit code {done.exit_code})",
            f"the command was: {step.command}",
            message,
        )
    if planned.atomic:  # what a build system prints when all goes well is long, and of no use
        warnings = project_warnings(message) if step.links else ()
    else:
        warnings = linker_warnings(message) if step.links else ()
        if message.strip() and not warnings:  # the linker's are in the result
            quote(message)
    if step.map_on_stdout and step.linker_map is not None:
        write_atomically(step.linker_map, done.stdout)
    if not planned.atomic and not step.output.is_file():
        raise CommandFailed(
            f"{planned.sample.name}: {step.title} produced no output file", f"the command was: {step.command}"
        )
    checked, files = time.time_ns(), Files()
    inputs = tuple(_look(files, path) for path in dict.fromkeys(_inputs(planned, step)))
    sound = all(stamp[2] <= started for path, _, stamp in inputs)
    output = _NOWHERE if planned.atomic else _look(files, str(step.output))
    return StepResult(
        key=records.key(planned, step),
        checked=checked,
        output=output,
        seconds=done.seconds,
        inputs=inputs,
        warnings=warnings,
        sound=sound,
    )


def _inputs(planned: Plan, step: Step) -> Iterator[str]:
    """What the step has read. What belongs to the toolchain itself is known by the toolchain's identity."""
    yield from map(str, (*step.inputs, *step.made))
    if step.depfile is None or step.command.cwd is None:
        return
    try:
        named = [os.path.normpath(step.command.cwd / os.fsdecode(name)) for name in parse(step.depfile.read_bytes())]
    except OSError as error:
        raise CommandFailed(
            f"{planned.sample.name}: {step.title} wrote no dependency file", f"the command was: {step.command}"
        ) from error
    own = planned.toolchain.own
    for path in named:
        if own and path.startswith(own):
            continue
        is_there = os.path.isfile(path)
        if is_there:
            yield path
        # A name that a depfile cannot hold, such as one with a newline, or none: anything in the folder may be meant.
        if not is_there or _assembler_reads_more(path):
            yield from _everything(planned)


def _assembler_reads_more(path: str) -> bool:
    try:
        return _ASSEMBLER_READS.search(Path(path).read_bytes()) is not None
    except OSError:
        return False  # the next one that looks at it will say so


def _everything(planned: Plan) -> Iterator[str]:
    for parent, _, files in walk(planned.sample.folder, built_in(planned.work)):
        yield from (path for file in files if os.path.isfile(path := os.path.join(parent, file)))


def _look(files: Files, path: str) -> Recorded:
    now, content = files.stamp(path), files.content(path)
    if now is None or content is None:
        raise RecipeError(f"{path!r} vanished while it was being built", hint="build again")
    return (path, content, now)


@contextlib.contextmanager
def _first_link(planned: Plan, step: Step, workspace: Workspace) -> Iterator[None]:
    """Some toolchains build libraries when they first link for a target: say so, and let only one step at a time."""
    kind = TOOLCHAINS[planned.recipe.toolchain]
    if not kind.builds_libraries or not step.links:
        yield
        return
    target = str(planned.platform).replace("/", "-")
    used = workspace.cache / "toolchains" / f"{kind.name}-{planned.toolchain.identity[:16]}-{target}.used"
    if used.exists():
        yield
        return
    with keeping(used.with_suffix(".lock")):
        if used.exists():
            yield
            return
        note(
            f"{kind.program} links for {planned.platform} for the first time here: "
            f"it may have to build {kind.builds_libraries} (minutes)"
        )
        over = threading.Event()
        threading.Thread(target=_keep_saying, args=(kind.program, planned.platform, over), daemon=True).start()
        try:
            yield
        finally:
            over.set()
        keep(used, b"")


def _keep_saying(program: str, platform: Platform, over: threading.Event) -> None:
    started = time.monotonic()
    while not over.wait(30):
        note(f"{program} is still building its libraries for {platform} ({time.monotonic() - started:.0f} s)")


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _is_kept(workspace: Workspace, record: BuildRecord) -> bool:
    path = kept_program(workspace, record.sha256)
    return is_there(path, record.size) and (not record.mapped or path.with_name("app.map").is_file())


def _keep(planned: Plan, record: BuildRecord, workspace: Workspace) -> None:
    """Copy the program (and its linker map) to where it never changes again."""
    step, place = planned.steps[-1], kept_program(workspace, record.sha256)
    if step.linker_map is not None and record.mapped:
        copy(step.linker_map, place.with_name("app.map"), 0o644)
    if not _is_kept(workspace, record):
        copy(step.output, place, 0o755)
        if sha256(place) != record.sha256:  # changed after it was looked at, by another program
            place.unlink(missing_ok=True)
            raise RecipeError(f"{str(step.output)!r} changed while it was being copied", hint="build again")


def _finished(planned: Plan, record: BuildRecord, workspace: Workspace, *, cached: bool) -> Program:
    path = kept_program(workspace, record.sha256)
    made = [record.steps[step.title] for step in planned.steps if not step.is_folder]
    # The last step of an atomic plan has taken over what the others said about its program.
    speaking = made[-1:] if planned.atomic else made
    commands = planned.commands
    if made[-1].argv:
        commands = (*commands[:-1], replace(commands[-1], argv=tuple(made[-1].argv)))
    how = Build(
        recipe=planned.recipe.name,
        commands=commands,
        warnings=tuple(warning for each in speaking for warning in each.warnings),
        linker_map=path.with_name("app.map") if record.mapped else None,
        toolchain=str(planned.toolchain),
        cached=cached,
        seconds=sum(each.seconds for each in made),
    )
    return finished(path, record.sha256, planned.sample, planned.platform, workspace, how)
