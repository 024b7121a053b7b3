"""The task that explains static binaries."""

from __future__ import annotations

from invoke.context import Context

from recipes import errors
from recipes.support import system
from recipes.tasks.ending import ending_well
from recipes.tasks.options import COMMON, choose_engine, one_of, open_project, platform_of
from recipes.tasks.output import check_output, made, paint, screen, write
from recipes.tasks.task import task


@task(
    help={
        "format": "text, markdown or html (a page that needs nothing else)",
        "output": "write there instead of to stdout",
        **{name: COMMON[name] for name in ("engine", "jobs", "max_blob")},
    },
)
@ending_well
def walkthrough(
    c: Context,
    engine: str = "auto",
    format: str = "text",  # noqa: A002  # the option's name
    output: str = "",
    jobs: str = "",
    max_blob: str = "",
) -> int:
    """Explain static binaries in twelve steps, each carried out here and compared with what was predicted.

    Examples:
        walkthrough
        walkthrough --format markdown --output static.md
    """
    from recipes.report import walkthrough as report
    from recipes.workflows.walkthrough import walk

    one_of("format", format, ("text", "markdown", "html"))
    check_output(output)
    project = open_project(c, jobs=jobs, max_blob=max_blob)
    system.ensure("bases")
    running = choose_engine(engine, project, run=True)
    steps, room = [], screen(output).width
    for step in walk(project, running):
        steps.append(step)
        if format == "text" and not output:
            paint(report.render_step(step, room))
    if format == "markdown":
        write(output, report.render_markdown(steps))
    elif format == "html":
        from recipes.report.html import render_walkthrough

        facts = (("engine", running.name), ("platform", str(platform_of(""))))
        write(output, render_walkthrough(steps, made(), facts))
    else:
        told = [line for step in steps if output for line in report.render_step(step, room)]
        paint([*told, *report.render_summary(steps, room)], output)
    return errors.GateFailed.exit_code if any(step.agrees is False for step in steps) else 0
