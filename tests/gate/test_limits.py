"""Limits are read as people write them, and what makes no sense is refused with a hint."""

from __future__ import annotations

import pytest

from recipes.errors import BadInput
from recipes.gate.limits import parse
from recipes.support import sizes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2MB", 2_000_000),
        ("2MiB", 2 << 20),
        ("500 kB", 500_000),
        ("500kib", 512_000),
        ("1.5MB", 1_500_000),
        ("0.1 KiB", 102),
        ("7B", 7),
        ("3g", 3_000_000_000),
    ],
)
def test_a_size_has_decimal_or_binary_units(text: str, size: int) -> None:
    """kB is 1000 bytes and KiB is 1024, in any case, with fractions."""
    assert parse(text, "--max-image", growth=False).amount == size == sizes.parse(text)


@pytest.mark.parametrize(("text", "share"), [("2%", 200), ("2.5 %", 250), ("0.05%", 5), ("0%", 0), ("150%", 15_000)])
def test_a_share_is_exact(text: str, share: int) -> None:
    """Hundredths of a per cent: nothing is rounded."""
    limit = parse(text, "--max-growth", growth=True)
    assert (limit.amount, limit.relative, limit.text) == (share, True, text)


@pytest.mark.parametrize(
    ("text", "growth", "hint"),
    [
        ("2", False, "it has no unit: 2kB, 2MB?"),
        ("2", True, "it has no unit: 2kB, 2MB or 2%?"),
        ("2%", False, "a share is for growth"),
        ("0MB", False, "no image has a size of 0"),
        ("", False, "write it as 2MB"),
        ("-2MB", False, "write it as 2MB"),
        ("2XB", False, "write it as 2MB"),
        ("two", True, "write it as 2%"),
        ("2%%", True, "write it as 2%"),
        ("1e3kB", False, "write it as 2MB"),
        ("٢MB", False, "write it as 2MB"),
        ("9" * 5000 + "MB", False, "write it as 2MB"),
        ("2MB\n", False, "write it as 2MB"),
    ],
)
def test_nonsense_is_refused(text: str, growth: bool, hint: str) -> None:
    with pytest.raises(BadInput) as error:
        parse(text, "--max-image", growth=growth)
    assert hint in error.value.hint
    assert len(error.value.message) < 300


def test_a_limit_is_inclusive() -> None:
    """What is exactly as large passes, and one byte more does not: of shares, too."""
    absolute, relative = parse("1kB", "", growth=True), parse("2%", "", growth=True)
    assert absolute.allows(1000)
    assert not absolute.allows(1001)
    assert relative.allows(20, 1000)
    assert not relative.allows(21, 1000)
    assert relative.allows(-500, 1000)
    assert not relative.allows(1, 0)
