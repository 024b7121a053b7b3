"""The ports on which the program listens, from the tables of its network namespace, which is also that of its watcher.

Source: Linux, Documentation/networking/proc_net_tcp.rst; include/net/tcp_states.h.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # without importing `typing`
    from collections.abc import Iterator

_TABLES = (("tcp", b"0A"), ("tcp6", b"0A"), ("udp", b"07"), ("udp6", b"07"))
"""The table of each protocol, and the state in it of a socket that waits for others: TCP_LISTEN, and unconnected."""

_RANGE = "sys/net/ipv4/ip_local_port_range"
_MOST_BYTES = 1 << 18
"""Of one table: a program may open a great many sockets."""
_MOST_PORTS = 16


def listening(proc: int) -> list[str]:
    """Such as `8080/tcp`, sorted by number; `proc` is a descriptor of a /proc that shows this process.

    A UDP port that the kernel chose is that of a client, which waits for its answer.
    """
    words = _read(proc, _RANGE).split()
    chosen = range(int(words[0]), int(words[1]) + 1) if len(words) == 2 else range(32768, 61000)
    found = {
        (port, name[:3])
        for name, state in _TABLES
        for port in _ports(_read(proc, f"self/net/{name}"), state)
        if name.startswith("tcp") or port not in chosen
    }
    return [f"{port}/{protocol}" for port, protocol in sorted(found)[:_MOST_PORTS]]


def _ports(table: bytes, state: bytes) -> Iterator[int]:
    """Of a line `number: address:port address:port state …`, all in hexadecimal; the last one may be cut off."""
    for line in table.splitlines()[1:]:
        words = line.split(None, 4)
        if len(words) == 5 and words[3] == state:
            yield int(words[1].rpartition(b":")[2], 16)


def _read(proc: int, path: str) -> bytes:
    """The beginning of a file of /proc; nothing where there is no such file."""
    try:
        file = os.open(path, os.O_RDONLY, dir_fd=proc)
    except OSError:
        return b""
    pieces, left = [], _MOST_BYTES
    try:
        while left > 0 and (piece := os.read(file, min(left, 1 << 16))):
            pieces.append(piece)
            left -= len(piece)
    except OSError:
        pass
    finally:
        os.close(file)
    return b"".join(pieces)
