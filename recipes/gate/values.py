"""The values of the gate: what is allowed, what was measured, and what comes of the two.

These values are beside the model, as all tasks without a gate would make their classes for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from recipes.model import Platform, Unavailable, Verdict


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that is allowed, with `text` as it was written: bytes, or (`relative`, of growth alone) hundredths of a
    per cent of what was there before.
    """

    text: str
    amount: int
    relative: bool = False

    def allows(self, size: int, before: int = 0) -> bool:
        return size * 10_000 <= before * self.amount if self.relative else size <= self.amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The limits of one sample: past a `max` the gate fails, past a `warn` it is said. None where there is none.

    Those of growth hold for the image and for the download, each compared with its own size in the baseline.
    """

    max_image: Limit | None = None
    max_download: Limit | None = None
    max_growth: Limit | None = None
    warn_image: Limit | None = None
    warn_download: Limit | None = None
    warn_growth: Limit | None = None


@dataclass(frozen=True, slots=True)
class ImageSize:
    """What the image of a sample weighs on a platform, and what it was made by: what a baseline keeps of it."""

    sample: str
    platform: Platform
    recipe: str | None
    base: str
    image_bytes: int
    download_bytes: int

    @property
    def key(self) -> tuple[str, str]:
        """What it is compared by: another recipe or base is a change, and no other image."""
        return self.sample, str(self.platform)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What sizes are compared with, and where that came from, as the user named it."""

    source: str
    sizes: tuple[ImageSize, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """An image that a gate looks at. `file` is what it is about: sources, settings, or the program itself."""

    size: ImageSize
    digest: str
    verdict: Verdict
    runs: bool | None
    reason: str
    file: Path | None = None


class GateStatus(StrEnum):
    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"


GateName = Literal["runs", "image", "download", "image-growth", "download-growth"]


@dataclass(frozen=True, slots=True)
class GateResult:
    """One question about one image. `value` is what was measured: a size, or by how much it is larger than `before`.

    `limit` is the one that was broken, else the one that was kept; `reason` is why it does not run.
    """

    measure: Measure
    gate: GateName
    status: GateStatus
    value: int = 0
    limit: Limit | None = None
    before: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SizeChange:
    """An image now and in the baseline; `before` None: it is new."""

    now: ImageSize
    before: ImageSize | None

    @property
    def image_growth(self) -> int:
        return self.now.image_bytes - self.before.image_bytes if self.before else 0

    @property
    def download_growth(self) -> int:
        return self.now.download_bytes - self.before.download_bytes if self.before else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """All that a gate was asked and what it answered. `changes` come with the largest first; `vanished` are those of
    the baseline whose sample is gone. What could not be measured is in `failed`. `complete`: all samples were asked
    for.
    """

    measures: tuple[Measure, ...]
    results: tuple[GateResult, ...]
    baseline: Baseline | None = None
    changes: tuple[SizeChange, ...] = ()
    vanished: tuple[ImageSize, ...] = ()
    failed: tuple[Unavailable, ...] = ()
    complete: bool = False

    @property
    def status(self) -> GateStatus:
        found = {result.status for result in self.results}
        if self.failed or GateStatus.FAILED in found:
            return GateStatus.FAILED
        return GateStatus.WARNED if GateStatus.WARNED in found else GateStatus.PASSED
