"""What can be told of a registry's host before it is asked: whether its name is known, and whether it speaks TLS."""

from __future__ import annotations

import re

SECONDS = 3.0
"""Who does not answer in that time is not there."""


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


def speaks_http(host: str) -> bool:
    """Whether a registry on this machine speaks plain HTTP: one with a certificate keeps its TLS."""
    import http.client

    name, _, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "80")
    connection = http.client.HTTPConnection(name.strip("[]"), int(port), timeout=SECONDS)
    try:
        connection.request("GET", "/v2/")
        # A TLS server answers plain HTTP with 400 or not at all; a registry never answers this with 400.
        return connection.getresponse().status != 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
