"""Bytes and ratios as text. Units are decimal, as Docker shows them."""

from __future__ import annotations


def human(size: int) -> str:
    """`999 B`, `14.2 kB`, `2.18 MB`: three significant digits."""
    value, unit = float(size), "B"
    for bigger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, bigger
    if unit == "B":
        return f"{size} B"
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


def exact(size: int) -> str:
    """`1,234,567 bytes`"""
    return f"{size:,} byte{'' if size == 1 else 's'}"


def ratio(value: int, unit: int) -> str:
    """`1.00×`; "" where there is nothing to compare with."""
    return f"{value / unit:.2f}×" if unit else ""
