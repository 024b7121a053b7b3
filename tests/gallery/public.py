"""What may be shown of a tool's words: nothing of where things lie on this machine, or whom it asks."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from recipes.support import printable

_STEERING = re.compile(r"\x1b(\[[0-9;?<>=]*[A-Za-z]|[()].|.)")
"""What moves a terminal's cursor and the like. Source: ECMA-48, 5.4."""


def public(text: str, *private: Path, longest: int = 240) -> str:
    """`text` as one line without the folders `private`, the user's own, and without hosts."""
    for folder in sorted({*private, Path.home()} - {Path("/")}, key=lambda path: -len(str(path))):
        text = re.sub(rf"{re.escape(str(folder))}(?![\w.-])", "…", text)
    text = re.sub(r"\bhttps?://[^\s'\"]+", "a URL", text)
    text = re.sub(rf"(?<![\w.-]){re.escape(socket.gethostname())}(?![\w.-])", "this machine", text)
    line = printable.line(" ".join(_STEERING.sub("", text).split()))
    return line if len(line) <= longest else f"{line[:longest]}…"


def telling(output: str) -> str:
    """The line of a program's output that tells most: the first that speaks of an error, else the last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    words = ("error", "undefined", "fatal", "cannot", "could not", "can't", "no such")
    found = (line for line in lines if any(word in line.lower() for word in words))
    return next(found, lines[-1] if lines else "it wrote nothing")
