"""One row measured: made by the plain command, exercised, and compared with Debian's program and the way by hand.

Each of the four is a result of its own, so what depends on nothing that has changed is not done again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recipes.errors import RecipeError
from recipes.pipeline import Project
from recipes.samples.reader import load
from recipes.support import console
from recipes.support.workspace import make_folder
from tests.gallery import byhand, debian
from tests.gallery.attempt import ROOT, Made, attempt, new_project
from tests.gallery.byhand import ByHand
from tests.gallery.debian import Shipped
from tests.gallery.exercise import Exercised, exercise
from tests.gallery.public import public
from tests.gallery.results import Results
from tests.gallery.rows import Row


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a row; None for what was not measured, or does not apply."""

    row: Row
    made: Made | None = None
    exercised: Exercised | None = None
    shipped: Shipped | None = None
    by_hand: ByHand | None = None


class Gallery:
    """Where things lie below build/gallery: sources, a project for each row, and the results."""

    def __init__(self, root: Path = ROOT, *, again: bool = False) -> None:
        self.folder = Project.at(root).workspace.build / "gallery"
        self.own = Project.at(self.folder)
        """Debian's packages, unpacked: to compare with, and for programs that are not installed."""
        self.results = Results(self.folder / "results", again=again)

    def known(self, row: Row) -> Measured:
        """What the results say of a row. Nothing is measured."""
        made = self.results.get(Made, row.name, *_recipe_of(row))
        image = made.image if made else None
        return Measured(
            row,
            made,
            self.results.get(Exercised, row.name, row.exercise, image.digest) if image else None,
            self.results.get(Shipped, row.name, row.ships),
            self.results.get(ByHand, row.name, row.source, row.program),
        )

    def measure(self, row: Row) -> None:
        """Make and exercise it, and see what Debian ships. Raises: RecipeError where there is nothing to measure."""
        made = self.results.have(Made, row.name, *_recipe_of(row), make=lambda: self._make(row))
        if image := made.image:
            self.results.have(
                Exercised, row.name, row.exercise, image.digest, make=lambda: self._exercise(row, image.digest)
            )
        if row.ships:
            package, program = row.ships
            self.results.have(Shipped, row.name, row.ships, make=lambda: debian.shipped(package, program, self.own))

    def measure_by_hand(self, row: Row) -> None:
        """Build it by hand, too, where there is a usual way for its build system."""
        if row.is_module or row.is_file:
            return
        source = debian.fetch(row.source, self.own.workspace)
        system = load(str(source.folder), self.own.workspace).build
        if byhand.commands(system):
            self.results.have(
                ByHand,
                row.name,
                row.source,
                row.program,
                make=lambda: byhand.build(row.program, source.folder, system, self.own.workspace),
            )

    def _make(self, row: Row) -> Made:
        """Try the plain command, then with each of the row's options. A try that was interrupted leaves nothing."""
        version, words = self._given(row)
        folder = self.folder / "projects" / row.name
        new_project(folder)
        tries = []
        for options in ((), *row.then):
            tries.append(attempt(row, words, options, folder))
            console.note(f"{row.name}: {'works' if tries[-1].works else tries[-1].cause}")
            if tries[-1].works:
                break
        for name in ("work", "roots", "logs"):  # the images are all that is needed now
            shutil.rmtree(folder / "build" / name, ignore_errors=True)
        return Made(version, tuple(tries))

    def _given(self, row: Row) -> tuple[str, tuple[str, ...]]:
        """The version, and what the task is called with."""
        if row.is_module:
            return row.source.partition("@")[2], (row.source,)
        if row.is_file:
            if not row.unpack:
                return debian.installed_version(row.source), (row.source,)
            root = debian.root_of(row.unpack, self.own)
            return debian.version_in(root, row.unpack), (f"{root}{row.source}", "--from", f"rootfs:{root}")
        source = debian.fetch(row.source, self.own.workspace)
        return source.version, (str(source.folder),)

    def _exercise(self, row: Row, digest: str) -> Exercised:
        project = Project.at(self.folder / "projects" / row.name)
        root = self.folder / "root"
        shutil.rmtree(root, ignore_errors=True)
        make_folder(root)
        try:
            done = exercise(project, digest, row.exercise, root)
        except RecipeError as error:
            done = Exercised(public(error.message, ROOT))
        finally:
            shutil.rmtree(root, ignore_errors=True)
        console.note(f"{row.name}: {done.said or row.exercise.shows}")
        return done


def _recipe_of(row: Row) -> tuple[object, ...]:
    """What the making of a row depends on."""
    return row.task, row.source, row.unpack, row.then


def each(rows: tuple[Row, ...], do: Callable[[Row], None]) -> list[str]:
    """`do` every row. Returns a line for each that could not be done, without stopping at it."""
    failed = []
    for row in rows:
        try:
            do(row)
        except RecipeError as error:
            failed.append(f"{row.name}: {public(error.message, ROOT)}")
            console.note(failed[-1])
    return failed
