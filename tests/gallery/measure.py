"""One row measured: made by the plain command, exercised, and compared with Debian's program and the way by hand.

Each of the four is a result of its own, so what depends on nothing that has changed is not done again.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from recipes.errors import RecipeError
from recipes.pipeline import Project
from recipes.samples.reader import load
from recipes.support import console
from tests.gallery import byhand, debian
from tests.gallery.attempt import ROOT, Attempt, attempt, new_project
from tests.gallery.byhand import ByHand
from tests.gallery.debian import Shipped
from tests.gallery.exercise import Exercised, exercise
from tests.gallery.public import public
from tests.gallery.results import Results
from tests.gallery.rows import Row


@dataclass(frozen=True, slots=True)
class Try:
    """A try, and what its image was good for; None where there is none, or it was not used yet."""

    attempt: Attempt
    exercised: Exercised | None = None

    @property
    def is_good(self) -> bool:
        return self.exercised is not None and not self.exercised.said


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a row: its tries, that with the plain command first, and what it is compared with.

    None, or no tries, for what was not measured or does not apply. `machine` is where it was tried.
    """

    row: Row
    tries: tuple[Try, ...] = ()
    shipped: Shipped | None = None
    by_hand: ByHand | None = None
    machine: str = ""


class Gallery:
    """Where things lie below build/gallery: sources, a project for each row, and the results."""

    def __init__(self, root: Path = ROOT, *, again: bool = False) -> None:
        self.folder = Project.at(root).workspace.build / "gallery"
        self.own = Project.at(self.folder)
        """Debian's packages, unpacked: to compare with, and for programs that are not installed."""
        self.results = Results(self.folder / "results", again=again)

    def known(self, row: Row) -> Measured:
        """What the results say of a row. Nothing is measured."""
        tries = []
        for options in _ways(row):
            tried = self.results.get(Attempt, row.name, *_inputs(row, options))
            if tried is None:
                break
            exercised = self.results.get(Exercised, row.name, row.exercise, tried.digest) if tried.works else None
            tries.append(Try(tried, exercised))
            if tries[-1].is_good:
                break
        return Measured(
            row,
            tuple(tries),
            self.results.get(Shipped, row.name, row.ships),
            self.results.get(ByHand, row.name, row.source, row.name),
            this_machine() if tries else "",
        )

    def measure(self, row: Row) -> None:
        """Try the plain command, then each of the row's ways, until one makes an image that does what it is for.

        Raises: RecipeError where there is nothing to make it of.
        """
        for options in _ways(row):
            tried = self.results.have(
                Attempt, row.name, *_inputs(row, options), make=partial(self._attempt, row, options)
            )
            if not tried.works:
                continue
            exercised = self.results.have(
                Exercised, row.name, row.exercise, tried.digest, make=partial(self._exercise, row, tried.digest)
            )
            if not exercised.said:
                break
        for name in ("work", "roots", "logs"):  # the images are all that is needed from now on
            shutil.rmtree(self._project(row) / "build" / name, ignore_errors=True)

    def see_shipped(self, row: Row) -> None:
        """See what Debian's own program loads. Raises: RecipeError."""
        if ships := row.ships:
            self.results.have(Shipped, row.name, ships, make=lambda: debian.shipped(*ships, self.own))

    def build_by_hand(self, row: Row) -> None:
        """Build it by hand, too, where there is a usual way for its build system. Raises: RecipeError."""
        if row.is_module or row.is_file:
            return
        source = debian.fetch(row.source, self.own.workspace)
        system = load(str(source.folder), self.own.workspace).build
        if byhand.commands(system):
            self.results.have(
                ByHand,
                row.name,
                row.source,
                row.name,
                make=lambda: byhand.build(row.name, source.folder, system, self.own.workspace),
            )

    def _project(self, row: Row) -> Path:
        return self.folder / "projects" / row.name

    def _attempt(self, row: Row, options: tuple[str, ...]) -> Attempt:
        """The first try is in a new project; whoever has to try again has what was built then."""
        version, words = self._given(row)
        if not options or not self._project(row).is_dir():
            new_project(self._project(row))
        tried = attempt(row, version, words, options, self._project(row))
        console.note(f"{row.name} {' '.join(options)}: {'works' if tried.works else tried.cause}")
        return tried

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
        project = Project.at(self._project(row))
        with self.own.workspace.temporary("exercise") as folder:
            try:
                done = exercise(project, digest, row.exercise, folder)
            except RecipeError as error:
                done = Exercised(public(error.message, ROOT))
        console.note(f"{row.name}: {done.said or row.exercise.shows}")
        return done


def this_machine() -> str:
    """The system and CPU, as the page names them."""
    return f"{platform.freedesktop_os_release().get('PRETTY_NAME', platform.system())}, {platform.machine()}"


def _ways(row: Row) -> tuple[tuple[str, ...], ...]:
    """The options of each try; the first has none."""
    return (), *row.then


def _inputs(row: Row, options: tuple[str, ...]) -> tuple[object, ...]:
    """What a try depends on."""
    return row.task, row.source, row.unpack, options


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
