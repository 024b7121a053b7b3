"""What to say to a registry that asks who is there: basic logins, and tokens for what will really be done.

The one place that imports oras, which asks token servers. It starts slowly, so a registry that wants no token does
without it. Source: Docker Registry HTTP API V2, "Authentication", "Token Scope" and "OAuth 2".
"""

from __future__ import annotations

import base64
import re
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from recipes.errors import BadInput, Unavailable
from recipes.package.reference import ImageName
from recipes.registry.challenges import Challenge, read_challenges
from recipes.registry.credentials import IDENTITY, Login, find_login
from recipes.registry.refusals import PASSING, Busy

if TYPE_CHECKING:
    from requests import Response, Session

Scopes = tuple[str, ...]


class Permissions:
    """The Authorization headers of one repository, by what they open; several threads may use it.

    `user` is who was logged in, "" for a visitor.
    """

    def __init__(self, image: ImageName, session: Session) -> None:
        self.user = ""
        self._image = image
        self._session = session
        self._lock = threading.Lock()
        self._login: Login | None = None
        self._looked_for_login = False
        self._known: dict[Scopes, str] = {}

    def known(self, scopes: Scopes) -> str:
        """What has opened these before, "" for nothing."""
        return self._known.get(scopes, "")

    def answer(self, header: str, scopes: Scopes, refused: str) -> str:
        """What to say in answer to a WWW-Authenticate header, "" for nothing. One thread at a time asks for it.

        Raises: BadInput where the login would have to go to a place that is not safe; Unavailable where the server
        that gives tokens fails.
        """
        with self._lock:
            known = self.known(scopes)
            if known != refused:
                return known  # somebody else has just got it
            if not self._looked_for_login:
                self._looked_for_login, self._login = True, find_login(self._image.host)
                if self._login:
                    self.user = self._login[0]
            challenges = read_challenges(header)
            if "bearer" in challenges:
                token = self._token(challenges["bearer"], scopes)
                self._known[scopes] = f"Bearer {token}" if token else ""
            elif "basic" in challenges and self._login and self._login[0] != IDENTITY:
                self._known[scopes] = f"Basic {base64.b64encode(':'.join(self._login).encode()).decode()}"
            return self.known(scopes)

    def _token(self, challenge: Challenge, scopes: Scopes) -> str:
        asked = challenge.parameters
        realm = asked.get("realm", "")
        if not re.match("https?:" if self._image.is_loopback else "https:", realm):
            raise BadInput(f"{self._image.host} asks to send the login to {realm!r}, which is not safe")
        # What will be done, too, and not only what the first question was: some registries answer a push with a token
        # for pulling by a refusal, not by a new challenge.
        wanted = list(dict.fromkeys((*scopes, *asked.get("scope", "").split())))
        try:
            return self._ask(realm, asked.get("service", ""), wanted)
        except (AttributeError, ValueError) as error:
            raise Unavailable(f"{urlsplit(realm).netloc} does not answer as a server does that gives tokens") from error

    def _ask(self, realm: str, service: str, scopes: list[str]) -> str:
        session = _TokenSession(self._session)
        if self._login and self._login[0] == IDENTITY:
            form = {"grant_type": "refresh_token", "client_id": "fromscratch", "service": service}
            form |= {"scope": " ".join(scopes), "refresh_token": self._login[1]}
            answer = session.request("POST", realm, data=form, allow_redirects=False)
            return str(answer.json().get("access_token") or "") if answer.status_code == 200 else ""
        from oras.auth.token import TokenAuth
        from oras.auth.utils import authHeader

        where = authHeader({"realm": realm, "service": service, "scope": scopes})
        server = TokenAuth()
        server.session, server._tls_verify = session, bool(self._session.verify)
        if not self._login:
            return str(server.request_anonymous_token(where) or "")
        server.set_basic_auth(*self._login)
        return str(server.request_token(where) or "")


class _TokenSession:
    """What token servers are asked through: oras would take one that fails for one that refuses the login."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def request(self, method: str, url: str, **options: Any) -> Response:
        response = self._session.request(method, url, **options)
        if response.status_code in PASSING:
            answered = f"{response.status_code} {response.reason}"
            raise Busy(f"{urlsplit(url).netloc}, which gives the tokens, answered {answered}", hint="try again later")
        return response

    def get(self, url: str, **options: Any) -> Response:
        return self.request("GET", url, **options)
