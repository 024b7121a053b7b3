"""A plan carried out: only those steps whose inputs have changed are run, and the program is kept by its content.

Objects stay where the commands put them, in `build/work/<sample>/<recipe>/<platform>`, beside a record of what each was made
of. Nothing is trusted without its record, and a record is written after what it speaks of: a build that was killed half-way
is taken up where its last complete step ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from recipes import shell
from recipes.compile.cpp import linker_warnings
from recipes.compile.depfile import parse
from recipes.compile.files import Files, Recorded
from recipes.compile.plan import Plan, Step, cell, plan
from recipes.compile.recipe import RECIPES, Recipe
from recipes.errors import CommandFailed, RecipeError
from recipes.model import Binary, Platform, Sample
from recipes.notes import note
from recipes.workspace import Workspace, locked, make_folder, replacing, write_atomically

_VERSION = 1


@dataclass(slots=True)
class _Made:
    """What is known of a step that was completed. `checked` is when its files looked like this, in ns."""

    key: str
    checked: int
    inputs: list[Recorded]
    output: Recorded
    warnings: list[str]
    seconds: float


@dataclass(slots=True)
class _Record:
    """What is known of a cell: its steps by title, and the program that the last one made."""

    steps: dict[str, _Made] = field(default_factory=dict)
    sha256: str = ""
    size: int = 0


def build(
    sample: Sample, recipe: Recipe, platform: Platform, workspace: Workspace, *, jobs: int = 1, echo: bool = True
) -> Binary:
    """Carry out the recipe's plan as far as needed. Commands that run are echoed to stderr.

    Raises: ToolMissing, CommandFailed with the compiler's whole message, BadInput.
    """
    planned = plan(sample, recipe, platform, workspace)
    record = _read(planned.work)
    files = Files()
    if record.sha256 and _all_unchanged(planned, record, files) and _kept(workspace, record).is_file():
        if files.reread:  # touched, but the same: know it at once the next time
            _write(planned.work, _refreshed(record, files))
        return _binary(planned, record, workspace, cached=True)
    make_folder(planned.work)
    with locked(planned.work.with_name(f"{planned.work.name}.lock")):
        # Somebody else may have built it while we waited.
        record = _read(planned.work)
        if not (record.sha256 and _all_unchanged(planned, record, Files()) and _kept(workspace, record).is_file()):
            record = _carry_out(planned, record, workspace, jobs, echo)
    return _binary(planned, record, workspace, cached=False)


def measured_sizes(sample: Sample, platform: Platform, workspace: Workspace) -> dict[str, int]:
    """Bytes of the program by recipe, as far as they were built here before."""
    sizes = {name: _read(cell(sample, name, platform, workspace)).size for name in RECIPES}
    return {name: size for name, size in sizes.items() if size}


# ── the steps ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _carry_out(planned: Plan, old: _Record, workspace: Workspace, jobs: int, echo: bool) -> _Record:
    record = _Record(dict(old.steps))
    _warn_of_first_use(planned, workspace)
    try:
        for _, group in groupby((step for step in planned.steps if not step.is_folder), lambda step: step.stage):
            steps = [step for step in group if not _unchanged(planned, step, record, Files())]
            with ThreadPoolExecutor(max(1, jobs)) as pool:
                pending = [(step, pool.submit(_make, planned, step, echo)) for step in steps]
                try:
                    for step, future in pending:
                        record.steps[step.title] = future.result()
                except BaseException:
                    pool.shutdown(cancel_futures=True, wait=False)
                    raise
        product = planned.steps[-1].output
        record.sha256, record.size = record.steps[planned.steps[-1].title].output[1], product.stat().st_size
        _keep(planned, record, workspace)
    finally:
        _write(planned.work, record)
    return record


def _make(planned: Plan, step: Step, echo: bool) -> _Made:
    done = shell.run(step.command, echo=echo)
    message = (done.stderr if step.map_on_stdout else done.stderr + done.stdout).decode(errors="replace")
    if done.exit_code != 0:
        raise CommandFailed(
            f"{planned.sample.name}: {step.title} failed (exit code {done.exit_code})",
            f"the command was: {step.command}",
            message,
        )
    warnings = linker_warnings(message) if step.links else ()
    if message.strip():
        note(message.rstrip("\n"))
    if step.map_on_stdout and step.linker_map is not None:
        write_atomically(step.linker_map, done.stdout)
    checked, files = time.time_ns(), Files()
    inputs = [_look(files, path) for path in _inputs(step) if files.stamp(path) is not None]
    return _Made(_key(planned, step), checked, inputs, _look(files, str(step.output)), list(warnings), done.seconds)


def _inputs(step: Step) -> Iterator[str]:
    yield from dict.fromkeys(map(str, (*step.inputs, *step.made)))
    if step.depfile is not None and step.command.cwd is not None:
        for name in parse(step.depfile.read_bytes()):
            yield os.path.normpath(step.command.cwd / os.fsdecode(name))


def _look(files: Files, path: str) -> Recorded:
    now, content = files.stamp(path), files.content(path)
    if now is None or content is None:
        raise RecipeError(f"{path!r} vanished while it was being built", hint="build again")
    return (path, content, now)


def _warn_of_first_use(planned: Plan, workspace: Workspace) -> None:
    used = workspace.cache / "toolchains" / f"zig-{planned.platform.architecture}.used"
    if planned.toolchain.name == "zig" and not used.exists():
        note("zig: the first build for a target also builds its C and C++ library, which can take minutes")
        write_atomically(used, b"")


# ── what has changed ─────────────────────────────────────────────────────────────────────────────────────────────────


def _all_unchanged(planned: Plan, record: _Record, files: Files) -> bool:
    return all(_unchanged(planned, step, record, files, last_only=True) for step in planned.steps if not step.is_folder)


def _unchanged(planned: Plan, step: Step, record: _Record, files: Files, last_only: bool = False) -> bool:
    """Whether the step would make what it made before. `last_only`: its own output may be gone, if nobody needs it."""
    made = record.steps.get(step.title)
    if made is None or made.key != _key(planned, step):
        return False
    outputs = set() if last_only else {made.output[0]}
    between = {str(path) for path in step.made} if last_only else set()
    watched: Iterable[Recorded] = (entry for entry in made.inputs if entry[0] not in between)
    if not all(files.unchanged(entry, made.checked) for entry in watched):
        return False
    return not outputs or files.unchanged(made.output, made.checked)


def _key(planned: Plan, step: Step) -> str:
    """What decides a step's result, but for the contents of files."""
    env = [pair for pair in step.command.env if pair[0] not in planned.environment_only]
    what = [_VERSION, planned.toolchain.identity, step.command.argv, str(step.command.cwd), env, step.names]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def _refreshed(record: _Record, files: Files) -> _Record:
    now = time.time_ns()

    def anew(entry: Recorded) -> Recorded:
        return (entry[0], entry[1], files.stamp(entry[0]) or entry[2])

    for made in record.steps.values():
        if files.reread & {entry[0] for entry in made.inputs}:
            made.inputs, made.checked = [anew(entry) for entry in made.inputs], now
    return record


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _kept(workspace: Workspace, record: _Record) -> Path:
    return workspace.cache / "binaries" / record.sha256 / "app"


def _keep(planned: Plan, record: _Record, workspace: Workspace) -> None:
    """Copy the program (and its linker map) to where it never changes again."""
    place = _kept(workspace, record)
    step = planned.steps[-1]
    if not place.is_file():
        _copy(step.output, place, 0o755)
    if step.linker_map is not None:
        _copy(step.linker_map, place.with_name("app.map"), 0o644)


def _copy(source: Path, target: Path, mode: int) -> None:
    with open(source, "rb") as file, replacing(target, mode) as out:
        while data := file.read(1 << 20):
            out.write(data)


def _binary(planned: Plan, record: _Record, workspace: Workspace, *, cached: bool) -> Binary:
    path = _kept(workspace, record)
    made = [record.steps[step.title] for step in planned.steps if step.title in record.steps]
    return Binary(
        path,
        record.sha256,
        record.size,
        planned.platform,
        planned.sample,
        planned.recipe.name,
        planned.commands,
        tuple(warning for each in made for warning in each.warnings),
        path.with_name("app.map") if planned.steps[-1].linker_map is not None else None,
        str(planned.toolchain),
        cached,
        sum(each.seconds for each in made),
    )


def _read(work: Path) -> _Record:
    """What is known of the cell; an empty record where that is nothing, or is not ours."""
    try:
        data: dict[str, Any] = json.loads((work / "record.json").read_bytes())
        if data["version"] != _VERSION:
            return _Record()
        steps = {
            title: _Made(
                made["key"],
                int(made["checked"]),
                [_recorded(entry) for entry in made["inputs"]],
                _recorded(made["output"]),
                [str(text) for text in made["warnings"]],
                float(made["seconds"]),
            )
            for title, made in data["steps"].items()
        }
        return _Record(steps, str(data["sha256"]), int(data["size"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _Record()


def _recorded(entry: Any) -> Recorded:
    path, content, (size, modified, changed, inode) = entry
    return (str(path), str(content), (size, modified, changed, inode))


def _write(work: Path, record: _Record) -> None:
    steps = {
        title: {
            "key": made.key,
            "checked": made.checked,
            "inputs": made.inputs,
            "output": made.output,
            "warnings": made.warnings,
            "seconds": made.seconds,
        }
        for title, made in record.steps.items()
    }
    document = {"version": _VERSION, "sha256": record.sha256, "size": record.size, "steps": steps}
    write_atomically(work / "record.json", json.dumps(document).encode())
