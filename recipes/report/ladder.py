"""The way to the smallest image: each rung that was tried, why it was left, and what was found."""

from __future__ import annotations

from collections.abc import Sequence

from recipes.model import Comparison, Rung
from recipes.report.document import comparison_document, dumps
from recipes.report.summary import render as render_row
from recipes.report.table import list_table


def render(rungs: Sequence[Rung]) -> str:
    """A line for each rung, and the image that passed as `build-static` prints it."""
    lines = [(rung.name, rung.rejected_because or "taken") for rung in rungs]
    text = list_table(("candidate", "result"), lines) + "\n"
    last = rungs[-1]
    return text if last.rejected_because or last.row is None else f"{text}\n{render_row(last.row)}"


def document(rungs: Sequence[Rung]) -> str:
    """`{"rungs": [{"name", "left"}], "rows": […], …}`: the row is that of the image that passed, if one did."""
    last = rungs[-1]
    rows = () if last.rejected_because or last.row is None else (last.row,)
    return dumps(
        {
            "rungs": [{"name": rung.name, "left": rung.rejected_because or None} for rung in rungs],
            **comparison_document(Comparison(rows)),
        }
    )
