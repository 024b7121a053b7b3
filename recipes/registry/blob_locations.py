"""Which repositories of a registry hold which blobs, as far as it was seen from here: what can be mounted across.

One JSON file per registry below `build/registries/`. It only saves work: a registry that no longer has what is written
here declines the mount, and the blob is uploaded. So a file that is damaged, or lost, counts as empty.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from recipes.errors import BadInput
from recipes.oci.reference import ImageName, image_name
from recipes.support.digest import is_digest
from recipes.support.records import keep_value, kept_value
from recipes.support.workspace import Workspace, keeping

_REPOSITORIES = 4
_BLOBS = 5000

Holders = dict[str, tuple[str, ...]]
"""Digest → repositories, those that were seen last first."""


@dataclass(frozen=True, slots=True)
class _HoldersRecord:
    host: str
    blobs: Holders


def holders(workspace: Workspace, host: str) -> Holders:
    """What is known of the registry `host`."""
    return _read(_record(workspace, host), host)


def remember(
    workspace: Workspace, image: ImageName, digests: Iterable[str], *, gone: Iterable[tuple[str, str]] = ()
) -> None:
    """The repository of `image` holds the blobs `digests`; of `gone`, each repository does not hold its digest."""
    record = _record(workspace, image.host)
    with keeping(record.with_suffix(".lock")):
        before = _read(record, image.host)
        after = dict(before)
        for digest, repository in gone:
            after[digest] = tuple(name for name in after.get(digest, ()) if name != repository)
        for digest in digests:
            others = [name for name in after.pop(digest, ()) if name != image.repository]  # the newest stand last
            after[digest] = (image.repository, *others)[:_REPOSITORIES]
        after = {digest: names for digest, names in after.items() if names}
        if after != before:
            newest = dict(list(after.items())[-_BLOBS:])
            keep_value(record, _HoldersRecord(image.host, newest))


def _record(workspace: Workspace, host: str) -> Path:
    # The end keeps two hosts apart that are the same in letters and dots.
    key = hashlib.sha256(host.encode()).hexdigest()[:8]
    return workspace.registries / f"{re.sub(r'[^a-z0-9.-]', '_', host.lower())}-{key}.json"


def _read(record: Path, host: str) -> Holders:
    saved = kept_value(record, _HoldersRecord)
    if saved is None or saved.host != host:
        return {}
    return {digest: tuple(filter(_is_repository, names)) for digest, names in saved.blobs.items() if is_digest(digest)}


def _is_repository(name: str) -> bool:
    """It becomes part of an address, so it must be nothing but a repository's name."""
    try:
        return image_name(f"localhost/{name}").repository == name
    except BadInput:
        return False
