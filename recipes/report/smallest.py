"""The way to the smallest image: each candidate that was tried, why it was left, and what was found."""

from __future__ import annotations

from collections.abc import Sequence

from recipes.model import Comparison
from recipes.report.document import comparison_document, dumps
from recipes.report.summary import render as render_row
from recipes.report.table import list_table
from recipes.results import Candidate


def render(candidates: Sequence[Candidate]) -> str:
    """A line for each candidate, and the image that passed as `build-static` prints it."""
    lines = [(candidate.name, candidate.rejected_because or "taken") for candidate in candidates]
    text = list_table(("candidate", "result"), lines) + "\n"
    last = candidates[-1]
    return text if last.rejected_because or last.row is None else f"{text}\n{render_row(last.row)}"


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
