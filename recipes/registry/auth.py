"""How to authenticate to a registry: basic logins, and tokens for exactly what will be done.

Source: Docker Registry HTTP API V2, "Authentication", "Token Scope" and "OAuth 2".
"""

from __future__ import annotations

import base64
import json
import threading
from urllib.parse import urlencode, urlsplit, urlunsplit

from recipes.errors import BadArchive, BadInput, Unavailable, shortened
from recipes.oci.reference import ImageName
from recipes.registry.addresses import origin
from recipes.registry.answer import Answer
from recipes.registry.challenges import Challenge, read_challenges
from recipes.registry.credentials import IDENTITY, Login, find_login
from recipes.registry.error_responses import RETRYABLE, Retryable
from recipes.registry.transport import Transport

_MAX_TOKEN_BYTES = 1 << 20

Scopes = tuple[str, ...]


class Auth:
    """The Authorization headers of one repository, by the scopes that they open; several threads may use it.

    `user` is who was logged in, "" for a visitor.
    """

    def __init__(self, image: ImageName, transport: Transport) -> None:
        self.user = ""
        self._image = image
        self._transport = transport
        self._lock = threading.Lock()
        self._login: Login | None = None
        self._looked_for_login = False
        self._known: dict[Scopes, str] = {}

    def known(self, scopes: Scopes) -> str:
        """The header that has opened these scopes before, "" for none."""
        return self._known.get(scopes, "")

    def answer(self, header: str, scopes: Scopes, refused: str) -> str:
        """The header that answers a WWW-Authenticate header, "" for none. One thread at a time asks for it.

        Raises: BadInput where the login would have to go to a place that is not safe; Unavailable where the token
        server fails.
        """
        with self._lock:
            known = self.known(scopes)
            if known != refused:
                return known  # another thread has just got it
            if not self._looked_for_login:
                self._looked_for_login, self._login = True, find_login(self._image.host)
                if self._login:
                    self.user = self._login[0]
            challenges = read_challenges(header)
            if "bearer" in challenges:
                token = self._token(challenges["bearer"], scopes)
                self._known[scopes] = f"Bearer {token}" if token else ""
            elif "basic" in challenges and self._login and self._login[0] != IDENTITY:
                self._known[scopes] = _basic(self._login)
            return self.known(scopes)

    def _token(self, challenge: Challenge, scopes: Scopes) -> str:
        asked = challenge.parameters
        realm = asked.get("realm", "")
        if why := self._transport.guard.objection(realm, plain=True):
            raise BadInput(
                f"{self._image.host} asks to send the login to {shortened(realm)!r}, which is not safe: {why}"
            )
        # What will be done, too, and not only what the first question was: some registries answer a push with a token
        # for pulling by an error, not by a new challenge.
        wanted = list(dict.fromkeys((*scopes, *asked.get("scope", "").split())))
        with self._request(realm, asked.get("service", ""), wanted) as answer:
            if answer.status in RETRYABLE:
                answered = f"{answer.status} {answer.reason}"
                raise Retryable(f"{_host(realm)}, the token server, answered {answered}", hint="try again later")
            return self._read(answer, realm) if answer.status == 200 else ""

    def _request(self, realm: str, service: str, scopes: list[str]) -> Answer:
        """A login goes in a header, an identity token in a form; a visitor asks without either."""
        about = {"service": service} if service else {}
        if self._login and self._login[0] == IDENTITY:
            form = {**about, "grant_type": "refresh_token", "client_id": "fromscratch", "scope": " ".join(scopes)}
            form["refresh_token"] = self._login[1]
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._send("POST", realm, headers, urlencode(form).encode())
        parts = urlsplit(realm)
        query = "&".join(filter(None, (parts.query, urlencode({**about, "scope": scopes}, doseq=True))))
        url = urlunsplit((*parts[:3], query, ""))
        return self._send("GET", url, {"Authorization": _basic(self._login)} if self._login else {}, None)

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
        def hop(to: str) -> Answer:
            if origin(to) != origin(url):
                raise Unavailable(f"{_host(url)}, the token server, redirects the login to {_host(to)}")
            return self._transport.send(method, to, headers, body)

        return self._transport.redirected(method, url, hop)

    @staticmethod
    def _read(answer: Answer, realm: str) -> str:
        try:
            found = json.loads(answer.body(_MAX_TOKEN_BYTES, "its token"))
            return str(found.get("token") or found.get("access_token") or "")
        except (AttributeError, ValueError, RecursionError, BadArchive) as error:
            raise Unavailable(f"{_host(realm)} sent an invalid token response") from error


def _basic(login: Login) -> str:
    return f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"


def _host(url: str) -> str:
    """Host and port, without a login that a realm may hold."""
    return shortened(urlsplit(url).netloc.rpartition("@")[2])
