"""The gate: samples are built as usual and measured, and so are images that others have built."""

from __future__ import annotations

from collections.abc import Sequence

from recipes import errors, pipeline
from recipes.compile.recipe import Recipe
from recipes.gate.values import Measure
from recipes.model import Platform, Sample, SizeRow, Unavailable
from recipes.pipeline import Project
from recipes.run.engine import Engine
from recipes.support import console
from recipes.workflows.baseline import size_of
from recipes.workflows.bundle import program_and_base
from recipes.workflows.verify import verify_image


def build_each(
    project: Project,
    samples: Sequence[tuple[Sample, Recipe | None]],
    base: str,
    platforms: Sequence[Platform],
    engine: Engine | None,
    *,
    run: bool,
) -> tuple[tuple[SizeRow, ...], tuple[Unavailable, ...]]:
    """The image of each sample for each platform, run; and what could not be made: one stops no other."""
    rows, failed = [], []
    with console.progress("checking", len(samples) * len(platforms)) as advance:
        for sample, recipe in samples:
            for platform in platforms:
                try:
                    pair = program_and_base(project, sample, recipe, base, platform)
                    rows.append(pipeline.package_and_run(project, *pair, engine, run=run))
                except errors.RecipeError as error:
                    failed.append(_failure(f"{sample.name} for {platform}", error))
                advance(1)
    return tuple(rows), tuple(failed)


def measure_image(project: Project, reference: str, platform: Platform) -> Measure:
    """An image as it is, judged and not run. Raises: BadInput, Unavailable, BadArchive."""
    from recipes.bases.resolve import resolve

    found = verify_image(project, reference, platform)
    image = resolve(reference, platform, project.workspace, project.store, retry=True, by_lock=False)
    verdict = found.verdict
    return Measure(size_of(reference, image), image.digest or "", verdict, verdict.runs, verdict.reason)


def _failure(name: str, error: errors.RecipeError) -> Unavailable:
    output = error.output if isinstance(error, errors.CommandFailed) else ""
    return Unavailable(name, f"{error.message}\n{output}".strip(), error.exit_code)
