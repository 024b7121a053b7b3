"""Measuring: two contenders by turns, medians, and rows that know their goal."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of several runs of the same thing."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        low, high = min(self.seconds), max(self.seconds)
        return f"{_seconds(self.median)} ({_seconds(low)}–{_seconds(high)})"


@dataclass(frozen=True, slots=True)
class Contender:
    """Something to time. `prepare` is called before each run and is not timed."""

    name: str
    run: Callable[[], object]
    prepare: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio to reach. `faster`: how many times faster than the peer, so that more is better; else less is better."""

    limit: float
    faster: bool = False
    strictly: bool = False

    def ratio(self, ours: float, peer: float) -> float:
        return peer / ours if self.faster else ours / peer

    def met(self, ratio: float) -> bool:
        if self.strictly:
            return ratio < self.limit
        return ratio >= self.limit if self.faster else ratio <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.faster else "<" if self.strictly else "≤"
        return f"{sign} {self.limit:g}×"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. Without a goal it is there to compare by."""

    what: str
    ours: str
    peer: str
    ratio: float
    goal: Goal | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        faster = " faster" if self.goal and self.goal.faster else ""
        verdict = "" if self.goal is None else "yes" if self.goal.met(self.ratio) else "NO"
        return self.what, self.ours, self.peer, f"{self.ratio:.2f}×{faster}", str(self.goal or ""), verdict


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that could not be measured here."""

    what: str
    reason: str


def by_turns(contenders: list[Contender], runs: int, warm_up: int = 1) -> list[Timing]:
    """The timings of each contender, run by turns so that what the machine does meanwhile meets all of them alike."""
    seconds: list[list[float]] = [[] for _ in contenders]
    for number in range(-warm_up, runs):
        for contender, times in zip(contenders, seconds, strict=True):
            contender.prepare()
            started = time.perf_counter()
            contender.run()
            took = time.perf_counter() - started
            if number >= 0:
                times.append(took)
    return [Timing(tuple(times)) for times in seconds]


def timed_row(what: str, ours: Timing, peer: Timing, peer_name: str, goal: Goal | None) -> Row:
    """A row of two timings; the ratio is that of the medians."""
    ratio = (goal or Goal(1.0)).ratio(ours.median, peer.median)
    return Row(what, str(ours), f"{peer_name}: {peer}", ratio, goal)


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
