"""As at home: a program in its image, compared with the same program in this machine's own root.

What is compared is how both ended and what they wrote to stdout and stderr, without what differs from one run to the
next: times of day, durations, seconds since 1970, addresses in memory, and what the program is called. Process numbers
need no such care: each program is process 1 of a namespace of its own.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import cache
from itertools import zip_longest

from recipes import pipeline
from recipes.errors import shortened
from recipes.model import AtHome, Platform, Program, RunOutcome, RunStatus, Sample, SizeRow
from recipes.pipeline import Project
from recipes.workflows import bundle

_FLEETING = re.compile(
    r"\b\d{1,2}:\d\d(:\d\d([.,]\d+)?)?\b"  # a time of day
    r"|\b\d+([.,]\d+)? ?(ns|us|µs|ms|s|seconds?)\b"  # a duration
    r"|\b1\d{9}([.]\d+)?\b|\b1\d{12}\b|\b1\d{18}\b"  # since 1970, in seconds, milliseconds, nanoseconds
    r"|\b0x[0-9a-fA-F]{6,}\b"  # an address
)
_SHOWN = 60


def home_of(project: Project, sample: Sample, *, asked: bool) -> Home | None:
    """What runs of `sample` are compared with: a file is, unless something is expected; sources where it is asked for.

    The program has to be one for this machine, and for sources its dynamic build, which is made here and now: raises
    what building raises.
    """
    if not asked and (sample.language != "binary" or sample.expect is not None):
        return None
    if sample.language == "binary":
        return Home(project, sample)
    built = pipeline.build_program(project, sample, bundle.dynamic_recipe(sample.language), Platform.host())
    return Home(project, sample, built)


class Home:
    """The run at home, made when it is first needed, and once for all images."""

    def __init__(self, project: Project, sample: Sample, built: Program | None = None) -> None:
        self._project, self._sample, self._built = project, sample, built
        self._reference: RunOutcome | None = None

    def compared(self, row: SizeRow) -> SizeRow:
        """`row` with how its run compares; as it is, where nothing was run, or it is for another CPU."""
        from recipes.run.home import home_path

        run = row.run
        if run is None or run.status is RunStatus.NOT_RUN or row.image.platform != Platform.host():
            return row
        program = self._built or row.program  # a file is the same program in every image
        reference = self._run(program)
        if not reference.started:
            return replace(row, home=AtHome(reference, None, None))
        names = *_names(row.image.entrypoint[-1]), *_names(home_path(program))
        differs = difference(run, reference, names)
        return replace(row, home=AtHome(reference, differs, _ending(run) == _ending(reference)))

    def _run(self, program: Program) -> RunOutcome:
        if self._reference is None:
            from recipes.run.local import LocalEngine

            sample = self._sample
            self._reference = LocalEngine(self._project.workspace, self._project.roots).run_at_home(
                program,
                args=sample.args,
                stdin=sample.stdin.encode("utf-8", "surrogateescape"),
                limits=pipeline.limits_of(sample),
            )
        return self._reference


def difference(run: RunOutcome, reference: RunOutcome, names: tuple[str, ...] = ()) -> str:
    """In what one line `run` differs from `reference`; "" in nothing. `names` are what the program is called in both.

    Of two that were ended by us, what both had the time to write is compared.
    """
    if _ending(run) != _ending(reference):
        return f"{run.ending}, at home {reference.ending}"
    if run.engine == reference.engine and run.listens != reference.listens:
        ports, others = (", ".join(each.listens) or "no port" for each in (run, reference))
        return f"it listens on {ports}, at home on {others}"
    cut = run.status is RunStatus.STOPPED
    streams = ("stdout", run.stdout, reference.stdout), ("stderr", run.stderr, reference.stderr)
    return next(filter(None, (_first_difference(*stream, names, cut=cut) for stream in streams)), "")


def _first_difference(stream: str, mine: str, other: str, names: tuple[str, ...], *, cut: bool) -> str:
    """The first line that is another one; of two outputs that were `cut`, as far as both go."""
    ours, theirs = mine.splitlines(), other.splitlines()
    if cut:
        both = max(0, min(len(ours), len(theirs)) - 1)  # the last line may be half of one
        ours, theirs = ours[:both], theirs[:both]
    for number, (our, their) in enumerate(zip_longest(ours, theirs), start=1):
        if our is None or their is None or lasting(our, names) != lasting(their, names):
            return f"line {number} of {stream} is {_shown(our)}, at home {_shown(their)}"
    return ""


def lasting(text: str, names: tuple[str, ...] = ()) -> str:
    """`text` without what differs from run to run; `names` of the program become one."""
    text = _FLEETING.sub("…", text)
    return _called(names).sub("…", text) if names else text


@cache
def _called(names: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted({*names}, key=len, reverse=True)
    return re.compile(rf"(?<![\w/.-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w/-])")


def _names(path: str) -> tuple[str, str]:
    return path, os.path.basename(path)


def _ending(run: RunOutcome) -> tuple[object, ...]:
    return run.status, run.exit_code, run.timed_out or run.reason


def _shown(line: str | None) -> str:
    return "missing" if line is None else repr(shortened(line, _SHOWN))
