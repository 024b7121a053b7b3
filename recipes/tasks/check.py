"""The gate as a task: are the images of this project as small as they should be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from invoke.context import Context

from recipes import errors
from recipes.tasks.ending import ending_well
from recipes.tasks.finish import exit_code
from recipes.tasks.gate import GATE, Gate, gate_code, tell
from recipes.tasks.options import (
    COMMON,
    PLATFORMS,
    RUNNING,
    choose_engine,
    ensure_assembler,
    one_of,
    open_project,
    platforms_of,
    split,
)
from recipes.tasks.selection import Selection, load_any, load_each, named_recipe, one_name_each
from recipes.tasks.task import task

if TYPE_CHECKING:
    from recipes.gate.values import Measure
    from recipes.model import Sample, SizeRow, Unavailable
    from recipes.pipeline import Project


@task(
    help={
        "samples": "names, paths, files, or whole images (docker://…, oci:…, oci-archive:…), separated by commas "
        "(default: all samples)",
        "run": COMMON["run"],
        **GATE,
        "platform": PLATFORMS.format("each with limits of its own"),
        **{name: COMMON[name] for name in ("recipe", "base", *RUNNING)},
    },
)
@ending_well
def check(
    c: Context,
    samples: str = "",
    recipe: str = "",
    base: str = "scratch",
    gate: Gate = Gate(),
    platform: str = "",
    engine: str = "auto",
    compression: str = "gzip",
    format: str = "text",  # noqa: A002  # the option's name
    jobs: str = "",
    run: bool = True,
    max_blob: str = "",
) -> int:
    """Build samples as build-static does, and fail where an image is too large, has grown too much, or does not run.

    Examples:
        check --max-image 2MB
        check --samples hello --baseline git:origin/main --max-growth 2%
        check --write-baseline sizes.json
    """
    from recipes.gate.judge import measures_of
    from recipes.workflows import check as checking
    from recipes.workflows.verify import is_image

    one_of("format", format, ("text", "json"))
    project, wanted = open_project(c, compression, jobs=jobs, max_blob=max_blob), platforms_of(platform)
    named = split(samples)
    images = [name for name in named if is_image(name)]
    found, broken = _load(project, [name for name in named if name not in images], none_means_all=not named)
    opened = gate.opened(project, [*(sample.name for sample in found), *images], wanted)
    rows: tuple[SizeRow, ...] = ()
    measures: list[Measure] = [checking.measure_image(project, each, where) for each in images for where in wanted]
    if found:
        ensure_assembler(base)
        running = choose_engine(engine, project, run=run)
        recipes = [(sample, named_recipe(sample, recipe)) for sample in found]
        rows, not_made = checking.build_each(project, recipes, base, wanted, running, run=run)
        measures += measures_of(rows)
        broken += not_made
    outcome = opened.judge(measures, failed=broken, complete=not named)
    tell(outcome, format)
    opened.write(outcome)
    return gate_code(outcome) or exit_code(rows, engine)


def _load(
    project: Project, named: Sequence[str], *, none_means_all: bool
) -> tuple[Sequence[Sample], tuple[Unavailable, ...]]:
    """Those that are named, else all of the project with those that cannot be loaded. Raises: BadInput."""
    if none_means_all:
        found, broken = load_each(project)
        if not found and not broken:
            raise errors.BadInput("there is no sample to check", hint="name a folder, a program or an image")
        return found, broken
    samples = [load_any(project, Selection(name)) for name in named]
    return one_name_each(samples, hint="check them one by one"), ()
