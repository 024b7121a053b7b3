"""What to say to a registry that asks who is there: basic logins, and tokens for what will really be done.

The one place that imports oras, which asks token servers. It starts slowly, so a registry that wants no token does
without it. Source: Docker Registry HTTP API V2, "Authentication" and "Token Scope".
"""

from __future__ import annotations

import base64
import re
import threading
from typing import TYPE_CHECKING

from recipes.errors import BadInput
from recipes.package.reference import ImageName
from recipes.registry.credentials import Login, find_login

if TYPE_CHECKING:
    from requests import Session

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

    def answer(self, challenge: str, scopes: Scopes, refused: str) -> str:
        """What to say in answer to a challenge, "" for nothing. One thread at a time asks for it.

        Raises: BadInput where the login would have to go to a place that is not safe.
        """
        with self._lock:
            known = self.known(scopes)
            if known != refused:
                return known  # somebody else has just got it
            if not self._looked_for_login:
                self._looked_for_login, self._login = True, find_login(self._image.host)
                if self._login:
                    self.user = self._login[0]
            scheme = challenge.partition(" ")[0].lower()
            if scheme == "basic" and self._login:
                self._known[scopes] = f"Basic {base64.b64encode(':'.join(self._login).encode()).decode()}"
            elif scheme == "bearer":
                token = self._token(challenge, scopes)
                self._known[scopes] = f"Bearer {token}" if token else ""
            return self.known(scopes)

    def _token(self, challenge: str, scopes: Scopes) -> str:
        from oras.auth.token import TokenAuth
        from oras.auth.utils import parse_auth_header

        where = parse_auth_header(challenge)
        if not re.match("https?:" if self._image.is_loopback else "https:", where.realm or ""):
            raise BadInput(f"{self._image.host} asks to send the login to {where.realm!r}, which is not safe")
        # What will be done, too, and not only what the first question was: some registries answer a push with a token
        # for pulling by a refusal, not by a new challenge.
        where.scope = list(dict.fromkeys((*scopes, *(where.scope or "").split())))
        server = TokenAuth()
        server.session, server._tls_verify = self._session, bool(self._session.verify)
        if not self._login:
            return str(server.request_anonymous_token(where) or "")
        server.set_basic_auth(*self._login)
        return str(server.request_token(where) or "")
