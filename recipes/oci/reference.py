"""What a base is called: the containers-transports notation, read into a value.

    scratch   docker://alpine:3.23   docker-daemon:myapp-base:dev   oci:path[:tag]   docker-archive:path[:ref]
    oci-archive:path[:tag]   rootfs:dir-or-tar   mmdebstrap:variant[@suite][:package,package…]

Source: containers-transports(5); the grammar of image names is that of github.com/distribution/reference.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from recipes.errors import BadInput, unknown
from recipes.support.digest import DIGEST_PATTERN

Transport = Literal["docker", "docker-daemon", "oci", "docker-archive", "oci-archive", "rootfs", "mmdebstrap"]
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)

DOCKER_HUB = "docker.io"

BUNDLE = "bundle"
"""The base that is made for each program anew: its loader and libraries."""

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = (
    rf"(?:(?P<host>{_HOST})/)??(?P<repository>{_PART}(?:/{_PART})*)"
    rf"(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>{DIGEST_PATTERN}))?"
)
_INVALID = re.compile(r"[^a-z0-9_.-]+")
_INVALID_TAG = re.compile(r"[^A-Za-z0-9_.-]+")


class ImageName(NamedTuple):
    """An image in a registry. `host` and `repository` are complete: `alpine` is docker.io and library/alpine."""

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.host}/{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def is_loopback(self) -> bool:
        """Whether the registry is on this machine: then, and only then, plain HTTP will do."""
        name = self.host.rpartition(":")[0] if re.search(r":\d+$", self.host) else self.host
        if name == "localhost":
            return True
        import ipaddress  # for registries only: it takes as long to import as everything else here

        try:
            return ipaddress.ip_address(name.strip("[]")).is_loopback
        except ValueError:
            return False


class Reference(NamedTuple):
    """Where a base comes from. `target` is an image name or a path, `selector` what of it is meant ("" for all of it).

    For `mmdebstrap`, `target` is the variant with its suite and `selector` the packages, separated by commas.
    """

    transport: Transport
    target: str
    selector: str = ""

    def __str__(self) -> str:
        start = "docker://" if self.transport == "docker" else f"{self.transport}:"
        return f"{start}{self.target}" + (f":{self.selector}" if self.selector else "")

    def beneath(self, folder: Path) -> Reference:
        """The same with a relative path taken from `folder`."""
        if self.transport not in ("oci", "docker-archive", "oci-archive", "rootfs"):
            return self
        return self._replace(target=os.path.join(folder, self.target))


def has_transport(text: str) -> bool:
    """Whether `text` is meant as a reference rather than as the name of a known base."""
    return text.partition(":")[0] in TRANSPORTS and ":" in text


def parse(text: str, folder: Path | None = None) -> Reference:
    """Read a reference; relative paths are looked for in `folder` (default: the current one), and stay as written.

    Raises: BadInput.
    """
    transport, colon, rest = text.partition(":")
    if not colon or transport not in TRANSPORTS:
        raise unknown("kind of base", transport, TRANSPORTS)
    if transport == "docker":
        if not rest.startswith("//"):
            raise BadInput(f"not a base: {text!r}", hint=f"write it as docker://{rest}")
        return Reference("docker", str(image_name(rest[2:])))
    if not rest:
        raise BadInput(f"not a base: {text!r}", hint=f"something must follow {transport}:")
    if "\0" in rest:
        raise BadInput(f"not a base: {text!r}", hint="a path cannot hold a NUL")
    if transport == "docker-daemon":
        if re.fullmatch(r"(sha256:)?[0-9a-f]{12,64}", rest) is None:
            image_name(rest)
        return Reference("docker-daemon", rest)
    if transport == "rootfs":
        return Reference("rootfs", rest)
    if transport == "mmdebstrap":
        target, _, packages = rest.partition(":")
        return Reference("mmdebstrap", target, packages)
    path, selector = _split_path(rest, folder or Path())
    return Reference(transport, path, selector)


def image_name(text: str) -> ImageName:
    """Read `alpine:3.23`, `localhost:5000/a@sha256:…`. Without tag and digest it is `latest`. Raises: BadInput."""
    match = re.fullmatch(_NAME, text, re.ASCII)
    if match is None:
        lower = text.lower()
        lowered = re.fullmatch(_NAME, lower, re.ASCII)
        near = f"image names are in lower case: {lower}" if lowered else "for example alpine:3.23"
        raise BadInput(f"not an image name: {text!r}", hint=near)
    host, repository = match["host"] or "", match["repository"]
    first, slash, others = repository.partition("/")
    # Only a dot, a colon or "localhost" makes the first part a host: "library/alpine" is on Docker Hub.
    if not host and slash and ("." in first or first == "localhost"):
        host, repository = first, others
    if host and not ("." in host or ":" in host or host == "localhost"):
        raise BadInput(f"not an image name: {text!r}", hint="image names are in lower case, for example alpine:3.23")
    if host in ("", "index.docker.io", "registry-1.docker.io"):
        host = DOCKER_HUB
    if host == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    digest = match["digest"] or ""
    return ImageName(host, repository, match["tag"] or ("" if digest else "latest"), digest)


def docker_tag(name: str) -> str:
    """`name` as a valid `repository:tag`: lower case, other characters become dashes.

    Of a name without a letter or digit of ASCII nothing would be left: its hash tells it from others.
    Source: distribution, "reference" grammar.
    """
    repository, _, tag = name.partition(":")
    # Separators may neither begin nor end a component, nor follow each other in mixed pairs.
    cleaned = re.sub(r"[._-]{2,}", "-", _INVALID.sub("-", repository.lower())).strip("._-")
    if not cleaned:
        cleaned = f"sample-{hashlib.sha256(os.fsencode(repository)).hexdigest()[:8]}"
    return f"{cleaned}:{_INVALID_TAG.sub('-', tag).lstrip('.-')[:128] or 'latest'}"


def _split_path(text: str, folder: Path) -> tuple[str, str]:
    """Split `path[:selector]`. Colons may be in both, so the longest path that exists is the one that is meant."""
    cuts = [len(text), *(index for index in range(len(text) - 1, 0, -1) if text[index] == ":")]
    for cut in cuts:
        if os.path.lexists(folder / text[:cut]):
            return text[:cut], text[cut + 1 :]
    path, _, selector = text.partition(":")
    # Nothing there: the error will name the path, so take for a selector only what can be one.
    return (path, selector) if selector and "/" not in path.rpartition(":")[2] and " " not in selector else (text, "")
