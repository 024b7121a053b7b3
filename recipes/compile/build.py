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

from recipes.compile import record as records
from recipes.compile.files import Files, Recorded, sha256, walk
from recipes.compile.finished import copy, finished, is_there, kept_program
from recipes.compile.naming import fixes_of, patches_of
from recipes.compile.paths import built_in, cell, log_of
from recipes.compile.plan import Plan, plan
from recipes.compile.product import NoProgram, namesake
from recipes.compile.recipe import RECIPES, Recipe
from recipes.compile.record import BuildRecord, StepResult
from recipes.compile.step import Step
from recipes.compile.toolchains import TOOLCHAINS
from recipes.errors import CommandFailed, LibraryMissing, RecipeError, ToolMissing
from recipes.model import Build, Installed, Platform, Program, Sample
from recipes.support import shell
from recipes.support.console import activity, note, quote, stage
from recipes.support.workspace import Workspace, keep, keeping, make_folder, open_locked, write_atomically

_NOWHERE: Recorded = ("", "", (0, 0, 0, 0))
"""The output of a step of an atomic plan: it is not needed again."""

_NO_RULE = "No rule to make target"
"""What make says of a file that is not there: nothing but what needs it is lost, though make gives up."""

_ASSEMBLER_READS = rb'\.incbin|\.include\s+\\?"'
"""What makes the assembler read a file of its own, of which the compiler's -MD knows nothing."""


def build(
    sample: Sample, recipe: Recipe, platform: Platform, workspace: Workspace, *, jobs: int = 1, echo: bool = True
) -> Program:
    """Carry out the recipe's plan as far as needed, `jobs` commands side by side. With `echo` that is said.

    Where the sample's build system fails and it has another one, that is tried too; and so is one of Debian's source
    packages without Debian's patches.
    Raises: ToolMissing, CommandFailed with the compiler's message, BadInput.
    """
    plans: list[Plan] = []
    first: RecipeError | None = None
    for variant in _variants(sample):
        try:
            planned = plan(variant, recipe, platform, workspace, max(1, jobs))
        except ToolMissing as error:
            first = first or error
            continue
        known = _current(planned, workspace)
        if known is not None:
            return _finished(planned, known, workspace, cached=True)
        plans.append(planned)
    for planned in plans:
        if first is not None:
            if isinstance(first, LibraryMissing) and planned.sample.build == sample.build:
                continue
            note(f"{first.message}; trying {_how(planned.sample)}")
        try:
            return _build(planned, workspace, jobs, echo)
        except (CommandFailed, NoProgram) as error:
            if first is not None:
                note(error.message)
            first = first or error
    assert first is not None
    raise first


def _variants(sample: Sample) -> tuple[Sample, ...]:
    """The sample; with its Makefile or goal for this platform, as some make nothing without; with each other build
    system that it has; and without Debian's patches.
    """
    words = _for_platform(sample) if sample.build in ("make", "sources") and not sample.options else ()
    has_own = sample.build not in ("sources", "go")
    patched = has_own and patches_of(sample.folder) and not sample.without_patches and shell.which("patch")
    return (
        sample,
        *([replace(sample, build="make", options=words, alternatives=())] if words else []),
        *(replace(sample, build=system, alternatives=()) for system in sample.alternatives),
        *([replace(sample, without_patches=True, alternatives=())] if patched else []),
    )


def _for_platform(sample: Sample) -> tuple[str, ...]:
    from recipes.compile.systems.make import for_platform

    return for_platform(sample.folder)


def _how(sample: Sample) -> str:
    if not sample.without_patches:
        return " ".join((sample.build, *sample.options))
    fixes = len(fixes_of(sample.folder))
    kept = f", but for the {fixes} that fix a vulnerability" if fixes else ""
    return f"it without Debian's patches, as some count on what debian/rules does{kept}"


def _build(planned: Plan, workspace: Workspace, jobs: int, echo: bool) -> Program:
    make_folder(planned.work)
    with _alone(planned) as lock:
        known = _current(planned, workspace)  # another process may have built it while we waited
        if known is not None:
            return _finished(planned, known, workspace, cached=True)
        carry_out = _carry_out_tree if planned.atomic else _carry_out
        made = carry_out(planned, workspace, jobs, echo, lock)
    return _finished(planned, made, workspace, cached=False)


def _said(planned: Plan, echo: bool) -> contextlib.AbstractContextManager[None]:
    """What says that the plan is being carried out."""
    where = "" if planned.platform == Platform.host() else f" for {planned.platform}"
    title = f"building {planned.sample.name} with {planned.recipe.name}{where}"
    return stage(title) if echo else contextlib.nullcontext()


def smaller(program: Program, workspace: Workspace) -> Iterator[Program]:
    """What static recipes have made of the same sample as it is now, where that is smaller; the smallest first."""
    sample, platform = program.sample, program.platform
    found = []
    for recipe in RECIPES.values():
        if not recipe.static or recipe.language != sample.language or recipe.name == program.build.recipe:
            continue
        if not records.is_there(cell(sample, recipe.name, platform, workspace)):
            continue
        for variant in _variants(sample):
            with contextlib.suppress(RecipeError):  # what cannot be built now is no advice
                planned = plan(variant, recipe, platform, workspace)
                record = _current(planned, workspace)
                if record is not None and record.steps[planned.steps[-1].title].size < program.size:
                    found.append(_finished(planned, record, workspace, cached=True))
    yield from sorted(found, key=lambda other: other.size)


def _current(planned: Plan, workspace: Workspace) -> BuildRecord | None:
    """The record, where it speaks of exactly this plan and these files, and the program is there."""
    record, files, now = records.read(planned.work), Files(), time.time_ns()
    product = record.product(planned)
    if product is None or not _is_kept(workspace, product):
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
    """Those steps whose inputs have changed."""
    steps = [step for step in planned.steps if not step.is_folder]
    old = records.read(planned.work)
    record = BuildRecord({step.title: old.steps[step.title] for step in steps if step.title in old.steps})

    def make(step: Step) -> None:
        record.steps[step.title] = _make(planned, step, workspace, echo, lock)

    with _said(planned, echo):
        for _, group in groupby(steps, lambda step: step.stage):
            files = Files()
            waiting = [step for step in group if not records.unchanged(planned, step, record, files)]
            try:
                _side_by_side(make, waiting, jobs)
            finally:
                if waiting:
                    records.write(planned.work, record)
    return _completed(planned, record, workspace)


def _carry_out_tree(planned: Plan, workspace: Workspace, jobs: int, echo: bool, lock: int) -> BuildRecord:
    """All steps, or where their tree is still there the last one alone, which picks another program from it."""
    from recipes.compile import pick as picking

    record, last = records.read(planned.work), planned.steps[-1]
    product = last.product
    assert product is not None
    if not records.tree_unchanged(planned, record, Files()):
        if planned.runs_build_files:
            where = str(planned.sample.folder)
            note(f"note: building {where!r} with {planned.sample.build} runs the commands that its build files name")
        with _said(planned, echo):
            record = _make_tree(planned, workspace, echo, lock)
        files = Files()
        record.programs = tuple(_look(files, path) for path in picking.made(product))
    record.complete = False
    records.write(planned.work, record)

    def make_target(step: Step) -> None:
        _make(planned, step, workspace, echo, lock)

    record.steps[last.title] = picking.pick(planned, last, product, record, make_target, echo)
    return _completed(planned, record, workspace)


def _make_tree(planned: Plan, workspace: Workspace, echo: bool, lock: int) -> BuildRecord:
    """Every step but the last one. Raises: CommandFailed."""
    record = BuildRecord()
    records.write(planned.work, record)  # what an older one speaks of is about to go
    failed = False
    for step in planned.steps[:-1]:
        if step.is_folder:
            continue
        try:
            made = _not_made(planned, step) if failed else _make(planned, step, workspace, echo, lock)
        except CommandFailed as error:
            instead = _instead(planned) if step.makes_all else ""
            if not instead and step.makes_all and _NO_RULE in error.message:
                with contextlib.suppress(CommandFailed):
                    _make(planned, _keeping_going(step), workspace, echo, lock)
                instead = _instead(planned)
            if not instead and not step.optional:
                raise
            failed = bool(instead)
            note(f"{error.message}; {instead or 'going on without it'}")
            made = replace(_not_made(planned, step), failed=failed and bool(planned.sample.target))
        record.steps[step.title] = made
    return record


def _keeping_going(step: Step) -> Step:
    """The same, making what can be made. Source: GNU make manual, "Testing the Compilation of a Program"."""
    return step._replace(command=replace(step.command, argv=(*step.command.argv, "--keep-going")))


def _instead(planned: Plan) -> str:
    """What is done where a project cannot be made as a whole: a manual may be what fails, behind the program."""
    product = planned.steps[-1].product
    assert product is not None
    if product.target:
        return f"trying {product.target} alone"
    program = namesake(product)
    return f"taking {program}, which was made by then" if program else ""


def _completed(planned: Plan, record: BuildRecord, workspace: Workspace) -> BuildRecord:
    product = record.steps[planned.steps[-1].title]
    _keep(planned, product, workspace)
    record.complete = True
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
        return _not_made(planned, step)
    if not planned.atomic:
        for path in (step.output, step.depfile, step.linker_map):
            if path is not None:  # ar adds to what is there, and what is there may belong to another source
                path.unlink(missing_ok=True)
    if step.remark:
        note(step.remark)
    started = time.time_ns()
    with _first_link(planned, step, workspace), _shown(planned, step, echo) as watch:
        done = shell.run(step.command, echo=echo, pass_fds=(lock,), watch=watch, merged=planned.atomic)
    message = (done.stderr if step.map_on_stdout else done.stderr + done.stdout).decode(errors="replace")
    if done.exit_code != 0 and planned.sample.build == "go":
        from recipes.compile.gofailure import go_failed

        raise go_failed(f"{planned.sample.name}: {step.title}", message)
    if done.exit_code != 0:
        from recipes.compile import failure
        from recipes.compile import pick as picking

        if planned.atomic:
            wrong = picking.wrong_target(planned, step, message)
            raise wrong or failure.of_project(planned, step, done)
        raise CommandFailed(
            f"{planned.sample.name}: {step.title} failed (exit code {done.exit_code})",
            "; ".join(filter(None, (failure.about_sources(planned, message), f"the command was: {step.command}"))),
            message,
        )
    from recipes.compile.linker import linker_warnings, project_warnings

    if step.makes_all:
        write_atomically(log_of(planned.work, step.title), done.stdout, sync=False)
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
        mapped=step.linker_map is not None and step.linker_map.is_file(),
    )


def _not_made(planned: Plan, step: Step) -> StepResult:
    """Of a step whose result is nowhere looked at."""
    key, now = records.key(planned, step), time.time_ns()
    return StepResult(key=key, checked=now, output=_NOWHERE, seconds=0.0)


def _shown(planned: Plan, step: Step, echo: bool) -> contextlib.AbstractContextManager[Callable[[bytes], None] | None]:
    """What a build system says is long, and shown line by line in one place."""
    if not (planned.atomic and step.links and echo):
        return contextlib.nullcontext()
    return activity(f"{planned.sample.name}: {step.title}")


def _inputs(planned: Plan, step: Step) -> Iterator[str]:
    """What the step has read. What belongs to the toolchain itself is known by the toolchain's identity."""
    from recipes.compile.depfile import parse
    from recipes.compile.linker import loaded

    yield from map(str, (*step.inputs, *step.made))
    if step.loads and step.linker_map is not None:
        yield from loaded(step.linker_map)
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
        return re.search(_ASSEMBLER_READS, Path(path).read_bytes()) is not None
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


def _is_kept(workspace: Workspace, product: StepResult) -> bool:
    path = kept_program(workspace, product.sha256)
    return is_there(path, product.size) and (not product.mapped or path.with_name("app.map").is_file())


def _keep(planned: Plan, product: StepResult, workspace: Workspace) -> None:
    """Copy the program (and its linker map) to where it never changes again."""
    step, place = planned.steps[-1], kept_program(workspace, product.sha256)
    if step.linker_map is not None and product.mapped:
        copy(step.linker_map, place.with_name("app.map"), 0o644)
    if not _is_kept(workspace, product):
        copy(step.output, place, 0o755)
        if sha256(place) != product.sha256:  # changed after it was looked at, by another program
            place.unlink(missing_ok=True)
            raise RecipeError(f"{str(step.output)!r} changed while it was being copied", hint="build again")


def _finished(planned: Plan, record: BuildRecord, workspace: Workspace, *, cached: bool) -> Program:
    product = record.steps[planned.steps[-1].title]
    path = kept_program(workspace, product.sha256)
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
        linker_map=path.with_name("app.map") if product.mapped else None,
        toolchain=str(planned.toolchain),
        cached=cached,
        seconds=sum(each.seconds for each in made),
        installed=_installed(planned, product),
    )
    return finished(path, product.sha256, planned.sample, planned.platform, workspace, how)


def _installed(planned: Plan, product: StepResult) -> Installed | None:
    wanted = planned.steps[-1].product
    if not product.installed or wanted is None or wanted.installed is None:
        return None
    return Installed(product.installed, wanted.installed, product.named)
