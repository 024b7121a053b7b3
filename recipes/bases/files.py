"""Bases that are files on this machine: OCI layouts and tars of one, docker archives, root folders and tars of one.

Archives are read member by member and never unpacked. Source: OCI image-spec, "Image Layout"; `docker image save`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from recipes.elf.segments import FileReader
from recipes.errors import BadArchive, BadInput, RecipeError, Unavailable, shortened
from recipes.model import BaseImage, Descriptor, Layer, Platform
from recipes.oci import tar
from recipes.oci.encode import compression_of
from recipes.oci.layers import layer_from_blob, layer_from_entries, layer_from_tar
from recipes.oci.manifests import (
    MAX_CONFIG_BYTES,
    MAX_MANIFEST_BYTES,
    base_image,
    check_platform,
    choose,
    parse_json,
    read_descriptor,
    read_diff_ids,
    read_image,
)
from recipes.oci.media_types import INDEXES, MANIFESTS, OCI_CONFIG, OCI_LAYERS
from recipes.oci.reference import ImageName, image_name
from recipes.oci.store import REF_NAME, Store
from recipes.rootfs.tarindex import Member, read_members
from recipes.support.digest import check_digest, digest_of, encoded, is_digest

_CHUNK = 1 << 20
_IMAGE_NAME = "io.containerd.image.name"
_INDEX = "index.json"

_Sized = tuple[IO[bytes], int]
"""What a file holds, and how many bytes that is."""


# ── OCI layouts ──────────────────────────────────────────────────────────────────────────────────────────────────────


def read_layout(layout: Path, tag: str, name: str, platform: Platform, store: Store) -> BaseImage:
    """The image of an OCI layout that is tagged `tag`, or its only one. Raises: Unavailable, BadArchive."""
    start = find_in_layout(layout, tag, name, platform)
    return _read_image(lambda member: _sized(layout / member, name), start, name, platform, store)


def read_layout_archive(path: Path, tag: str, name: str, platform: Platform, store: Store) -> BaseImage:
    """The same of an OCI layout in a tar, as podman saves it. Raises: Unavailable, BadArchive."""
    with _opened(path, name), FileReader(path) as file:
        members = _members_of(file)

        def opened(member_name: str) -> contextlib.AbstractContextManager[_Sized]:
            member = _follow(members, member_name, name)
            return contextlib.nullcontext((io.BufferedReader(_Content(file, member), _CHUNK), member.size))

        index = _member(file, members, _INDEX, MAX_MANIFEST_BYTES, name)
        return _read_image(opened, _find_in_index(index, tag, name, platform), name, platform, store)


def _read_image(
    opened: Callable[[str], contextlib.AbstractContextManager[_Sized]],
    start: Descriptor,
    name: str,
    platform: Platform,
    store: Store,
) -> BaseImage:
    """The image that `start` leads to; `opened` gives a file of the layout by its path in there."""

    def read(descriptor: Descriptor) -> bytes:
        with opened(_blob(descriptor.digest)) as (file, _):
            return _up_to(file, MAX_MANIFEST_BYTES, descriptor.digest, name)

    def fetch(descriptor: Descriptor) -> None:
        with opened(_blob(descriptor.digest)) as (file, size), store.writer(expect=descriptor.digest) as writer:
            if size != descriptor.size:
                raise BadArchive(f"{name}: blob {descriptor.digest} does not have the size that its manifest gives")
            _copy(file, writer)

    return read_image(name, start, platform, store, read=read, fetch=fetch)


def find_in_layout(layout: Path, tag: str, name: str, platform: Platform) -> Descriptor:
    """What `tag` stands for in a layout's index.json right now; of several images with that tag, the platform's."""
    if not (layout / _INDEX).is_file():
        raise Unavailable(
            f"{name} is not an OCI layout: it has no index.json", hint="name the folder that holds index.json"
        )
    with _opened(layout / _INDEX, name) as file:
        return _find_in_index(_up_to(file, MAX_MANIFEST_BYTES, _INDEX, name), tag, name, platform)


def _find_in_index(data: bytes, tag: str, name: str, platform: Platform) -> Descriptor:
    """Unusable entries do no harm as long as one is usable."""
    index = parse_json(data, f"the index of {name}")
    entries = index.get("manifests")
    if not isinstance(entries, list):
        raise BadArchive(f"the index of {name} has no manifests")
    asked = [entry for entry in entries if not tag or tag in (*_names_of(entry), _digest_of(entry))]
    found: dict[str, Descriptor] = {}
    unusable: BadArchive | None = None
    for entry in asked:
        try:
            descriptor = read_descriptor(entry, f"an entry of {name}")
        except BadArchive as error:
            unusable = error
            continue
        if descriptor.media_type in (*INDEXES, *MANIFESTS):
            found[descriptor.digest] = descriptor
    if len(found) == 1:
        return next(iter(found.values()))
    if found and tag:
        return choose({"manifests": [entry for entry in asked if _digest_of(entry) in found]}, platform, name)
    known = shortened(", ".join(sorted({text for entry in entries for text in _names_of(entry)})) or "none")
    if found:
        raise BadInput(f"{name} holds {len(found)} images", hint=f"choose one by its tag: {known}")
    if unusable is not None:
        raise unusable
    raise Unavailable(f"{name} holds no image {tag!r}" if tag else f"{name} holds no image", hint=f"its tags: {known}")


def _names_of(entry: object) -> list[str]:
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    names = [annotations.get(key) for key in (REF_NAME, _IMAGE_NAME)] if isinstance(annotations, dict) else []
    return [text for text in names if isinstance(text, str)]


def _digest_of(entry: object) -> object:
    return entry.get("digest") if isinstance(entry, dict) else None


def _blob(digest: str) -> str:
    return f"blobs/sha256/{encoded(digest)}"


# ── docker archives ──────────────────────────────────────────────────────────────────────────────────────────────────


def read_docker_archive(path: Path, selector: str, name: str, platform: Platform, store: Store) -> BaseImage:
    """The image of a `docker save` tar that is called `selector`, or its only one; its digest is the image ID.

    Raises: Unavailable, BadArchive.
    """
    with _opened(path, name), FileReader(path) as file:
        members = _members_of(file)
        try:
            images = json.loads(_member(file, members, "manifest.json", MAX_MANIFEST_BYTES, name))
            image = _choose_image(images, selector, name)
            config_name, layer_names = image["Config"], image["Layers"] or []  # an engine writes null for none
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadArchive(f"{name} has a manifest.json that cannot be read") from error
        data = _member(file, members, str(config_name), MAX_CONFIG_BYTES, name)
        digest = digest_of(data)
        stem = str(config_name).rpartition("/")[2].removesuffix(".json")
        if is_digest(f"sha256:{stem}"):
            check_digest(data, f"sha256:{stem}", f"the config of {name}")
        config = parse_json(data, f"the config of {name}")
        check_platform(config, platform, name)
        diff_ids = read_diff_ids(config, name)
        if not isinstance(layer_names, list) or len(layer_names) != len(diff_ids):
            raise BadArchive(f"{name}: its manifest.json and its config name different numbers of layers")
        layers = []
        for layer_name, diff_id in zip(layer_names, diff_ids, strict=True):
            with io.BufferedReader(_Content(file, _follow(members, str(layer_name), name)), _CHUNK) as content:
                layer = _add_layer(content, store)
            if layer.diff_id != diff_id:
                raise BadArchive(
                    f"{name}: the content of {shortened(str(layer_name))} does not match the diff ID in its config"
                )
            layers.append(layer)
    return base_image(name, platform, digest, layers, config, store.add(data, OCI_CONFIG))


def _choose_image(images: object, selector: str, name: str) -> dict[str, object]:
    if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
        raise BadArchive(f"{name} has a manifest.json that cannot be read")
    wanted = _full(selector)
    named = [(image, [tag for tag in image.get("RepoTags") or () if isinstance(tag, str)]) for image in images]
    fitting = [image for image, tags in named if not selector or wanted in (_full(tag) for tag in tags)]
    known = shortened(", ".join(tag for _, tags in named for tag in tags) or "none")
    if not fitting:
        raise Unavailable(f"{name} holds no image {selector!r}", hint=f"its names: {known}")
    if len(fitting) > 1:
        raise BadInput(f"{name} holds {len(fitting)} images", hint=f"choose one by its name: {known}")
    chosen: dict[str, object] = fitting[0]
    return chosen


def _full(text: str) -> ImageName | str:
    try:
        return image_name(text)
    except BadInput:
        return text


def _members_of(file: FileReader) -> dict[str, Member]:
    return {os.fsdecode(member.name).removeprefix("./"): member for member in read_members(file)}


def _member(file: FileReader, members: dict[str, Member], member_name: str, limit: int, name: str) -> bytes:
    member = _follow(members, member_name, name)
    if member.size > limit:
        raise BadArchive(f"{name}: {shortened(member_name)} is larger than {limit} bytes")
    return file.read_at(member.offset, member.size)


def _follow(members: dict[str, Member], member_name: str, name: str) -> Member:
    """The regular member of that name; old engines write a layer that comes twice as a link to the first."""
    for _ in range(8):
        member = members.get(member_name)
        if member is None:
            raise BadArchive(f"{name}: {shortened(member_name)} is missing", hint="is the archive complete?")
        if member.kind == "file" and member.offset >= 0:
            return member
        if member.kind not in ("symlink", "hardlink"):
            break
        folder = os.path.dirname(member_name) if member.kind == "symlink" else ""
        member_name = os.path.normpath(os.path.join(folder, os.fsdecode(member.target)))
    raise BadArchive(f"{name}: {shortened(member_name)} is not a file")


class _Content(io.RawIOBase):
    """What a member of an archive holds."""

    def __init__(self, file: FileReader, member: Member) -> None:
        self._file, self._at, self._end = file, member.offset, member.offset + member.size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the buffer that BufferedReader hands over
        data = self._file.read_at(self._at, min(len(buffer), self._end - self._at))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


# ── root folders and tars ────────────────────────────────────────────────────────────────────────────────────────────


def read_rootfs(path: Path, name: str, platform: Platform, store: Store) -> BaseImage:
    """A folder packed into one deterministic layer, or a tar as it is; the digest is the layer's diff ID.

    Raises: Unavailable where there is nothing, BadInput for what cannot be read, BadArchive.
    """
    if path.is_dir():
        layer = layer_from_entries(store, tar.folder_entries(path), "gzip")
    else:
        with _opened(path, name) as file:
            if not file.peek(1):
                raise BadArchive(f"{name} is empty", hint="create the tar again")
            layer = _add_layer(file, store)
    return BaseImage(name, name, platform, digest=layer.diff_id, layers=(layer,))


def fingerprint(path: Path, name: str) -> str:
    """Changes when the file, or anything in the folder, does: from names, sizes, modes and times, not from contents."""
    found = hashlib.sha256()
    with _opened(path, name) if not path.is_dir() else contextlib.nullcontext():
        status = path.stat()
    if not path.is_dir():
        return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"
    for _, name, entry in tar.walk(path):
        values = (entry.st_mode, entry.st_size, entry.st_mtime_ns, entry.st_ctime_ns, entry.st_ino)
        found.update(f"{name}\0{values}\0".encode(errors="surrogateescape"))
    return found.hexdigest()


# ── what they share ──────────────────────────────────────────────────────────────────────────────────────────────────


def _add_layer(file: io.BufferedReader[Any], store: Store) -> Layer:
    """A tar as a layer: what is compressed already stays as it is, what is not goes through the project's encoder."""
    compression = compression_of(file.peek(4)[:4])
    if compression == "none":
        return layer_from_tar(store, file, "gzip")
    with store.writer() as writer:
        _copy(file, writer)
    try:
        return layer_from_blob(store, Descriptor(OCI_LAYERS[compression], writer.digest, writer.size))
    except RecipeError:
        store.drop(writer.digest)
        raise


def _copy(file: IO[bytes], writer: IO[bytes] | object) -> None:
    write = writer.write  # type: ignore[union-attr]  # the store's writer, which is no IO
    while data := file.read(_CHUNK):
        write(data)


def _up_to(file: IO[bytes], limit: int, what: str, name: str) -> bytes:
    data = file.read(limit + 1)
    if len(data) > limit:
        raise BadArchive(f"{name}: {what} is larger than {limit} bytes")
    return data


@contextlib.contextmanager
def _sized(path: Path, name: str) -> Iterator[_Sized]:
    with _opened(path, name) as file:
        yield file, os.fstat(file.fileno()).st_size


@contextlib.contextmanager
def _opened(path: Path, name: str) -> Iterator[io.BufferedReader[Any]]:
    try:
        file = open(path, "rb")  # noqa: SIM115  # closed below; only opening it may fail in this way
    except FileNotFoundError as error:
        raise Unavailable(f"{name}: {str(path)!r} is not there", hint="check the path") from error
    except OSError as error:
        raise BadInput(f"cannot read {str(path)!r}: {error.strerror}") from error
    with file:
        yield file
