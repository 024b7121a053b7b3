"""Images from a registry, through oras: the one place that imports it.

What oras does: names to addresses, sessions, bearer tokens. What is ours: time-outs, retries that a user can wait for,
basic logins, digests, and resuming a download that broke off.
Source: OCI distribution-spec, "Pull"; Docker Registry HTTP API V2, "Authentication".
"""

from __future__ import annotations

import re
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, cast

from recipes import notes
from recipes.errors import BadArchive, BadInput, RecipeError, Unavailable
from recipes.model import BaseImage, Descriptor, Platform
from recipes.package.credentials import Login, find_login
from recipes.package.manifests import INDEXES, MANIFESTS, MAX_MANIFEST_BYTES, read_image
from recipes.package.reach import Unreachable
from recipes.package.reference import DOCKER_HUB, ImageName
from recipes.package.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oras.provider import Registry
    from requests import PreparedRequest, Response

CONNECT_SECONDS = 3.0
READ_SECONDS = 30.0
ATTEMPTS = 4
BACKOFF_SECONDS = 0.25
_CHUNK = 1 << 18


def find(image: ImageName) -> Remote:
    """Ask the registry what the image's tag or digest stands for.

    Raises: Unreachable, Unavailable (not there, or no access), BadArchive.
    """
    return Remote(image)


def pull(remote: Remote, name: str, platform: Platform, store: Store) -> BaseImage:
    """The image for `platform`, with its layers in the store.

    Raises: Unavailable (not for this platform, or broken off), BadArchive (a digest is wrong).
    """
    return read_image(
        name, remote.start, platform, store, read=remote.manifest, fetch=lambda at: remote.fetch(at, store)
    )


class Remote:
    """One repository of a registry."""

    def __init__(self, image: ImageName) -> None:
        self.image = image
        host = "registry-1.docker.io" if image.host == DOCKER_HUB else image.host
        with _as_our_errors(image):
            self._client = _client(image)
            # Not oras's Container: it takes the first part of "my.team/app" for a host.
            self._url = f"{self._client.prefix}://{host}/v2/{image.repository}"
            _resolve_host(self._url)
        self._known: dict[str, bytes] = {}
        self.start = self._find()

    def _find(self) -> Descriptor:
        data, media_type, digest = self._get_manifest(self.image.digest or self.image.tag)
        if self.image.digest:
            digest = self.image.digest
        self._known[digest] = data
        return Descriptor(media_type, digest, len(data))

    def manifest(self, descriptor: Descriptor) -> bytes:
        if descriptor.digest not in self._known:
            self._known[descriptor.digest] = self._get_manifest(descriptor.digest)[0]
        return self._known[descriptor.digest]

    def fetch(self, descriptor: Descriptor, store: Store) -> None:
        """Stream a blob into the store; a broken connection is taken up where it broke."""
        url = f"{self._url}/blobs/{descriptor.digest}"
        title = f"{self.image.repository.rpartition('/')[2]} {descriptor.digest[7:19]}"
        with (
            notes.progress(title, descriptor.size, "bytes") as advance,
            store.writer(expect=descriptor.digest) as writer,
        ):
            done = 0
            for attempt in range(ATTEMPTS):
                broken = None
                for data in self._stream(url, done):
                    if isinstance(data, Exception):
                        broken = data
                        break
                    done += len(data)
                    if done > descriptor.size:
                        raise BadArchive(f"{self.image}: blob {descriptor.digest} is longer than its manifest says")
                    writer.write(data)
                    advance(len(data))
                if broken is None or done == descriptor.size:
                    return
                time.sleep(BACKOFF_SECONDS * 2**attempt)
            raise Unavailable(
                f"{self.image.host} broke off {ATTEMPTS} times while sending {descriptor.digest}",
                hint="try again; what is complete is kept",
            )

    def _stream(self, url: str, start: int) -> Iterator[bytes | Exception]:
        """The blob's bytes from `start` on, at the end the exception if the connection broke."""
        from urllib3.exceptions import HTTPError

        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        with closing(self._ask(url, headers)) as response:
            self._check(response, "a blob")
            skip = 0 if response.status_code == 206 else start
            try:
                # raw: the bytes as they are; a Content-Encoding must not be undone, or the digest would be wrong
                for data in response.raw.stream(_CHUNK, decode_content=False):
                    if skip < len(data):
                        yield data[skip:]
                    skip = max(0, skip - len(data))
            except (HTTPError, OSError) as error:
                yield error

    def _get_manifest(self, selector: str) -> tuple[bytes, str, str]:
        """(bytes, media type, digest) of a manifest or an index."""
        import hashlib

        url = f"{self._url}/manifests/{selector}"
        accept = {"Accept": ", ".join((*INDEXES, *MANIFESTS))}
        with closing(self._ask(url, accept)) as response:
            self._check(response, f"{self.image}")
            data = self._body(response)
            actual = f"sha256:{hashlib.sha256(data).hexdigest()}"
            # A proxy in between may send something else with "200": the registry's own word tells.
            promised = response.headers.get("Docker-Content-Digest", actual)
            if promised.startswith("sha256:") and promised != actual:
                raise BadArchive(f"{self.image}: the manifest that came has digest {actual}, not {promised}")
            return data, response.headers.get("Content-Type", "").partition(";")[0].strip(), actual

    def _body(self, response: Response) -> bytes:
        from requests import RequestException

        data = bytearray()
        try:
            for chunk in response.iter_content(_CHUNK):
                data += chunk
                if len(data) > MAX_MANIFEST_BYTES:
                    raise BadArchive(f"{self.image}: its manifest has more than {MAX_MANIFEST_BYTES} bytes")
        except RequestException as error:
            raise Unavailable(f"{self.image.host} broke off: {_plain(error)}", hint="try again") from error
        return bytes(data)

    def _ask(self, url: str, headers: dict[str, str]) -> Response:
        with _as_our_errors(self.image):
            return cast("Response", self._client.do_request(url, "GET", headers=headers, stream=True))

    def _check(self, response: Response, what: str) -> None:
        code = response.status_code
        if code in (200, 206):
            return
        host, login = self.image.host, "Docker Hub" if self.image.host == DOCKER_HUB else self.image.host
        if code in (401, 403):
            logged_in = "refused the login" if getattr(self._client, "login", None) else "asks for a login"
            # Registries hide what a visitor may not see, so this can also be a name that does not exist.
            raise Unavailable(
                f"{login} {logged_in} for {self.image.repository}", hint=f"docker login {host}; or is the name wrong?"
            )
        if code == 404:
            raise Unavailable(f"{what} is not in the registry", hint="check the name and the tag")
        if code == 429:
            raise Unavailable(f"{login} wants fewer requests (429)", hint="wait a while, or docker login")
        raise Unavailable(f"{login} answered {code} {response.reason} for {what}", hint="try again later")


def _client(image: ImageName) -> Registry:
    """An oras client with time-outs, retries with backoff, and the login that `docker login` left."""
    from oras.auth.utils import parse_auth_header
    from oras.provider import Registry
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    class Adapter(HTTPAdapter):
        def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
            kwargs["timeout"] = (CONNECT_SECONDS, READ_SECONDS)
            return super().send(request, *args, **kwargs)

    class Client(Registry):  # type: ignore[misc]  # oras ships no types
        login: Login | None = None
        _asked = False
        _basic = False

        def do_request(
            self, url: str, method: str = "GET", *, headers: dict[str, str], stream: bool = False, **_: object
        ) -> Response:
            # oras's own would sleep for two minutes before it says that a host is not there, and knows no basic logins.
            response = self._send(method, url, headers, stream)
            if response.status_code != 401:
                return response
            challenge = response.headers.get("WWW-Authenticate", "")
            response.close()
            if not self._asked:
                self._asked, self.login = True, find_login(image.host)
                if self.login:
                    self.auth.set_basic_auth(*self.login)
            scheme = challenge.partition(" ")[0].lower()
            if scheme == "basic" and self.login:
                self._basic = True
            elif scheme == "bearer":
                where = parse_auth_header(challenge)
                if not re.match("https:" if not image.is_loopback else "https?:", where.realm or ""):
                    raise BadInput(f"{image.host} asks to send the login to {where.realm!r}, which is not safe")
                # The answer to an old token is a new one, for the scope that is asked for now.
                get_token = self.auth.request_token if self.login else self.auth.request_anonymous_token
                self.auth.token = get_token(where)
            return self._send(method, url, headers, stream)

        def _send(self, method: str, url: str, headers: dict[str, str], stream: bool) -> Response:
            known = self.auth.get_auth_header()
            if self._basic:
                known = {"Authorization": f"Basic {self.auth._basic_auth}"}
            answer = self.session.request(method, url, headers={**headers, **known}, stream=stream)
            return cast("Response", answer)

    client = Client(insecure=image.is_loopback and _speaks_http(image.host))
    retry = Retry(
        total=ATTEMPTS - 1,
        connect=0,  # who does not answer once is not there
        backoff_factor=BACKOFF_SECONDS,
        status_forcelist=(500, 502, 503, 504),
        allowed_methods=("GET", "HEAD"),
        raise_on_status=False,
        respect_retry_after_header=False,  # it may ask for an hour
    )
    for scheme in ("https://", "http://"):
        client.session.mount(scheme, Adapter(max_retries=retry))
    client.session.auth = lambda request: request  # or requests would put in what ~/.netrc holds for the host
    return client


def _resolve_host(url: str) -> None:
    """Raises ConnectionError where the host's name is not found in time: the resolver has no time-out of its own."""
    import socket
    import threading
    from urllib.parse import urlsplit

    from requests.exceptions import ConnectionError as Broken
    from requests.utils import get_environ_proxies

    host = urlsplit(url).hostname or ""
    if get_environ_proxies(url):
        return  # then the proxy looks it up
    failures: list[OSError | None] = []

    def look_up() -> None:
        try:
            socket.getaddrinfo(host, None)
            failures.append(None)
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    if not failures:
        raise Broken(f"looking up {host} timed out")
    if failures[0]:
        raise Broken(str(failures[0]))


def _speaks_http(host: str) -> bool:
    """Whether a registry on this machine speaks plain HTTP: one with a certificate keeps its TLS."""
    import http.client

    name, _, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "80")
    connection = http.client.HTTPConnection(name.strip("[]"), int(port), timeout=CONNECT_SECONDS)
    try:
        connection.request("GET", "/v2/")
        # A TLS server answers plain HTTP with 400 or not at all; a registry never answers this with 400.
        return connection.getresponse().status != 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def _as_our_errors(image: ImageName) -> Iterator[None]:
    import requests
    from requests.exceptions import ConnectionError as Broken
    from requests.exceptions import SSLError, Timeout

    try:
        yield
    except SSLError as error:
        raise Unavailable(
            f"{image.host} cannot be trusted: {_plain(error)}",
            hint="put its authority's certificate into the system's store, or name it in REQUESTS_CA_BUNDLE",
        ) from error
    except (Broken, Timeout) as error:
        raise Unreachable(f"{image.host} cannot be reached: {_plain(error)}", hint="is there a network?") from error
    except requests.RequestException as error:
        raise Unavailable(f"{image.host} does not answer as a registry does: {_plain(error)}") from error
    except (ValueError, KeyError) as error:
        if isinstance(error, RecipeError):
            raise
        raise Unavailable(f"{image.host} does not answer as a registry does: {error}") from error


def _plain(error: BaseException) -> str:
    """The innermost cause in the words of the operating system: `Connection refused`, not a page of objects."""
    text = str(error)
    for pattern in (r"\[Errno -?\d+\] ([^'\")>]+)", r"(Read timed out|timed out|certificate verify failed[^(]*)"):
        if match := re.search(pattern, text):
            return match[1].strip()
    return text.rpartition(": ")[2].strip("()'\" ") or type(error).__name__
