"""Digests: `sha256:` and 64 hexadecimal digits in lower case. No other algorithm is supported.

Source: OCI image-spec, "Content Descriptors", "Digests".
"""

from __future__ import annotations

import hashlib
import re
from typing import Protocol

from recipes.errors import BadArchive

DIGEST_PATTERN = r"sha256:[0-9a-f]{64}"

_ALGORITHM = "sha256:"
_DIGEST = re.compile(DIGEST_PATTERN)


class Hash(Protocol):
    """A SHA-256 of hashlib."""

    def hexdigest(self) -> str: ...


def digest_of(content: bytes | Hash) -> str:
    """The digest of these bytes, or of all that this hash was given."""
    found = hashlib.sha256(content) if isinstance(content, bytes) else content
    return _ALGORITHM + found.hexdigest()


def is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def encoded(digest: str) -> str:
    """The hexadecimal digits alone, as they name a file."""
    return digest.removeprefix(_ALGORITHM)


def check_digest(data: bytes, digest: str, what: str) -> None:
    """Raises: BadArchive where `data` is not what `digest` says."""
    actual = digest_of(data)
    if actual != digest:
        raise BadArchive(
            f"{what} is damaged: its digest is {actual}, not {digest}", hint="get it again from its source"
        )
