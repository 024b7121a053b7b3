"""Tests of recipes/support/work.py: results as they are ready, errors as values or raised, and nothing left behind."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from recipes.errors import BadInput
from recipes.model import Command
from recipes.support import shell
from recipes.support.work import Stopped, Work, for_each, once
from tests.sharing import interruptible

SECONDS = 60
"""After that long a wait is a failure: nothing here takes it."""


def waited(event: threading.Event) -> bool:
    assert event.wait(SECONDS)
    return True


class Pairs:
    """Lets threads meet in pairs, and counts how many of them there were at once."""

    def __init__(self) -> None:
        self._lock, self._meeting = threading.Lock(), threading.Barrier(2)
        self._here = self.most = 0

    def meet(self, value: object = None) -> None:
        with self._lock:
            self._here += 1
            self.most = max(self.most, self._here)
        self._meeting.wait(SECONDS)
        with self._lock:
            self._here -= 1


# ── results as they are ready ────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_ready_first_comes_first() -> None:
    """Not what was started first; each result has the label that it was started with."""
    go = threading.Event()
    with Work(2) as work:
        work.start(("kind", "slow"), lambda: waited(go) and "late")
        work.start(("kind", "fast"), lambda: "early")
        results = iter(work.results())
        assert next(results) == (("kind", "fast"), "early")
        go.set()
        assert list(results) == [(("kind", "slow"), "late")]


def test_what_is_started_meanwhile_comes_too() -> None:
    """A result may start more work, as a program that is ready starts its cells."""
    found = []
    with Work(1) as work:
        work.start(("count", "3"), int, "3")
        for _, left in work.results():
            found.append(left)
            if left:
                work.start(("count", str(left - 1)), int, str(left - 1))
    assert found == [3, 2, 1, 0]


def test_an_error_of_ours_is_a_value() -> None:
    """It belongs to its label, and the others go on."""

    def refuse() -> None:
        raise BadInput("no")

    with Work(1) as work:
        work.start(("a", "bad"), refuse)
        work.start(("a", "good"), lambda: 1)
        results = dict(work.results())
    assert isinstance(results["a", "bad"], BadInput)
    assert results["a", "good"] == 1


def test_another_error_is_raised_and_stops_the_rest() -> None:
    """What is a bug is not hidden, and what waits is not begun."""
    begun = []
    with pytest.raises(ZeroDivisionError), Work(1) as work:
        work.start(("a", "bug"), lambda: 1 // 0)
        for number in range(100):
            work.start(("a", str(number)), lambda number=number: begun.append(number))
        list(work.results())
    assert len(begun) < 100


def test_no_more_than_jobs_at_once() -> None:
    """Two meet each other, three never do."""
    pairs = Pairs()
    with Work(2) as work:
        for number in range(8):
            work.start(("a", str(number)), pairs.meet)
        list(work.results())
    assert pairs.most == 2


def test_jobs_hold_for_the_processes_of_each_piece(tmp_path: os.PathLike[str]) -> None:
    """A piece of work with threads of its own, as a build has, starts no more processes than all may have."""
    script = 'mkdir "$0/$$"; set -- "$0"/*; echo $#; sleep 0.2; rmdir "$0/$$"'
    together: list[int] = []

    def ask() -> None:
        together.append(int(shell.check(Command(("sh", "-c", script, str(tmp_path)))).stdout))

    def piece() -> None:
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with Work(1) as work:
        work.start(("a", "b"), piece)
        list(work.results())
    assert together == [1, 1, 1, 1]


def test_interrupted_work_ends_at_once() -> None:
    """What runs is ended, here and where `stop` reaches; what waits is not begun; nothing can be started meanwhile."""
    stopped, running, ended = threading.Event(), threading.Event(), []
    refused: list[bool] = []

    def process() -> None:
        running.set()
        try:
            ended.append(shell.run(Command(("sleep", str(SECONDS)))).exit_code)
        except KeyboardInterrupt:
            ended.append(0)  # it came before the process was there

    def elsewhere() -> None:
        waited(stopped)
        try:
            shell.run(Command(("true",)))
        except KeyboardInterrupt:
            refused.append(True)

    begun: list[int] = []
    with pytest.raises(KeyboardInterrupt), Work(2, stopped.set) as work:
        work.start(("a", "process"), process)
        work.start(("a", "elsewhere"), elsewhere)
        work.start(("a", "waiting"), begun.append, 1)
        waited(running)
        raise KeyboardInterrupt
    assert ended[0] in (0, 128 + signal.SIGKILL)
    assert (refused, begun) == ([True], [])
    assert shell.run(Command(("true",))).exit_code == 0  # and afterwards all is as before


def test_what_ends_well_is_not_stopped() -> None:
    """`stop` is for interruptions."""
    stopped: list[bool] = []
    with Work(1, lambda: stopped.append(True)) as work:
        work.start(("a", "b"), int)
        assert list(work.results()) == [(("a", "b"), 0)]
    assert stopped == []


# ── for_each ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("jobs", [0, 1, 3, 100])
def test_each_value_is_worked_on_once(jobs: int) -> None:
    """However many there are at a time; with one, in the order in which they were given."""
    done: list[int] = []
    for_each(range(20), done.append, jobs, threading.Event())
    assert sorted(done) == list(range(20))
    assert jobs > 1 or done == list(range(20))


def test_no_more_values_than_jobs_at_once() -> None:
    """Two meet each other, three never do."""
    pairs = Pairs()
    for_each(range(8), pairs.meet, 2, threading.Event())
    assert pairs.most == 2


def test_no_values_are_no_work() -> None:
    """Nothing to do is done."""
    for_each([], lambda value: 1 // 0, 3, threading.Event())


@pytest.mark.parametrize("kind", [BadInput, ZeroDivisionError])
def test_the_first_failure_is_raised(kind: type[Exception]) -> None:
    """Whatever it is; the others see that they are to stop, and what they say to that is not an error."""
    stop, both = threading.Event(), threading.Barrier(2)
    done: list[int] = []

    def work(value: int) -> None:
        if value > 1:
            done.append(value)
            return
        both.wait(SECONDS)
        if value == 0:
            raise kind("no")
        waited(stop)
        raise Stopped

    with pytest.raises(kind, match="no"):
        for_each(range(100), work, 2, stop)
    assert done == []


def test_what_is_stopped_before_does_nothing() -> None:
    """Another part of the same work has failed already."""
    stop = threading.Event()
    stop.set()
    for_each([1], lambda value: 1 // 0, 1, stop)


def test_what_is_stopped_meanwhile_is_no_failure_of_its_own() -> None:
    """Whoever has stopped it knows why; it ends, and begins nothing more."""
    stop, begun = threading.Event(), list[int]()

    def work(value: int) -> None:
        begun.append(value)
        stop.set()
        raise Stopped

    for_each(range(9), work, 1, stop)
    assert begun == [0]


def test_after_an_interruption_nothing_is_waited_for() -> None:
    """A slow answer of another machine does not keep ^C waiting; those that look see that they are to stop."""
    stop, release, ended = threading.Event(), threading.Event(), threading.Event()

    def work(value: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        release.wait(SECONDS)
        ended.set()

    with interruptible(), pytest.raises(KeyboardInterrupt):
        for_each([1], work, 1, stop)
    assert (stop.is_set(), ended.is_set()) == (True, False)
    release.set()
    waited(ended)


# ── once ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_made_once_for_all_who_ask() -> None:
    """Those who come while it is being made wait for it, and get the same."""
    begun, go, made = threading.Event(), threading.Event(), []

    def make() -> object:
        begun.set()
        waited(go)
        made.append(object())
        return made[-1]

    get, got = once(make), list[object]()
    threads = [threading.Thread(target=lambda: got.append(get())) for _ in range(4)]
    for thread in threads:
        thread.start()
    waited(begun)
    go.set()
    for thread in threads:
        thread.join(SECONDS)
    assert got == made * 4
    assert len(made) == 1


def test_what_failed_is_tried_again() -> None:
    """The error is for the one who asked; the next one asks anew."""
    parts = [0, 1]
    get = once(lambda: 7 // parts.pop(0))
    with pytest.raises(ZeroDivisionError):
        get()
    assert (get(), get()) == (7, 7)
