"""Process 1: waits for the program, and ends it at a limit."""

from __future__ import annotations

import os
import select
import time

from kernel import SIGKILL

TYPE_CHECKING = False
if TYPE_CHECKING:  # without importing `typing`
    from collections.abc import Callable

    from clock import Clock
    from footprint import Footprint

_STEP = 0.02
"""Seconds between two looks at the memory."""
_SHARE = 9
"""How many times longer than a look the pause after it is at least: a tenth of one processor is enough."""
_AWAY = 0.1
"""The longest pause: what makes a look slow must not win time in which nobody looks."""
_NEVER = float("inf")


class Lifeline(Exception):
    """The process that started us is gone."""


def wait(
    program: int, clock: Clock, lifeline: int, footprint: Footprint | None, asked: dict[int, Callable[[], None]]
) -> tuple[int, str]:
    """(wait status of the child, the limit that it went past or ""). Without `footprint` memory is counted elsewhere.

    `asked` are descriptors on which something may be asked for, and what to do then. Raises: Lifeline.
    """
    stopped = ""
    waiter = select.poll()
    child = os.pidfd_open(program)
    for number in (child, lifeline, *asked):
        waiter.register(number, select.POLLIN)
    look = time.monotonic()
    while True:
        now = time.monotonic()
        if footprint is not None and now >= look and not stopped:
            stopped = "memory limit" if footprint.is_over() else ""
            ended = time.monotonic()
            look = max(now + _STEP, ended + min(_AWAY, _SHARE * (ended - now)))
        if not stopped:
            stopped = clock.over(now)
        if stopped:
            os.kill(program, SIGKILL)
        until = min(clock.look, look) if footprint is not None else clock.look
        is_patient = stopped or until == _NEVER
        ready = dict(waiter.poll(None if is_patient else 1000 * max(0.0, until - time.monotonic())))
        if child in ready:
            return os.waitpid(program, 0)[1], stopped
        if lifeline in ready:
            raise Lifeline
        for number in ready.keys() & asked.keys():
            if ready[number] & select.POLLIN:
                asked[number]()
            else:
                waiter.unregister(number)  # no process is left that could ask
