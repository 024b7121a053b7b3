"""How long the program may run."""

from __future__ import annotations

import time

from ports import listening

_GLANCE = 0.1
"""Seconds between two looks at whether it listens."""
_SHARE = 9
"""How many times longer than a look the pause after it is at least: tables may be long."""


class Clock:
    """From `started` on: `seconds`, or `patience` seconds after it was seen to listen, where that comes first.

    Where `patience` is None it is looked at once, when the time is over. `ports` are those that were open then.
    """

    def __init__(self, started: float, seconds: float, patience: float | None, proc: int) -> None:
        self.ports: list[str] = []
        self.look = end = started + seconds
        """When to ask again."""
        self._end, self._patience, self._proc = end, patience, proc
        self._why = "time limit"
        if patience is not None:
            self.look = min(started + _GLANCE, end)

    def over(self, now: float) -> str:
        """Why the time is over, which it may be because it listens; "" where it is not."""
        if now < self.look:
            return ""
        self.ports = listening(self._proc)
        if now >= self._end:
            return self._why
        ended = time.monotonic()
        if self._patience is not None and self.ports:
            if now + self._patience < self._end:
                self._end, self._why = now + self._patience, "listening"
            self.look = self._end
        else:
            self.look = min(self._end, max(now + _GLANCE, ended + _SHARE * (ended - now)))
        return ""
