"""A small proxy before a real Docker Engine that misbehaves on request."""

from __future__ import annotations

import contextlib
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 1 << 16


@contextlib.contextmanager
def between(engine: str, faults: dict[str, str]) -> Iterator[str]:
    """The address of a proxy before the engine at the socket `engine`.

    `faults` says what goes wrong with requests whose "METHOD path" holds a text: "500" answers so, "drop N" hangs up
    after N bytes of the answer.
    """

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self._pass_on()

        def _pass_on(self) -> None:
            head, _, rest = _read_head(self.request).partition(b"\r\n\r\n")
            request = head.partition(b"\r\n")[0].decode()
            fault, _, count = next((fault for text, fault in faults.items() if text in request), "").partition(" ")
            if fault == "500":
                answer = b'HTTP/1.1 500 Oh\r\nContent-Length: 22\r\nConnection: close\r\n\r\n{"message": "no disk"}'
                self.request.sendall(answer)
                return
            if b"Upgrade: tcp" not in head:  # one request a connection: each is looked at
                head = head.replace(b"Connection: keep-alive\r\n", b"") + b"\r\nConnection: close"
            with socket.socket(socket.AF_UNIX) as upstream:
                upstream.connect(engine.removeprefix("unix://"))
                upstream.sendall(head + b"\r\n\r\n" + rest)
                up = threading.Thread(target=_pump, args=(self.request, upstream), daemon=True)
                up.start()
                _pump(upstream, self.request, int(count) if fault == "drop" else None)
                with contextlib.suppress(OSError):
                    self.request.shutdown(socket.SHUT_RDWR)
                up.join()

    folder = Path(tempfile.mkdtemp(prefix="proxy-"))  # not under pytest's: a socket's path may have 107 bytes
    with socketserver.ThreadingUnixStreamServer(str(folder / "socket"), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"unix://{folder}/socket"
        finally:
            server.shutdown()
            thread.join()
            shutil.rmtree(folder)


def _read_head(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data and (more := connection.recv(_CHUNK)):
        data += more
    return data


def _pump(source: socket.socket, sink: socket.socket, left: int | None = None) -> None:
    """Pass on what comes, at most `left` bytes, and then that no more will come."""
    with contextlib.suppress(OSError):
        while (left is None or left > 0) and (data := source.recv(_CHUNK if left is None else min(_CHUNK, left))):
            sink.sendall(data)
            left = None if left is None else left - len(data)
        sink.shutdown(socket.SHUT_WR)
