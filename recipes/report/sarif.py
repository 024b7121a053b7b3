"""What a gate and the verdicts found, as SARIF 2.1.0, which code scanners and editors read.

Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
"""

from __future__ import annotations

import hashlib
import json
import string
from collections.abc import Iterator
from pathlib import Path

from recipes import __version__
from recipes.gate.values import Check, GateName, GateResult, GateStatus, Measure
from recipes.model import Finding, Level
from recipes.report.document import Document
from recipes.report.gate_words import broken, headline, name, relative
from recipes.support.printable import line

_GATES: dict[GateName, str] = {
    "runs": "An image does what is expected of it",
    "image": "An image is as small as its budget asks",
    "download": "A download is as small as its budget asks",
    "image-growth": "An image grows by no more than its budget allows",
    "download-growth": "A download grows by no more than its budget allows",
}
_PLAIN = frozenset(f"{string.ascii_letters}{string.digits}-._~/")
_LEVELS = {Level.CERTAIN: "error", Level.NEEDS_DATA: "warning", Level.POSSIBLE: "note"}


def render(check: Check, root: Path) -> str:
    """A log with one run. Files are named from `root`, the folder of the project; what lies elsewhere is not named."""
    results = [*(_gate(result, root) for result in broken(check)), *_findings(check, root)]
    codes = sorted({finding.code for measure in check.measures for finding in measure.verdict.findings})
    rules = [{"id": f"gate/{gate}", "shortDescription": {"text": text}} for gate, text in _GATES.items()]
    rules += [{"id": code, "shortDescription": {"text": code.replace("-", " ")}} for code in codes]
    driver = {"name": "fromscratch", "semanticVersion": __version__, "rules": rules}
    failures = [
        {"level": "error", "message": {"text": _message(f"{each.name}: {each.reason}")}} for each in check.failed
    ]
    invocation = {"executionSuccessful": not check.failed, "toolExecutionNotifications": failures}
    run = {"tool": {"driver": driver}, "invocations": [invocation], "results": results}
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=True) + "\n"


def _gate(result: GateResult, root: Path) -> Document:
    level = "error" if result.status is GateStatus.FAILED else "warning"
    return _result(f"gate/{result.gate}", level, headline(result), result.measure, root)


def _findings(check: Check, root: Path) -> Iterator[Document]:
    for measure in check.measures:
        for finding in measure.verdict.findings:
            yield _result(finding.code, _LEVELS[finding.level], _text(finding, measure), measure, root)


def _text(finding: Finding, measure: Measure) -> str:
    parts = (finding.evidence, finding.message and f"message: {finding.message}", finding.fix and f"fix: {finding.fix}")
    return f"{name(measure.size)}: {'; '.join(filter(None, parts))}"


def _result(rule: str, level: str, text: str, measure: Measure, root: Path) -> Document:
    # What a later run calls the same result, whatever the numbers in its text are then.
    same = hashlib.sha256("\0".join((rule, *measure.size.key)).encode(errors="surrogatepass")).hexdigest()
    result: Document = {
        "ruleId": rule,
        "level": level,
        "message": {"text": _message(text)},
        "partialFingerprints": {"imageAndRule/v1": same},
    }
    file = relative(measure.file, root)
    if file:
        location = {
            "artifactLocation": {"uri": _uri(file)},
            "region": {"startLine": 1},
        }
        result["locations"] = [{"physicalLocation": location}]
    return result


def _message(text: str) -> str:
    """`text` as a plain text message, in which nothing is a placeholder or an embedded link.

    Source: SARIF 2.1.0, 3.11.5 "Messages with placeholders" and 3.11.6 "Messages with embedded links".
    """
    return line(text).replace("{", "{{").replace("}", "}}").replace("](", "] (")


def _uri(path: str) -> str:
    """A path as a relative reference. Source: RFC 3986, "Percent-Encoding", "Unreserved Characters"."""
    return "".join(
        chr(byte) if chr(byte) in _PLAIN else f"%{byte:02X}" for byte in path.encode(errors="surrogateescape")
    )
