"""What a comparison comes to: for each sample the choice to take and the next one, and its recipes by bases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recipes.model import Comparison, SizeRow
from recipes.report.table import by_size, for_readers, label, recipe_of


@dataclass(frozen=True, slots=True)
class Grid:
    """The rows of one sample on one platform. `recipes` and `bases` are ordered by the smallest image that runs.

    `best` None: nothing runs; `following` None: nothing else does.
    """

    label: str
    rows: tuple[SizeRow, ...]
    recipes: tuple[str, ...]
    bases: tuple[str, ...]
    best: SizeRow | None
    following: SizeRow | None

    def cell(self, recipe: str, base: str) -> SizeRow | None:
        """None where there is no such image."""
        return next((row for row in self.rows if (recipe_of(row), row.image.base.name) == (recipe, base)), None)


def grids(comparison: Comparison, sort: str = "image") -> tuple[Grid, ...]:
    return tuple(_grid(group, comparison) for group in for_readers(comparison, sort))


def choice(row: SizeRow) -> str:
    """`gcc-static on scratch`"""
    return f"{recipe_of(row)} on {row.image.base.name}"


def engines(comparison: Comparison) -> tuple[str, ...]:
    """The names of what ran the images; () where nothing was run."""
    return tuple(
        sorted({row.run.engine for row in comparison.rows if row.run is not None and row.observed is not None})
    )


def counts(comparison: Comparison) -> str:
    """`64 images: 40 run, 24 do not (local engine)`, and of how many nothing more than the verdict is known."""
    answers = [row.runs for row in comparison.rows]
    parts = [f"{answers.count(True)} run", f"{answers.count(False)} do not"]
    if answers.count(None):
        parts.append(f"{answers.count(None)} unknown")
    names = engines(comparison)
    how = f"{' and '.join(names)} engine" if names else "predicted; nothing was run"
    return f"{len(answers)} image{'' if len(answers) == 1 else 's'}: {', '.join(parts)} ({how})"


def _grid(group: Sequence[SizeRow], comparison: Comparison) -> Grid:
    running = by_size(group, comparison)
    ordered = [*running, *(row for row in group if not row.runs)]
    return Grid(
        label=label(group[0], comparison),
        rows=tuple(group),
        recipes=tuple(dict.fromkeys(map(recipe_of, ordered))),
        bases=tuple(dict.fromkeys(row.image.base.name for row in ordered)),
        best=running[0] if running else None,
        following=running[1] if running[1:] else None,
    )
