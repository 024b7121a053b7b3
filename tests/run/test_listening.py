"""Tests of recipes/run/listening.py: which ports a process listens on, read from the kernel's own tables, and when."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from recipes.model import Limits
from recipes.run.listening import Deadline, listening, reason
from tests.need import need, need_tool

MINE = "/"
"""What is in the name of each process's control group."""

# In a network of its own, whose only device has to be switched on first. Source: netdevice(7).
SCRIPT = """
import fcntl, socket, struct, sys
kept = [socket.socket(), socket.socket(type=socket.SOCK_DGRAM)]
fcntl.ioctl(kept[0], 0x8914, struct.pack("16sh", b"lo", 1))
kept += [socket.create_server(("127.0.0.1", port)) for port in (40000, 8080, 443, *range(int(sys.argv[1])))]
kept += [socket.create_server(("::1", 8443), family=socket.AF_INET6)]
kept[0].bind(("127.0.0.1", 22))
kept[1].bind(("127.0.0.1", 0))
for family, host, port in ((socket.AF_INET, "127.0.0.1", 53), (socket.AF_INET6, "::1", 54)):
    kept.append(socket.socket(family, socket.SOCK_DGRAM))
    kept[-1].bind((host, port))
kept.append(socket.create_connection(("127.0.0.1", 443)))
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def server(more: int = 0) -> Iterator[int]:
    """The process that listens, with so many ports more than the tests name."""
    argv = [need_tool("unshare"), "--map-root-user", "--net", sys.executable, "-c", SCRIPT, str(more)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        need(process.stdout.readline(), "a network namespace with IPv6")
        yield process.pid


def test_the_ports_of_a_process() -> None:
    """TCP where it waits for others, UDP but where the kernel chooses; not what is bound alone, or a connection."""
    with server() as pid:
        assert listening(pid, MINE) == ("53/udp", "54/udp", "443/tcp", "8080/tcp", "8443/tcp", "40000/tcp")


def test_of_many_ports_the_first() -> None:
    """A report names no hundreds of them."""
    with server(more=20) as pid:
        assert len(listening(pid, MINE)) == 16


def test_a_process_of_another_container() -> None:
    """A number that is another's, or nobody's by now, tells nothing of the container."""
    with server() as pid:
        assert listening(pid, "0123456789abcdef") == ()
    assert listening(pid, MINE) == ()
    assert listening(0, MINE) == ()
    assert listening(os.getpid(), "0123456789abcdef") == ()


@pytest.mark.parametrize(
    ("limits", "found", "why"),
    [
        (Limits(seconds=0), ("80/tcp",), "time limit"),
        (Limits(seconds=0.3), (), "time limit"),
        (Limits(seconds=0.1, listening_seconds=60), ("80/tcp",), "time limit"),
        (Limits(seconds=0.5, listening_seconds=60), ("80/tcp",), "time limit"),
        (Limits(seconds=60, listening_seconds=0.1), ("80/tcp",), "listening"),
    ],
)
def test_when_a_run_is_over(limits: Limits, found: tuple[str, ...], why: str) -> None:
    """At its time limit, or when it has listened for long enough; what is open then is known."""
    looks = iter([found] * 4)
    deadline = Deadline(limits, lambda: next(looks))
    while not (over := deadline.passed()):
        assert deadline.left() > 0
        time.sleep(deadline.left())
    assert (over, deadline.ports) == (why, found)


def test_a_port_that_opens_late() -> None:
    """From then on it is waited for."""
    looks = iter([(), (), ("80/tcp",), ("80/tcp", "81/tcp")])
    deadline = Deadline(Limits(seconds=60, listening_seconds=0), lambda: next(looks))
    while not (over := deadline.passed()):
        time.sleep(deadline.left())
    assert (over, deadline.ports) == ("listening", ("80/tcp", "81/tcp"))


def test_the_words_for_each_limit() -> None:
    """With its number."""
    limits = Limits(seconds=1.5, listening_seconds=2, output_bytes=3, memory_bytes=4)
    assert [reason(each, limits) for each in ("time limit", "listening", "output limit", "memory limit")] == [
        "stopped at the time limit of 1.5 s",
        "stopped when it had listened for 2 s",
        "stopped at the output limit of 3 bytes",
        "stopped at the memory limit of 4 bytes",
    ]
