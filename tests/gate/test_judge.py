"""What a gate says of images, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recipes.errors import BadInput
from recipes.gate import baseline
from recipes.gate.budget import Budgets
from recipes.gate.judge import judge, measures_of
from recipes.gate.limits import parse
from recipes.gate.values import Budget, GateStatus
from recipes.model import Unavailable
from recipes.report.document import dumps
from recipes.report.gates import sizes_document
from tests.report.gate_rows import BASELINE, BUDGETS, CHECK, MEASURES, NO_BUDGET
from tests.report.rows import AMD64, FAILS, row


def answers(of: str) -> dict[str, str]:
    return {result.gate: result.status.value for result in CHECK.results if result.measure.size.sample == of}


def test_each_limit_is_a_question() -> None:
    """Hard limits fail, soft ones warn, and growth is asked of image and download; what does not run never passes."""
    assert answers("hello") == {
        "runs": "passed",
        "image": "passed",
        "image-growth": "failed",
        "download-growth": "failed",
    }
    assert answers("large")["image"] == "failed"
    assert answers("large")["download"] == "warned"
    assert answers("large")["image-growth"] == "passed"
    assert answers("new") == {"runs": "passed", "image": "passed"}
    assert answers("stopped")["runs"] == "failed"


def test_a_hard_limit_counts_before_a_soft_one() -> None:
    """Past both it fails; between them it warns."""
    limits = Budget(max_image=parse("3kB", "", growth=False), warn_image=parse("1kB", "", growth=False))
    found = {}
    for size in (1000, 2000, 4000):
        check = judge(measures_of([row(size=size)]), Budgets(Budget(), {}, limits))
        found[size] = check.status
        (result,) = (result for result in check.results if result.gate == "image")
        assert result.limit == (limits.warn_image if size == 2000 else limits.max_image)
    assert found == {1000: GateStatus.PASSED, 2000: GateStatus.WARNED, 4000: GateStatus.FAILED}


def test_the_smallest_image_that_runs_is_the_sample() -> None:
    """Of a comparison: a smaller one that does not run is no answer; where none runs, that is the answer."""
    rows = [row(size=9), row(size=5, base="a"), row(size=1, base="b", verdict=FAILS, run=None)]
    assert [measure.size.image_bytes for measure in measures_of(rows)] == [5]
    (failing,) = measures_of(rows[2:])
    assert failing.runs is False
    assert judge([failing], NO_BUDGET).status is GateStatus.FAILED


def test_of_two_of_one_size_the_usual_recipe_is_taken() -> None:
    """As in the comparison's own text, whichever was made first."""
    rows = [row(recipe="a"), row(recipe="b"), row(recipe="c")]
    for chosen in "abc":
        (measure,) = measures_of(rows, {("hello", AMD64, chosen)})
        assert measure.size.recipe == chosen


def test_changes_come_with_the_largest_first() -> None:
    """Then those that did not change, then what is new; what is gone is named where all samples were asked for."""
    assert [change.now.sample for change in CHECK.changes] == ["hello", "large", "still", "same", "stopped", "new"]
    assert [size.sample for size in CHECK.vanished] == ["gone"]
    assert judge(MEASURES, BUDGETS, BASELINE).vanished == ()
    failed = (Unavailable("gone for linux/amd64", "it does not build", 5),)
    assert judge(MEASURES, BUDGETS, BASELINE, complete=True, failed=failed).vanished == ()


def test_a_baseline_is_read_back_as_it_was_written() -> None:
    """Sorted, with what was not measured as it was, and without what does not run."""
    sizes = baseline.updated(BASELINE.sizes, replace(CHECK, complete=False))
    assert [size.sample for size in sizes] == ["gone", "hello", "large", "new", "same", "still", "stopped"]
    assert sizes[1].image_bytes == 1_100_000
    assert sizes[6] in BASELINE.sizes
    assert next(size.sample for size in baseline.updated(sizes, judge(MEASURES, NO_BUDGET, complete=True))) == "hello"
    text = dumps(sizes_document(sizes))
    assert baseline.read(text.encode(), "sizes.json").sizes == sizes
    assert text == dumps(sizes_document(baseline.updated(reversed(sizes), replace(CHECK, complete=False))))


ENTRY = '{"sample": "a", "platform": "linux/amd64", "recipe": null, "base": "b", "image_bytes": 1, "download_bytes": 2}'


def test_keys_that_come_later_are_passed_over() -> None:
    text = f'{{"schema": 1, "sizes": [{ENTRY[:-1]}, "later": 1}}], "more": []}}'
    assert baseline.read(text.encode(), "x").sizes[0].recipe is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": 2, "sizes": []}',
        '{"schema": 1}',
        '{"schema": 1, "sizes": {}}',
        '{"schema": 1, "sizes": [7]}',
        f'{{"schema": 1, "sizes": [{ENTRY}, {ENTRY}]}}',
        f'{{"schema": 1, "sizes": [{ENTRY.replace("1,", "-1,")}]}}',
        f'{{"schema": 1, "sizes": [{ENTRY.replace("1,", "true,")}]}}',
        f'{{"schema": 1, "sizes": [{ENTRY.replace("1,", "1.5,")}]}}',
        f'{{"schema": 1, "sizes": [{ENTRY.replace("1,", "1" + "0" * 30 + ",")}]}}',
        f'{{"schema": 1, "sizes": [{ENTRY.replace("linux/amd64", "")}]}}',
        f'{{"schema": 1, "sizes": [{ENTRY.replace(chr(34) + "a" + chr(34), "[]")}]}}',
        "[" * 100_000,
        '{"schema": 1, "sizes": [' + "9" * 5000 + "]}",
        "<<<<<<< HEAD\n",
    ],
)
def test_a_damaged_baseline_is_refused(text: str) -> None:
    """With its name, in a message of reasonable length."""
    with pytest.raises(BadInput, match=r"^main:sizes\.json is not a baseline") as error:
        baseline.read(text.encode(), "main:sizes.json")
    assert error.value.hint
    assert len(error.value.message) < 300


def test_a_new_recipe_is_a_change_of_the_same_image() -> None:
    """Images are compared by sample and platform."""
    (measure,) = measures_of([row("hello", recipe="zig-static", size=1000)])
    (change,) = judge([measure], NO_BUDGET, replace(BASELINE, sizes=BASELINE.sizes[:1])).changes
    assert change.image_growth == -999_000
