"""Connections of urllib3 that look at who answers, and at how fast.

Both is done below HTTP: an address is checked before a byte is sent to it, and a server that sends a header, the length
of a chunk or a body one byte at a time is found out by one rule.
"""

from __future__ import annotations

import http.client
import io
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from recipes.errors import Unavailable
from recipes.registry.addresses import Guard

if TYPE_CHECKING:
    import socket


@dataclass(frozen=True, slots=True)
class Pace:
    """What a server has to keep up with: so many bytes in so many seconds of waiting for it."""

    bytes: int
    seconds: float


PACE = Pace(60_000, 60.0)

_STEP_BYTES = 4 << 20
"""What may come for one step (the head of an answer, or a piece of its body of at most `PIECE`), whatever is in it: no
registry comes near it, and we cannot be kept busy with headers, trailers or lengths of chunks that never end."""

PIECE = 1 << 18
"""The most that is read of a body at once, in bytes."""


class _Metered(io.RawIOBase):
    """What comes from a socket. Raises: Unavailable where it is too slow, or does not come to the point."""

    def __init__(self, raw: Any, host: str) -> None:
        self._raw = raw
        self._host = host
        self._is_begun = False
        self._waited = 0.0
        self._came = 0
        self.step = 0
        """Bytes of the step that is under way."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        before = time.monotonic()
        count: int | None = self._raw.readinto(buffer)
        self._weigh(count or 0, time.monotonic() - before)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()

    def _weigh(self, count: int, seconds: float) -> None:
        self.step += count
        if self.step > _STEP_BYTES:
            raise Unavailable(f"{self._host} sends an endless answer", hint="is it a registry?")
        if not self._is_begun:  # how long it may think before it answers is the time-out's matter
            self._is_begun = True
            return
        self._waited += seconds
        self._came += count
        if self._waited >= PACE.seconds:
            if self._came < PACE.bytes:
                found = f"less than {PACE.bytes:,} bytes came in {PACE.seconds:g} s"
                raise Unavailable(f"{self._host} timed out: {found}", hint="try again later")
            self._waited, self._came = 0.0, 0


class _Response(http.client.HTTPResponse):
    """An answer of `host` that is read through a meter."""

    def __init__(self, host: str, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._meter = _Metered(self.fp.detach(), host)
        self.fp = io.BufferedReader(self._meter)

    def read(self, amt: int | None = None) -> bytes:
        self._meter.step = 0
        try:
            return super().read(amt)
        except ValueError as error:  # http.client takes a chunk's length as it comes, also a negative one
            raise http.client.HTTPException(str(error)) from error


class _MeteredConnection:
    """What is changed in urllib3's HTTPConnection."""

    host: str
    port: int

    @property
    def response_class(self) -> Any:
        return partial(_Response, self.host)


def meter(manager: Any) -> None:
    """Let the connections of a urllib3 PoolManager be metered."""
    _use(manager, _MeteredConnection)


def meter_and_check(manager: Any, guard: Guard) -> None:
    """The same; and who answers is checked first."""

    class Checked(_MeteredConnection):
        def _new_conn(self) -> socket.socket:
            made: socket.socket = super()._new_conn()  # type: ignore[misc]  # of urllib3's HTTPConnection
            try:
                guard.check_peer(self.host, self.port, made.getpeername()[0])
            except BaseException:
                made.close()
                raise
            return made

    _use(manager, Checked)


def _use(manager: Any, mixin: type) -> None:
    def pool(known: Any) -> Any:
        return type("Pool", (known,), {"ConnectionCls": type("Connection", (mixin, known.ConnectionCls), {})})

    pools = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: pool(known) for scheme, known in pools.items()}
