"""A table that fits a terminal: columns are left out in a stated order, then the longest texts are shortened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recipes.support.printable import Line, Span, line, width

_GAP = "  "
_CUT = "…"
_SHORTEST = 6
"""Columns of the terminal that a text always has."""


@dataclass(frozen=True, slots=True)
class Column:
    """`drop` says when it is left out where there is no room: 1 is the first to go, 0 stays.

    `least` is how far its texts are shortened while another column can be left out; None: they are numbers, and whole.
    """

    heading: str
    right: bool = False
    drop: int = 0
    least: int | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """The lines, headings first; and which columns had no place in them, the first to go first."""

    lines: tuple[Line, ...]
    dropped: tuple[str, ...] = ()


def fit(columns: Sequence[Column], rows: Sequence[Sequence[Span]], room: int | None) -> Fitted:
    """`rows` below their headings in at most `room` columns of a terminal; None: as wide as it has to be.

    Numbers that are not left out are shown whole, also where that is wider.
    """
    safe = [[Span(line(span.text), span.style) for span in row] for row in rows]
    natural = [
        max(map(width, (column.heading, *(row[index].text for row in safe)))) for index, column in enumerate(columns)
    ]
    kept = list(range(len(columns)))
    gone = []
    while room is not None and _least(columns, natural, kept) > room:
        droppable = [index for index in kept if columns[index].drop]
        if not droppable:
            break
        gone.append(min(droppable, key=lambda index: columns[index].drop))
        kept.remove(gone[-1])
    widths = _shrink(columns, natural, kept, room)
    head = [_row([Span(column.heading) for column in columns], columns, widths)]
    head.append([Span(_GAP.join("-" * widths[index] for index in kept))])
    body = [_row(row, columns, widths) for row in safe]
    return Fitted((*head, *body), tuple(columns[index].heading for index in gone))


def shorten(text: str, room: int | None) -> str:
    """`text` in at most `room` columns, with an ellipsis where something was cut off."""
    if room is None or width(text) <= room:
        return text
    taken = 0
    for end, character in enumerate(text):
        taken += width(character)
        if taken > room - 1:
            return text[:end] + _CUT
    return text


def _least(columns: Sequence[Column], natural: Sequence[int], kept: Sequence[int]) -> int:
    return sum(_floor(columns[index], natural[index]) for index in kept) + len(_GAP) * (len(kept) - 1)


def _floor(column: Column, natural: int) -> int:
    return natural if column.least is None else min(natural, column.least)


def _shrink(columns: Sequence[Column], natural: Sequence[int], kept: Sequence[int], room: int | None) -> dict[int, int]:
    """The width of each column that is kept: the widest text gives way first, as far as `_SHORTEST`."""
    widths = {index: natural[index] for index in kept}
    while room is not None and sum(widths.values()) + len(_GAP) * (len(kept) - 1) > room:
        wide = [index for index in kept if columns[index].least is not None and widths[index] > _SHORTEST]
        if not wide:
            break
        widths[max(wide, key=lambda index: widths[index] - (columns[index].least or 0))] -= 1
    return widths


def _row(cells: Sequence[Span], columns: Sequence[Column], widths: dict[int, int]) -> Line:
    spans: list[Span] = []
    for index, wide in widths.items():
        text = Span(shorten(cells[index].text, wide), cells[index].style)
        blank = Span(" " * (wide - width(text.text)))
        spans += [Span(_GAP)] if spans else []
        spans += [blank, text] if columns[index].right else [text, blank]
    return spans
