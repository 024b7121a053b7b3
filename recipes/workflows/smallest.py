"""The smallest image that runs: candidates from static programs to whole bases are tried until one passes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from recipes import errors, pipeline
from recipes.compile.availability import available
from recipes.compile.finished import has_cgo_stub
from recipes.compile.recipe import Recipe, by_rank
from recipes.model import BaseImage, Platform, Program, RunStatus, Sample, SizeRow, Status
from recipes.oci.reference import BUNDLE
from recipes.pipeline import Project
from recipes.results import Candidate
from recipes.run.engine import Engine
from recipes.support import console
from recipes.workflows import bundle
from recipes.workflows.home import Home

_TELLING = re.compile(r"\b(?:fatal )?error:|undefined (?:reference|symbol)|cannot find", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Search:
    """What all candidates have in common. `engine` None, or `run` False: a verdict alone decides."""

    project: Project
    platform: Platform
    engine: Engine | None
    run: bool = True
    wanted: bundle.Wanted | None = None
    home: Home | None = None
    """What each run is compared with, where it is."""

    def candidates(self, sample: Sample) -> Iterator[Candidate]:
        """One candidate after the other, the one that passes last; where none does, each says why.

        It ends early where an image was judged to run and could not be run here: then no other can be either.
        """
        for candidate in self._candidates(sample):
            console.note(f"{candidate.name}: {candidate.rejected_because or 'taken'}")
            yield candidate
            if not candidate.rejected_because or _not_run(candidate.row):
                return

    def _candidates(self, sample: Sample) -> Iterator[Candidate]:
        if sample.language == "binary":
            program = pipeline.take_program(self.project, sample, self.platform)
            yield from self._packaged("as it is", program)
            return
        for recipe in by_rank(sample.language):
            built = self._build(sample, recipe)
            if isinstance(built, Candidate):
                yield built
            else:
                yield from self._packaged(recipe.name, built)

    def _build(self, sample: Sample, recipe: Recipe) -> Program | Candidate:
        missing = available(recipe, self.platform, self.project.workspace)
        if missing:
            return Candidate(recipe.name, f"not tried: {missing.message}")
        try:
            program = pipeline.build_program(self.project, sample, recipe, self.platform)
            if recipe.with_cgo and has_cgo_stub(program, self.project.workspace):
                return Candidate(recipe.name, pipeline.CGO_STUB)
            return program
        except errors.CommandFailed as error:
            return Candidate(recipe.name, f"does not build: {telling_line(error.output) or error.message}")
        except errors.GateFailed as error:
            return Candidate(recipe.name, error.message)

    def _packaged(self, how: str, program: Program) -> Iterator[Candidate]:
        """What loads nothing belongs on scratch; what loads something on the bundle, else on a base that has it."""
        if program.facts.interpreter is None:
            yield self._try(f"{how} on scratch", program, partial(BaseImage, "scratch", "scratch", self.platform))
            return
        wanted = self.wanted or bundle.Wanted()
        own = self._try(f"{how} on {BUNDLE}", program, partial(bundle.make, self.project, program, wanted))
        yield own
        folders = () if own.row is None or wanted.along else bundle.own_folders(self.project, program, wanted)
        if folders:
            more = replace(wanted, along=folders)
            name = f"{how} on {BUNDLE} with {', '.join(folders)}"
            yield self._try(name, program, partial(bundle.make, self.project, program, more))
        found: list[BaseImage] = []
        for name, base in self._bases():
            if isinstance(base, errors.RecipeError):
                yield Candidate(f"{how} on {name}", f"base not available: {base.message}")
            else:
                found.append(base)
        for base in sorted(found, key=lambda each: (each.image_bytes, each.name)):
            yield self._try(f"{how} on {base.name}", program, partial(replace, base))

    def _bases(self) -> Iterator[tuple[str, BaseImage | errors.RecipeError]]:
        from recipes.bases.resolve import resolve
        from recipes.bases.specs import known
        from recipes.support import system

        system.ensure("bases")
        for name in known(self.project.workspace):
            if name == "scratch":
                continue  # the bundle is what a dynamic program needs on it
            try:
                yield name, resolve(name, self.platform, self.project.workspace, self.project.store)
            except errors.CannotWrite:
                raise
            except errors.RecipeError as error:
                yield name, error

    def _try(self, name: str, program: Program, base: Callable[[], BaseImage]) -> Candidate:
        """Judge first: what is judged to fail is neither packaged nor run."""
        try:
            on = base()
            _, verdict = pipeline.prepare(self.project, program, on)
            if verdict.status is not Status.RUNS:
                return Candidate(name, f"judged: {verdict.status}: {verdict.reason}")
            row = pipeline.package_and_run(self.project, program, on, self.engine, run=self.run)
            row = self.home.compared(row) if self.home is not None else row
        except errors.CannotWrite:
            raise  # no other candidate would fare better on a full disk
        except errors.RecipeError as error:
            hint = f" ({error.hint})" if error.hint else ""
            return Candidate(name, f"{error.message}{hint}")
        return Candidate(name, self._why_rejected(row), row)

    def _why_rejected(self, row: SizeRow) -> str:
        if row.run is None or row.observed:
            return ""
        if row.observed is None:
            return f"judged to run, but not run: {row.run.reason}"
        if row.expect is None:
            return f"does not run: {row.reason.partition(chr(10))[0]}"
        wrote = row.run.stdout.strip().partition("\n")[0][:80]
        also = f"; it wrote {wrote!r}" if wrote else ""
        return f"does not run as expected: {row.reason.partition(chr(10))[0]}{also}"


def telling_line(output: str) -> str:
    """The first line of a compiler's output that says what is wrong; "" where it said nothing."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next((line for line in lines if _TELLING.search(line)), lines[0] if lines else "")


def _not_run(row: SizeRow | None) -> bool:
    return row is not None and row.run is not None and row.run.status is RunStatus.NOT_RUN
