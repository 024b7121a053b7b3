"""What a gate found, as commands for the runner of GitHub's Actions, which shows them beside the files.

Source: GitHub, "Workflow commands for GitHub Actions"; actions/toolkit, `core/src/command.ts`, for what is escaped.
"""

from __future__ import annotations

from pathlib import Path

from recipes.errors import shortened
from recipes.gate.values import Check, GateStatus
from recipes.report.gate_words import broken, name, relative, sentence
from recipes.support.printable import line

_LONGEST = 2000
"""What a compiler says may be pages long; all of it is in the log."""


def render(check: Check, root: Path) -> list[str]:
    """One command a line: an error for each limit that fails and each image that was not made, a warning for others."""
    lines = []
    for result in broken(check):
        level = "error" if result.status is GateStatus.FAILED else "warning"
        file = relative(result.measure.file, root)
        lines.append(_command(level, name(result.measure.size), sentence(result), file))
    return [*lines, *(_command("error", entry.name, shortened(entry.reason, _LONGEST)) for entry in check.failed)]


def _command(level: str, title: str, message: str, file: str = "") -> str:
    properties = {"title": title, **({"file": file} if file else {})}
    written = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return line(f"::{level} {written}::{_data(message)}")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
