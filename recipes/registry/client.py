"""One repository of a registry, asked in HTTP: addresses, redirections and logins. Pulls and pushes go through it.

Source: OCI distribution-spec; Docker Registry HTTP API V2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import urljoin, urlsplit

from recipes.errors import BadArchive, BadInput, Unavailable
from recipes.package.reference import DOCKER_HUB, ImageName
from recipes.registry import hosts
from recipes.registry.permission import Permissions
from recipes.registry.refusals import Refusal
from recipes.registry.session import ATTEMPTS, READ_SECONDS, check_name, new_session, our_errors, plain

if TYPE_CHECKING:
    from requests import Response

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
        self._scope = f"repository:{image.repository}:{actions}"
        host = "registry-1.docker.io" if image.host == DOCKER_HUB else image.host
        with our_errors(image):
            self._session = new_session(retries, insecure=insecure)
            scheme = "http" if image.is_loopback and hosts.speaks_http(image.host) else "https"
            self.url = f"{scheme}://{host}/v2/{image.repository}"
            check_name(self.url)
        self._permissions = Permissions(image, self._session)

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
        with our_errors(self.image):
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
        with our_errors(self.image):
            return self._checked(urljoin(url, location) if location else "")

    def _checked(self, target: str) -> str:
        if not target:
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
        found = Refusal(self.image, answer.status, answer.reason, document, self._permissions.user, answer.wait)
        return found.error(what, pushing=pushing)

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
                verify=self._session.verify,  # said again, or REQUESTS_CA_BUNDLE would count for more
                allow_redirects=method in ("GET", "HEAD"),
            )

        permission = self._permissions.known(scopes) if ours else ""
        response = send(permission)
        if response.status_code != 401 or not ours:
            return response
        better = self._permissions.answer(response.headers.get("WWW-Authenticate", ""), scopes, permission)
        if better in ("", permission):
            return response
        response.close()
        return send(better)


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
            raise BrokenOff(f"{self._image.host} broke off: {plain(error)}", hint="try again") from error

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
            raise BrokenOff(f"{self._image.host} broke off: {plain(error)}", hint="try again") from error
        return bytes(data)


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
