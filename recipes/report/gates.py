"""What a gate found, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from recipes.gate.values import Check, GateResult, ImageSize, Measure, SizeChange
from recipes.report.document import Document, unavailable_documents, verdict_document
from recipes.report.fit import Column, fit, note, said
from recipes.report.gate_words import (
    CHANGE_COLUMNS,
    MEASURE_COLUMNS,
    broken,
    change_rows,
    failure,
    headline,
    measure_rows,
    remarks,
    sentence,
    word,
)
from recipes.support.printable import Line, Span

_NUMBERS = ("image", "download", "before", "now", "difference", "share")
_LEAST = {"sample": 12, "platform": 11, "recipe": 12, "base": 12}
_DROP = {"recipe": 1, "platform": 2}
_STYLES = {"yes": "good", "no": "bad", "passed": "good", "failed": "bad"}


def render(check: Check, room: int | None = None) -> list[Line]:
    """The images with their sizes, what has changed, and each limit that was not kept."""
    lines = _table(MEASURE_COLUMNS, measure_rows(check), room) if check.measures else []
    if check.baseline:
        rows = change_rows(check)
        title = f"changes since {check.baseline.source}"
        lines += said("", title if rows else f"no {title}")
        lines += [*said(""), *_table(CHANGE_COLUMNS, rows, room)] if rows else []
        lines += [each for remark in remarks(check) for each in note(remark, room)]
    told = [*(f"{word(result)}: {headline(result)}" for result in broken(check)), *map(failure, check.failed)]
    return [*lines, *(said("") if told else []), *(each for text in told for each in note(text, room))]


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], room: int | None) -> list[Line]:
    """Names are shortened where there is no room: those that matter are whole in the sentences below."""
    columns = [Column(name, name in _NUMBERS, _DROP.get(name, 0), _LEAST.get(name)) for name in headings]
    return [*fit(columns, [[Span(text, _STYLES.get(text, "")) for text in row] for row in rows], room).lines]


def document(check: Check) -> Document:
    """`{"status", "measures": […], "gates": […], "baseline", "changes": […], "new": […], "vanished": […], "failed"}`"""
    return {
        "status": check.status.value,
        "measures": [_measure(measure) for measure in check.measures],
        "gates": [_gate(result) for result in check.results],
        "baseline": check.baseline.source if check.baseline else None,
        "changes": [_change(change) for change in check.changes if change.before],
        "new": [_which(change.now) for change in check.changes if not change.before],
        "vanished": [_which(size) for size in check.vanished],
        "failed": unavailable_documents(check.failed),
    }


def sizes_document(sizes: Sequence[ImageSize]) -> Document:
    """`{"sizes": […]}`, in the order that is given: the file of a baseline."""
    return {"sizes": [_size(size) for size in sizes]}


def _which(size: ImageSize) -> Document:
    return {"sample": size.sample, "platform": str(size.platform)}


def _size(size: ImageSize) -> Document:
    return {
        **_which(size),
        "recipe": size.recipe,
        "base": size.base,
        "image_bytes": size.image_bytes,
        "download_bytes": size.download_bytes,
    }


def _measure(measure: Measure) -> Document:
    return {
        **_size(measure.size),
        "digest": measure.digest,
        "runs": measure.runs,
        "reason": measure.reason,
        "verdict": verdict_document(measure.verdict),
    }


def _gate(result: GateResult) -> Document:
    limit, growth = result.limit, result.gate.endswith("-growth")
    return {
        **_which(result.measure.size),
        "gate": result.gate,
        "status": result.status.value,
        "message": sentence(result),
        "limit": limit.text if limit else None,
        "bytes": result.value if limit else None,
        "before_bytes": result.before if growth else None,
    }


def _change(change: SizeChange) -> Document:
    return {
        **_which(change.now),
        "before": _size(change.before) if change.before else None,
        "now": _size(change.now),
        "image_growth_bytes": change.image_growth,
        "download_growth_bytes": change.download_growth,
    }
