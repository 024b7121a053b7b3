"""Tasks for where static linking is impractical: a bundle, and the search for the smallest image that runs."""

from __future__ import annotations

from collections.abc import Sequence

from invoke.context import Context

from recipes import errors
from recipes.support import console
from recipes.support.printable import shell_word
from recipes.tasks.ending import ending_well
from recipes.tasks.finish import finish
from recipes.tasks.options import (
    COMMON,
    MANY,
    RUNNING,
    choose_engine,
    ensure_assembler,
    one_of,
    open_project,
    platform_of,
    platforms_of,
)
from recipes.tasks.output import paint, screen, show
from recipes.tasks.selection import BUILDING, Building, Selection, load_any, named_recipe
from recipes.tasks.task import task
from recipes.tasks.trial import TRIAL, Trial


@task(
    help={
        "sample": "a sample, or an already built program, for any CPU",
        "from_": "where to take its libraries from: a base or rootfs:DIR (default: this machine, if it built it)",
        "dlopen": "what it opens at run time: a library's name, a file or a folder of the root; may be repeated",
        "with_": "a file or folder of the root that is taken along as it is, with what it loads; may be repeated",
        "platform": COMMON["platforms"],
        **TRIAL,
        **BUILDING,
        **{name: COMMON[name] for name in ("run", "reference", "recipe", "set_", *RUNNING)},
    },
    iterable=["set_", "dlopen", "with_", "option"],
    optional=["serves"],
)
@ending_well
def bundle(
    c: Context,
    sample: str,
    from_: str = "",
    dlopen: Sequence[str] = MANY,
    with_: Sequence[str] = MANY,
    recipe: str = "",
    trial: Trial = Trial(),
    reference: bool = False,
    building: Building = Building(),
    platform: str = "",
    engine: str = "auto",
    compression: str = "gzip",
    format: str = "text",  # noqa: A002  # the option's name
    jobs: str = "",
    set_: Sequence[str] = MANY,
    run: bool = True,
    max_blob: str = "",
) -> int:
    """Package a dynamic program with its loader and exactly the libraries that it will load, and run it.

    Examples:
        bundle /usr/bin/curl --args=--version
        bundle ./mybin --from docker://debian:13 --with /usr/lib/mybin
    """
    from recipes import pipeline
    from recipes.workflows import bundle as bundling
    from recipes.workflows.home import home_of

    one_of("format", format, ("text", "json"))
    project = open_project(c, compression, jobs=jobs, max_blob=max_blob)
    selection = Selection(sample, building, set_, recipe, source=from_)
    found = trial.of(load_any(project, selection))
    ensure_assembler(from_)
    running = choose_engine(engine, project, run=run)
    home = home_of(project, found, asked=reference) if run else None
    rows, hints = [], []
    wanted = bundling.Wanted(from_, tuple(dlopen), tuple(with_))
    for where in platforms_of(platform):
        program = bundling.program_of(project, found, named_recipe(found, recipe), where)
        with console.activity(f"bundling {found.name}"):
            base = bundling.make(project, program, wanted)
        row = pipeline.package_and_run(project, program, base, running, run=run)
        rows.append(home.compared(row) if home is not None else row)
        if rows[-1].runs is False and not with_:
            folders = bundling.own_folders(project, program, wanted)
            more = " ".join(f"--with {shell_word(folder)}" for folder in folders)
            hints.append(f"with it came more than libraries; to take that along: {more}" if folders else "")
    return finish(project, rows, engine, format, hints=hints)


@task(
    help={
        "sample": "a sample, or an already built program, for any CPU",
        "from_": "where to take a bundle's libraries from: a base or rootfs:DIR (default: as for `bundle`)",
        "dlopen": "what it opens at run time, for a bundle: a library's name, a file or a folder; may be repeated",
        "with_": "a file or folder that a bundle takes along as it is, with what it loads; may be repeated",
        "platform": COMMON["platform"],
        **TRIAL,
        **BUILDING,
        **{name: COMMON[name] for name in ("run", "reference", "set_", *RUNNING)},
    },
    iterable=["set_", "dlopen", "with_", "option"],
    optional=["serves"],
)
@ending_well
def smallest(
    c: Context,
    sample: str,
    from_: str = "",
    dlopen: Sequence[str] = MANY,
    with_: Sequence[str] = MANY,
    trial: Trial = Trial(),
    reference: bool = False,
    building: Building = Building(),
    platform: str = "",
    engine: str = "auto",
    compression: str = "gzip",
    format: str = "text",  # noqa: A002  # the option's name
    jobs: str = "",
    set_: Sequence[str] = MANY,
    run: bool = True,
    max_blob: str = "",
) -> int:
    """Find the smallest image that runs (static, bundled, or on a base), and say why the others were rejected.

    Examples:
        smallest ./mybin
        smallest ./my-project --args=--help --expect Usage
    """
    from recipes.report.smallest import document, render
    from recipes.workflows.bundle import Wanted
    from recipes.workflows.home import home_of
    from recipes.workflows.smallest import Search

    one_of("format", format, ("text", "json"))
    project, where = open_project(c, compression, jobs=jobs, max_blob=max_blob), platform_of(platform)
    selection = Selection(sample, building, set_, source=from_)
    found = trial.of(load_any(project, selection))
    if not run:
        console.note("nothing is run: the first image whose verdict is `runs` is taken as the smallest")
    search = Search(
        project,
        where,
        choose_engine(engine, project, run=run),
        run=run,
        wanted=Wanted(from_, tuple(dlopen), tuple(with_)),
        home=home_of(project, found, asked=reference) if run else None,
    )
    candidates = tuple(search.candidates(found))
    passed = None if candidates[-1].rejected_because else candidates[-1].row
    if format == "json":
        show(document(candidates))
    else:
        paint(render(candidates, screen().width))
    if passed is None:
        console.error(f"none of the candidates for {found.name} runs")
        return errors.GateFailed.exit_code
    return 0
