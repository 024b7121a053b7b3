"""What a task costs when there is nothing to do, against a task that does nothing."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.inputs import Bench, invoke
from tests.bench.measure import Contender, Goal, Row, Skipped, by_turns, timed_row


def rows(bench: Bench, *, has_docker: bool) -> Iterator[Row | Skipped]:
    local = ("build-static", "hello", "--no-run", "--engine", "local")
    yield _against_empty(bench, "build-static hello, unchanged, local", local, Goal(1.6), 21)
    loaded = "build-static hello, unchanged, image in the engine"
    if not has_docker:
        yield Skipped(loaded, "no Docker Engine")
    else:
        words = ("build-static", "hello", "--no-run", "--engine", "docker")
        yield _against_empty(bench, loaded, words, Goal(3.2), 21)
    yield _against_empty(bench, "compare-sizes --no-run, all cached", ("compare-sizes", "--no-run"), Goal(5.0), 11)


def _against_empty(bench: Bench, what: str, words: tuple[str, ...], goal: Goal, runs: int) -> Row:
    ours = Contender("ours", lambda: invoke(bench.project, *words))
    empty = Contender("an empty task", lambda: invoke(bench.empty, "empty"))
    # Two rounds to warm up: the first one builds, the second one finds everything.
    mine, theirs = by_turns([ours, empty], bench.runs(runs), warm_up=2)
    return timed_row(what, mine, theirs, empty.name, goal)
