"""The comparison on a terminal: first what to take for each sample, then its recipes by bases, or every image.

Where there is no room, columns are left out in the order that each table states, and texts are shortened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recipes.model import Comparison, SizeRow
from recipes.report.fit import Column, fit, note, shorten
from recipes.report.grid import Grid, choice, counts, engines, grids
from recipes.report.table import COLUMNS, cells, not_compared, recipe_of
from recipes.report.units import human, ratio
from recipes.support.printable import Line, Span, line

_SUMMARY = (
    Column("sample", least=12),
    Column("recipe", least=20),
    Column("base", least=12),
    Column("image", right=True),
    Column("download", right=True, drop=2),
    Column("smaller", right=True, drop=3),
    Column("than", least=27, drop=1),
)

_ORDER = ("overhead", "linkage", "binary", "download", "predicted", "ratio", "sample")
"""In which columns of the long table are left out, before a reason is shorter than `_LEAST`."""

_LEAST = {"sample": 12, "recipe": 16, "base": 12, "runs?": 28}
_SIZES = COLUMNS[COLUMNS.index("binary") :]

_NOTHING = Span("–", "quiet")


def overview(comparison: Comparison, sort: str = "image", room: int | None = None) -> list[Line]:
    """The summary, and for each sample its recipes by bases, in at most `room` columns."""
    found = grids(comparison, sort)
    lines = [*_summary(found, room), _said()]
    for grid in found:
        lines += [*_matrix(grid, engines(comparison) != (), room), _said()]
    why = ["fails: --format long says why"] if any(row.runs is False for row in comparison.rows) else []
    return [*lines, *_below(comparison, [*_marks(comparison), *why], room)]


def long(comparison: Comparison, sort: str = "image", room: int | None = None, verbose: bool = False) -> list[Line]:
    """The summary, and a line for each image; with `verbose` as wide as the reasons are."""
    found = grids(comparison, sort)
    columns = _columns(several=len(found) > 1)
    rows = [row for grid in found for row in _rows(grid, comparison, verbose)]
    table = fit(columns, [[row[name] for name in (column.heading for column in columns)] for row in rows], room)
    lines = [*_summary(found, room), _said(), *table.lines, _said()]
    return [*lines, *_below(comparison, _marks(comparison)[:1], room, verbose)]


def _summary(found: Sequence[Grid], room: int | None) -> Sequence[Line]:
    return fit(_SUMMARY, [list(_answer(grid)) for grid in found], room).lines


def _answer(grid: Grid) -> Iterator[Span]:
    yield Span(grid.label, "strong")
    best, following = grid.best, grid.following
    if best is None:
        yield from (Span("none runs", "bad"), *[_NOTHING] * 5)
        return
    yield Span(recipe_of(best), "good")
    yield Span(best.image.base.name, "good")
    yield Span(human(best.image.image_bytes), "good")
    yield Span(human(best.image.download_bytes))
    yield Span(ratio(following.image.image_bytes, best.image.image_bytes)) if following else _NOTHING
    yield Span(choice(following)) if following else _NOTHING


def _matrix(grid: Grid, tried: bool, room: int | None) -> Iterator[Line]:
    """Sizes by recipe and base; the bases of the largest images are left out first, and named."""
    last = len(grid.bases)
    columns = [Column("recipe", least=16)]
    columns += [Column(base, right=True, drop=(last - place) if place else 0) for place, base in enumerate(grid.bases)]
    rows = [[Span(recipe), *(_cell(grid, recipe, base, tried) for base in grid.bases)] for recipe in grid.recipes]
    table = fit(columns, rows, room)
    yield [Span(shorten(line(grid.label), room), "strong")]
    yield from table.lines
    if table.dropped:
        yield _said(shorten(line(f"no room for {', '.join(reversed(table.dropped))}"), room))


def _cell(grid: Grid, recipe: str, base: str, tried: bool) -> Span:
    row = grid.cell(recipe, base)
    if row is None:
        return _NOTHING
    wrong = "! " if row.disagrees else ""
    if row.runs is False:
        return Span(f"{wrong}fails", "bad")
    size = human(row.image.image_bytes)
    if row is grid.best:
        return Span(f"* {wrong}{size}", "good")
    return Span(f"{wrong or _doubt(row, tried)}{size}")


def _doubt(row: SizeRow, tried: bool) -> str:
    """A mark for what was not seen to run, where other images were run."""
    return "? " if row.runs is None or (tried and row.observed is None) else ""


def _marks(comparison: Comparison) -> list[str]:
    """What the marks that occur mean."""
    tried = engines(comparison) != ()
    marks = ["* the smallest image that runs"] if any(row.runs for row in comparison.rows) else []
    if any(row.runs is not False and _doubt(row, tried) for row in comparison.rows):
        marks.append("? not run")
    if any(row.disagrees for row in comparison.rows):
        marks.append("! wrongly predicted")
    return marks


def _columns(*, several: bool) -> list[Column]:
    """Of the long table; a column for the sample only where there are `several`."""
    return [
        Column(name, name in _SIZES, 1 + _ORDER.index(name) if name in _ORDER else 0, _LEAST.get(name))
        for name in COLUMNS
        if several or name != "sample"
    ]


def _rows(grid: Grid, comparison: Comparison, verbose: bool) -> Iterator[dict[str, Span]]:
    for row, texts in zip(grid.rows, cells(grid.rows, comparison, verbose), strict=True):
        style = "strong" if row is grid.best else ""
        answer = {True: "good", False: "bad", None: ""}[row.runs]
        yield {
            name: Span(text, answer if name == "runs?" else style) for name, text in zip(COLUMNS, texts, strict=True)
        }


def _below(comparison: Comparison, marks: Sequence[str], room: int | None, verbose: bool = False) -> Iterator[Line]:
    counted = [counts(comparison)] if comparison.rows else []
    for text in (*counted, *marks, *not_compared(comparison, verbose)):
        yield from note(text, room)


def _said(text: str = "") -> Line:
    return [Span(text)]
