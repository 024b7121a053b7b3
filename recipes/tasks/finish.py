"""How tasks that make images end: what is printed of them, and the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recipes import errors
from recipes.support import console
from recipes.tasks.output import paint, screen, show

if TYPE_CHECKING:
    from recipes.model import RunOutcome, SizeRow
    from recipes.pipeline import Project


def finish(project: Project, rows: Sequence[SizeRow], engine: str, style: str, *, hints: Sequence[str] = ()) -> int:
    """Print what was made, one image or several with their index, and choose the exit code."""
    from recipes import pipeline

    joined = pipeline.join(project, [row.image for row in rows])
    if style == "json":
        from recipes.report.document import dumps, images_document

        show(dumps(images_document(rows, joined.digest)))
    else:
        from recipes.report.summary import render, render_index

        texts = [render(row, screen().width) for row in rows]
        if len(rows) > 1:
            texts.append(render_index(joined.digest, pipeline.latest_name(rows[0].image)))
        for number, text in enumerate(texts):
            show("\n" if number else "")
            paint(text)
    for hint in filter(None, hints):
        console.hint(hint)
    code = exit_code(rows, engine)
    if not code and style == "text" and not all(row.program.build.cached for row in rows):
        for line in _what_next(rows, pipeline.latest_name(rows[0].image)):
            console.note(line)
    return code


def exit_code(rows: Sequence[SizeRow], engine: str) -> int:
    """That of the first image that is not as it should be, and 0 for none; what was wrongly predicted is said."""
    if tell_wrong(rows):
        return errors.GateFailed.exit_code
    return next((code for code in (_code(row, engine) for row in rows) if code), 0)


def _what_next(rows: Sequence[SizeRow], latest: str) -> tuple[str, ...]:
    """How to run, load and push what was made: one line each, as it can be typed."""
    own, file = console.called_as(), f"{latest.partition(':')[0]}.tar"
    image = rows[0].image.name if len(rows) == 1 else latest
    in_docker = rows[0].run is not None and rows[0].run.engine == "docker" and len(rows) == 1
    load = f"docker run --rm fromscratch/{image}" if in_docker else f"docker load --input {file}"
    return (
        f"to run it:   {own} run {image}",
        f"to load it:  {load}" if in_docker else f"to load it:  {own} export {image} --to {file} && {load}",
        f"to push it:  {own} push {image} --to HOST/REPOSITORY:TAG",
    )


def tell_wrong(rows: Sequence[SizeRow]) -> bool:
    """Say which verdicts a run has disproved. Returns whether there is one."""
    wrong = [row for row in rows if row.disagrees]
    for row in wrong:
        console.warn(
            f"BUG in fromscratch: {row.image.name}: the verdict was {row.verdict.status}, and the run says otherwise; "
            "please report it with the output of --format json"
        )
    return bool(wrong)


def _code(row: SizeRow, engine: str) -> int:
    from recipes.model import RunStatus

    run: RunOutcome | None = row.run
    if row.runs is not True:
        return errors.GateFailed.exit_code
    if run is not None and run.status is RunStatus.NOT_RUN and engine != "auto":
        return errors.Unavailable.exit_code
    return 0
