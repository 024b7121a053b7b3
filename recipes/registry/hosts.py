"""Whether the name of a registry's host is known, before it is asked."""

from __future__ import annotations

SECONDS = 3.0
"""Seconds after which a name counts as unknown."""


def look_up(host: str) -> None:
    """Raises OSError where the name is not found in time: the resolver has no time-out of its own."""
    import socket
    import threading

    failures: list[OSError | None] = []

    def ask() -> None:
        try:
            socket.getaddrinfo(host, None)
            failures.append(None)
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(SECONDS)
    if not failures:
        raise TimeoutError(f"looking up {host} timed out")
    if failures[0]:
        raise failures[0]
