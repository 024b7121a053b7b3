"""What a gate says of images: whether each runs and is as small as its budget asks, and what has changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from recipes.gate.budget import Budgets
from recipes.gate.values import Baseline, Check, GateName, GateResult, GateStatus, ImageSize, Limit, Measure, SizeChange
from recipes.model import Platform, Sample, SizeRow, Unavailable

_HardAndSoft = tuple[Limit | None, Limit | None]


def measures_of(rows: Iterable[SizeRow], defaults: Collection[tuple[str, Platform, str]] = ()) -> tuple[Measure, ...]:
    """One per sample and platform: the smallest image that runs; where none does, the smallest of all.

    Of two of one size it is that of a recipe in `defaults`.
    """

    def rank(row: SizeRow) -> tuple[bool, int, bool]:
        named = (row.program.name, row.image.platform, row.program.build.recipe)
        return not row.runs, row.image.image_bytes, named not in defaults

    ordered = sorted(rows, key=lambda row: _size(row).key)
    groups = [list(group) for _, group in groupby(ordered, key=lambda row: _size(row).key)]
    return tuple(_measure(min(group, key=rank)) for group in groups)


def judge(
    measures: Sequence[Measure],
    budgets: Budgets,
    baseline: Baseline | None = None,
    *,
    failed: Sequence[Unavailable] = (),
    complete: bool = False,
) -> Check:
    """Each measure against its budget, and all against the baseline.

    `complete`: these are all samples of the project, so that others of the baseline, for the same platforms, are gone.
    """
    measures = sorted(measures, key=lambda measure: measure.size.key)
    before = {size.key: size for size in baseline.sizes} if baseline else {}
    changes = [SizeChange(measure.size, before.get(measure.size.key)) for measure in measures] if baseline else []
    results = [result for measure in measures for result in _results(measure, budgets, before.get(measure.size.key))]
    check = Check(
        measures=tuple(measures),
        results=tuple(results),
        baseline=baseline,
        changes=tuple(sorted(changes, key=_largest_first)),
        failed=tuple(failed),
        complete=complete,
    )
    return replace(check, vanished=gone(before.values(), check))


def gone(sizes: Iterable[ImageSize], check: Check) -> tuple[ImageSize, ...]:
    """Those of `sizes` of which there is no image any more: of platforms that were looked at, with nothing left out."""
    if check.failed or not check.complete:
        return ()
    here = {measure.size.key for measure in check.measures}
    platforms = {measure.size.platform for measure in check.measures}
    return tuple(size for size in sizes if size.platform in platforms and size.key not in here)


def _results(measure: Measure, budgets: Budgets, before: ImageSize | None) -> Iterator[GateResult]:
    size, budget = measure.size, budgets.of(measure.size.sample)
    status = GateStatus.PASSED if measure.runs else GateStatus.FAILED
    yield GateResult(measure, "runs", status, reason=measure.reason)
    absolute: tuple[tuple[GateName, int, _HardAndSoft], ...] = (
        ("image", size.image_bytes, (budget.max_image, budget.warn_image)),
        ("download", size.download_bytes, (budget.max_download, budget.warn_download)),
    )
    for gate, value, limits in absolute:
        yield from _held_against(measure, gate, value, limits)
    if before is None:
        return
    growth: tuple[tuple[GateName, int, int], ...] = (
        ("image-growth", size.image_bytes, before.image_bytes),
        ("download-growth", size.download_bytes, before.download_bytes),
    )
    for gate, now, then in growth:
        yield from _held_against(measure, gate, now - then, (budget.max_growth, budget.warn_growth), then)


def _held_against(
    measure: Measure, gate: GateName, value: int, limits: _HardAndSoft, before: int = 0
) -> Iterator[GateResult]:
    hard, soft = limits
    if hard is not None and not hard.allows(value, before):
        yield GateResult(measure, gate, GateStatus.FAILED, value, hard, before)
    elif soft is not None and not soft.allows(value, before):
        yield GateResult(measure, gate, GateStatus.WARNED, value, soft, before)
    elif hard is not None or soft is not None:
        yield GateResult(measure, gate, GateStatus.PASSED, value, hard or soft, before)


def _largest_first(change: SizeChange) -> tuple[bool, int, tuple[str, str]]:
    return change.before is None, -max(abs(change.image_growth), abs(change.download_growth)), change.now.key


def _measure(row: SizeRow) -> Measure:
    return Measure(_size(row), row.image.digest, row.verdict, row.runs, row.reason, _file_of(row.program.sample))


def _size(row: SizeRow) -> ImageSize:
    image, program = row.image, row.program
    return ImageSize(
        program.name,
        image.platform,
        program.build.recipe,
        image.base.name,
        image.image_bytes,
        image.download_bytes,
    )


def _file_of(sample: Sample) -> Path:
    """What a message about the image is shown beside: the first source, or the folder of what builds itself."""
    return sample.folder / sample.sources[0] if sample.sources else sample.folder
