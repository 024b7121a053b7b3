"""An image as one tar that every engine loads, and as a layout of its own.

The tar carries `manifest.json` for Docker up to 24 and podman, and `oci-layout` with `index.json` for the newer ones,
around the same blobs. Source: OCI image-spec, "Image Layout"; moby, "Docker Image Specification v1.2".
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from recipes.errors import BadInput
from recipes.model import Descriptor, FileEntry, Image, Layer, Platform
from recipes.oci.contents import gather, images_of
from recipes.oci.layers import layer_pieces, open_layer
from recipes.oci.reference import docker_tag
from recipes.oci.store import LAYOUT, REF_NAME, Store, index_document, platform_document, to_json
from recipes.oci.tar import Content, Entry, Joined, pieces
from recipes.support.digest import encoded
from recipes.support.workspace import output


def archive(
    image: Image,
    store: Store,
    *,
    tag: str = "",
    uncompressed: bool = False,
    skip_diff_ids: Collection[str] = (),
    afresh: bool = False,
) -> Iterator[bytes]:
    """The image as a tar, piece by piece. `tag` is what an engine will call it.

    `uncompressed` gives plain layers and Docker's manifest alone: an engine that only unpacks them again loads that
    faster, and the image ID (the config's digest) is the same. Layers in `skip_diff_ids`, which the engine must have,
    are named and left out. With `afresh` the program's layer is made of the program once more, which takes less time
    than to decompress it; an engine refuses it where the program is another one by now.
    Raises: BadArchive for a layer that is damaged or gone.
    """
    tag = tag or docker_tag(image.name)
    return pieces(
        _to_unpack(image.config, image.layers, store, tag, skip_diff_ids, image.own_files if afresh else ())
        if uncompressed
        else _to_keep(
            image.manifest, image.platform, image.config, [each.descriptor for each in image.layers], store, tag
        )
    )


def unpacked_archive(config: Descriptor, layers: Sequence[Layer], store: Store, tag: str) -> Iterator[bytes]:
    """An image of which nothing is known but its config and its layers, as an engine unpacks it: see `archive`."""
    return pieces(_to_unpack(config, layers, store, tag))


def _to_unpack(
    config_at: Descriptor,
    layers: Sequence[Layer],
    store: Store,
    tag: str,
    skip_diff_ids: Collection[str] = (),
    own_files: Sequence[FileEntry] = (),
) -> Iterator[Entry]:
    """`own_files` are what the topmost layer is made of, where it is to be made of them once more."""
    names = [f"{encoded(layer.diff_id)}.tar" for layer in layers]
    config = _blob_name(config_at.digest)
    yield _document(config, store.read(config_at.digest))
    for name, layer in dict(zip(names, layers, strict=True)).items():
        if layer.diff_id in skip_diff_ids:
            continue
        if own_files and layer is layers[-1]:
            yield _entry(name, layer.tar_bytes, partial(Joined, layer_pieces(own_files)))
        else:
            yield _entry(name, layer.tar_bytes, partial(open_layer, store, layer))
    yield _docker_manifest(config, tag, names)


def _to_keep(
    manifest: Descriptor, platform: Platform, config: Descriptor, layers: Sequence[Descriptor], store: Store, tag: str
) -> Iterator[Entry]:
    entry: dict[str, Any] = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": manifest.size,
        "platform": platform_document(platform),
        "annotations": {
            REF_NAME: tag.partition(":")[2],
            "io.containerd.image.name": f"docker.io/library/{tag}",
        },
    }
    yield _document("oci-layout", LAYOUT)
    yield _document("index.json", index_document([entry]))
    for descriptor in dict.fromkeys((manifest, config, *layers)):
        size = store.blob(descriptor.digest).stat().st_size
        yield _entry(_blob_name(descriptor.digest), size, partial(store.open, descriptor.digest))
    yield _docker_manifest(_blob_name(config.digest), tag, [_blob_name(layer.digest) for layer in layers])


def _docker_manifest(config: str, tag: str, layers: Sequence[str]) -> Entry:
    return _document("manifest.json", to_json([{"Config": config, "RepoTags": [tag], "Layers": layers}]))


def _document(name: str, data: bytes) -> Entry:
    return _entry(name, len(data), partial(io.BytesIO, data))


def _entry(name: str, size: int, open_it: Callable[[], Content]) -> Entry:
    info = tarfile.TarInfo(name)
    info.size = size
    return Entry(info, open_it)


def check_target(to: str, *, several: bool = False) -> None:
    """Raises: BadInput for what `export` cannot write to, before anything is built."""
    if to.startswith("oci:"):
        if not to.removeprefix("oci:").partition(":")[0]:
            raise BadInput(f"{to!r} names no folder", hint="write oci:DIR or oci:DIR:tag")
    elif not to.endswith(".tar"):
        raise BadInput(f"{to!r} is neither a tar nor a layout", hint="write FILE.tar or oci:DIR[:tag]")
    elif several:
        raise BadInput(
            f"{to!r} can hold the image of only one platform", hint="for several platforms write oci:DIR[:tag]"
        )


def export(images: Sequence[Image], start: Descriptor, store: Store, to: str) -> None:
    """Write the image to `FILE.tar`, or it and others with the index `start` into the OCI layout `oci:DIR[:tag]`.

    Raises: BadInput for anything else.
    """
    check_target(to, several=len(images) > 1)
    if to.endswith(".tar") and not to.startswith("oci:"):
        with output(Path(to)) as file:
            file.writelines(archive(images[0], store))
        return
    _export_layout(images[0].name, start, images[0].platform if len(images) == 1 else None, store, to)


def export_stored(name: str, start: Descriptor, store: Store, to: str) -> None:
    """The same for what the store has as `name`: an image, or an index of several. Raises: BadInput, BadArchive."""
    images = images_of(store, start)
    check_target(to, several=len(images) > 1)
    if to.startswith("oci:"):
        _export_layout(name, start, images[0].platform if len(images) == 1 else None, store, to)
        return
    image = images[0]
    with output(Path(to)) as file:
        parts = _to_keep(image.manifest, image.platform, image.config, image.layers, store, docker_tag(name))
        file.writelines(pieces(parts))


def _export_layout(name: str, start: Descriptor, platform: Platform | None, store: Store, to: str) -> None:
    folder, _, tag = to.removeprefix("oci:").partition(":")
    target = replace(store, root=Path(folder).resolve())
    contents = gather(store, start)
    with ExitStack() as undo:
        for descriptor in (*contents.blobs, *(manifest for manifest, _ in contents.manifests)):
            if not target.is_whole(descriptor.digest):
                _copy(descriptor, store, target)
                undo.callback(target.drop, descriptor.digest)
        target.tag(tag or docker_tag(name).partition(":")[2], start, platform=platform)
        undo.pop_all()


def _copy(descriptor: Descriptor, store: Store, target: Store) -> None:
    with target.writer(expect=descriptor.digest) as writer, store.open(descriptor.digest) as file:
        while data := file.read(1 << 20):
            writer.write(data)


def _blob_name(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")
