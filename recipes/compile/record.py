"""What is known of the steps that were carried out, kept beside what they made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from recipes.compile.files import Files, Recorded
from recipes.compile.plan import Plan
from recipes.compile.step import Step
from recipes.support.records import keep_value, kept_value, write_value

_VERSION = 4
"""Of what a key is made of: a step with another one is done again."""


@dataclass(slots=True, kw_only=True)
class StepResult:
    """A step that was completed. `checked` is when its files looked like this, in ns; `sound` whether that holds.

    It does not hold where an input was changed while the step read it: then the step is done again the next time.
    """

    key: str
    checked: int
    output: Recorded
    seconds: float
    inputs: tuple[Recorded, ...] = ()
    warnings: tuple[str, ...] = ()
    sound: bool = True
    argv: tuple[str, ...] = ()
    """The command, where it was known only when it was run."""
    mapped: bool = False
    """Whether it has left a linker's map of its output."""
    installed: str = ""
    """Where the project itself installs the output."""
    named: tuple[str, ...] = ()
    """Which of the files that are installed beside the output it names."""
    failed: bool = False
    """It did not come to its end: only a program that is asked for by name may have been made in spite of that."""

    @property
    def sha256(self) -> str:
        return self.output[1]

    @property
    def size(self) -> int:
        return self.output[2][0]


@dataclass(slots=True)
class BuildRecord:
    """What is known of a cell: its steps by title. `complete` says that the last one is as new as those before it.

    `programs` are those in the tree that the steps of an atomic plan have left, before anything was made in addition.
    """

    steps: dict[str, StepResult] = field(default_factory=dict)
    complete: bool = False
    programs: tuple[Recorded, ...] = ()

    def product(self, planned: Plan) -> StepResult | None:
        """What is known of the plan's last step, which makes the program; None before it was completed."""
        return self.steps.get(planned.steps[-1].title) if self.complete else None


def is_there(work: Path) -> bool:
    """Whether anything was ever built there."""
    return _place(work).is_file()


def read(work: Path) -> BuildRecord:
    """An empty record where there is none, or it is not ours."""
    return kept_value(_place(work), BuildRecord) or BuildRecord()


def write(work: Path, record: BuildRecord) -> None:
    """Raises: CannotWrite."""
    write_value(_place(work), record)


def rewrite(work: Path, record: BuildRecord) -> None:
    """The same in newer words: where that cannot be written, the older ones still hold."""
    keep_value(_place(work), record)


def _place(work: Path) -> Path:
    return work / "record.json"


def all_unchanged(planned: Plan, record: BuildRecord, files: Files) -> bool:
    """Whether the whole plan would make what it made before. What lies between its steps need not be there."""
    return _all_same(planned, planned.steps, record, files)


def tree_unchanged(planned: Plan, record: BuildRecord, files: Files) -> bool:
    """Whether what the steps before the last one of an atomic plan have left is what they would make, and still there.

    Which program the last one takes from it does not matter.
    """
    if not _all_same(planned, planned.steps[:-1], record, files):
        return False
    return all(files.unchanged(entry, record.steps[planned.steps[-2].title].checked) for entry in record.programs)


def _all_same(planned: Plan, steps: tuple[Step, ...], record: BuildRecord, files: Files) -> bool:
    between = {str(step.output) for step in planned.steps if not planned.atomic}
    return all(_same(planned, step, record, files, between) for step in steps if not step.is_folder)


def unchanged(planned: Plan, step: Step, record: BuildRecord, files: Files) -> bool:
    """Whether the step would make what it made before, and that is still in its place."""
    if not _same(planned, step, record, files, set()):
        return False
    made = record.steps[step.title]
    return (step.linker_map is None or step.linker_map.is_file()) and files.unchanged(made.output, made.checked)


def _same(planned: Plan, step: Step, record: BuildRecord, files: Files, skip: set[str]) -> bool:
    made = record.steps.get(step.title)
    if step.always_run or made is None or not made.sound or made.key != key(planned, step):
        return False
    if made.failed and not planned.sample.target:
        return False
    return all(files.unchanged(entry, made.checked) for entry in made.inputs if entry[0] not in skip)


def key(planned: Plan, step: Step) -> str:
    """What decides a step's result, but for the contents of files."""
    command, unset = step.command, planned.unset
    env = [pair for pair in command.env if pair[0] not in planned.environment_only]
    argv = command.argv[len(unset) :] if command.argv[: len(unset)] == unset else command.argv
    argv = tuple(word for word in argv if word != step.jobs_flag)
    what = [_VERSION, planned.toolchain.identity, argv, str(command.cwd), env, step.names, step.text]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def refresh(record: BuildRecord, files: Files, now: int) -> None:
    """Note the new stamps of files that were touched and turned out to be the same. `now` is before they were read."""
    for made in record.steps.values():
        if files.reread & {entry[0] for entry in made.inputs}:
            made.inputs = tuple((path, content, files.stamp(path) or then) for path, content, then in made.inputs)
            made.checked = now
