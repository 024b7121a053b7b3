"""Verdicts as text: whether it runs there, why not, where the loader looked, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from recipes.model import Finding, Level, Library, Unavailable
from recipes.report.document import Document, unavailable_documents, verdict_document
from recipes.report.table import by_reason, list_table
from recipes.results import Verification
from recipes.support.printable import page

_LEVELS = {
    Level.CERTAIN: "it does not start",
    Level.NEEDS_DATA: "it starts, but lacks something at run time",
    Level.POSSIBLE: "cannot be determined from the file",
}


def render(verification: Verification, verbose: bool = False) -> str:
    """One verdict, whole: each finding with evidence, message and fix; each library with the way it was found.

    The search is shown for what is not found; `verbose` shows it for every library.
    """
    verdict = verification.verdict
    where = f" on {verification.base}" if verification.base != verification.target else ""
    lines = [f"{verification.target}{where}, {verification.platform}: {verdict.status}"]
    for level, title in _LEVELS.items():
        found = [finding for finding in verdict.findings if finding.level is level]
        if found:
            lines += ["", f"{title} ({level})"]
            for finding in found:
                lines += _finding(finding)
    if verdict.libraries:
        lines += ["", "libraries, in the order in which they are loaded"]
        for library in verdict.libraries:
            lines += _library(library, verbose)
    return page(lines)


def render_all(verifications: Sequence[Verification], unavailable: Iterable[Unavailable]) -> str:
    """One line per base: the verdict, and the finding that decides it, or how many others there are."""
    rows = [(each.base, str(each.verdict.status), _summary(each)) for each in verifications]
    lines = [f"{verifications[0].target}, {verifications[0].platform}", ""] if verifications else []
    lines += list_table(("base", "verdict", "reason / notes"), rows).split("\n")
    left_out = by_reason(unavailable)
    if left_out:
        lines += ["", f"not judged: {left_out}"]
    return page(lines)


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


def _finding(finding: Finding) -> Iterator[str]:
    yield f"  {finding.code}"
    for name, text in (("evidence", finding.evidence), ("message", finding.message), ("fix", finding.fix)):
        if text:
            yield f"    {name:<9} {text}"


def _library(library: Library, verbose: bool) -> Iterator[str]:
    yield f"  {library.name} => {library.path or 'not found'} (needed by {library.needed_by})"
    if verbose or library.path is None:
        for step in library.searched:
            yield f"    {step.path}: {step.found} ({step.why})"


def _summary(verification: Verification) -> str:
    verdict = verification.verdict
    deciding = [finding for finding in verdict.findings if finding.message == verdict.reason != ""]
    if deciding:
        return f"{deciding[0].code}: {deciding[0].message}"
    return ", ".join(finding.code for finding in verdict.findings)
