"""Samples × recipes × bases, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from recipes import errors
from recipes.compile.availability import available, default
from recipes.compile.recipe import Recipe
from recipes.model import BaseImage, Comparison, ElfFacts, Platform, Program, Sample, SizeRow, Unavailable
from recipes.oci.reference import BUNDLE
from recipes.pipeline import Project, build_program, package, try_run
from recipes.run.engine import Engine
from recipes.support import console
from recipes.support.work import Work


def compare_platforms(
    project: Project,
    platforms: Sequence[Platform],
    samples: Sequence[Sample],
    recipes: Sequence[Recipe],
    bases: Sequence[str],
    engine: Engine | None,
    *,
    named: frozenset[str] = frozenset(),
) -> Comparison:
    """`compare` for each platform in turn, in one comparison."""
    parts = [compare(project, platform, samples, recipes, bases, engine, named=named) for platform in platforms]
    if len(parts) == 1:
        return parts[0]

    def gather(select: Callable[[Comparison], tuple[Unavailable, ...]]) -> tuple[Unavailable, ...]:
        return tuple(
            replace(entry, name=f"{entry.name} for {platform}")
            for platform, part in zip(platforms, parts, strict=True)
            for entry in select(part)
        )

    rows = tuple(row for part in parts for row in part.rows)
    defaults = frozenset[tuple[str, Platform, str]]().union(*(part.defaults for part in parts))
    return Comparison(rows, gather(lambda part: part.unavailable), gather(lambda part: part.failed), defaults)


def compare(
    project: Project,
    platform: Platform,
    samples: Sequence[Sample],
    recipes: Sequence[Recipe],
    bases: Sequence[str],
    engine: Engine | None,
    *,
    named: frozenset[str] = frozenset(),
) -> Comparison:
    """All that fit together. `engine` None: verdicts alone.

    What is unavailable is listed, what should have worked and did not is listed as failed; neither stops the rest.
    `named` are the recipes and bases that the user asked for by name: one that is unavailable, or that fits nothing, is
    a failure.
    """
    missing: dict[str, errors.RecipeError] = {}
    languages = {sample.language for sample in samples}
    for recipe in recipes:
        if recipe.language not in languages and recipe.name in named:
            missing[recipe.name] = errors.BadInput(
                f"builds {recipe.language}, and no {recipe.language} sample was selected"
            )
        elif reason := available(recipe, platform, project.workspace):
            missing[recipe.name] = errors.ToolMissing(reason.message, reason.hint)
    builds = [
        (sample, recipe)
        for sample in samples
        for recipe in recipes
        if recipe.language == sample.language and recipe.name not in missing
    ]
    matrix = _Matrix(project, platform, engine, builds, bases, named)
    matrix.fill()
    missing |= {name: matrix.missing[name] for name in bases if name in matrix.missing}
    unavailable = [Unavailable(name, error.message, error.exit_code) for name, error in missing.items()]
    failed = [Unavailable(name, _explain(error), error.exit_code) for name, error in sorted(matrix.failed.items())]
    failed += [entry for entry in unavailable if entry.name in named]
    defaults = frozenset(
        (sample.name, platform, default(sample, platform, project.workspace).name) for sample in samples
    )
    return Comparison(tuple(matrix.rows), tuple(unavailable), tuple(failed), defaults)


@dataclass(frozen=True, slots=True)
class _Column:
    """A base of the comparison: the same one for every program, or (`fixed` None) one made for each that fits."""

    name: str
    base: Callable[[Program], BaseImage]
    fixed: BaseImage | None = None

    def fits(self, facts: ElfFacts) -> bool:
        """A program that loads nothing has no base of its own."""
        return self.fixed is not None or facts.interpreter is not None


class _Matrix:
    """Programs and bases become ready in any order; each pair of them is a cell, which becomes a row."""

    def __init__(
        self,
        project: Project,
        platform: Platform,
        engine: Engine | None,
        builds: Sequence[tuple[Sample, Recipe]],
        bases: Sequence[str],
        named: frozenset[str],
    ) -> None:
        self._project, self._platform, self._engine, self._named = project, platform, engine, named
        self._builds, self._bases = builds, bases
        self._work = Work(project.jobs, engine.stop) if engine else Work(project.jobs)
        self._programs: list[Program] = []
        self._columns: list[_Column] = []
        self.rows: list[SizeRow] = []
        self.missing: dict[str, errors.RecipeError] = {}
        """The bases that are unavailable, or that were asked for and fit nothing."""
        self.failed: dict[str, errors.RecipeError] = {}
        """The builds and cells that should have worked."""

    def fill(self) -> None:
        from recipes.bases.specs import takes_long

        # What takes longest first: started last, it would run alone at the end.
        slow = [name for name in self._bases if takes_long(name, self._project.workspace)]
        with console.progress("comparing", len(self._builds) * len(self._bases)) as advance, self._work as work:
            for name in slow:
                work.start(("base", name), self._column, name)
            for sample, recipe in self._builds:
                label = ("build", f"{sample.name} with {recipe.name}")
                work.start(label, build_program, self._project, sample, recipe, self._platform)
            for name in self._bases:
                if name not in slow:
                    work.start(("base", name), self._column, name)
            for (kind, name), result in work.results():
                advance(self._take(kind, name, result))
        self._name_idle()

    def _take(self, kind: str, name: str, result: Any) -> int:
        """Have what became ready, or did not; returns how many cells are settled by that."""
        if isinstance(result, errors.RecipeError):
            (self.missing if kind == "base" else self.failed)[name] = result
            return {"base": len(self._builds), "build": len(self._bases), "cell": 1}[kind]
        if kind == "cell":
            self.rows += [result] if result is not None else []
            return 1
        if kind == "base":
            self._columns.append(result)
            for program in self._programs:
                self._start_cell(program, result)
        else:
            self._programs.append(result)
            for column in self._columns:
                self._start_cell(result, column)
        return 0

    def _name_idle(self) -> None:
        """Tell of a base that was asked for and fits no program; where a build failed, its program may be meant."""
        for column in self._columns:
            if column.name not in self._named or self.failed or not self._programs:
                continue
            if not any(column.fits(program.facts) for program in self._programs):
                self.missing[column.name] = errors.BadInput("no selected program loads a library")

    def _start_cell(self, program: Program, column: _Column) -> None:
        name = f"{program.name} with {program.build.recipe} on {column.name}"
        self._work.start(("cell", name), self._cell, program, column)

    def _column(self, name: str) -> _Column:
        from recipes.bases.resolve import resolve
        from recipes.workflows import bundle

        project = self._project
        if name == BUNDLE:
            return _Column(name, partial(bundle.make, project))
        base = resolve(name, self._platform, project.workspace, project.store, retry=name in self._named)
        if self._engine is not None and self._builds:
            self._engine.prepare(base)
        return _Column(name, lambda program: base, base)

    def _cell(self, program: Program, column: _Column) -> SizeRow | None:
        if not column.fits(program.facts):
            return None
        image, verdict = package(self._project, program, column.base(program))
        outcome = try_run(self._project, image, self._engine) if self._engine is not None else None
        return SizeRow(image, verdict, outcome)


def _explain(error: errors.RecipeError) -> str:
    output = error.output if isinstance(error, errors.CommandFailed) else ""
    return f"{error.message}\n{output}".strip()
