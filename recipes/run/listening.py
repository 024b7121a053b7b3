"""The ports on which a container listens, where its processes can be seen from here.

The jail of the local engine looks likewise (`jail/ports.py`), but can import nothing of this package.
Source: Linux, Documentation/networking/proc_net_tcp.rst; include/net/tcp_states.h.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from recipes.model import Limits

_TABLES = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
"""The state of a socket that waits for others: TCP_LISTEN, and unconnected."""
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_MOST_PORTS = 16
_GLANCE = 0.2


def listening(pid: int, container: str) -> tuple[str, ...]:
    """Such as `8080/tcp`, sorted by number; () where that process is not the container's, as far as is seen here.

    The engine may be on another machine, or count processes otherwise. It calls a control group after the container.
    A UDP port that the kernel chose is that of a client, which waits for its answer.
    """
    try:
        # The folder stays that of this process: when its number is another's, there is nothing to read in it any more.
        process = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return ()
    try:
        return _listening(process, container)
    except (OSError, ValueError):
        return ()
    finally:
        os.close(process)


def _listening(process: int, container: str) -> tuple[str, ...]:
    if container not in _read(process, "cgroup"):
        return ()
    first, last = map(int, _RANGE.read_text().split())
    found = {
        (port, name[:3])
        for name, state in _TABLES.items()
        for port in _ports(process, name, state)
        if name.startswith("tcp") or not first <= port <= last
    }
    return tuple(f"{port}/{protocol}" for port, protocol in sorted(found)[:_MOST_PORTS])


def _ports(process: int, name: str, state: str) -> Iterator[int]:
    """Of lines `number: address:port address:port state …`, all in hexadecimal. Without IPv6 there are two tables."""
    try:
        table = _read(process, f"net/{name}")
    except FileNotFoundError:
        return
    for line in table.splitlines()[1:]:
        words = line.split(None, 4)
        if words[3] == state:
            yield int(words[1].rpartition(":")[2], 16)


def _read(folder: int, name: str) -> str:
    with open(os.open(name, os.O_RDONLY, dir_fd=folder)) as file:
        return file.read()


class Deadline:
    """When a run is over: at its time limit, or when it has listened for as long as one has to; `look` tells the ports.

    `ports` are those that were open when it was over.
    """

    def __init__(self, limits: Limits, look: Callable[[], tuple[str, ...]]) -> None:
        self.ports: tuple[str, ...] = ()
        now = time.monotonic()
        self._end, self._why = now + limits.seconds, "time limit"
        self._patience, self._look = limits.listening_seconds, look
        self._next = self._end if self._patience is None else min(now + _GLANCE, self._end)

    def left(self) -> float:
        """Seconds until `passed` has to be asked again."""
        return max(0.001, self._next - time.monotonic())

    def passed(self) -> str:
        """Which limit is: `time limit` or `listening`; "" where none is."""
        now = time.monotonic()
        if now < self._next:
            return ""
        self.ports = self._look()
        if now >= self._end:
            return self._why
        if self.ports and self._patience is not None:
            if now + self._patience < self._end:
                self._end, self._why = now + self._patience, "listening"
            self._next = self._end
        else:
            self._next = min(now + _GLANCE, self._end)
        return ""


def reason(stopped: str, limits: Limits) -> str:
    """Why a run was ended, in words."""
    return {
        "time limit": f"stopped at the time limit of {limits.seconds:g} s",
        "listening": f"stopped when it had listened for {limits.listening_seconds or 0:g} s",
        "output limit": f"stopped at the output limit of {limits.output_bytes} bytes",
        "memory limit": f"stopped at the memory limit of {limits.memory_bytes} bytes",
    }[stopped]
