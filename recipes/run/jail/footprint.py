"""How much memory the program's processes hold, where no control group counts it.

Then nobody counts for us what no process has mapped, so all is looked for where it can be: `status` and `smaps` for
what is mapped, the file systems in memory, SysV's shared memory and messages, and memfds by their descriptors.
Source: proc(5), sysvipc(7), memfd_create(2), unix(7), kcmp(2).
"""

from __future__ import annotations

import os
import time

import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:  # without importing `typing`
    from collections.abc import Iterator

_LOOK_SECONDS = 0.5
"""A look that takes longer sees nothing in time: who makes it so is taken to be past the limit."""

_NAME_BYTES = 1024
"""What the kernel counts for each file of a file system in memory, beside what is in it."""


class _Slow(Exception):
    """There is so much to look at that it takes too long."""


class Footprint:
    """What all processes but this one hold in memory, in bytes, as `proc` shows them: a descriptor of a /proc of ours.

    `memory` are descriptors of the file systems in memory that they can write to.
    """

    def __init__(self, limit: int, proc: int, memory: list[int]) -> None:
        self._limit = limit
        self._proc = proc
        self._memory = memory
        self._own = {os.fstat(place).st_dev for place in memory}
        memfd = os.memfd_create("")
        self._unnamed = os.fstat(memfd).st_dev
        """Where all shared memory is that has no name in a file system: memfds, SysV's, that of related processes."""
        os.close(memfd)
        self._memfds: dict[tuple[int, int], int] = {}
        self._hidden = False
        self._until = float("inf")
        self._shared_before = self._machines_shared()

    def is_over(self) -> bool:
        """Whether it is more than the limit, or cannot be counted in time."""
        self._until = time.monotonic() + _LOOK_SECONDS
        self._memfds = {}
        self._hidden = False
        try:
            return self._count()
        except _Slow:
            return True

    def _count(self) -> bool:
        """What is cheap to count comes first, and counts some things twice."""
        sizes = {task: self._size(task) for task in self._living()}
        tasks = list(sizes)
        openers = [thread for task in tasks for thread in _different(kernel.SAME_FILES, self._threads(task))]
        self._find_memfds(tasks, openers)
        unmapped = sum(self._memfds.values()) + self._files() + self._sysv()
        if sum(map(sum, sizes.values())) + unmapped > self._limit:
            spaces = _different(kernel.SAME_MEMORY, tasks)
            mapped = sum(self._mapped(task) + sizes[task][1] for task in spaces)
            if mapped + unmapped > self._limit:
                return True
        # Some of what is shared cannot be seen: while there may be such, what the machine has more of it is theirs.
        if self._machines_shared() - self._shared_before <= self._limit:
            return False
        return self._hidden or any(map(self._any_on_its_way, openers)) or any(map(self._shares_unseen, tasks))

    def _in_time(self) -> None:
        if time.monotonic() > self._until:
            raise _Slow

    # ── processes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _living(self) -> Iterator[str]:
        """Of each process a thread that still runs: the first one may have ended, and shows nothing then."""
        for pid in self._names("."):
            if pid != "1":
                yield next((tid for tid in self._threads(pid) if self._size(tid)[0]), pid)

    def _names(self, folder: str) -> list[str]:
        """The numbers among the names in a folder of /proc; none where its process has ended meanwhile."""
        self._in_time()
        try:
            place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._proc)
        except OSError:
            return []
        try:
            return [name for name in os.listdir(place) if name.isdigit()]
        except OSError:
            return []
        finally:
            os.close(place)

    def _threads(self, pid: str) -> list[str]:
        return self._names(f"{pid}/task")

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

    def _size(self, task: str) -> tuple[int, int]:
        """(bytes in memory or swapped out, bytes of page tables) of the address space; zeros where it has none."""
        status = self._read(f"{task}/status")
        resident, swapped, tables = (_kilobytes(status, name) for name in (b"VmRSS", b"VmSwap", b"VmPTE"))
        return resident + swapped, tables

    # ── what is mapped ───────────────────────────────────────────────────────────────────────────────────────────────

    def _mapped(self, task: str) -> int:
        """Its share of what is mapped, but for that which counts as a memfd, a file in memory or a SysV segment.

        Of a private mapping of such a file its own copies count: they are pages of no file.
        """
        total = 0
        for head, values in self._areas(task):
            share = values.get(b"Pss:", 0) + values.get(b"SwapPss:", 0)
            if not self._is_counted(head):
                total += share
            elif head[1].endswith(b"p"):
                total += min(share, values.get(b"Anonymous:", 0) + values.get(b"Swap:", 0))
        return total

    def _areas(self, task: str) -> Iterator[tuple[list[bytes], dict[bytes, int]]]:
        """(words of the head, {name with colon: bytes}) of each mapping."""
        head: list[bytes] = []
        values: dict[bytes, int] = {}
        for line in self._read(f"{task}/smaps").splitlines():
            words = line.split(None, 5)
            if not words[0].endswith(b":"):
                self._in_time()
                if head:
                    yield head, values
                head, values = words, {}
            elif words[-1] == b"kB":
                values[words[0]] = int(words[1]) << 10
        if head:
            yield head, values

    def _is_counted(self, head: list[bytes]) -> bool:
        device, inode = _file_of(head)
        sysv = device == self._unnamed and len(head) > 5 and head[5].startswith(b"/SYSV")
        return sysv or device in self._own or (device, inode) in self._memfds

    def _shares_unseen(self, task: str) -> bool:
        """Whether it maps shared memory that nobody has a descriptor of: how large that is cannot be seen."""
        return any(_file_of(head)[0] == self._unnamed and not self._is_counted(head) for head, _ in self._areas(task))

    # ── what is open ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _find_memfds(self, tasks: list[str], openers: list[str]) -> None:
        """Those that processes were started from, and those that threads have open."""
        for task in tasks:
            self._note_memfd(f"{task}/exe", self._proc)
        for thread in openers:
            for folder, name in self._descriptors(thread, "fd"):
                self._note_memfd(name, folder)

    def _note_memfd(self, name: str, folder: int) -> None:
        try:
            if os.readlink(name, dir_fd=folder).startswith("/memfd:"):
                status = os.stat(name, dir_fd=folder)
                self._memfds[status.st_dev, status.st_ino] = status.st_blocks * 512
        except OSError:
            pass  # closed meanwhile

    def _descriptors(self, task: str, kind: str) -> Iterator[tuple[int, str]]:
        """(descriptor of the folder, name in it) of all that a thread has open."""
        try:
            folder = os.open(f"{task}/{kind}", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._proc)
        except PermissionError:  # a process that is not dumpable, of a user that is not root of its namespace
            self._hidden = True
            return
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

    def _any_on_its_way(self, task: str) -> bool:
        """Whether a descriptor is in one of its sockets: that is nobody's."""
        for _, name in self._descriptors(task, "fdinfo"):
            count = self._read(f"{task}/fdinfo/{name}").partition(b"\nscm_fds:")[2].split(None, 1)
            if count and count[0] != b"0":
                return True
        return False

    # ── what has a name, or is the machine's ─────────────────────────────────────────────────────────────────────────

    def _files(self) -> int:
        total = 0
        for place in self._memory:
            system = os.statvfs(place)
            total += (system.f_blocks - system.f_bfree) * system.f_frsize
            total += (system.f_files - system.f_ffree) * _NAME_BYTES
        return total

    def _sysv(self) -> int:
        """Bytes of shared memory, and in queues of messages, of our own IPC namespace."""
        return self._columns("sysvipc/shm", b"rss", b"swap") + self._columns("sysvipc/msg", b"cbytes")

    def _columns(self, path: str, *wanted: bytes) -> int:
        head, *lines = self._read(path).splitlines() or [b""]
        places = [place for place, name in enumerate(head.split()) if name in wanted]
        return sum(int(line.split()[place]) for line in lines for place in places)

    def _machines_shared(self) -> int:
        return _kilobytes(self._read("meminfo"), b"Shmem")


def _kilobytes(text: bytes, name: bytes) -> int:
    """The value of a line `name: 12 kB`, in bytes; 0 where there is no such line."""
    value = text.partition(b"\n" + name + b":")[2]
    return int(value.split(None, 1)[0]) << 10 if value else 0


def _file_of(head: list[bytes]) -> tuple[int, int]:
    """(device, inode) of what a mapping maps."""
    major, _, minor = head[3].partition(b":")
    return os.makedev(int(major, 16), int(minor, 16)), int(head[4])


def _different(kind: int, tasks: list[str]) -> list[str]:
    """One of each group of threads that have the same memory, or the same descriptors."""
    kept: list[str] = []
    for task in tasks:
        if not any(kernel.have_same(kind, int(task), int(other)) for other in kept):
            kept.append(task)
    return kept
