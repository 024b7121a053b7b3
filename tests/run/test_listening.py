"""Tests of recipes/run/listening.py: which ports a process listens on, read from the kernel's own tables."""

from __future__ import annotations

import os
import socket
import subprocess

from recipes.run.listening import listening

MINE = "/"
"""What is in the name of each process's control group."""


def test_the_ports_of_a_process() -> None:
    """TCP where it waits for others, UDP but for what the kernel chose; a connection's two ends are none."""
    with socket.create_server(("127.0.0.1", 0)) as door, socket.socket(type=socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        port, chosen = door.getsockname()[1], client.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as caller:
            own = caller.getsockname()[1]
            found = listening(os.getpid(), MINE)
    assert f"{port}/tcp" in found
    assert {f"{own}/tcp", f"{chosen}/udp"}.isdisjoint(found)
    assert list(found) == sorted(found, key=lambda each: (int(each.partition("/")[0]), each))


def test_a_process_of_another_container() -> None:
    """A number that is another's, or nobody's by now, tells nothing of the container."""
    with socket.create_server(("127.0.0.1", 0)):
        assert listening(os.getpid(), MINE)
        assert listening(os.getpid(), "0123456789abcdef") == ()
        ended = subprocess.Popen(["true"])
        ended.wait()
        assert listening(ended.pid, MINE) == ()
        assert listening(0, MINE) == ()
