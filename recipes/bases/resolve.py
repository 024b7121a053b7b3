"""A base by name or reference, with its layers in the store.

What a reference stood for is kept per platform as one JSON file in `build/bases/`; the blobs are in the store. A tag of
a registry is what bases.lock says; where that says nothing, it keeps what it stood for until it is refreshed. Files and
engine images are looked at again each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.model import BaseImage, Platform
from recipes.oci import reference as references
from recipes.oci.reference import Reference
from recipes.support import console
from recipes.support.disk import Room
from recipes.support.records import keep_value, kept_value
from recipes.support.workspace import Workspace, keeping, replacing

if TYPE_CHECKING:
    from recipes.oci.store import Store

RECORD_VERSION = 6


@dataclass(frozen=True, slots=True)
class _BaseRecord:
    """What a reference stood for; `stamp` says for which state of its source that holds."""

    version: int
    stamp: str
    base: BaseImage


def resolve(
    name_or_reference: str,
    platform: Platform,
    workspace: Workspace,
    store: Store,
    *,
    refresh: bool = False,
    retry: bool = False,
    by_lock: bool = True,
) -> BaseImage:
    """The base, with all its layers in the store: from the last time if it is still there, else from its source.

    `refresh` asks the source in any case; `retry` asks a host even if it was silent a moment ago.
    Without `by_lock` a tag is what its registry says, as for an image that nothing is built on.
    Raises: BadInput for an unknown name, Unavailable where it is not available, BadArchive for what cannot be trusted.
    """
    if name_or_reference == "scratch":
        return BaseImage("scratch", "scratch", platform)
    from recipes.bases.specs import find  # after scratch, which needs neither this nor a TOML parser

    reference, folder = find(name_or_reference, workspace)
    if reference.transport == "mmdebstrap":
        from recipes.bases.suites import complete

        reference = complete(reference)
    meant, note = _locked(reference, name_or_reference, workspace, ask=refresh) if by_lock else (reference, "")
    here = meant.beneath(folder)
    key = hashlib.sha256(f"{here}\n{platform}".encode(errors="surrogateescape")).hexdigest()[:16]
    slug = re.sub(r"[^A-Za-z0-9.-]+", "_", str(reference))[-60:].strip("_.")
    record = workspace.bases / f"{slug}-{key}.json"
    stamp = _stamp(here, name_or_reference, platform)
    base = None if refresh else _recall(record, stamp, store)
    if base is None:
        before = _identity(record)
        with keeping(record.with_suffix(".lock")):
            # Another process may have fetched it while we waited: then that is fresh enough, even for a refresh.
            changed = _identity(record) != before
            base = _recall(record, stamp, store) if changed or not refresh else None
            if base is None:
                with _naming_the_lock(is_locked=meant != reference):
                    base = _fetch(here, name_or_reference, platform, workspace, store, retry=retry or refresh)
                keep_value(record, _BaseRecord(RECORD_VERSION, stamp, base))
    if note:
        _say_once(workspace, note)  # now that there is a base that it is about
    return replace(base, name=name_or_reference, reference=str(reference), platform=platform)


def _locked(reference: Reference, name: str, workspace: Workspace, *, ask: bool) -> tuple[Reference, str]:
    """The tag of a registry by the digest that bases.lock gives for it; all else, and what is not locked, as it is.

    Also what a user should know of the lock, "" for nothing. With `ask`, the tag is looked at first.
    """
    if reference.transport != "docker":
        return reference, ""
    from recipes.bases import lock

    if not lock.is_lockable(reference):
        return reference, ""
    pin = lock.read(workspace).get(str(reference))
    if pin is None and not lock.path_of(workspace).exists():
        return reference, (
            "note: no bases.lock: registry bases are what their tags pointed to when they were fetched; "
            "`invoke bases --update` pins them"
        )
    if pin is None:
        update = f"`invoke bases --update --bases {name}`"
        return (
            reference,
            f"note: {name} is not in bases.lock: it is what its tag pointed to when it was fetched; {update}",
        )
    if ask:
        _look_at(reference, workspace)
    observed = lock.last_observation(workspace, reference)
    if observed is None or not lock.is_stale(pin, observed):
        return lock.pinned(reference, pin), ""
    return lock.pinned(reference, pin), (
        f"note: bases.lock is stale: the tag of {name} pointed to {observed.digest[:19]} on "
        f"{observed.time:%Y-%m-%d}, and the locked {pin.digest[:19]} is used; `invoke bases --update` follows the tag"
    )


@contextlib.contextmanager
def _naming_the_lock(*, is_locked: bool) -> Iterator[None]:
    from recipes.registry.error_responses import NotFound

    try:
        yield
    except NotFound as error:
        if not is_locked:
            raise
        raise NotFound(
            error.message, hint="bases.lock names it; `invoke bases --update` locks what the tag points to now"
        ) from error


def _look_at(reference: Reference, workspace: Workspace) -> None:
    from recipes.bases import lock
    from recipes.registry import pull
    from recipes.registry.host_status import reaching

    image = references.image_name(reference.target)
    with reaching(image.host, workspace, retry=True):
        remote = pull.find(image)
    lock.remember_observation(workspace, reference, remote.start.digest)


_said: set[tuple[Path, str]] = set()


def _say_once(workspace: Workspace, text: str) -> None:
    if (workspace.root, text) not in _said:
        _said.add((workspace.root, text))
        console.note(text)


def _fetch(
    reference: Reference, name: str, platform: Platform, workspace: Workspace, store: Store, *, retry: bool
) -> BaseImage:
    path = Path(reference.target)
    match reference.transport:
        case "docker":
            from recipes.bases import lock
            from recipes.registry import blob_locations
            from recipes.registry.host_status import reaching

            image = references.image_name(reference.target)
            with reaching(image.host, workspace, retry=retry):
                from recipes.registry import pull

                remote = pull.find(image)
            base = pull.pull(remote, name, platform, store)
            if not image.digest:
                lock.remember_observation(workspace, reference, remote.start.digest)
            # An image on this base can take its layers over from there.
            blob_locations.remember(workspace, image, [layer.descriptor.digest for layer in base.layers])
            return base
        case "mmdebstrap":
            from recipes.bases import debian

            return debian.assemble(reference, name, platform, workspace, store, retry=retry)
        case "docker-daemon":
            from recipes.bases.files import read_docker_archive
            from recipes.run import docker

            with workspace.temporary("save") as folder:
                archive = folder / "image.tar"
                with replacing(archive, sync=False) as out:
                    out.writelines(Room(folder, name).each(docker.save_archive(reference.target)))
                return read_docker_archive(archive, "", name, platform, store)
        case "docker-archive":
            from recipes.bases.files import read_docker_archive

            return read_docker_archive(path, reference.selector, name, platform, store)
        case "oci":
            from recipes.bases.files import read_layout

            return read_layout(path, reference.selector, name, platform, store)
        case "oci-archive":
            from recipes.bases.files import read_layout_archive

            return read_layout_archive(path, reference.selector, name, platform, store)
        case "rootfs":
            from recipes.bases.files import read_rootfs

            return read_rootfs(path, name, platform, store)


def _stamp(reference: Reference, name: str, platform: Platform) -> str:
    """What tells that the source is as it was; "" for sources that are asked only when the user wants it."""
    path = Path(reference.target)
    match reference.transport:
        case "oci":
            from recipes.bases.files import find_in_layout

            return find_in_layout(path, reference.selector, name, platform).digest
        case "docker-archive" | "oci-archive" | "rootfs":
            from recipes.bases.files import fingerprint

            return fingerprint(path, name)
        case "docker-daemon":
            from recipes.run import docker

            return docker.image_id(reference.target)
        case _:
            return ""


def _identity(record: Path) -> tuple[int, int] | None:
    try:
        status = record.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _recall(record: Path, stamp: str, store: Store) -> BaseImage | None:
    """What is known from the last time, if the source is the same and every blob is still there with its size."""
    saved = kept_value(record, _BaseRecord)
    if saved is None or saved.version != RECORD_VERSION or saved.stamp != stamp:
        return None  # have it again
    blobs = [layer.descriptor for layer in saved.base.layers] + ([saved.base.config] if saved.base.config else [])
    return saved.base if all(store.has(blob.digest, blob.size) for blob in blobs) else None
