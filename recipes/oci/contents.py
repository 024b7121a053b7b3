"""What a manifest or an index of the store names, down to the last blob: all that has to go along with it."""

from __future__ import annotations

from typing import NamedTuple

from recipes.errors import BadArchive
from recipes.model import Descriptor, Platform
from recipes.oci.manifests import (
    MAX_MANIFEST_BYTES,
    is_index,
    list_in,
    parse_json,
    platform_of,
    read_descriptor,
)
from recipes.oci.store import Store

_MAX_NESTING = 4


class Contents(NamedTuple):
    """Each manifest with its bytes, those that another one names before it; each blob. Nothing comes twice."""

    manifests: tuple[tuple[Descriptor, bytes], ...]
    blobs: tuple[Descriptor, ...]


class StoredImage(NamedTuple):
    """One image of the store, by what its manifest and its config say."""

    manifest: Descriptor
    config: Descriptor
    layers: tuple[Descriptor, ...]
    platform: Platform


def images_of(store: Store, start: Descriptor) -> tuple[StoredImage, ...]:
    """Those that `start` leads to: one for a manifest, several for an index. Raises: BadArchive."""
    found = []
    for at, data in gather(store, start).manifests:
        document, what = parse_json(data, "a manifest"), f"an entry of the manifest {at.digest}"
        if is_index(at, document):
            continue
        config = read_descriptor(document.get("config"), what)
        layers = tuple(read_descriptor(value, what) for value in list_in(document, "layers", what))
        about = parse_json(store.read(config.digest), f"the config {config.digest}")
        found.append(StoredImage(at, config, layers, platform_of(about)))
    return tuple(found)


def gather(store: Store, start: Descriptor) -> Contents:
    """Follow `start`. Raises: BadArchive for what is missing or incomplete in the store."""
    manifests: dict[str, tuple[Descriptor, bytes]] = {}
    blobs: dict[str, Descriptor] = {}

    def visit(at: Descriptor, depth: int) -> None:
        if at.digest in manifests:
            return
        what = f"the manifest {at.digest}"
        if depth > _MAX_NESTING or at.size > MAX_MANIFEST_BYTES:
            raise BadArchive(f"{what} is too large, or nested too deeply")
        data = store.read(at.digest)
        document = parse_json(data, what)
        if is_index(at, document):
            for value in list_in(document, "manifests", what):
                visit(read_descriptor(value, f"an entry of {what}"), depth + 1)
        else:
            for value in (document.get("config"), *list_in(document, "layers", what)):
                blob = read_descriptor(value, f"an entry of {what}")
                if not store.has(blob.digest, blob.size):
                    raise BadArchive(
                        f"the blob {blob.digest} is missing or incomplete in the store",
                        hint="run the command again: the blob is then rebuilt or fetched",
                    )
                blobs[blob.digest] = blob
        manifests[at.digest] = at, data

    visit(start, 0)
    return Contents(tuple(manifests.values()), tuple(blobs.values()))
