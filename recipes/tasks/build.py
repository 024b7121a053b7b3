"""Tasks that build: one sample to an image that was run, and whole comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from invoke.context import Context

from recipes import errors
from recipes.support import console
from recipes.tasks.ending import ending_well
from recipes.tasks.finish import finish, tell_wrong
from recipes.tasks.gate import GATE, Gate, gate_code, note
from recipes.tasks.options import (
    COMMON,
    MANY,
    PLATFORMS,
    RUNNING,
    choose_engine,
    ensure_assembler,
    one_of,
    open_project,
    platform_of,
    platforms_of,
    split,
)
from recipes.tasks.output import check_output, made, paint, screen, show, write
from recipes.tasks.selection import (
    BUILDING,
    Building,
    Selection,
    changed,
    choose_recipe,
    find_base_image,
    load,
    load_each,
    named_recipe,
    one_name_each,
)
from recipes.tasks.task import task
from recipes.tasks.trial import TRIAL, Trial

if TYPE_CHECKING:
    from recipes.compile.recipe import Recipe
    from recipes.model import Comparison, Platform, Sample, Unavailable
    from recipes.pipeline import Project
    from recipes.tasks.gate import OpenGate


@task(
    help={
        "sample": "a name under samples/, a path to a project, or a Go program as module/path/cmd@version",
        "plan": "print the commands and run nothing",
        "install": "take along all that the project installs beside its program, such as its data",
        **TRIAL,
        "run": COMMON["run"],
        **GATE,
        **BUILDING,
        "platform": COMMON["platforms"],
        **{name: COMMON[name] for name in ("recipe", "base", "set_", *RUNNING)},
    },
    iterable=["set_", "option"],
    optional=["serves"],
)
@ending_well
def build_static(
    c: Context,
    sample: str,
    recipe: str = "",
    base: str = "scratch",
    trial: Trial = Trial(),
    platform: str = "",
    engine: str = "auto",
    compression: str = "gzip",
    format: str = "text",  # noqa: A002  # the option's name
    jobs: str = "",
    set_: Sequence[str] = MANY,
    run: bool = True,
    plan: bool = False,
    install: bool = False,
    building: Building = Building(),
    max_blob: str = "",
    gate: Gate = Gate(),
) -> int:
    """Build a sample, prove from the file that it is static, package it into scratch, and run it.

    Examples:
        build-static hello
        build-static ./my-project --target server --set ports=8080
        build-static example.org/x/cmd/y@v1.2.3 --platform linux/arm64
    """
    from recipes import pipeline
    from recipes.model import Comparison

    one_of("format", format, ("text", "json"))
    project = open_project(c, compression, jobs=jobs, max_blob=max_blob)
    changes = (*set_, *(["install=true"] if install else []))
    source = trial.of(load(project, Selection(sample, building, changes)))
    named, wanted = named_recipe(source, recipe), platforms_of(platform)
    if plan:
        for where in wanted:
            _print_plan(project, source, choose_recipe(project, source, where, recipe), where)
        return 0
    opened = gate.opened(project, [source.name], wanted) if gate.is_asked else None
    running = choose_engine(engine, project, run=run)
    rows = [
        pipeline.build_static(project, source, named, find_base_image(project, where, base), running, run=run)
        for where in wanted
    ]
    hints = [pipeline.smaller_hint(project, row.program) for row in rows]
    code = finish(project, rows, engine, format, hints=hints)
    return _gated(opened, Comparison(tuple(rows)), [source], wanted) or code


@task(
    positional=["file"],
    help={
        "file": "an already built program, for any CPU",
        **TRIAL,
        "run": COMMON["run"],
        "platform": COMMON["platform"],
        **{name: COMMON[name] for name in ("base", "set_", *RUNNING)},
    },
    iterable=["set_"],
    optional=["serves"],
)
@ending_well
def package(
    c: Context,
    file: str,
    base: str = "scratch",
    trial: Trial = Trial(),
    platform: str = "",
    engine: str = "auto",
    compression: str = "gzip",
    format: str = "text",  # noqa: A002  # the option's name
    jobs: str = "",
    set_: Sequence[str] = MANY,
    run: bool = True,
    max_blob: str = "",
) -> int:
    """Package a program that is built already: inspect, judge, add the data that it needs, and run it.

    Examples:
        package ./mybin
        package /bin/ls --base deb-slim --args='-l /'
    """
    from recipes import pipeline
    from recipes.samples.reader import prebuilt

    one_of("format", format, ("text", "json"))
    sample = trial.of(changed(prebuilt(file), set_))
    project, where = open_project(c, compression, jobs=jobs, max_blob=max_blob), platform_of(platform)
    program = pipeline.take_program(project, sample, where)
    row = pipeline.package_and_run(
        project, program, find_base_image(project, where, base), choose_engine(engine, project, run=run), run=run
    )
    return finish(project, [row], engine, format)


@task(
    help={
        "samples": "names or paths, separated by commas (default: all)",
        "recipes": "names, separated by commas (default: all that this machine can run)",
        "bases": "names or references, separated by commas (default: all that are available)",
        "sort": "image, binary, download, overhead, recipe, base or linkage",
        "format": "overview (default), long (default for one sample), html, json, csv, github or another of tabulate's",
        "output": "write there instead of to stdout",
        "run": "run what was made; --no-run reports verdicts alone",
        "verbose": "whole reasons instead of shortened ones",
        **{name: f"{text}; with one sample" for name, text in TRIAL.items()},
        **GATE,
        "platform": PLATFORMS.format("each with rows of its own"),
        **BUILDING,
        **{name: COMMON[name] for name in ("engine", "compression", "jobs", "max_blob")},
    },
    iterable=["option"],
    optional=["serves"],
)
@ending_well
def compare_sizes(
    c: Context,
    samples: str = "",
    recipes: str = "",
    bases: str = "",
    trial: Trial = Trial(),
    sort: str = "image",
    format: str = "",  # noqa: A002  # the option's name
    output: str = "",
    platform: str = "",
    engine: str = "auto",
    compression: str = "gzip",
    jobs: str = "",
    run: bool = True,
    verbose: bool = False,
    building: Building = Building(),
    max_blob: str = "",
    gate: Gate = Gate(),
) -> int:
    """Build samples with every recipe on every base, run them, and print what each choice costs.

    Examples:
        compare-sizes --samples hello --bases scratch,deb-static
        compare-sizes --samples ./mine --format csv --output sizes.csv
    """
    from recipes.compile.recipe import RECIPES, find
    from recipes.report import table
    from recipes.workflows import matrix

    table.check_format(format or "long")
    table.check_sort(sort)
    check_output(output)
    project, wanted = open_project(c, compression, jobs=jobs, max_blob=max_blob), platforms_of(platform)
    programs, broken = _load_all(project, split(samples), building, trial)
    opened = gate.opened(project, [sample.name for sample in programs], wanted) if gate.is_asked else None
    chosen_recipes = [find(name) for name in split(recipes)] or list(RECIPES.values())
    comparison = matrix.compare_platforms(
        project,
        wanted,
        programs,
        chosen_recipes,
        _choose_bases(project, split(bases)),
        choose_engine(engine, project, run=run) if run else None,
        named=frozenset((*split(recipes), *split(bases))),
    )
    comparison = replace(comparison, failed=(*broken, *comparison.failed))
    _tell(comparison, format or ("long" if len(programs) == 1 else "overview"), sort, output, verbose)
    for line in table.not_compared(comparison, verbose) if format == "csv" else ():
        console.note(line)
    wrong = tell_wrong(comparison.rows)
    code = _gated(opened, comparison, programs, wanted, complete=not samples and not broken)
    if comparison.failed:
        return comparison.failed[0].exit_code or errors.GateFailed.exit_code
    return errors.GateFailed.exit_code if wrong else code


def _gated(
    gate: OpenGate | None,
    comparison: Comparison,
    samples: Sequence[Sample],
    platforms: Sequence[Platform],
    *,
    complete: bool = False,
) -> int:
    """What the gate says of the images, told on stderr; 0 where none was asked for."""
    if gate is None:
        return 0
    from recipes.gate.judge import measures_of
    from recipes.model import Unavailable

    measures = measures_of(comparison.rows, comparison.defaults)
    made = {measure.size.key for measure in measures}
    missing = [
        Unavailable(f"{sample.name} for {platform}", "no image of it was made", errors.GateFailed.exit_code)
        for sample in samples
        for platform in platforms
        if (sample.name, str(platform)) not in made
    ]
    outcome = gate.judge(measures, failed=missing, complete=complete)
    note(outcome)
    gate.write(outcome)
    return gate_code(outcome)


def _load_all(
    project: Project, named: Sequence[str], building: Building, trial: Trial
) -> tuple[Sequence[Sample], Sequence[Unavailable]]:
    """The samples that are named, each once; without names all there are, and those that cannot be loaded.

    Raises: BadInput for a named one that cannot be loaded, and for two of one name, whose images would have one tag.
    """
    from recipes.samples import reader as sample_folder

    one = len(named or sample_folder.names(project.workspace)) == 1
    if building != Building() and not one:
        raise errors.BadInput(
            "--target, --package, --build and --option are about one sample", hint="name it with --samples"
        )
    if trial != Trial() and not one:
        raise errors.BadInput("options for the trial run are for one sample", hint="name it with --samples")
    if not named:
        found, broken = load_each(project, building)
        if not found and not broken:
            raise errors.BadInput("there is no sample to compare", hint="name a folder of sources with --samples")
        return tuple(map(trial.of, found)), broken
    samples = [trial.of(load(project, Selection(name, building))) for name in named]
    return one_name_each(samples, hint="compare them one by one"), ()


def _choose_bases(project: Project, named: Sequence[str]) -> Sequence[str]:
    """Those that are named, else all. Raises: BadInput for a wrong name, before anything is built."""
    from recipes.bases.specs import MADE_HERE, find, known
    from recipes.oci.reference import BUNDLE

    for name in {*named} - {*MADE_HERE}:
        find(name, project.workspace)
    chosen = named or (*known(project.workspace), BUNDLE)
    ensure_assembler(*chosen)
    return chosen


def _print_plan(project: Project, sample: Sample, recipe: Recipe, platform: Platform) -> None:
    from recipes.compile.plan import plan

    for step in plan(sample, recipe, platform, project.workspace).steps:
        show(f"{step.pasted}\n")


def _tell(comparison: Comparison, style: str, sort: str, output: str, verbose: bool) -> None:
    """The comparison in the format `style`, on stdout or in the file `output`."""
    if style not in ("overview", "long"):
        write(output, _render_comparison(comparison, style, sort, verbose))
        return
    from recipes.report.overview import long, overview

    room = None if verbose else screen(output).width
    paint(overview(comparison, sort, room) if style == "overview" else long(comparison, sort, room, verbose), output)


def _render_comparison(comparison: Comparison, style: str, sort: str, verbose: bool) -> str:
    if style == "json":
        from recipes.report.document import comparison_document, dumps

        return dumps(comparison_document(comparison, sort))
    if style == "csv":
        from recipes.report.document import render_csv

        return render_csv(comparison, sort)
    if style == "html":
        from recipes.report.html import render_page

        return render_page(comparison, sort, made())
    from recipes.report import table
    from recipes.support.printable import page

    marked = "\n* the smallest image that runs\n" if any(row.runs for row in comparison.rows) else ""
    below = page(table.not_compared(comparison, verbose))
    return f"{table.render(comparison, style, sort, verbose)}\n{marked}{below}"
