"""Many things side by side, and one thing once for all who ask."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from recipes import errors
from recipes.support import shell

if TYPE_CHECKING:
    from concurrent.futures import Future
    from queue import SimpleQueue

Value = TypeVar("Value")


class Work:
    """A thread pool whose results come back as they are ready, and which can be given more work meanwhile.

    `jobs` holds for the processes too, as work may have a pool of its own: a build does, for its sources. `stop` ends
    what runs elsewhere at that moment, where the work is interrupted.
    """

    def __init__(self, jobs: int, stop: Callable[[], None] = lambda: None) -> None:
        from concurrent.futures import ThreadPoolExecutor  # which brings logging along
        from queue import SimpleQueue

        self._stop = stop
        self._pool = ThreadPoolExecutor(jobs)
        self._limit = ExitStack()
        self._jobs = jobs
        self._pending: dict[Future[Any], tuple[str, str]] = {}
        self._done: SimpleQueue[Future[Any]] = SimpleQueue()

    def __enter__(self) -> Work:
        self._limit.enter_context(shell.at_most(self._jobs))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        with self._limit, self._pool:
            if kind is None:
                return
            self._pool.shutdown(wait=False, cancel_futures=True)  # first, or what is stopped makes room for the next
            with shell.stopping():
                self._stop()
                self._pool.shutdown()

    def start(self, label: tuple[str, str], function: Callable[..., Any], *args: Any) -> None:
        future = self._pool.submit(function, *args)
        self._pending[future] = label
        future.add_done_callback(self._done.put)

    def results(self) -> Iterable[tuple[tuple[str, str], Any]]:
        """(label, value or RecipeError) of each piece of work, also of what is started while this goes on."""
        while self._pending:
            future = self._done.get()
            label = self._pending.pop(future)
            try:
                yield label, future.result()
            except errors.RecipeError as error:
                yield label, error


class Stopped(Exception):
    """Another part of the same work has failed, or was interrupted."""


def for_each(values: Sequence[Value], work: Callable[[Value], object], jobs: int, stop: threading.Event) -> None:
    """`work` on each value, `jobs` at a time. The first that fails sets `stop` and is raised, and so is ^C.

    What sees that `stop` is set may raise Stopped. After ^C nothing is waited for, as a slow answer of another machine
    would be by a `Work`.
    """
    pending = deque(values)
    failures: list[BaseException] = []

    def run() -> None:
        while not stop.is_set():
            try:
                value = pending.popleft()
            except IndexError:
                return
            try:
                work(value)
            except Stopped:
                return
            except BaseException as error:  # raised again in the thread that waits for it
                failures.append(error)
                stop.set()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(max(1, min(jobs, len(values))))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:
        stop.set()
        raise
    if failures:
        raise failures[0]


def once(make: Callable[[], Value]) -> Callable[[], Value]:
    """`make`, called by the first who asks; the others wait for it and share what it made."""
    lock = threading.Lock()
    made: list[Value] = []

    def get() -> Value:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return get
