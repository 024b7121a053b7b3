"""Small servers that answer what no well-meaning server would, byte for byte, on any address of this machine."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.need import need, need_tool

Script = Callable[[socket.socket, str], None]
"""Is given a connection and the head of the request that came on it, and answers; the connection is closed then."""


@dataclass
class Server:
    """A server that runs. `heads` are the requests that came, without their bodies; `bytes` is all that came."""

    address: str
    port: int
    heads: list[str] = field(default_factory=list)
    bytes: int = 0

    @property
    def host(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@contextlib.contextmanager
def serving_script(
    script: Script, address: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None, proxy: bool = False
) -> Iterator[Server]:
    """Answer every connection by `script`; as a `proxy` it takes each CONNECT for one to itself, and answers inside."""
    listener = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    server = Server(address, listener.getsockname()[1])

    def head_of(connection: socket.socket) -> str:
        data = b""
        while b"\r\n\r\n" not in data and (piece := connection.recv(65536)):
            data += piece
            server.bytes += len(piece)
        server.heads.append(data.decode("latin-1"))
        return server.heads[-1]

    def talk(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if proxy and head_of(connection).startswith("CONNECT "):
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            if tls is not None:
                connection = stack.enter_context(tls.wrap_socket(connection, server_side=True))
            script(connection, head_of(connection))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # it was closed
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # or the thread would wait for ever
        listener.close()
        thread.join()


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer; `_` in the name of a header stands for `-`."""
    fields = {"Content_Length": str(len(body)), **headers, "Connection": "close"}
    lines = [f"HTTP/1.1 {status} Said", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


def always(data: bytes) -> Script:
    """A script that answers everything so."""
    return lambda connection, head: connection.sendall(data)


def endless(start: bytes, piece: bytes) -> Script:
    """A script that sends `start`, and then `piece` until nobody listens any more."""

    def script(connection: socket.socket, head: str) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(piece)

    return script


def own_address() -> str:
    """An address of this machine that others can reach, too."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect(("198.51.100.1", 9))  # sends nothing: it only chooses a way
        address: str = asked.getsockname()[0]
        if not address.startswith("127."):
            return address
    need(False, "an address beside the loopback's")
    raise AssertionError


def certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
    """A certificate for these names (`DNS:…`, `IP:…`), ready to serve with, and its file for those who shall trust."""
    key, file = folder / "key.pem", folder / "cert.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=cave"]
    words += ["-addext", f"subjectAltName={','.join(names)}", "-keyout", str(key), "-out", str(file)]
    subprocess.run([need_tool("openssl"), *words], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return context, file
