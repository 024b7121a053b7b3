"""Image manifests and indexes, in OCI's and in Docker's words: which one is meant, and what it holds.

The bytes come from a registry or a layout; every one of them is checked against its digest before it is believed.
Source: OCI image-spec, "Image Index", "Image Manifest" and "Image Configuration"; Docker image manifest v2, schema 2.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from recipes.architecture import architecture, name_of_machine
from recipes.errors import BadArchive, DamagedBlob, RecipeError, Unavailable, shortened
from recipes.model import BaseImage, Descriptor, Layer, Platform
from recipes.oci.layers import layer_from_blob
from recipes.oci.media_types import INDEXES, is_foreign, oci_layer
from recipes.oci.store import Store
from recipes.support.digest import check_digest, is_digest

MAX_MANIFEST_BYTES = 4 << 20
"""What the distribution-spec asks registries to accept at least; real ones are not larger."""

MAX_CONFIG_BYTES = 16 << 20
_MAX_LAYERS = 500
"""As many as the kernel's overlayfs stacks (OVL_MAX_STACK); Docker's limit is lower."""

_MAX_BYTES = (1 << 63) - 1
"""A size is an int64. Source: OCI image-spec, "Content Descriptors"."""

_MAX_NESTING = 4
_LEVEL = re.compile(r"v\d{1,3}", re.ASCII)
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")

ReadManifest = Callable[[Descriptor], bytes]
FetchBlob = Callable[[Descriptor], None]
Used = TypeVar("Used")


def parse_json(data: bytes, what: str) -> dict[str, Any]:
    """Raises: BadArchive for anything that is not a JSON object."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadArchive(f"{what} is not JSON") from error
    if not isinstance(value, dict):
        raise BadArchive(f"{what} is not a JSON object")
    return value


def read_descriptor(value: object, what: str) -> Descriptor:
    """A descriptor from JSON. Raises: BadArchive, for another hash than sha256 too."""
    if isinstance(value, dict):
        media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
        # A type, and not isinstance: true and false are integers too.
        if isinstance(media_type, str) and type(size) is int and 0 <= size <= _MAX_BYTES and is_digest(digest):
            return Descriptor(media_type, str(digest), size)
    raise BadArchive(f"{what} is not a valid descriptor: {json.dumps(value)[:200]}")


def list_in(document: dict[str, Any], key: str, what: str) -> list[Any]:
    """Raises: BadArchive."""
    value = document.get(key)
    if not isinstance(value, list):
        raise BadArchive(f"{what} has no list {key!r}")
    return value


def is_index(descriptor: Descriptor, manifest: dict[str, Any]) -> bool:
    """Whether a document is an index of others, and not a manifest itself."""
    # OCI lets the media type be absent inside, and registries have sent the wrong one outside: content decides.
    return (manifest.get("mediaType") or descriptor.media_type) in INDEXES or "manifests" in manifest


def read_image(
    name: str, start: Descriptor, platform: Platform, store: Store, *, read: ReadManifest, fetch: FetchBlob
) -> BaseImage:
    """Follow `start` through indexes to the image for `platform`, and put its layers into the store.

    `read` gives a manifest's bytes, `fetch` puts a blob into the store; the digests of both are checked.
    Nothing is fetched before the store has agreed to the sizes of all of it.
    Raises: Unavailable where there is none for the platform, BadArchive for what cannot be trusted, RecipeError where
    there is no room.
    """
    descriptor, manifest = start, _read_checked(start, read, name)
    for _ in range(_MAX_NESTING):
        if not is_index(descriptor, manifest):
            break
        descriptor = choose(manifest, platform, name)
        manifest = _read_checked(descriptor, read, name)
    else:
        raise BadArchive(f"{name}: indexes are nested more than {_MAX_NESTING} deep")
    if manifest.get("schemaVersion") != 2 or "config" not in manifest:
        kind = shortened(str(manifest.get("mediaType") or descriptor.media_type))
        raise BadArchive(
            f"{name} is not a supported image: {kind}",
            hint="images of Docker's schema 1 have to be pushed again by a newer engine",
        )
    config_at = read_descriptor(manifest["config"], f"the config of {name}")
    if config_at.size > MAX_CONFIG_BYTES:
        raise BadArchive(f"{name} has a config of {config_at.size} bytes")
    found = list_in(manifest, "layers", f"the manifest of {name}")
    if len(found) > _MAX_LAYERS:
        raise BadArchive(f"{name} has {len(found)} layers", hint=f"more than {_MAX_LAYERS} cannot be mounted")
    layers_at = [_layer_descriptor(value, name) for value in found]
    store.check_room((config_at, *layers_at), name)
    data = _obtain(store, config_at, fetch, name, lambda at: store.read(at.digest))
    config = parse_json(data, f"the config of {name}")
    check_platform(config, platform, name)
    diff_ids = read_diff_ids(config, name)
    if len(diff_ids) != len(layers_at):
        raise BadArchive(f"{name} has {len(layers_at)} layers, but its config names {len(diff_ids)}")
    layers = []
    for layer_at, diff_id in zip(layers_at, diff_ids, strict=True):
        layer = _obtain(store, layer_at, fetch, name, partial(layer_from_blob, store))
        if layer.diff_id != diff_id:
            raise BadArchive(f"{name}: the content of layer {layer_at.digest} does not match the diff ID in its config")
        layers.append(layer)
    return replace(base_image(name, platform, descriptor.digest, layers, config, config_at), manifest=descriptor)


def _obtain(store: Store, at: Descriptor, fetch: FetchBlob, name: str, use: Callable[[Descriptor], Used]) -> Used:
    """What `use` makes of a blob: of the one in the store, else of one that is fetched, which stays if it is of use."""
    if store.has(at.digest, at.size):
        with contextlib.suppress(DamagedBlob):
            return use(at)
    fetch(at)
    if not store.has(at.digest, at.size):
        raise BadArchive(f"{name}: blob {at.digest} does not have the size that its manifest gives")
    try:
        return use(at)
    except RecipeError:
        store.drop(at.digest)
        raise


def choose(index: dict[str, Any], platform: Platform, name: str) -> Descriptor:
    """The entry of an index that is for `platform`, else an Unavailable that lists what there is.

    arm64 and arm64/v8 are the same; for arm the nearest lower variant will do, as its programs run on higher ones.
    """
    offered: list[tuple[Platform, object]] = []
    nameless: list[object] = []
    for entry in list_in(index, "manifests", f"the index of {name}"):
        about = entry.get("platform") if isinstance(entry, dict) else None
        if not isinstance(about, dict):
            nameless.append(entry)
        elif about.get("os") != "unknown":  # which an attestation or another attachment has
            offered.append((platform_of(about), entry))
    fitting = [(_variant_rank(have, platform), entry) for have, entry in offered if _variant_rank(have, platform) >= 0]
    if fitting:
        chosen = max(fitting, key=lambda pair: pair[0])[1]
    elif not offered and len(nameless) == 1:
        chosen = nameless[0]  # its config will say what it is for
    else:
        names = ", ".join(sorted({str(have) for have, _ in offered})) or "no entry that names its platform"
        raise Unavailable(f"{name} has no image for {platform}", hint=f"available: {shortened(names)}")
    return read_descriptor(chosen, f"an entry of the index of {name}")


def check_platform(config: dict[str, Any], platform: Platform, name: str) -> None:
    """Raises: Unavailable where the config is one for another platform. Engines start one that does not say."""
    have = platform_of(config)
    if not have.architecture:
        have = replace(have, architecture=platform.architecture, variant=platform.variant)
    if _variant_rank(have, platform) < 0:
        raise Unavailable(f"{name} has no image for {platform}", hint=f"it is for {shortened(str(have))}")


def base_image(
    name: str, platform: Platform, digest: str, layers: Iterable[Layer], config: dict[str, Any], config_at: Descriptor
) -> BaseImage:
    """The base that the config at `config_at` describes.

    Engines take an entry point of one empty word for none. Source: OCI image-spec, "Image Configuration"; moby,
    `daemon/container.go`, mergeAndVerifyConfig.
    """
    found = config.get("config")
    settings: dict[str, Any] = found if isinstance(found, dict) else {}
    pairs = [text.partition("=") for text in _texts(settings.get("Env"))]
    entrypoint = _words(settings.get("Entrypoint"))
    return BaseImage(
        name=name,
        reference=name,
        platform=platform,
        digest=digest,
        layers=tuple(layers),
        env=tuple((key, value) for key, _, value in pairs if key),
        entrypoint=() if entrypoint == ("",) else entrypoint,
        cmd=_words(settings.get("Cmd")),
        user=_text(settings.get("User") or ""),
        workdir=_text(settings.get("WorkingDir") or "/"),
        volumes=_texts([*volumes]) if isinstance(volumes := settings.get("Volumes"), dict) else (),
        config=config_at,
    )


def _words(value: object) -> tuple[str, ...]:
    """A list of words, or the only one. Source: moby, `api/types/strslice`."""
    return (_text(value),) if isinstance(value, str) else _texts(value)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(text) for text in value if isinstance(text, str)) if isinstance(value, list) else ()


def _text(value: object) -> str:
    """Half of a surrogate pair is not a character, and cannot be written: engines, being Go, take U+FFFD for it."""
    return _HALF_A_PAIR.sub("\ufffd", str(value))


def read_diff_ids(config: dict[str, Any], name: str) -> list[str]:
    rootfs = config.get("rootfs")
    diff_ids = (rootfs.get("diff_ids") or []) if isinstance(rootfs, dict) else None  # Go leaves out an empty list
    if not isinstance(diff_ids, list) or not all(is_digest(diff_id) for diff_id in diff_ids):
        raise BadArchive(f"the config of {name} has no list of diff IDs")
    return diff_ids


def _variant_rank(have: Platform, want: Platform) -> int:
    """How well `have` serves `want`: -1 not at all, else the higher the better."""
    if (have.os, have.architecture) != (want.os, want.architecture):
        return -1
    default = architecture(want.architecture).default_variant
    mine, wanted = have.variant or default, want.variant or default
    if mine == wanted:
        return 100
    levels = [int(text[1:]) for text in (mine, wanted) if _LEVEL.fullmatch(text)]
    return levels[0] if len(levels) == 2 and levels[0] < levels[1] else -1


def platform_of(about: dict[str, Any]) -> Platform:
    """What a config, or an entry of an index, says that it is for."""
    system, machine, variant = (str(about.get(key) or "") for key in ("os", "architecture", "variant"))
    return Platform(system or "linux", name_of_machine(machine) if machine else "", variant)


def _read_checked(descriptor: Descriptor, read: ReadManifest, name: str) -> dict[str, Any]:
    data = read(descriptor)
    check_digest(data, descriptor.digest, f"the manifest of {name}")
    return parse_json(data, f"the manifest of {name}")


def _layer_descriptor(value: object, name: str) -> Descriptor:
    descriptor = read_descriptor(value, f"a layer of {name}")
    media_type = oci_layer(descriptor.media_type)
    if media_type is None:
        hint = "foreign layers are not kept in registries" if is_foreign(descriptor.media_type) else ""
        raise BadArchive(
            f"{name} has a layer of an unknown media type: {shortened(descriptor.media_type)!r}", hint=hint
        )
    return Descriptor(media_type, descriptor.digest, descriptor.size)
