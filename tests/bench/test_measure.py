"""The bench's own arithmetic: a wrong ratio would be a made-up number."""

from __future__ import annotations

from tests.bench.measure import Contender, Goal, Row, Timing, by_turns, timed_row


def test_faster_counts_the_peer_against_us() -> None:
    """Half the peer's time is 2× faster, which meets ≥ 2× and not ≥ 2.1×."""
    row = timed_row("x", Timing((1.0,)), Timing((2.0,)), "peer", Goal(2, faster=True))
    assert row.ratio == 2.0
    assert row.cells[-2:] == ("≥ 2×", "yes")
    assert not Goal(2.1, faster=True).met(row.ratio)


def test_at_most_counts_us_against_the_peer() -> None:
    """Thrice an empty task is 3×, which misses ≤ 1.6×."""
    row = timed_row("x", Timing((3.0,)), Timing((1.0,)), "peer", Goal(1.6))
    assert row.ratio == 3.0
    assert row.cells[-1] == "NO"


def test_smaller_means_smaller() -> None:
    """The same size is not smaller."""
    assert not Goal(1, strictly=True).met(1.0)
    assert Goal(1, strictly=True).met(0.999)


def test_a_row_without_a_goal_is_neither_met_nor_missed() -> None:
    """What is only there to compare by makes no claim."""
    assert Row("x", "1", "2", 0.5).cells[-2:] == ("", "")


def test_contenders_run_by_turns_and_warm_ups_do_not_count() -> None:
    """Each round prepares and runs every contender; only the rounds after the warm-up are timed."""
    calls: list[str] = []
    a = Contender("a", lambda: calls.append("a"), lambda: calls.append("ready a"))
    b = Contender("b", lambda: calls.append("b"))
    timings = by_turns([a, b], runs=2, warm_up=1)
    assert calls == ["ready a", "a", "b"] * 3
    assert [len(timing.seconds) for timing in timings] == [2, 2]


def test_the_median_is_shown_with_its_range() -> None:
    """One slow run does not move the figure, but it shows."""
    assert str(Timing((0.010, 0.012, 5.0))) == "12 ms (10 ms–5.00 s)"
