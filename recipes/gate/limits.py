"""Limits as they are written, on the command line and in pyproject.toml: `2MB`, `500 KiB`, and for growth also `2%`."""

from __future__ import annotations

import re

from recipes.errors import BadInput, shortened
from recipes.gate.values import Limit
from recipes.support import sizes

_PER_CENT = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,2}))? ?%", re.ASCII)


def parse(text: str, what: str, *, growth: bool) -> Limit:
    """The limit that `what` (an option or a key) sets. Raises: BadInput."""
    match = _PER_CENT.fullmatch(text)
    if match and growth:
        return Limit(text, int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0")), relative=True)
    size = sizes.parse(text)
    if size is not None and not text[-1].isdigit() and (size or growth):
        return Limit(text, size)
    raise BadInput(f"not a limit: {what} {shortened(text)!r}", _hint(text, size, growth=growth, relative=bool(match)))


def _hint(text: str, size: int | None, *, growth: bool, relative: bool) -> str:
    if relative:
        return "a share is for growth; a size is written as 2MB or 500KiB"
    if size is not None and text[-1].isdigit():
        units = f"{text}kB, {text}MB" + (f" or {text}%" if growth else "")
        return f"it has no unit: {units}?"
    if size == 0:
        return "no image has a size of 0"
    return "write it as 2%, 10kB or 10KiB" if growth else "write it as 2MB, 500kB or 500KiB"
