"""Verdicts as text: whether it runs there, why not, where the loader looked, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from recipes.model import Finding, Level, Library, Status, Unavailable
from recipes.report.document import Document, unavailable_documents, verdict_document
from recipes.report.fit import fields, listing, note, said
from recipes.report.table import by_reason
from recipes.results import Verification
from recipes.support.printable import Line, Span

_LEVELS = {
    Level.CERTAIN: "it does not start",
    Level.NEEDS_DATA: "it starts, but lacks something at run time",
    Level.POSSIBLE: "cannot be determined from the file",
}

STYLES = {Status.RUNS: "good", Status.FAILS: "bad", Status.UNKNOWN: ""}


def render(verification: Verification, room: int | None = None, verbose: bool = False) -> list[Line]:
    """One verdict, whole: each finding with evidence, message and fix; each library with the way it was found.

    The search is shown for what is not found; `verbose` shows it for every library.
    """
    verdict = verification.verdict
    where = f" on {verification.base}" if verification.base != verification.target else ""
    lines: list[Line] = [
        [Span(f"{verification.target}{where}, {verification.platform}: "), _status(verification)],
    ]
    for level, title in _LEVELS.items():
        found = [finding for finding in verdict.findings if finding.level is level]
        if found:
            lines += said("", f"{title} ({level})")
            for finding in found:
                lines += _finding(finding, room)
    if verdict.libraries:
        lines += said("", "libraries, in the order in which they are loaded")
        for library in verdict.libraries:
            lines += said(*_library(library, verbose))
    return lines


def render_all(
    verifications: Sequence[Verification], unavailable: Iterable[Unavailable], room: int | None = None
) -> list[Line]:
    """One row per base: the verdict, and the finding that decides it, or which others there are."""
    rows = [(each.base, _status(each), _summary(each)) for each in verifications]
    lines = said(f"{verifications[0].target}, {verifications[0].platform}", "") if verifications else []
    lines += listing(("base", "verdict", "reason / notes"), rows, room)
    left_out = by_reason(unavailable)
    if left_out:
        lines += [*said(""), *note(f"not judged: {left_out}", room)]
    return lines


def document(verification: Verification) -> Document:
    """`{"target", "base", "platform", "status", "findings": […], "libraries": […]}`"""
    return {
        "target": verification.target,
        "base": verification.base,
        "platform": str(verification.platform),
        **verdict_document(verification.verdict),
    }


def documents(verifications: Iterable[Verification], unavailable: Iterable[Unavailable]) -> Document:
    """`{"verdicts": […], "unavailable": [{"name", "reason"}]}`"""
    return {
        "verdicts": [document(each) for each in verifications],
        "unavailable": unavailable_documents(unavailable),
    }


def _finding(finding: Finding, room: int | None) -> Iterator[Line]:
    yield [Span(f"  {finding.code}", "strong")]
    parts = (("evidence", finding.evidence), ("message", finding.message), ("fix", finding.fix))
    yield from fields([(f"{name:<9}", text) for name, text in parts if text], room, indent=4)


def _library(library: Library, verbose: bool) -> Iterator[str]:
    yield f"  {library.name} => {library.path or 'not found'} (needed by {library.needed_by})"
    if verbose or library.path is None:
        for step in library.searched:
            yield f"    {step.path}: {step.found} ({step.why})"


def _status(verification: Verification) -> Span:
    return Span(verification.verdict.status, STYLES[verification.verdict.status])


def _summary(verification: Verification) -> str:
    verdict = verification.verdict
    deciding = [finding for finding in verdict.findings if finding.message == verdict.reason != ""]
    if deciding:
        return f"{deciding[0].code}: {deciding[0].message}"
    return ", ".join(finding.code for finding in verdict.findings)
