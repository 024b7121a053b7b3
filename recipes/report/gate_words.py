"""The words and rows of a gate's answer, which all its reports have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from recipes.gate.values import Check, GateResult, GateStatus, ImageSize, Limit, Measure, SizeChange
from recipes.model import Unavailable
from recipes.report.units import exact, human

NOISE_BYTES, NOISE_SHARE = 1000, 100
"""A change is left out of tables where it is of fewer bytes than this, and of less than one part in so many."""

MEASURE_COLUMNS = ("sample", "platform", "recipe", "base", "runs", "image", "download", "gates")
CHANGE_COLUMNS = ("sample", "platform", "what", "before", "now", "difference", "share")
_ANSWERS = {True: "yes", False: "no", None: "unknown"}


def broken(check: Check) -> list[GateResult]:
    """The results that have to be told: those that fail first."""
    told = [result for result in check.results if result.status is not GateStatus.PASSED]
    return sorted(told, key=lambda result: result.status is GateStatus.WARNED)


def word(result: GateResult) -> str:
    return {GateStatus.FAILED: "failed", GateStatus.WARNED: "warning", GateStatus.PASSED: "passed"}[result.status]


def headline(result: GateResult) -> str:
    """`hello, linux/amd64: the image has 2,100,000 bytes, 100,000 bytes more than the limit of 2MB`"""
    return f"{name(result.measure.size)}: {sentence(result)}"


def name(size: ImageSize) -> str:
    return f"{size.sample}, {size.platform}"


def sentence(result: GateResult) -> str:
    """What was asked and what the answer is, whatever it is."""
    if result.gate == "runs":
        answer = {True: "it runs", False: "it does not run", None: "nothing tells whether it runs"}[result.measure.runs]
        return f"{answer}: {result.reason}" if result.reason else answer
    what, _, growth = result.gate.partition("-")
    limit = result.limit or Limit("", 0)
    if not growth:
        over = result.value - limit.amount
        than = f"{exact(over)} more than" if over > 0 else "within"
        return f"the {what} has {exact(result.value)}, {than} the limit of {limit.text}"
    how = "more than" if result.status is not GateStatus.PASSED else "within"
    if result.value <= 0:
        less = f"has {exact(-result.value)} less than before" if result.value else "is as large as before"
        return f"the {what} {less}; growth by {limit.text} is allowed"
    share = percent(result.value, result.before)
    return f"the {what} grew by {exact(result.value)} ({share}), {how} the {limit.text} that is allowed"


def failure(entry: Unavailable) -> str:
    reason = entry.reason.partition("\n")[0]
    return f"failed: {entry.name}: {reason}"


def remarks(check: Check) -> list[str]:
    """What was made by another recipe or on another base, what is new, gone, or too small a change for the table."""
    small = [change for change in check.changes if change.before and _moved(change) and _is_noise(change)]
    same = [change for change in check.changes if change.before and not _moved(change)]
    new = [name(change.now) for change in check.changes if not change.before]
    lines = [
        f"made another way: {name(change.now)}: {_made_by(change)}" for change in check.changes if _made_by(change)
    ]
    lines += [f"new: {'; '.join(new)}"] if new else []
    lines += [f"vanished: {'; '.join(map(name, check.vanished))}"] if check.vanished else []
    if small:
        lines.append(
            f"not listed: {len(small)} that changed by less than {human(NOISE_BYTES)} and {100 // NOISE_SHARE}%"
        )
    return [*lines, *([f"unchanged: {len(same)}"] if same else [])]


def measure_rows(check: Check) -> list[tuple[str, ...]]:
    return [
        (
            measure.size.sample,
            str(measure.size.platform),
            measure.size.recipe or "prebuilt",
            measure.size.base,
            _ANSWERS[measure.runs],
            human(measure.size.image_bytes),
            human(measure.size.download_bytes),
            _worst(check, measure).value,
        )
        for measure in check.measures
    ]


def change_rows(check: Check) -> list[tuple[str, ...]]:
    """Two rows for each image that has changed, largest change first; none for noise."""
    return [row for change in check.changes if not _is_noise(change) for row in _change_rows(change)]


def percent(growth: int, before: int) -> str:
    """`+2.7%`; "" where there was nothing before."""
    return f"{growth / before:+.1%}" if before else ""


def _change_rows(change: SizeChange) -> Iterator[tuple[str, ...]]:
    if change.before is None:
        return
    for what, before, now in (
        ("image", change.before.image_bytes, change.now.image_bytes),
        ("download", change.before.download_bytes, change.now.download_bytes),
    ):
        growth = f"{now - before:+,}"
        names = (change.now.sample, str(change.now.platform)) if what == "image" else ("", "")
        yield (*names, what, f"{before:,}", f"{now:,}", growth, percent(now - before, before))


def _is_noise(change: SizeChange) -> bool:
    before = change.before
    if before is None:
        return True
    pairs = ((change.image_growth, before.image_bytes), (change.download_growth, before.download_bytes))
    return all(abs(growth) < NOISE_BYTES and abs(growth) * NOISE_SHARE < max(size, 1) for growth, size in pairs)


def _moved(change: SizeChange) -> bool:
    return bool(change.image_growth or change.download_growth)


def _made_by(change: SizeChange) -> str:
    """`zig-static on scratch, before gcc-static on scratch`; "" where that is the same, or not known of before."""
    now, before = change.now, change.before
    if before is None or before.recipe is None or (now.recipe, now.base) == (before.recipe, before.base):
        return ""
    return f"{now.recipe or 'prebuilt'} on {now.base}, before {before.recipe} on {before.base}"


def _worst(check: Check, measure: Measure) -> GateStatus:
    found = [result.status for result in check.results if result.measure is measure]
    return max(found, key=[GateStatus.PASSED, GateStatus.WARNED, GateStatus.FAILED].index, default=GateStatus.PASSED)


def relative(file: Path | None, root: Path) -> str:
    """The way from `root` to a file in it; "" for others."""
    if file is None or not file.is_relative_to(root) or file == root:
        return ""
    return file.relative_to(root).as_posix()
