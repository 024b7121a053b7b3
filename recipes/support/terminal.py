"""What a stream leads to: how wide it is, and whether it takes colours."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TextIO

_WIDTH = 100
"""Of everything that is no terminal: the same text on every machine, and as wide as a page of documentation."""


@dataclass(frozen=True, slots=True)
class Screen:
    width: int = _WIDTH
    colours: bool = False


def screen_of(stream: TextIO) -> Screen:
    """Source: no-color.org; terminfo(5) for "dumb"."""
    if not stream.isatty():
        return Screen()
    colours = not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in (None, "", "dumb")
    return Screen(shutil.get_terminal_size((_WIDTH, 24)).columns, colours)
