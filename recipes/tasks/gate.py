"""What the tasks with a gate share: its options, and how its answer is told, written and made an exit code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from recipes import errors
from recipes.support import console
from recipes.support.printable import painted
from recipes.tasks.output import paint, screen, show, write

if TYPE_CHECKING:
    from recipes.gate.budget import Budgets
    from recipes.gate.values import Baseline, Budget, Check, ImageSize, Measure
    from recipes.model import Platform, Unavailable
    from recipes.pipeline import Project

GATE = {
    "max_image": "the largest image that passes, for example 2MB; past it the exit code is 3",
    "max_download": "the largest download that passes, for example 800kB",
    "max_growth": "by how much image and download may be larger than in --baseline: 2%, or 10kB",
    "warn_image": "as --max-image, but no more than a warning",
    "warn_download": "as --max-download, but no more than a warning",
    "warn_growth": "as --max-growth, but no more than a warning",
    "baseline": "what to compare sizes with: a file of --write-baseline, git:REF[:PATH], docker://…, oci:… or the like",
    "write_baseline": "a file for the sizes, for a later --baseline; what it has of other samples stays",
    "summary": "write the gate's outcome there as Markdown; what $GITHUB_STEP_SUMMARY names is appended to",
    "sarif": "write the gate's outcome and all findings there as SARIF 2.1.0",
}
"""The options of every task with a gate."""


class Gate(NamedTuple):
    """What the options of `GATE` say; "" where one is not given."""

    max_image: str = ""
    max_download: str = ""
    max_growth: str = ""
    warn_image: str = ""
    warn_download: str = ""
    warn_growth: str = ""
    baseline: str = ""
    write_baseline: str = ""
    summary: str = ""
    sarif: str = ""

    @property
    def is_asked(self) -> bool:
        return self != Gate()

    def opened(self, project: Project, samples: Sequence[str], platforms: Sequence[Platform]) -> OpenGate:
        """All that the options name, read before anything is built.

        Raises: BadInput, and what stands between here and the baseline.
        """
        from recipes.gate import budget
        from recipes.samples.reader import names
        from recipes.workflows import baseline as baselines

        asked = budget.from_options({key: getattr(self, key) for key in budget.KEYS})
        if _limits_growth(asked) and not self.baseline:
            raise errors.BadInput(
                "--max-growth and --warn-growth require --baseline", hint="for example --baseline git:origin/main"
            )
        known = names(project.workspace)
        budgets = budget.read(project.workspace.root / "pyproject.toml", (*known, *samples) if known else (), asked)
        if not self.baseline and any(_limits_growth(budgets.of(sample)) for sample in samples):
            console.warn("note: the budget limits growth, which is not looked at without --baseline")
        before: tuple[ImageSize, ...] = ()
        if self.write_baseline and os.path.exists(self.write_baseline):
            before = baselines.of_file(Path(self.write_baseline)).sizes
        found = baselines.find(project, self.baseline, samples, platforms) if self.baseline else None
        return OpenGate(self, project, budgets, found, before)


class OpenGate(NamedTuple):
    """The same, read. `written` is what the file of --write-baseline had before."""

    options: Gate
    project: Project
    budgets: Budgets
    baseline: Baseline | None
    written: tuple[ImageSize, ...] = ()

    def judge(
        self, measures: Sequence[Measure], *, failed: Sequence[Unavailable] = (), complete: bool = False
    ) -> Check:
        """The answer. `complete`: all samples of the project were asked for."""
        from recipes.gate.judge import judge

        return judge(measures, self.budgets, self.baseline, failed=failed, complete=complete)

    def write(self, check: Check) -> None:
        """All files that were asked for, and annotations where a runner reads them. Raises: CannotWrite."""
        options, root = self.options, _named_from(self.project)
        if console.is_github():
            from recipes.report import workflow_commands

            console.command_runner(workflow_commands.render(check, root))
        if options.write_baseline:
            from recipes.gate.baseline import updated
            from recipes.report.document import dumps
            from recipes.report.gates import sizes_document

            write(options.write_baseline, dumps(sizes_document(updated(self.written, check))))
        if options.sarif:
            from recipes.report import sarif

            write(options.sarif, sarif.render(check, root))
        if options.summary:
            from recipes.report import job_summary

            _write_summary(options.summary, job_summary.render(check))


def gate_code(check: Check) -> int:
    """That of what could not be made, else 3 where a limit was not kept."""
    from recipes.gate.values import GateStatus

    if check.failed:
        return check.failed[0].exit_code or errors.GateFailed.exit_code
    return errors.GateFailed.exit_code if check.status is GateStatus.FAILED else 0


def tell(check: Check, style: str) -> None:
    """The outcome on stdout."""
    from recipes.report import gates
    from recipes.report.document import dumps

    if style == "json":
        show(dumps(gates.document(check)))
    else:
        paint(gates.render(check, screen().width))


def note(check: Check) -> None:
    """The same beside the results of another task: on stderr."""
    from recipes.report import gates

    say = console.note if gate_code(check) == 0 else console.warn
    for line in painted(gates.render(check), colours=False).splitlines():
        say(line)


def _limits_growth(budget: Budget) -> bool:
    return bool(budget.max_growth or budget.warn_growth)


def _named_from(project: Project) -> Path:
    """The folder that files of a report are named from: a runner's checkout, else the project's folder."""
    checkout = os.environ.get("GITHUB_WORKSPACE") if console.is_github() else None
    return Path(checkout or project.workspace.root)


def _write_summary(file: str, text: str) -> None:
    """GitHub's own file belongs to all steps of the job, so it is added to; any other one is replaced."""
    if file == os.environ.get("GITHUB_STEP_SUMMARY"):
        from recipes.support.workspace import append

        append(Path(file), text.encode())
        console.note(f"added to {file}")
    else:
        write(file, text)
