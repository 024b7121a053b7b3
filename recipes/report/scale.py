"""Sizes on a logarithmic scale: kilobytes and gigabytes in one picture."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

STEPS = 9
"""Of the heat map: `heat-0` to `heat-8`."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Between two decimal logarithms."""

    low: float
    high: float

    @classmethod
    def of(cls, sizes: Iterable[int]) -> Scale:
        """From a power of ten below the smallest size, so that it has some length, to the largest."""
        exact = cls.between(sizes)
        return cls(math.ceil(exact.low) - 1, exact.high)

    @classmethod
    def between(cls, sizes: Iterable[int]) -> Scale:
        """From the smallest size to the largest."""
        known = [size for size in sizes if size > 0] or [1]
        return cls(math.log10(min(known)), math.log10(max(known)))

    def share(self, size: int) -> float:
        """Where `size` stands between both ends: from 0 to 1."""
        span = self.high - self.low
        return min(1.0, max(0.0, (math.log10(max(size, 1)) - self.low) / span)) if span else 0.0

    def percent(self, size: int) -> str:
        """The length of its bar; never so short that it cannot be seen."""
        return f"{max(1.0, 100 * self.share(size)):.1f}%"

    def step(self, size: int) -> int:
        return min(STEPS - 1, int(self.share(size) * STEPS))

    @property
    def ends(self) -> tuple[int, int]:
        """Both in bytes."""
        return round(10**self.low), round(10**self.high)
