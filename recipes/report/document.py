"""Values as JSON and CSV: exact bytes, whole reasons, stable keys."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from enum import StrEnum
from pathlib import Path
from typing import Any

from recipes.model import Comparison, ElfFacts, RunOutcome, SizeRow, Verdict
from recipes.report.table import arrange, no_formula
from recipes.support.printable import line

_CSV_COLUMNS = (
    *("sample", "recipe", "linkage", "base", "base_digest", "platform", "predicted", "runs"),
    *("binary_bytes", "image_bytes", "download_bytes", "overhead_bytes", "digest", "reason"),
)
_CSV_ANSWERS = {True: "true", False: "false", None: ""}


def comparison_document(comparison: Comparison, sort: str = "image") -> dict[str, Any]:
    """`{"rows": […], "unavailable": [{"name", "reason"}]}`; cells that failed are in "failed", shaped the same."""
    return {
        "rows": [row_document(row) for group in arrange(comparison.rows, sort) for row in group],
        "unavailable": [{"name": entry.name, "reason": entry.reason} for entry in comparison.unavailable],
        "failed": [{"name": entry.name, "reason": entry.reason} for entry in comparison.failed],
    }


def row_document(row: SizeRow) -> dict[str, Any]:
    image, program = row.image, row.program
    return {
        "sample": program.name,
        "recipe": program.build.recipe,
        "linkage": program.facts.linkage.value,
        "base": image.base.name,
        "base_digest": image.base.digest,
        "platform": str(image.platform),
        "binary_bytes": program.size,
        "image_bytes": image.image_bytes,
        "download_bytes": image.download_bytes,
        "overhead_bytes": image.overhead_bytes,
        "digest": image.digest,
        "provisions": [{"need": added.need, "reason": added.reason} for added in image.additions.runtime_data],
        "runs": row.runs,
        "reason": row.reason,
        "verdict": verdict_document(row.verdict),
        "disagrees": row.disagrees,
        "run": run_document(row.run),
        "commands": [str(command) for command in program.build.commands],
        "warnings": list(program.build.warnings),
    }


def run_document(run: RunOutcome | None) -> dict[str, Any] | None:
    return None if run is None else dataclasses.asdict(run)


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """`{"status", "findings": […], "libraries": […]}`"""
    return dataclasses.asdict(verdict)


def facts_document(facts: ElfFacts) -> dict[str, Any]:
    return dataclasses.asdict(facts)


def render_csv(comparison: Comparison, sort: str = "image") -> str:
    """One line per row: those keys of the JSON row that hold one value. Texts are made safe, numbers stay numbers."""
    rows = comparison_document(comparison, sort)["rows"]
    out = io.StringIO()
    writer = csv.DictWriter(out, _CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        row |= {"predicted": row["verdict"]["status"], "runs": _CSV_ANSWERS[row["runs"]]}
        writer.writerow({key: _csv_cell(row[key]) for key in _CSV_COLUMNS})
    return out.getvalue()


def _csv_cell(value: object) -> object:
    return no_formula(line(value)) if isinstance(value, str) else value


def dumps(document: object) -> str:
    """JSON as text, ending in a newline. File names that are not UTF-8 come out escaped, never as an error."""
    return json.dumps(document, indent=2, ensure_ascii=True, default=_plain) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, (Path, StrEnum)):
        return str(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")
