"""A small proxy before a real registry that misbehaves on request, as no well-kept registry does."""

from __future__ import annotations

import base64
import contextlib
import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.fixtures_registry import PASSWORD, USER

IDENTITY_TOKEN = "who I am"  # noqa: S105  # nobody's


class Proxy:
    """Passes requests on to `upstream`. `faults` says what goes wrong with those whose "METHOD path" holds a text.

    One after the other: "503" answers so; "drop N" hangs up after N bytes of the body of the answer; "swap TEXT"
    replaces that; "cut N" hangs up after N bytes of the body of the request; "lose" passes it on and hangs up instead
    of answering; "delay N" waits N seconds first; "slow N" reads the request's body at N bytes a second; "locate URL"
    is the Location of the answer; "wait N" asks to come back in N seconds. With `tokens` it asks for a bearer token,
    which it gives to USER and to whoever has IDENTITY_TOKEN (or, with `anonymous`, to everybody): one that opens
    exactly the scopes that were asked for. It sends the challenges `also` before the one that can be met.
    """

    def __init__(
        self, upstream: str, *, tokens: bool = False, anonymous: bool = False, also: tuple[str, ...] = ()
    ) -> None:
        self.also = also
        self.upstream, self.tokens, self.anonymous = upstream, tokens, anonymous
        self.faults: dict[str, list[str]] = {}
        self.seen: Counter[str] = Counter()
        self.methods: Counter[str] = Counter()
        self.ranges: list[str] = []
        self.body_bytes = 0
        self.connections = 0
        self.host = ""


def scopes_of(method: str, path: str) -> set[str]:
    """What a request needs, as a token server's scopes. Source: Docker Registry HTTP API V2, "Token Scope"."""
    parts = urlsplit(path)
    repository = parts.path.removeprefix("/v2/").partition("/blobs/")[0].partition("/manifests/")[0]
    actions = "pull" if method in ("GET", "HEAD") else "pull,push"
    return {f"repository:{repository}:{actions}"} | {
        f"repository:{name}:pull" for name in parse_qs(parts.query).get("from", ())
    }


def opens(token: set[str], wanted: set[str]) -> bool:
    return all(scope in token or scope.replace(":pull", ":pull,push") in token for scope in wanted)


@contextlib.contextmanager
def serving(proxy: Proxy) -> Iterator[Proxy]:
    """Run the proxy on a free port of the loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            proxy.connections += 1

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            proxy.seen[self.path] += 1
            proxy.methods[self.command] += 1
            if self.headers.get("Range"):
                proxy.ranges.append(self.headers["Range"])
            if self.path.startswith("/token"):
                self._give_token()
                return
            wanted = scopes_of(self.command, self.path)
            if proxy.tokens and self.path != "/v2/" and not opens(self._token(), wanted):
                scope = " ".join(sorted(wanted))
                challenge = f'Bearer realm="http://{proxy.host}/token",service="cave",scope="{scope}"'
                self._answer(401, b"{}", {"WWW-Authenticate": challenge})
                self.close_connection = True  # what was sent with it is not read
                return
            self._pass_on(self._fault())

        do_HEAD = do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815  # the names are http.server's

        def _fault(self) -> str:
            request = f"{self.command} {self.path}"
            return next((left.pop(0) for text, left in proxy.faults.items() if text in request and left), "")

        def _token(self) -> set[str]:
            _, _, token = self.headers.get("Authorization", "").partition("Bearer ")
            return set(base64.b64decode(token).decode().split()) if token else set()

        def _give_token(self) -> None:
            kind, _, value = self._fault().partition(" ")
            if kind:
                self._answer(200 if kind == "swap" else int(kind), value.encode(), {"Content-Type": "application/json"})
                return
            form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            asked = parse_qs(form or urlsplit(self.path).query)
            wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            known = self.headers.get("Authorization") == wanted or asked.get("refresh_token") == [IDENTITY_TOKEN]
            if proxy.anonymous or known:
                name = b"access_token" if form else b"token"
                token = base64.b64encode(" ".join(asked.get("scope", ())).encode())
                self._answer(200, b'{"%s": "%s"}' % (name, token), {"Content-Type": "application/json"})
            else:
                self._answer(401, b"{}", {})

        def _pass_on(self, fault: str) -> None:
            kind, _, value = fault.partition(" ")
            if kind == "delay":
                time.sleep(float(value))
            if kind.isdigit():
                self._answer(int(kind), value.encode() or b"not now", {"Content-Type": "application/json"})
                self.close_connection = True
                return
            if kind == "wait":
                self._answer(429, b"{}", {"Retry-After": value})
                return
            connection = http.client.HTTPConnection(proxy.upstream, timeout=20)
            try:
                self._send(connection, kind, value)
                response = connection.getresponse()
                body = response.read()
                if kind == "lose":
                    raise ConnectionError
                wanted = ("Content-Type", "Content-Range", "Docker-Content-Digest", "Location", "WWW-Authenticate")
                kept = {name: text for name, text in response.getheaders() if name.title() in map(str.title, wanted)}
                if kind == "swap":
                    body = value.encode()
                if kind == "locate":
                    kept["Location"] = value
                self._answer(response.status, body, kept, int(value) if kind == "drop" else None)
            except (ConnectionError, http.client.HTTPException):
                self.close_connection = True
            finally:
                connection.close()

        def _send(self, connection: http.client.HTTPConnection, kind: str, value: str) -> None:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", proxy.host)  # so that the registry's addresses lead through here
            names = ["Accept", "Range", "Content-Type", "Content-Length"]
            for name in names if proxy.tokens else [*names, "Authorization"]:
                if name in self.headers:
                    connection.putheader(name, self.headers[name])
            connection.endheaders()
            left = int(self.headers.get("Content-Length", 0))
            if kind == "cut":
                left = min(left, int(value))
            while left > 0:
                data = self.rfile.read(min(left, 16384))
                if not data:
                    raise ConnectionError
                connection.send(data)
                proxy.body_bytes += len(data)
                left -= len(data)
                if kind == "slow":
                    time.sleep(len(data) / float(value))
            if kind == "cut":
                raise ConnectionError

        def _answer(self, code: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
            self.send_response(code)
            for challenge in proxy.also if "www-authenticate" in map(str.lower, headers) else ():
                self.send_header("WWW-Authenticate", challenge)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
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
