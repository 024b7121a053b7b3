"""The way to the smallest image: each candidate that was tried, why it was left, and what was found."""

from __future__ import annotations

from collections.abc import Sequence

from recipes.model import Comparison
from recipes.report.document import comparison_document, dumps
from recipes.report.fit import listing, said
from recipes.report.summary import render as render_row
from recipes.results import Candidate
from recipes.support.printable import Line, Span


def render(candidates: Sequence[Candidate], room: int | None = None) -> list[Line]:
    """A row for each candidate, and the image that passed as `build-static` prints it."""
    rows = [(candidate.name, candidate.rejected_because or Span("taken", "good")) for candidate in candidates]
    table = listing(("candidate", "result"), rows, room)
    last = candidates[-1]
    return table if last.rejected_because or last.row is None else [*table, *said(""), *render_row(last.row, room)]


def document(candidates: Sequence[Candidate]) -> str:
    """`{"rungs": [{"name", "left"}], "rows": […], …}`: the row is that of the image that passed, if one did."""
    last = candidates[-1]
    rows = () if last.rejected_because or last.row is None else (last.row,)
    return dumps(
        {
            "rungs": [{"name": candidate.name, "left": candidate.rejected_because or None} for candidate in candidates],
            **comparison_document(Comparison(rows)),
        }
    )
