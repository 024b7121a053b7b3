"""The Invoke tasks: parse, call one function, print, choose the exit code. The only importer of invoke.

Another project's tasks.py gets them with `namespace = collection(__file__)`.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from recipes import errors, notes, shell

if TYPE_CHECKING:
    from recipes.compile.recipe import Recipe
    from recipes.model import RunOutcome, Sample, SizeRow
    from recipes.pipeline import Project
    from recipes.verify import Outcome

Body = TypeVar("Body", bound=Callable[..., Any])

_COMMON = {
    "engine": "where to run: auto, docker or local",
    "platform": "os/architecture, for example linux/arm64 (default: this machine's)",
    "compression": "of the layer: gzip, zstd or none",
    "jobs": "how many things to do at once (default: one per processor)",
    "format": "text or json",
    "recipe": "how to build; `invoke recipes` lists them (default: the smallest usual one for the language)",
    "base": "what to put it on; `invoke bases` lists them, or use docker://…, docker-daemon:…, oci:…, rootfs:…",
}


def collection(root: str | Path = ".") -> Collection:
    """All tasks, for the project at `root`: its folder, or its tasks.py (`__file__`)."""
    folder = Path(root).resolve()
    if folder.is_file():
        folder = folder.parent
    tasks = Collection()
    for each in (
        build_static,
        compare_sizes,
        verify,
        walkthrough,
        inspect,
        dockerfile,
        export,
        recipes,
        samples,
        bases,
        doctor,
    ):
        tasks.add_task(each)
    tasks.configure({"fromscratch": {"root": str(folder)}})
    return tasks


def _ending_well(body: Body) -> Body:
    """Turn our errors into one clear message and an exit code, and leave no process behind when interrupted."""

    @functools.wraps(body)
    def guarded(*args: Any, **options: Any) -> None:
        # ^C arrives as KeyboardInterrupt; a polite kill has to unwind the same way, so that engines can clean up.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        try:
            code = body(*args, **options) or 0
            sys.stdout.flush()
        except errors.RecipeError as error:
            _fail(error)
        except BrokenPipeError:
            # The reader has gone (`… | head`); python would complain once more when it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Exit(code=0) from None
        except KeyboardInterrupt:
            shell.stop_all()
            notes.note("interrupted")
            raise Exit(code=130) from None
        except SystemExit:
            shell.stop_all()
            raise
        if code:
            raise Exit(code=code)

    return guarded  # type: ignore[return-value]  # same signature, as functools.wraps tells inspect


def _fail(error: errors.RecipeError) -> NoReturn:
    if isinstance(error, errors.CommandFailed) and error.output:
        notes.note(error.output.rstrip("\n") + "\n")
    notes.note(f"error: {error.message}")
    if error.hint:
        notes.note(f"\nhint: {error.hint}")
    raise Exit(code=error.exit_code) from error


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@task(
    auto_shortflags=False,
    help={
        "sample": "a name under samples/, or a path to a folder",
        "run": "do not run the image (nor, with --engine local, touch an engine)",
        "plan": "print the commands and run nothing",
        **{name: _COMMON[name] for name in ("recipe", "base", "engine", "platform", "compression", "jobs", "format")},
    },
)
@_ending_well
def build_static(
    c: Context,
    sample: str,
    recipe: str = "",
    base: str = "scratch",
    platform: str = "",
    engine: str = "auto",
    compression: str = "gzip",
    format: str = "text",  # noqa: A002  # the option's name
    jobs: int = 0,
    run: bool = True,
    plan: bool = False,
) -> int:
    """Build a sample, prove from the file that it is static, package it into scratch, and run it."""
    from recipes import pipeline

    _one_of("format", format, ("text", "json"))
    project = _project(c, platform, compression, jobs)
    program = _load(project, sample)
    chosen = _recipe(project, program, recipe)
    if plan:
        return _print_plan(project, program, chosen)
    row = pipeline.build_static(
        project, program, chosen, _base(project, base), _engine(engine, project, run=run), run=run
    )
    hint = pipeline.smaller_hint(project, row)
    if format == "json":
        from recipes.model import Comparison
        from recipes.report.document import comparison_document, dumps

        sys.stdout.write(dumps(comparison_document(Comparison((row,)))))
    else:
        from recipes.report.summary import render

        sys.stdout.write(render(row))
    if hint:
        notes.note(f"\nhint: {hint}")
    return _code(row, engine)


@task(
    auto_shortflags=False,
    help={
        "samples": "names or paths, separated by commas (default: all)",
        "recipes": "names, separated by commas (default: all that this machine can run)",
        "bases": "names or references, separated by commas (default: all that can be had)",
        "sort": "image, binary, download, overhead, recipe, base or linkage",
        "format": "simple, github, html, csv, json or any other of tabulate's formats",
        "output": "write there instead of to stdout",
        "run": "do not run anything: verdicts alone",
        "verbose": "whole reasons instead of shortened ones",
        **{name: _COMMON[name] for name in ("engine", "platform", "compression", "jobs")},
    },
)
@_ending_well
def compare_sizes(
    c: Context,
    samples: str = "",
    recipes: str = "",
    bases: str = "",
    sort: str = "image",
    format: str = "simple",  # noqa: A002  # the option's name
    output: str = "",
    platform: str = "",
    engine: str = "auto",
    compression: str = "gzip",
    jobs: int = 0,
    run: bool = True,
    verbose: bool = False,
) -> int:
    """Build samples with every recipe on every base, run them, and print what each choice costs."""
    from recipes import pipeline
    from recipes import samples as sample_folder
    from recipes.compile.recipe import RECIPES, find
    from recipes.package.bases import find as find_base
    from recipes.package.bases import known
    from recipes.report import table

    table.check_format(format)
    table.check_sort(sort)
    project = _project(c, platform, compression, jobs)
    names = _split(samples) or sample_folder.names(project.workspace)
    chosen_recipes = [find(name) for name in _split(recipes)] or list(RECIPES.values())
    for name in {*_split(bases)} - {"scratch"}:
        find_base(name, project.workspace)  # a wrong name is told before anything is built
    chosen_bases = _split(bases) or list(known(project.workspace))
    if any(name.startswith("deb-") for name in chosen_bases):
        _ensure_assembler()
    comparison = pipeline.compare(
        project,
        [_load(project, name) for name in names],
        chosen_recipes,
        chosen_bases,
        _engine(engine, project, run=run) if run else None,
        named=frozenset((*_split(recipes), *_split(bases))),
    )
    _write(output, _render_comparison(comparison, format, sort, verbose))
    wrong = [row for row in comparison.rows if row.disagrees]
    for row in wrong:
        notes.note(
            f"BUG in fromscratch: {row.image.name}: the verdict was {row.verdict.status}, and the run says otherwise; "
            "please report it with the output of --format json"
        )
    if comparison.failed:
        return comparison.failed[0].exit_code or errors.GateFailed.exit_code
    return errors.GateFailed.exit_code if wrong else 0


@task(
    auto_shortflags=False,
    help={
        "target": "a sample, a file, or a whole image: docker-daemon:…, docker-archive:…, oci:…, docker://…",
        "base": "where it shall run, or several with commas between; `invoke bases` lists them (default: all of them)",
        "format": _COMMON["format"],
        "verbose": "show for every library where the loader looks",
        **{name: _COMMON[name] for name in ("recipe", "platform", "jobs")},
    },
)
@_ending_well
def verify(
    c: Context,
    target: str,
    base: str = "",
    recipe: str = "",
    platform: str = "",
    format: str = "text",  # noqa: A002  # the option's name
    verbose: bool = False,
    jobs: int = 0,
) -> int:
    """Say whether a program will start on a base, what it will miss there, and why: without running anything."""
    from recipes import verify as verifying
    from recipes.model import Status
    from recipes.report import verdict
    from recipes.report.document import dumps

    _one_of("format", format, ("text", "json"))
    project = _project(c, platform, jobs=jobs)
    named = _split(base)
    if verifying.is_image(target):
        if named or recipe:
            raise errors.BadInput(f"{target} is a whole image, with a root of its own", hint="leave out --base")
        outcome: verifying.Outcome = (verifying.verify_image(project, target),), ()
    else:
        outcome = _verify_program(project, target, recipe, named)
    found, missing = outcome
    if len(found) == 1 and len(named) < 2 and not missing:
        text = dumps(verdict.document(found[0])) if format == "json" else verdict.render(found[0], verbose)
    elif format == "json":
        text = dumps(verdict.documents(found, missing))
    else:
        text = verdict.render_all(found, missing)
        if verbose:
            text += "".join(f"\n{verdict.render(each, verbose)}" for each in found)
    sys.stdout.write(text)
    for entry in missing:
        if entry.name in named:
            return entry.exit_code
    return 0 if all(each.verdict.status is Status.RUNS for each in found) else errors.GateFailed.exit_code


@task(
    auto_shortflags=False,
    help={
        "format": "text or markdown",
        "output": "write there instead of to stdout",
        **{name: _COMMON[name] for name in ("engine", "jobs")},
    },
)
@_ending_well
def walkthrough(
    c: Context,
    engine: str = "auto",
    format: str = "text",  # noqa: A002  # the option's name
    output: str = "",
    jobs: int = 0,
) -> int:
    """Tell the story of static binaries in twelve steps, each done here and compared with what was predicted."""
    from recipes.report import walkthrough as report
    from recipes.walkthrough import walk

    _one_of("format", format, ("text", "markdown"))
    project = _project(c, jobs=jobs)
    _ensure_assembler()
    steps = []
    for step in walk(project, _engine(engine, project, run=True)):
        steps.append(step)
        if format == "text" and not output:
            sys.stdout.write(report.render_step(step) + "\n")
            sys.stdout.flush()
    if format == "markdown":
        _write(output, report.render_markdown(steps))
    elif output:
        _write(output, "\n".join(map(report.render_step, steps)) + "\n" + report.render_summary(steps))
    else:
        sys.stdout.write(report.render_summary(steps))
    return errors.GateFailed.exit_code if any(step.agrees is False for step in steps) else 0


@task(
    auto_shortflags=False,
    help={"target": "a sample or a file", "recipe": _COMMON["recipe"], "format": _COMMON["format"]},
)
@_ending_well
def inspect(c: Context, target: str, recipe: str = "", platform: str = "", format: str = "text") -> None:  # noqa: A002
    """Say what an ELF file is: linkage, interpreter, libraries needed, hardening, build id."""
    from recipes.report.document import dumps, facts_document
    from recipes.report.summary import render_facts

    _one_of("format", format, ("text", "json"))
    project = _project(c, platform)
    if _is_file(project, target):
        from recipes.inspect.elf import read_elf

        facts = read_elf(Path(target))
    else:
        from recipes import pipeline

        program = _load(project, target)
        _, facts = pipeline.build_binary(project, program, _recipe(project, program, recipe))
    sys.stdout.write(dumps(facts_document(facts)) if format == "json" else render_facts(target, facts))


@task(auto_shortflags=False, help={name: _COMMON[name] for name in ("recipe", "base", "platform")})
@_ending_well
def dockerfile(c: Context, sample: str, recipe: str = "", base: str = "scratch", platform: str = "") -> None:
    """Print the Dockerfile that builds the same image."""
    from recipes import pipeline
    from recipes.package.dockerfile import render

    project = _project(c, platform)
    program = _load(project, sample)
    binary, _ = pipeline.build_binary(project, program, _recipe(project, program, recipe))
    sys.stdout.write(render(pipeline.make_image(project, binary, _base(project, base))))
    notes.note(f"# the binary to copy is {binary.path}")


@task(
    auto_shortflags=False,
    help={
        "to": "FILE.tar, or oci:DIR[:tag] for an OCI layout",
        **{name: _COMMON[name] for name in ("recipe", "base", "platform", "compression")},
    },
)
@_ending_well
def export(
    c: Context,
    sample: str,
    to: str,
    recipe: str = "",
    base: str = "scratch",
    platform: str = "",
    compression: str = "gzip",
) -> None:
    """Write an image to a file or layout that Docker, podman and skopeo read."""
    from recipes import pipeline
    from recipes.package import archive

    project = _project(c, platform, compression)
    program = _load(project, sample)
    binary, _ = pipeline.build_binary(project, program, _recipe(project, program, recipe))
    image = pipeline.make_image(project, binary, _base(project, base))
    archive.export(image, project.store, to)
    sys.stdout.write(f"{image.digest}\n")


@task(auto_shortflags=False)
@_ending_well
def recipes(c: Context) -> None:
    """List the recipes, and which of them this machine can run."""
    from recipes import compile as compiling
    from recipes.compile.recipe import RECIPES
    from recipes.report.table import list_table

    project = _project(c)
    rows = []
    for recipe in RECIPES.values():
        missing = compiling.available(recipe, project.platform, project.workspace)
        rows.append((recipe.name, recipe.language, recipe.summary, missing or "yes"))
    sys.stdout.write(list_table(("recipe", "for", "what it does", "available"), rows) + "\n")


@task(auto_shortflags=False)
@_ending_well
def samples(c: Context) -> None:
    """List the samples."""
    from recipes import samples as sample_folder
    from recipes.report.table import list_table

    project = _project(c)
    rows = []
    for name in sample_folder.names(project.workspace):
        sample = sample_folder.load(name, project.workspace)
        sources = ", ".join(str(source) for source in sample.sources[:4]) + (", …" if len(sample.sources) > 4 else "")
        rows.append((sample.name, sample.language, _recipe(project, sample, "").name, sources))
    sys.stdout.write(list_table(("sample", "language", "default recipe", "sources"), rows) + "\n")


@task(auto_shortflags=False)
@_ending_well
def bases(c: Context) -> None:
    """List the base images that have a name."""
    from recipes.package.bases import known
    from recipes.report.table import list_table

    project = _project(c)
    rows = [(spec.name, spec.reference, spec.summary) for spec in known(project.workspace).values()]
    sys.stdout.write(list_table(("base", "reference", "what it is"), rows) + "\n")


@task(auto_shortflags=False)
@_ending_well
def doctor(c: Context) -> None:
    """Say what was found on this machine, which version, and what is missing for what."""
    from recipes import compile as compiling
    from recipes import system
    from recipes.report.table import list_table

    project = _project(c)
    rows = [*compiling.doctor(project.workspace), *system.doctor()]
    lines = [(row.what, row.version or "missing", str(row.path or ""), "" if row.version else row.lost) for row in rows]
    sys.stdout.write(list_table(("what", "version", "where", "without it"), lines) + "\n")


# ── what they share ──────────────────────────────────────────────────────────────────────────────────────────────────


def _project(c: Context, platform: str = "", compression: str = "gzip", jobs: int = 0) -> Project:
    from recipes.pipeline import Project

    if jobs < 0:
        raise errors.BadInput(f"--jobs {jobs} makes no sense", hint="give a number from 1 on")
    return Project.at(Path(c.fromscratch.root), platform, compression, jobs)


def _load(project: Project, name: str) -> Sample:
    from recipes.samples import load

    return load(name, project.workspace)


def _recipe(project: Project, sample: Sample, name: str) -> Recipe:
    from recipes import compile as compiling
    from recipes.compile.recipe import RECIPES, find

    recipe = find(name) if name else compiling.default(sample, project.platform, project.workspace)
    if recipe.language != sample.language:
        fitting = [known.name for known in RECIPES.values() if known.language == sample.language]
        raise errors.BadInput(
            f"recipe {recipe.name} builds {recipe.language}, and {sample.name} is written in {sample.language}",
            hint=f"use one of {', '.join(fitting)}",
        )
    return recipe


def _base(project: Project, name: str) -> Any:
    from recipes.package.bases import resolve

    if name.startswith("deb-"):
        _ensure_assembler()
    return resolve(name, project.platform, project.workspace, project.store, retry=True)


def _ensure_assembler() -> None:
    from recipes import system

    system.ensure("bases")


def _engine(name: str, project: Project, *, run: bool) -> Any:
    from recipes.run.engine import choose

    _one_of("engine", name, ("auto", "docker", "local"))
    if name == "local" and not run:
        return None  # it would have nothing to do
    return choose(name, project.workspace, project.store)  # type: ignore[arg-type]  # checked just above


def _verify_program(project: Project, target: str, recipe: str, named: tuple[str, ...]) -> Outcome:
    from recipes import pipeline
    from recipes import verify as verifying
    from recipes.package.bases import find, known

    for name in {*named} - {"scratch"}:
        find(name, project.workspace)  # a wrong name is told before anything is built
    bases = named or tuple(known(project.workspace))
    if any(name.startswith("deb-") for name in bases):
        _ensure_assembler()
    retry = bool(named)
    if not _is_file(project, target):
        program = _load(project, target)
        binary, facts = pipeline.build_binary(project, program, _recipe(project, program, recipe))
        return verifying.verify_program(project, target, binary, facts, bases, retry=retry)
    if recipe:
        raise errors.BadInput(f"{target!r} is a file: there is nothing to build", hint="leave out --recipe")
    if verifying.is_script(target):
        return verifying.verify_script(project, target, bases, retry=retry)
    binary = verifying.prebuilt(Path(target), project.platform)
    return verifying.verify_program(
        project, target, binary, pipeline.read_facts(binary, project.workspace), bases, retry=retry
    )


def _is_file(project: Project, target: str) -> bool:
    from recipes.samples import names

    return target not in names(project.workspace) and not Path(target).is_dir() and os.path.lexists(target)


def _print_plan(project: Project, sample: Sample, recipe: Recipe) -> int:
    from recipes import compile as compiling

    for step in compiling.plan(sample, recipe, project.platform, project.workspace).steps:
        sys.stdout.write(f"{step.command}\n")
    return 0


def _render_comparison(comparison: Any, style: str, sort: str, verbose: bool) -> str:
    if style == "json":
        from recipes.report.document import comparison_document, dumps

        return dumps(comparison_document(comparison, sort))
    if style == "csv":
        from recipes.report.document import render_csv

        return render_csv(comparison, sort)
    if style == "html":
        from recipes.report.html import render_page

        return render_page(comparison, sort)
    from recipes.report import table

    below = table.not_compared(comparison, verbose)
    marked = "\n* the smallest image that runs\n" if any(row.runs for row in comparison.rows) else ""
    return f"{table.render(comparison, style, sort, verbose)}\n{marked}{below}{chr(10) if below else ''}"


def _write(output: str, text: str) -> None:
    if not output:
        sys.stdout.write(text)
        return
    from recipes.workspace import write_atomically

    write_atomically(Path(output), text.encode("utf-8", "surrogateescape"))
    notes.note(f"written: {output}")


def _code(row: SizeRow, engine: str) -> int:
    from recipes.model import RunStatus

    run: RunOutcome | None = row.run
    if row.runs is not True:
        return errors.GateFailed.exit_code
    if run is not None and run.status is RunStatus.NOT_RUN and engine != "auto":
        return errors.Unavailable.exit_code
    return 0


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise errors.unknown(what, value, known)
