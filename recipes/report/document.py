"""Values as JSON and CSV: exact bytes, whole reasons, stable keys.

Documents are made key by key, so that a value can change inside without them. docs/schema/ describes each kind.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from recipes.model import AtHome, Comparison, ElfFacts, Finding, Library, RunOutcome, SizeRow, Unavailable, Verdict
from recipes.report.table import arrange, no_formula
from recipes.support.printable import line

Document = dict[str, Any]

SCHEMA = 1
"""Which version of docs/schema/ describes the documents. It counts up when a key goes or changes its meaning."""

_CSV_COLUMNS = (
    *("sample", "recipe", "linkage", "base", "base_digest", "platform", "predicted", "runs"),
    *("binary_bytes", "image_bytes", "download_bytes", "overhead_bytes", "digest", "reason"),
)
_CSV_ANSWERS = {True: "true", False: "false", None: ""}


def comparison_document(comparison: Comparison, sort: str = "image") -> Document:
    """`{"rows": […], "unavailable": [{"name", "reason"}]}`; cells that failed are in "failed", shaped the same."""
    return {
        "rows": [_row(row) for group in arrange(comparison.rows, sort) for row in group],
        "unavailable": unavailable_documents(comparison.unavailable),
        "failed": unavailable_documents(comparison.failed),
    }


def images_document(rows: Sequence[SizeRow], index: str) -> Document:
    """As of a comparison; "index" is the digest of the index of several images, and left out for one."""
    document = comparison_document(Comparison(tuple(rows)))
    return {**document, "index": index} if len(rows) > 1 else document


def unavailable_documents(entries: Iterable[Unavailable]) -> list[Document]:
    return [{"name": entry.name, "reason": entry.reason} for entry in entries]


def verdict_document(verdict: Verdict) -> Document:
    """`{"status", "findings": […], "libraries": […]}`"""
    return {
        "status": verdict.status.value,
        "findings": [_finding(finding) for finding in verdict.findings],
        "libraries": [_library(library) for library in verdict.libraries],
    }


def facts_document(facts: ElfFacts) -> Document:
    return {
        "size": facts.size,
        "bits": facts.bits,
        "little_endian": facts.little_endian,
        "os_abi": facts.os_abi,
        "type": facts.type,
        "machine": facts.machine,
        "entry": facts.entry,
        "linkage": facts.linkage.value,
        "interpreter": facts.interpreter,
        "needed": list(facts.needed),
        "soname": facts.soname,
        "rpath": list(facts.rpath),
        "runpath": list(facts.runpath),
        "stripped": facts.stripped,
        "pie": facts.pie,
        "relro": facts.relro,
        "nx": facts.nx,
        "build_id": facts.build_id,
    }


def _row(row: SizeRow) -> Document:
    image = row.image
    return {
        "sample": row.program.name,
        "recipe": row.program.build.recipe,
        "linkage": row.program.facts.linkage.value,
        "base": image.base.name,
        "base_digest": image.base.digest,
        "platform": str(image.platform),
        "binary_bytes": row.program.size,
        "image_bytes": image.image_bytes,
        "download_bytes": image.download_bytes,
        "overhead_bytes": image.overhead_bytes,
        "digest": image.digest,
        "provisions": [{"need": added.need, "reason": added.reason} for added in image.additions.runtime_data],
        "runs": row.runs,
        "reason": row.reason,
        "verdict": verdict_document(row.verdict),
        "disagrees": row.disagrees,
        "run": None if row.run is None else _run(row.run),
        "home": None if row.home is None else _home(row.home),
        "commands": [str(command) for command in row.program.build.commands],
        "warnings": list(row.program.build.warnings),
    }


def _run(run: RunOutcome) -> Document:
    return {
        "engine": run.engine,
        "status": run.status.value,
        "exit_code": run.exit_code,
        "stdout": run.stdout,
        "stderr": run.stderr,
        "seconds": run.seconds,
        "reason": run.reason,
        "timed_out": run.timed_out,
        "listens": list(run.listens),
    }


def _home(home: AtHome) -> Document:
    return {"run": _run(home.run), "differs": home.differs, "ended_alike": home.ended_alike}


def _finding(finding: Finding) -> Document:
    return {
        "level": finding.level.value,
        "code": finding.code,
        "evidence": finding.evidence,
        "message": finding.message,
        "fix": finding.fix,
    }


def _library(library: Library) -> Document:
    return {
        "name": library.name,
        "path": library.path,
        "needed_by": library.needed_by,
        "searched": [{"path": place.path, "why": place.why, "found": place.found} for place in library.searched],
    }


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


def dumps(document: Document) -> str:
    """JSON as text, ending in a newline. File names that are not UTF-8 come out escaped, never as an error."""
    return json.dumps({"schema": SCHEMA, **document}, indent=2, ensure_ascii=True) + "\n"
