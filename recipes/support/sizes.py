"""Sizes as people write them: `500`, `1.5MB`, `16GiB`."""

from __future__ import annotations

import re

_SIZE = r"([0-9]{1,15})(?:\.([0-9]{1,9}))? ?(?:([kmgt])(i?))?b?"


def parse(text: str) -> int | None:
    """Bytes: kB is 1000, KiB is 1024; fractions of a byte are cut off. None for what is not a size."""
    match = re.fullmatch(_SIZE, text, re.ASCII | re.IGNORECASE)
    if match is None:
        return None
    whole, fraction = match[1], match[2] or ""
    unit: int = (1024 if match[4] else 1000) ** " kmgt".index((match[3] or " ").lower())
    scale: int = 10 ** len(fraction)
    return int(whole + fraction) * unit // scale
