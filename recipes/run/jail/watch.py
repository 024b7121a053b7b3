"""Process 1: waits for the program, and ends it at a limit. How much memory it holds is counted here.

Without a control group nobody counts for us what no process has mapped, so all is looked for where it can be:
`statm` and `smaps` for what is mapped, the file systems in memory, SysV's shared memory and messages, and memfds by
their descriptors. Source: proc(5), sysvipc(7), memfd_create(2), unix(7).
"""

from __future__ import annotations

import os
import resource
import select
import time

from kernel import SIGKILL

TYPE_CHECKING = False
if TYPE_CHECKING:  # without importing `typing`
    from collections.abc import Callable, Iterator

_STEP = 0.02
"""Seconds between two looks at the memory."""
_SHARE = 9
"""How many times longer than a look the pause after it is at least: a tenth of one processor is enough."""

_LOOK_SECONDS = 0.5
"""A look that takes longer sees nothing in time: who makes it so is taken to be past the limit."""

_PAGE = resource.getpagesize()


class Lifeline(Exception):
    """Whoever started us is gone."""


class _Slow(Exception):
    """There is so much to look at that it takes too long."""


def wait(
    program: int, deadline: float, lifeline: int, footprint: Footprint | None, asked: tuple[int, Callable[[], None]]
) -> tuple[int, str]:
    """(wait status of the child, the limit that it went past or ""). Without `footprint` somebody else counts.

    `asked` is a descriptor on which the program may ask for something, and what to do then. Raises: Lifeline.
    """
    stopped = ""
    listener, answer = asked
    waiter = select.poll()
    child = os.pidfd_open(program)
    for number in (child, lifeline, listener):
        waiter.register(number, select.POLLIN)
    look = time.monotonic()
    while True:
        now = time.monotonic()
        if footprint is not None and now >= look and not stopped:
            stopped = "memory limit" if footprint.is_over() else ""
            look = max(now + _STEP, time.monotonic() + _SHARE * (time.monotonic() - now))
        if now >= deadline and not stopped:
            stopped = "time limit"
        if stopped:
            os.kill(program, SIGKILL)
        until = min(deadline, look) if footprint is not None else deadline
        ready = dict(waiter.poll(None if stopped else 1000 * max(0.0, until - time.monotonic())))
        if child in ready:
            return os.waitpid(program, 0)[1], stopped
        if lifeline in ready:
            raise Lifeline
        if ready.get(listener, 0) & select.POLLIN:
            answer()
        elif listener in ready:
            waiter.unregister(listener)  # nobody is left who could ask


class Footprint:
    """What all processes but this one hold in memory, in bytes, as `proc` shows them: a descriptor of a /proc of ours.

    `memory` are descriptors of the file systems in memory that they can write to.
    """

    def __init__(self, limit: int, proc: int, memory: list[int]) -> None:
        self._limit = limit
        self._proc = proc
        self._memory = memory
        self._own = {os.fstat(place).st_dev for place in memory}
        self._memfds: dict[tuple[int, int], int] = {}
        self._until = float("inf")
        self._shared_before = self._machines_shared()

    def is_over(self) -> bool:
        """Whether it is more than the limit, or cannot be counted in time."""
        self._until = time.monotonic() + _LOOK_SECONDS
        self._memfds = {}
        try:
            return self._count()
        except _Slow:
            return True

    def _count(self) -> bool:
        """What is cheap to count comes first, and counts some things twice."""
        mapped = sum(self._resident(pid) for pid in self._pids())
        for pid in self._pids():
            self._find_memfds(pid)
        unmapped = sum(self._memfds.values()) + self._files() + self._sysv()
        if mapped + unmapped > self._limit:
            mapped = sum(self._mapped(pid) for pid in self._pids())
            if mapped + unmapped > self._limit:
                return True
        # A descriptor on its way through a socket is nobody's: what nobody has, and the machine has more, counts then.
        return self._machines_shared() - self._shared_before > self._limit and self._any_on_its_way()

    def _in_time(self) -> None:
        if time.monotonic() > self._until:
            raise _Slow

    def _pids(self) -> list[str]:
        return [name for name in os.listdir(self._proc) if name.isdigit() and name != "1"]

    def _read(self, path: str) -> bytes:
        """What is in a file of /proc; nothing where its process has ended meanwhile."""
        self._in_time()
        try:
            file = os.open(path, os.O_RDONLY, dir_fd=self._proc)
        except OSError:
            return b""
        pieces = []
        try:
            while piece := os.read(file, 1 << 16):
                pieces.append(piece)
                self._in_time()
        except OSError:
            pass
        finally:
            os.close(file)
        return b"".join(pieces)

    def _resident(self, pid: str) -> int:
        words = self._read(f"{pid}/statm").split()
        return int(words[1]) * _PAGE if words else 0

    def _mapped(self, pid: str) -> int:
        """Its share of what is mapped, but for that which counts as a memfd, a file in memory or a SysV segment."""
        total = 0
        counts = True
        for line in self._read(f"{pid}/smaps").splitlines():
            words = line.split(None, 5)
            if not words[0].endswith(b":"):
                major, _, minor = words[3].partition(b":")
                device = os.makedev(int(major, 16), int(minor, 16))
                known = device in self._own or (device, int(words[4])) in self._memfds
                counts = not known and not (len(words) > 5 and words[5].startswith(b"/SYSV"))
            elif counts and words[0] == b"Pss:":
                total += int(words[1]) << 10
        return total

    def _find_memfds(self, pid: str) -> None:
        for folder, name in self._descriptors(pid, "fd"):
            try:
                if os.readlink(name, dir_fd=folder).startswith("/memfd:"):
                    status = os.stat(name, dir_fd=folder)
                    self._memfds[status.st_dev, status.st_ino] = status.st_blocks * 512
            except OSError:
                continue  # closed meanwhile

    def _descriptors(self, pid: str, kind: str) -> Iterator[tuple[int, str]]:
        """(descriptor of the folder, name in it) of all that a process has open."""
        try:
            folder = os.open(f"{pid}/{kind}", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._proc)
        except OSError:
            return  # it has ended meanwhile
        try:
            with os.scandir(folder) as entries:  # one by one: there may be a million
                for entry in entries:
                    self._in_time()
                    yield folder, entry.name
        except OSError:
            return
        finally:
            os.close(folder)

    def _files(self) -> int:
        total = 0
        for place in self._memory:
            system = os.statvfs(place)
            total += (system.f_blocks - system.f_bfree) * system.f_frsize
        return total

    def _sysv(self) -> int:
        """Resident bytes of shared memory, and bytes in queues of messages, of our own IPC namespace."""
        return self._column("sysvipc/shm", b"rss") + self._column("sysvipc/msg", b"cbytes")

    def _column(self, path: str, name: bytes) -> int:
        head, *lines = self._read(path).splitlines() or [b""]
        names = head.split()
        return sum(int(line.split()[names.index(name)]) for line in lines) if name in names else 0

    def _machines_shared(self) -> int:
        text = self._read("meminfo").partition(b"\nShmem:")[2]
        return int(text.split(None, 1)[0]) << 10 if text else 0

    def _any_on_its_way(self) -> bool:
        for pid in self._pids():
            for _, name in self._descriptors(pid, "fdinfo"):
                count = self._read(f"{pid}/fdinfo/{name}").partition(b"\nscm_fds:")[2].split(None, 1)
                if count and count[0] != b"0":
                    return True
        return False
