"""One repository of a registry, asked in HTTP: addresses and logins. Pulls and pushes go through it.

Source: OCI distribution-spec; Docker Registry HTTP API V2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from recipes.errors import BadArchive, BadInput, Unavailable
from recipes.oci.reference import DOCKER_HUB, ImageName
from recipes.registry.addresses import origin
from recipes.registry.answer import Answer
from recipes.registry.auth import Auth
from recipes.registry.error_responses import ErrorResponse
from recipes.registry.session import ATTEMPTS, our_errors
from recipes.registry.transport import SECONDS, Body, Transport

_MAX_ERROR_BYTES = 1 << 16

Actions = Literal["pull", "pull,push"]


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
        self._transport = Transport(image, retries, insecure=insecure)
        with our_errors(image):
            self.url = f"{self._transport.open(host)}/v2/{image.repository}"
        self._auth = Auth(image, self._transport)

    @staticmethod
    def check_insecure(image: ImageName) -> None:
        """Raises: BadInput where `insecure` would expose a connection to another machine to a man in the middle."""
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
        seconds: tuple[float, float] = SECONDS,
    ) -> Answer:
        """Send one request. `where` is beneath the repository, or a whole address that the registry gave.

        `also_pull` is another repository that a token has to open; `seconds` are for connecting and for each answer.
        Raises: Unreachable also where a connection broke; BadInput for a redirection that is not safe to follow.
        """
        url = where if "://" in where else f"{self.url}/{where}"
        scopes = (self._scope, f"repository:{also_pull}:pull") if also_pull else (self._scope,)
        with our_errors(self.image):
            return self._transport.redirected(
                method, url, lambda url: self._ask(method, url, headers, body, scopes, seconds)
            )

    def follow(self, url: str, location: str) -> str:
        """The address that a Location of an answer to `url` means, where something of ours may be sent to it.

        Raises: BadInput for one that is not safe: without TLS, or nearer to us than the registry is.
        """
        with our_errors(self.image):
            return self._transport.follow(url, location, sending=True)

    def error_of(self, answer: Answer, what: str, *, pushing: bool = False) -> Unavailable:
        """The error that an answer is; it is read and closed."""
        with answer:
            try:
                document = answer.body(_MAX_ERROR_BYTES)
            except (Unavailable, BadArchive):
                document = b""
        found = ErrorResponse(
            image=self.image,
            status=answer.status,
            reason=answer.reason,
            document=document,
            user=self._auth.user,
            wait=answer.wait,
        )
        return found.error(what, pushing=pushing)

    def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body | bytes | None,
        scopes: tuple[str, ...],
        seconds: tuple[float, float],
    ) -> Answer:
        # An address elsewhere carries its own authorization, and must not see ours.
        ours = origin(url) == self._transport.guard.origin

        def send(authorization: str) -> Answer:
            more = {"Authorization": authorization} if authorization else {}
            return self._transport.send(method, url, {**headers, **more}, body, seconds)

        authorization = self._auth.known(scopes) if ours else ""
        answer = send(authorization)
        if answer.status != 401 or not ours:
            return answer
        try:
            better = self._auth.answer(answer.headers.get("WWW-Authenticate", ""), scopes, authorization)
        except BaseException:
            answer.close()
            raise
        if better in ("", authorization):
            return answer
        answer.close()
        return send(better)
