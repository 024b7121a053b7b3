"""What a stream leads to: how wide it is, and whether it takes colours."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TextIO

_WIDTH = 100
"""Of everything that is not a terminal: the same text on every machine, and as wide as a page of documentation."""


@dataclass(frozen=True, slots=True)
class Screen:
    width: int = _WIDTH
    colours: bool = False


def screen_of(stream: TextIO) -> Screen:
    """Source: no-color.org; POSIX.1-2024, "Environment Variables", COLUMNS and TERM; terminfo(5) for "dumb"."""
    if not stream.isatty():
        return Screen()
    colours = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") not in ("", "dumb")
    return Screen(_columns(stream), colours)


def _columns(stream: TextIO) -> int:
    """As many as COLUMNS says, else the terminal itself, which may say 0 for unknown."""
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    return os.get_terminal_size(stream.fileno()).columns or _WIDTH
