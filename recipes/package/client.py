"""One repository of a registry, asked in HTTP: addresses, time-outs, logins and tokens. Pulls and pushes go through it.

The one place that imports oras and requests. What oras does: asking a token server; it starts slowly, so a registry
that wants no token does without it. What is ours: time-outs and retries that a user can wait for, basic logins, tokens
for what is really done, and where a login may go.
Source: OCI distribution-spec; Docker Registry HTTP API V2, "Authentication" and "Token Scope".
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urljoin, urlsplit

from recipes.errors import BadArchive, BadInput, Unavailable
from recipes.package import hosts
from recipes.package.credentials import Login, find_login
from recipes.package.reach import Unreachable
from recipes.package.reference import DOCKER_HUB, ImageName
from recipes.package.refusals import Refusal

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

READ_SECONDS = 30.0
ATTEMPTS = 4
BACKOFF_SECONDS = 0.25
_CHUNK = 1 << 18
_MAX_ERROR_BYTES = 1 << 16
_MAX_REDIRECTS = 3

Actions = Literal["pull", "pull,push"]


class BrokenOff(Unavailable):
    """The connection broke in the middle of an answer."""


class Body(Protocol):
    """What is sent: a size, and the bytes, from the start each time they are asked for."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


class Client:
    """One repository of a registry; several threads may use it.

    Plain HTTP is spoken with loopback hosts only, and only where they do not speak TLS. `insecure` accepts any
    certificate of such a host. `retries` is how often a GET or HEAD is asked again that fails in passing.
    Raises: Unreachable, BadInput for `insecure` with a host that is not on this machine.
    """

    def __init__(
        self, image: ImageName, actions: Actions = "pull", *, insecure: bool = False, retries: int = ATTEMPTS - 1
    ) -> None:
        if insecure:
            self.check_insecure(image)
        self.image = image
        self.user = ""
        self._scope = f"repository:{image.repository}:{actions}"
        self._lock = threading.Lock()
        self._login: Login | None = None
        self._looked_for_login = False
        self._known: dict[tuple[str, ...], str] = {}  # scopes → Authorization
        host = "registry-1.docker.io" if image.host == DOCKER_HUB else image.host
        with self._our_errors():
            self._session = _session(retries, insecure=insecure)
            scheme = "http" if image.is_loopback and hosts.speaks_http(image.host) else "https"
            self.url = f"{scheme}://{host}/v2/{image.repository}"
            _resolve(self.url)
        self._verify = not insecure

    @staticmethod
    def check_insecure(image: ImageName) -> None:
        """Raises: BadInput where `insecure` would open a connection to another machine to anybody in between."""
        if not image.is_loopback:
            raise BadInput(
                f"--insecure is for registries on this machine, and {image.host} is not on it",
                hint="put its authority's certificate into the system's store, or name it in REQUESTS_CA_BUNDLE",
            )

    def ask(
        self,
        method: str,
        where: str,
        headers: Mapping[str, str] = {},  # never changed
        *,
        body: Body | bytes | None = None,
        also_pull: str = "",
        seconds: tuple[float, float] = (hosts.SECONDS, READ_SECONDS),
    ) -> Answer:
        """Send one request. `where` is beneath the repository, or a whole address that the registry gave.

        `also_pull` is another repository that a token has to open; `seconds` are for connecting and for each answer.
        Raises: Unreachable also where a connection broke; BadInput for a redirection that is not safe to follow.
        """
        url = where if "://" in where else f"{self.url}/{where}"
        scopes = (self._scope, f"repository:{also_pull}:pull") if also_pull else (self._scope,)
        with self._our_errors():
            for _ in range(_MAX_REDIRECTS):
                answer = Answer(self._ask(method, url, dict(headers), body, scopes, seconds), self.image)
                if method in ("GET", "HEAD") or answer.status not in (307, 308):
                    return answer
                answer.close()
                url = self.follow(url, answer.headers.get("Location", ""))
        raise Unavailable(f"{self.image.host} redirects more than {_MAX_REDIRECTS} times")

    def follow(self, url: str, location: str) -> str:
        """The address that a Location of an answer to `url` means, where something of ours may be sent to it.

        Raises: BadInput for another host without TLS, or one that only this machine can reach.
        """
        target = urljoin(url, location)
        if not location:
            raise Unavailable(f"{self.image.host} does not answer as a registry does: it gives no Location")
        if _origin(target) == _origin(self.url):
            return target
        parts = urlsplit(target)
        elsewhere = ImageName(parts.netloc.rpartition("@")[2], "x")
        if parts.scheme != "https" or (elsewhere.is_loopback and not self.image.is_loopback):
            hint = ""
            if parts.hostname == urlsplit(self.url).hostname:
                hint = "does the proxy before the registry pass on X-Forwarded-Proto and Host?"
            raise BadInput(f"{self.image.host} wants the upload at {target!r}, which is not safe", hint)
        return target

    def refusal(self, answer: Answer, what: str, *, pushing: bool = False) -> Unavailable:
        """The error that an answer is; it is read and closed."""
        with answer:
            try:
                document = answer.body(_MAX_ERROR_BYTES)
            except (Unavailable, BadArchive):
                document = b""
        found = Refusal(self.image, answer.status, answer.reason, document, self.user, answer.wait)
        return found.error(what, pushing=pushing)

    # ── logins ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _ask(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Body | bytes | None,
        scopes: tuple[str, ...],
        seconds: tuple[float, float],
    ) -> Response:
        # An address elsewhere carries its own permission, and must not see ours.
        ours = _origin(url) == _origin(self.url)

        def send(permission: str) -> Response:
            return self._session.request(
                method,
                url,
                headers={**headers, **({"Authorization": permission} if permission else {})},
                data=body,
                stream=True,
                timeout=seconds,
                verify=self._verify,
                allow_redirects=method in ("GET", "HEAD"),
            )

        permission = self._known.get(scopes, "") if ours else ""
        response = send(permission)
        if response.status_code != 401 or not ours:
            return response
        better = self._permission(response.headers.get("WWW-Authenticate", ""), scopes, permission)
        if better in ("", permission):
            return response
        response.close()
        return send(better)

    def _permission(self, challenge: str, scopes: tuple[str, ...], refused: str) -> str:
        """What to say in answer to a challenge, "" for nothing. One thread at a time asks for it."""
        with self._lock:
            known = self._known.get(scopes, "")
            if known != refused:
                return known  # somebody else has just got it
            if not self._looked_for_login:
                self._looked_for_login, self._login = True, find_login(self.image.host)
                if self._login:
                    self.user = self._login[0]
            scheme = challenge.partition(" ")[0].lower()
            if scheme == "basic" and self._login:
                self._known[scopes] = f"Basic {base64.b64encode(':'.join(self._login).encode()).decode()}"
            elif scheme == "bearer":
                token = self._token(challenge, scopes)
                self._known[scopes] = f"Bearer {token}" if token else ""
            return self._known.get(scopes, "")

    def _token(self, challenge: str, scopes: tuple[str, ...]) -> str:
        from oras.auth.token import TokenAuth
        from oras.auth.utils import parse_auth_header

        where = parse_auth_header(challenge)
        if not re.match("https:" if not self.image.is_loopback else "https?:", where.realm or ""):
            raise BadInput(f"{self.image.host} asks to send the login to {where.realm!r}, which is not safe")
        # What will be done, too, and not only what the first question was: some registries answer a push with a token
        # for pulling by a refusal, not by a new challenge.
        where.scope = list(dict.fromkeys((*scopes, *(where.scope or "").split())))
        server = TokenAuth()
        server.session, server._tls_verify = self._session, self._verify
        if not self._login:
            return str(server.request_anonymous_token(where) or "")
        server.set_basic_auth(*self._login)
        return str(server.request_token(where) or "")

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        import requests
        from requests.exceptions import ConnectionError as Broken
        from requests.exceptions import SSLError, Timeout

        host = self.image.host
        try:
            yield
        except SSLError as error:
            hint = "put its authority's certificate into the system's store, or name it in REQUESTS_CA_BUNDLE"
            if self.image.is_loopback:
                hint += "; or use --insecure"
            raise Unavailable(f"{host} cannot be trusted: {_plain(error)}", hint) from error
        except (Broken, Timeout) as error:
            hint = "is a registry running there?" if self.image.is_loopback else "is there a network?"
            raise Unreachable(f"{host} cannot be reached: {_plain(error)}", hint) from error
        except (requests.RequestException, ValueError, KeyError) as error:
            raise Unavailable(f"{host} does not answer as a registry does: {_plain(error)}") from error


class Answer:
    """The answer to a request, whose body is still to come. To be closed, or used in a `with` block."""

    def __init__(self, response: Response, image: ImageName) -> None:
        self._response = response
        self._image = image
        self.status = response.status_code
        self.reason = response.reason or ""
        self.headers = response.headers
        self.url = response.url

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._response.close()

    @property
    def wait(self) -> float:
        """How many seconds the registry asks to wait; 0.0 where it does not say so in seconds."""
        text = self.headers.get("Retry-After", "")
        return float(text) if re.fullmatch(r"\d{1,6}", text) else 0.0

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes. Raises: BrokenOff."""
        from urllib3.exceptions import HTTPError

        try:
            # raw: the bytes as they are; a Content-Encoding must not be undone, or the digest would be wrong
            yield from self._response.raw.stream(_CHUNK, decode_content=False)
        except (HTTPError, OSError) as error:
            raise BrokenOff(f"{self._image.host} broke off: {_plain(error)}", hint="try again") from error

    def body(self, limit: int) -> bytes:
        """The whole body, any Content-Encoding undone. Raises: BrokenOff, BadArchive for more than `limit` bytes."""
        from requests import RequestException

        data = bytearray()
        try:
            for chunk in self._response.iter_content(_CHUNK):
                data += chunk
                if len(data) > limit:
                    raise BadArchive(f"{self._image}: its manifest has more than {limit} bytes")
        except RequestException as error:
            raise BrokenOff(f"{self._image.host} broke off: {_plain(error)}", hint="try again") from error
        return bytes(data)


def _session(retries: int, *, insecure: bool) -> Session:
    """A session of requests that keeps no cookies: some registries take one as a sign of a browser."""
    from http.cookiejar import DefaultCookiePolicy

    import requests
    import urllib3

    if insecure:  # that is what was asked for: once is enough
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.auth = lambda request: request  # or requests would put in what ~/.netrc holds for the host
    for scheme in ("https://", "http://"):
        session.mount(scheme, _adapter(retries))
    return session


def _adapter(retries: int) -> Any:
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    class Adapter(HTTPAdapter):
        def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
            kwargs["timeout"] = kwargs.get("timeout") or (hosts.SECONDS, READ_SECONDS)  # oras's own requests have none
            return super().send(request, *args, **kwargs)

    retry = Retry(
        total=retries,
        connect=0,  # who does not answer once is not there
        backoff_factor=BACKOFF_SECONDS,
        status_forcelist=(500, 502, 503, 504) if retries else (),
        allowed_methods=("GET", "HEAD"),
        raise_on_status=False,
        respect_retry_after_header=False,  # it may ask for an hour
    )
    return Adapter(max_retries=retry, pool_maxsize=32)


def _resolve(url: str) -> None:
    from requests.exceptions import ConnectionError as Broken
    from requests.utils import get_environ_proxies

    if get_environ_proxies(url):
        return  # then the proxy looks it up
    try:
        hosts.look_up(urlsplit(url).hostname or "")
    except OSError as error:
        raise Broken(str(error)) from error


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)


def _plain(error: BaseException) -> str:
    """The innermost cause in the words of the operating system: `Connection refused`, not a page of objects."""
    text = str(error)
    for pattern in (r"\[Errno -?\d+\] ([^'\")>]+)", r"(Read timed out|timed out|certificate verify failed[^(]*)"):
        if match := re.search(pattern, text):
            return match[1].strip()
    return text.rpartition(": ")[2].strip("()'\" ") or type(error).__name__
