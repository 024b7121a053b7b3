"""One program of the gallery: fetched, built by each fitting recipe, packaged, run, and compared with Debian's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recipes import pipeline
from recipes.bases.resolve import resolve
from recipes.compile.recipe import RECIPES, Recipe
from recipes.errors import CommandFailed, RecipeError
from recipes.model import Expect, Platform, Sample, SizeRow
from recipes.pipeline import Project
from recipes.run.engine import choose
from recipes.samples.reader import load
from recipes.support import console
from tests.gallery import debian


@dataclass(frozen=True, slots=True)
class Wanted:
    """An entry of programs.toml."""

    name: str
    debian: str = ""
    go: str = ""
    target: str = ""
    options: tuple[str, ...] = ()
    package: str = ""
    program: str = ""
    args: tuple[str, ...] = ()
    says: str = ""

    @classmethod
    def read(cls, name: str, entry: dict[str, Any]) -> Wanted:
        """Raises: TypeError for an unknown key."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
        }
        return cls(name, **values)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one program. `theirs` is what Debian's build loads, in bytes, None where Debian has none.

    `tried` says of every recipe what came of it; `best` is the smallest image that ran and said what it should.
    """

    name: str
    version: str
    system: str
    theirs: int | None
    best: SizeRow | None
    tried: tuple[tuple[str, str], ...]


def try_program(wanted: Wanted, root: Path) -> Row:
    """Raises: RecipeError where its source is unavailable; what cannot be built is listed in the row."""
    project = Project.at(root)
    if wanted.debian:
        source = debian.fetch(wanted.debian, project.workspace)
        version, place = source.version, str(source.folder)
    else:
        version, place = wanted.go.partition("@")[2], wanted.go
    sample = load(place, project.workspace, target=wanted.target)
    sample = replace(sample, name=wanted.name, args=wanted.args, expect=Expect(None, 0))
    if wanted.options:
        sample = replace(sample, options=wanted.options)
    rows, tried = [], []
    for recipe in _recipes(sample):
        row, said = _try(project, sample, recipe, wanted.says)
        console.note(f"{wanted.name} with {recipe.name}: {said}")
        tried.append((recipe.name, said))
        if row is not None:
            rows.append(row)
    best = min(rows, key=lambda row: row.image.image_bytes, default=None)
    theirs = debian.closure_bytes(wanted.package, wanted.program, project) if wanted.package else None
    return Row(wanted.name, version, sample.build, theirs, best, tuple(tried))


def _recipes(sample: Sample) -> Iterator[Recipe]:
    return (recipe for recipe in RECIPES.values() if recipe.static and recipe.language == sample.language)


def _try(project: Project, sample: Sample, recipe: Recipe, says: str) -> tuple[SizeRow | None, str]:
    scratch = resolve("scratch", Platform.host(), project.workspace, project.store)
    engine = choose("auto", project.workspace, project.store, project.roots)
    try:
        row = pipeline.build_static(project, sample, recipe, scratch, engine)
    except RecipeError as error:
        return None, f"{error.message}: {_last_words(error)}" if isinstance(error, CommandFailed) else error.message
    run = row.run
    if run is None or row.observed is not True:
        return None, f"does not run: {run.reason or run.stderr.strip() or run.exit_code}" if run else "not run"
    if says not in run.stdout + run.stderr:
        return None, f"says {(run.stdout + run.stderr)[:60]!r}, not {says!r}"
    return row, f"{row.image.image_bytes:,} bytes"


def _last_words(error: CommandFailed) -> str:
    """The line of a build's output that tells most: the first that speaks of an error."""
    lines = [line.strip() for line in error.output.splitlines() if line.strip()]
    telling = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")
    return re.sub(r"(?<![\w.])/[^\s:]*/", "…/", telling)  # where it lies on this machine is nobody's business
