"""A small proxy before a real registry that misbehaves on request, as no well-kept registry does."""

from __future__ import annotations

import base64
import contextlib
import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.fixtures_registry import PASSWORD, USER

TOKEN = "let-me-in"  # noqa: S105  # that is the test


class Proxy:
    """Passes GET on to `upstream`. `faults` says what goes wrong with requests whose path holds a text.

    One after the other: "503" answers so; "drop N" hangs up after N bytes of the body; "swap TEXT" replaces the body.
    With `tokens` it asks for a bearer token, which it gives to USER (or, with `anonymous`, to everybody).
    """

    def __init__(self, upstream: str, *, tokens: bool = False, anonymous: bool = False) -> None:
        self.upstream, self.tokens, self.anonymous = upstream, tokens, anonymous
        self.faults: dict[str, list[str]] = {}
        self.seen: Counter[str] = Counter()
        self.ranges: list[str] = []
        self.host = ""


@contextlib.contextmanager
def serving(proxy: Proxy) -> Iterator[Proxy]:
    """Run the proxy on a free port of the loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            proxy.seen[self.path] += 1
            if self.headers.get("Range"):
                proxy.ranges.append(self.headers["Range"])
            if self.path.startswith("/token"):
                self._give_token()
            elif proxy.tokens and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                challenge = f'Bearer realm="http://{proxy.host}/token",service="cave",scope="repository:a:pull"'
                self._answer(401, b"{}", {"WWW-Authenticate": challenge})
            else:
                self._pass_on(
                    next((left.pop(0) for text, left in proxy.faults.items() if text in self.path and left), "")
                )

        def _give_token(self) -> None:
            wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            if proxy.anonymous or self.headers.get("Authorization") == wanted:
                self._answer(200, b'{"token": "%s"}' % TOKEN.encode(), {"Content-Type": "application/json"})
            else:
                self._answer(401, b"{}", {})

        def _pass_on(self, fault: str) -> None:
            if fault.isdigit():
                self._answer(int(fault), b"not now", {})
                return
            connection = http.client.HTTPConnection(proxy.upstream, timeout=20)
            try:
                names = ("Accept", "Range")
                headers = {name: self.headers[name] for name in names if name in self.headers}
                connection.request("GET", self.path, headers=headers)
                response = connection.getresponse()
                body = response.read()
                wanted = ("Content-Type", "Content-Range", "Docker-Content-Digest")
                kept = {name: value for name, value in response.getheaders() if name in wanted}
                if fault.startswith("swap"):
                    body = fault[5:].encode()
                self._answer(response.status, body, kept, int(fault[5:]) if fault.startswith("drop") else None)
            finally:
                connection.close()

        def _answer(self, code: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if cut is None else body[:cut])
            if cut is not None:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
