"""Text that fits a terminal: columns are left out in a stated order, and long texts are folded or shortened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from recipes.support.printable import Line, Span, folded, line, width

_GAP = "  "
_CUT = "…"
_SHORTEST = 6
"""Columns of the terminal that a text always has."""

_SENTENCE = 24
"""So many have the texts of a listing, where they are that long."""

_ENDS = " ,/:"
"""Behind these a text may go on in the next line."""


@dataclass(frozen=True, slots=True)
class Column:
    """`drop` says when it is left out where there is no room: 1 is the first to go, 0 stays.

    `least` is how far its texts are shortened while another column can be left out; None: they are numbers, and whole.
    With `fold` they go on in the next line instead.
    """

    heading: str
    right: bool = False
    drop: int = 0
    least: int | None = None
    fold: bool = False


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
    head = [*_row([Span(column.heading) for column in columns], columns, widths)]
    head.append([Span(_GAP.join("-" * widths[index] for index in kept))])
    body = [each for row in safe for each in _row(row, columns, widths)]
    return Fitted((*head, *body), tuple(columns[index].heading for index in gone))


def listing(headings: Sequence[str], rows: Iterable[Sequence[str | Span]], room: int | None) -> list[Line]:
    """A table with all of its texts in at most `room` columns: sentences are folded before names are taken apart."""
    spans = [[cell if isinstance(cell, Span) else Span(cell) for cell in row] for row in rows]
    columns = [
        Column(heading, least=_needs(heading, [row[index].text for row in spans]), fold=True)
        for index, heading in enumerate(headings)
    ]
    return [*fit(columns, spans, room).lines]


def _needs(heading: str, texts: Sequence[str]) -> int:
    """How wide a column is to be read well: a few words, and every name whole."""
    words = [word for text in texts for word in folded(text, 1)]
    return max(width(heading), min(_SENTENCE, max(map(width, texts), default=0)), *map(width, words))


def fields(rows: Iterable[tuple[str, str | Span]], room: int | None, indent: int = 0) -> Iterator[Line]:
    """Names of one width, and beside them what they are: what has no place there goes on below it."""
    for name, value in rows:
        span = value if isinstance(value, Span) else Span(value)
        left = f"{'':{indent}}{name} "
        for number, piece in enumerate(folded(span.text, None if room is None else room - width(left))):
            yield [Span(" " * width(left) if number else left), Span(piece, span.style)]


def said(*texts: str) -> list[Line]:
    """Lines that are as long as they are."""
    return [[Span(text)] for text in texts]


def note(text: str, room: int | None) -> list[Line]:
    """A sentence: what has no place in the line goes on below it, indented."""
    first, *rest = folded(text, room, indent=2)
    return said(first, *(f"  {each}" for each in rest))


def _fold(text: str, room: int) -> list[str]:
    """As `folded`, and what is still too long is taken apart."""
    return [piece for row in folded(text, room) for piece in _chopped(row, room)]


def _chopped(text: str, room: int) -> Iterator[str]:
    """Pieces of at most `room` columns, which end at one of `_ENDS` where there is one: at least one."""
    while width(text) > room:
        end = max(1, _fitting(text, room))
        end = max(text.rfind(mark, 1, end) for mark in _ENDS) + 1 or end
        yield text[:end].rstrip()
        text = text[end:]
    yield text


def shorten(text: str, room: int | None) -> str:
    """`text` in at most `room` columns, with an ellipsis where something was cut off."""
    return text if room is None or width(text) <= room else text[: _fitting(text, room - 1)] + _CUT


def _fitting(text: str, room: int) -> int:
    """How many of the first characters have a place in `room` columns."""
    taken = 0
    for end, character in enumerate(text):
        taken += width(character)
        if taken > room:
            return end
    return len(text)


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
        widths[max(wide, key=lambda index: (max(0, widths[index] - (columns[index].least or 0)), widths[index]))] -= 1
    return widths


def _row(cells: Sequence[Span], columns: Sequence[Column], widths: dict[int, int]) -> Iterator[Line]:
    """One line, or as many as its longest folded text has."""
    texts = [_pieces(cells[index].text, wide, columns[index]) for index, wide in widths.items()]
    for pieces in zip_longest(*texts, fillvalue=""):
        spans: list[Span] = []
        for (index, wide), piece in zip(widths.items(), pieces, strict=True):
            text, blank = Span(piece, cells[index].style), Span(" " * (wide - width(piece)))
            spans += [Span(_GAP)] if spans else []
            spans += [blank, text] if columns[index].right else [text, blank]
        yield spans


def _pieces(text: str, wide: int, column: Column) -> list[str]:
    return _fold(text, wide) if column.fold else [shorten(text, wide)]
