"""What a registry's error response means for the user: from a status and its error document to one sentence and a hint.

Source: OCI distribution-spec, "Error Codes"; what registries answer in practice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from recipes.errors import Unavailable, shortened
from recipes.oci.reference import DOCKER_HUB, ImageName

RETRYABLE = frozenset((408, 425, 429, 500, 502, 503, 504))
"""Statuses of errors that may pass in a moment."""


class Retryable(Unavailable):
    """An error that may pass in a moment. `wait` is what the registry asks for, in seconds."""

    def __init__(self, message: str, hint: str = "", wait: float = 0.0) -> None:
        super().__init__(message, hint)
        self.wait = wait


class NotFound(Unavailable):
    """The registry answers, and does not have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorResponse:
    """A response with an error status. `user` is who was logged in, "" for a visitor."""

    image: ImageName
    status: int
    reason: str
    document: bytes
    user: str = ""
    wait: float = 0.0

    def error(self, what: str, *, pushing: bool) -> Unavailable:
        """The error for having asked for (or sent) `what`."""
        message, hint = self._explain(what, pushing)
        words = _registrys_words(self.document)[1]
        # Of a pull all is said already; to a push registries say what only they can know.
        if pushing and words and words.lower() not in message.lower():
            message += f" ({words})"
        if self.status in RETRYABLE:
            return Retryable(message, hint, self.wait)
        return (NotFound if self.status == 404 else Unavailable)(message, hint)

    def _explain(self, what: str, pushing: bool) -> tuple[str, str]:
        image, status = self.image, self.status
        host = "Docker Hub" if image.host == DOCKER_HUB else image.host
        code, words = _registrys_words(self.document)
        if status == 507 or "quota" in words.lower():
            return (
                f"{host} has no room left for {image.repository}",
                "remove old images there, or ask for a larger quota",
            )
        if status in (401, 403):
            login = f"docker login {image.host}"
            if not self.user:
                return f"{host} requires a login for {image.repository}", f"{login}; or check the name"
            if pushing and (status == 403 or code == "DENIED"):
                return f"{host} does not let {self.user} push to {image.repository}", f"ask for push access, or {login}"
            # Registries hide what a visitor may not see, so this can also be a name that does not exist.
            return f"{host} refused the login for {image.repository}", f"{login}; or check the name"
        if status == 404 and pushing:
            hint = "create the repository first: not every registry does so on a push"
            return f"{host} has no repository {image.repository}", hint
        if status == 404:
            return f"{what} is not in the registry", "check the name and the tag"
        if status == 405 or code == "UNSUPPORTED":
            hint = "is it set to read-only, or a cache of another registry?"
            return f"{host} accepts no images: {status} {self.reason} for {what}", hint
        if status == 413:
            hint = "a proxy before the registry may have a limit: ask for a larger one, or make the layer smaller"
            return f"{what} is too large for {host}", hint
        if status == 429:
            return f"{host}: rate limit reached (429)", "wait a while, or docker login"
        hint = "try again later" if status >= 500 else ""
        return f"{host} answered {status} {self.reason} for {what}", hint


def _registrys_words(document: bytes) -> tuple[str, str]:
    """(code, message) of the first error of an error document; "" for any other document."""
    try:
        error = json.loads(document)["errors"][0]
        words = " ".join(str(error.get("message") or "").split())
        return str(error.get("code") or ""), shortened(words)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "", ""
