"""A gate's answer with every kind of result, for the reports, which are pure functions of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recipes.gate.budget import Budgets
from recipes.gate.judge import judge, measures_of
from recipes.gate.limits import parse
from recipes.gate.values import Baseline, Budget, ImageSize
from recipes.model import Unavailable
from tests.report.rows import AMD64, EVERYTHING, FAILS, row

ROOT = Path("/project")
NO_BUDGET = Budgets(Budget(), {}, Budget())
BUDGETS = Budgets(
    Budget(max_image=parse("2MB", "--max-image", growth=False), max_growth=parse("2%", "--max-growth", growth=True)),
    {"large": Budget(warn_download=parse("10B", "warn_download", growth=False))},
    Budget(),
)
MEASURES = [
    replace(measure, file=ROOT / "samples" / measure.size.sample / "main.cpp")
    for measure in measures_of(
        [
            row("hello", size=1_100_000),
            row("large", size=2_500_000, verdict=EVERYTHING),
            row("new", size=10),
            row("same", size=5000),
            row("stopped", verdict=FAILS, run=None),
            row("still", size=700_001),
        ]
    )
]


def before(sample: str, size: int) -> ImageSize:
    return ImageSize(sample, AMD64, "gcc-static", "scratch", size, size // 2 + 800)


BASELINE = Baseline(
    "git:origin/main",
    (
        before("hello", 1_000_000),
        before("large", 2_600_000),
        before("same", 5000),
        before("still", 700_000),
        before("stopped", 1000),
        before("gone", 7),
    ),
)
CHECK = replace(
    judge(MEASURES, BUDGETS, BASELINE, complete=True), failed=(Unavailable("broken for linux/amd64", "no\nsources", 2),)
)
