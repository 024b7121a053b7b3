"""Tasks that judge and inspect: verify and inspect. A file is only read; a folder is built first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context

from recipes import errors
from recipes.tasks.ending import ending_well
from recipes.tasks.options import COMMON, ensure_assembler, one_of, open_project, platform_of, split
from recipes.tasks.output import paint, screen, show
from recipes.tasks.selection import BUILDING, Building, Selection, is_file, load, named_recipe
from recipes.tasks.task import task

if TYPE_CHECKING:
    from recipes.model import Platform
    from recipes.pipeline import Project
    from recipes.workflows.verify import Outcome


@task(
    help={
        "sample": f"{COMMON['folder']}; or a file, or a whole image (docker-daemon:…, docker-archive:…, oci:…, "
        "oci-archive:…, docker://…), which is not executed",
        "base": "the base to judge it on, or several separated by commas; `invoke bases` lists them (default: all)",
        "format": COMMON["format"],
        "verbose": "show for every library where the loader looks",
        **BUILDING,
        **{name: COMMON[name] for name in ("recipe", "platform", "jobs", "max_blob")},
    },
    iterable=["option"],
)
@ending_well
def verify(
    c: Context,
    sample: str,
    base: str = "",
    recipe: str = "",
    platform: str = "",
    format: str = "text",  # noqa: A002  # the option's name
    verbose: bool = False,
    jobs: str = "",
    building: Building = Building(),
    max_blob: str = "",
) -> int:
    """Say whether a program will start on a base, what it will lack there, and why: without running it.

    Examples:
        verify ./mybin --base scratch
        verify docker://alpine:3.23 --format json
    """
    from recipes.model import Status
    from recipes.workflows import verify as verifying

    one_of("format", format, ("text", "json"))
    project, where = open_project(c, jobs=jobs, max_blob=max_blob), platform_of(platform)
    named = split(base)
    if verifying.is_image(sample):
        if named or recipe:
            raise errors.BadInput(
                f"{sample} is a whole image, with a root of its own", hint="leave out --base and --recipe"
            )
        outcome: verifying.Outcome = (verifying.verify_image(project, sample, where),), ()
    else:
        selection = Selection(sample, building, recipe=recipe)
        outcome = _verify_program(project, selection, where, named)
    found, missing = outcome
    _tell(outcome, format, verbose=verbose, alone=len(found) == 1 and len(named) < 2 and not missing)
    for entry in missing:
        if entry.name in named:
            return entry.exit_code
    return 0 if all(each.verdict.status is Status.RUNS for each in found) else errors.GateFailed.exit_code


@task(
    help={
        "sample": f"{COMMON['folder']}; or a file, which is not executed",
        **BUILDING,
        **{name: COMMON[name] for name in ("recipe", "platform", "format")},
    },
    iterable=["option"],
)
@ending_well
def inspect(
    c: Context,
    sample: str,
    recipe: str = "",
    platform: str = "",
    format: str = "text",  # noqa: A002  # the option's name
    building: Building = Building(),
) -> None:
    """Say what an ELF file is: linkage, interpreter, libraries needed, hardening, build id.

    Examples:
        inspect /bin/sh
    """
    from recipes.report.document import dumps, facts_document
    from recipes.report.summary import render_facts

    one_of("format", format, ("text", "json"))
    project, where = open_project(c), platform_of(platform)
    if is_file(project, sample):
        from recipes.elf.facts import read_elf

        facts = read_elf(Path(sample))
    else:
        from recipes import pipeline

        found = load(project, Selection(sample, building))
        facts = pipeline.build_program(project, found, named_recipe(found, recipe), where).facts
    if format == "json":
        show(dumps(facts_document(facts)))
    else:
        paint(render_facts(sample, facts, screen().width))


def _tell(outcome: Outcome, style: str, *, verbose: bool, alone: bool) -> None:
    """The verdicts on stdout, as text or JSON; `alone`: the only one, whole."""
    from recipes.report import verdict
    from recipes.report.document import dumps

    (found, missing), room = outcome, screen().width
    if style == "json":
        show(dumps(verdict.document(found[0]) if alone else verdict.documents(found, missing)))
    elif alone:
        paint(verdict.render(found[0], room, verbose))
    else:
        paint(verdict.render_all(found, missing, room))
        for each in found if verbose else ():
            show("\n")
            paint(verdict.render(each, room, verbose))


def _verify_program(project: Project, selection: Selection, platform: Platform, named: tuple[str, ...]) -> Outcome:
    from recipes import pipeline
    from recipes.bases.specs import find, known
    from recipes.samples.reader import prebuilt
    from recipes.workflows import verify as verifying

    for name in {*named} - {"scratch"}:
        find(name, project.workspace)  # a wrong name is told before anything is built
    bases = named or tuple(known(project.workspace))
    ensure_assembler(*bases)
    target, retry = selection.sample, bool(named)
    if not is_file(project, target):
        sample = load(project, selection)
        program = pipeline.build_program(project, sample, named_recipe(sample, selection.recipe), platform)
        return verifying.verify_program(project, target, program, bases, retry=retry)
    if selection.recipe:
        raise errors.BadInput(f"{target!r} is a file: there is nothing to build", hint="leave out --recipe")
    if verifying.is_script(target):
        return verifying.verify_script(project, target, platform, bases, retry=retry)
    program = pipeline.take_program(project, prebuilt(target), platform, keep=False)
    return verifying.verify_program(project, target, program, bases, retry=retry)
