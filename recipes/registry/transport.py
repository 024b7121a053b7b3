"""The way to one registry, and to where it sends us: attempts, and redirections that are checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from recipes.errors import Unavailable
from recipes.oci.reference import ImageName
from recipes.registry import hosts
from recipes.registry.addresses import Guard, origin, unsafe
from recipes.registry.answer import Answer
from recipes.registry.session import READ_SECONDS, backoff, check_name, is_retryable, new_session

SECONDS = (hosts.SECONDS, READ_SECONDS)
"""For connecting, and for each answer."""

_MAX_REDIRECTS = 5
_SAFE = ("GET", "HEAD")
_RETRIED = (500, 502, 503, 504)


class Body(Protocol):
    """What is sent: a size, and the bytes, from the start each time they are asked for."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


class Transport:
    """Requests to the registry of `image` and to where it sends us; several threads may use it.

    `retries` is how often a GET or HEAD is asked again that fails in passing; `insecure` accepts any certificate.
    """

    def __init__(self, image: ImageName, retries: int, *, insecure: bool) -> None:
        self._image = image
        self._retries = retries
        self.guard = Guard(image)
        self._session = new_session(self.guard, insecure=insecure)

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body | bytes | None = None,
        seconds: tuple[float, float] = SECONDS,
    ) -> Answer:
        """One request, wherever it goes. Raises what requests raises, and what a `Guard` does."""
        from requests import RequestException

        left = self._retries if method in _SAFE else 0
        while True:
            try:
                answer = self._send(method, url, headers, body, seconds)
                if answer.status not in _RETRIED or not left:
                    return answer
                answer.close()
            except RequestException as error:
                if not left or not is_retryable(error):
                    raise
            time.sleep(backoff(self._retries - left))
            left -= 1

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body | bytes | None,
        seconds: tuple[float, float],
    ) -> Answer:
        response = self._session.request(
            method,
            url,
            headers=dict(headers),
            data=body,
            stream=True,
            timeout=seconds,
            verify=self._session.verify,  # said again, or REQUESTS_CA_BUNDLE would count for more
            allow_redirects=False,
        )
        return Answer(response, self._image)

    def open(self, host: str) -> str:
        """`https://HOST` of the registry. On this machine it may be `http://`: one with a certificate keeps its TLS.

        Raises: ConnectionError of requests where the name of the host is not known.
        """
        self.guard.origin = origin(f"http://{host}")
        if self._image.is_loopback and self._speaks_http(host):
            return f"http://{host}"
        self.guard.origin = origin(f"https://{host}")
        check_name(f"https://{host}")
        return f"https://{host}"

    def _speaks_http(self, host: str) -> bool:
        from requests import RequestException

        try:
            # A TLS server answers plain HTTP with 400 or not at all; a registry never answers this with 400.
            with self._send("GET", f"http://{host}/v2/", {}, None, (hosts.SECONDS, hosts.SECONDS)) as answer:
                return answer.status != 400
        except RequestException:
            return False

    def redirected(self, method: str, url: str, hop: Callable[[str], Answer]) -> Answer:
        """What `hop` answers for `url`, or for the address that it is redirected to in the end.

        Only 307 and 308 say to send once more what was sent. Raises: BadInput for where it is not safe to go.
        """
        for _ in range(_MAX_REDIRECTS + 1):
            answer = hop(url)
            if answer.status not in ((301, 302, 303, 307, 308) if method in _SAFE else (307, 308)):
                return answer
            answer.close()
            url = self.follow(url, answer.headers.get("Location", ""), sending=method not in _SAFE)
        raise Unavailable(f"{self._image.host} redirects more than {_MAX_REDIRECTS} times")

    def follow(self, url: str, location: str, *, sending: bool) -> str:
        """The address that a Location of an answer to `url` means; `sending`: something of ours goes there.

        Raises: BadInput for one that is not safe: without TLS, or nearer to us than the registry is.
        """
        if not location:
            raise Unavailable(f"{self._image.host} sent an invalid registry response: no Location header")
        target = urljoin(url, location)
        why = self.guard.objection(target, plain=not sending)
        if not why and (origin(url)[0], origin(target)[0]) == ("https", "http"):
            why = "it is plain HTTP"
        if why:
            hint = ""
            if urlsplit(target).hostname == self.guard.origin[1]:
                hint = "does the proxy before the registry pass on X-Forwarded-Proto and Host?"
            raise unsafe(self._image, target, why, hint)
        return target
