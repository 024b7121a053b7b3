"""An image as one tar that every engine loads, and as a layout of its own.

The tar carries `manifest.json` for Docker up to 24 and podman, and `oci-layout` with `index.json` for the newer ones,
around the same blobs. Source: OCI image-spec, "Image Layout"; moby, "Docker Image Specification v1.2".
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO, Any

from recipes.errors import BadInput
from recipes.model import Descriptor, Image
from recipes.package.layers import open_layer
from recipes.package.reference import docker_tag
from recipes.package.store import LAYOUT, REF_NAME, Store, index_document, platform_document, to_json
from recipes.workspace import replacing


def write_archive(
    image: Image,
    store: Store,
    out: IO[bytes],
    *,
    tag: str = "",
    uncompressed: bool = False,
    skip_diff_ids: Collection[str] = (),
) -> None:
    """Stream the image as a tar. `tag` is what an engine will call it.

    `uncompressed` writes plain layers and Docker's manifest alone: an engine that only unpacks them again loads that
    faster, and the image ID (the config's digest) is the same. Layers in `skip_diff_ids`, which the engine must have,
    are named and left out.
    """
    tag = tag or docker_tag(image.name)
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
        config_name = _blob_name(image.config.digest)
        if uncompressed:
            names = [f"{layer.diff_id.removeprefix('sha256:')}.tar" for layer in image.layers]
            _add(archive, config_name, store.read(image.config.digest))
            for name, layer in dict(zip(names, image.layers, strict=True)).items():
                if layer.diff_id not in skip_diff_ids:
                    with open_layer(store, layer) as stream:
                        _add_stream(archive, name, stream, layer.tar_bytes)
        else:
            names = [_blob_name(layer.descriptor.digest) for layer in image.layers]
            entry: dict[str, Any] = {
                "mediaType": image.manifest.media_type,
                "digest": image.manifest.digest,
                "size": image.manifest.size,
                "platform": platform_document(image.platform),
                "annotations": {
                    REF_NAME: tag.partition(":")[2],
                    "io.containerd.image.name": f"docker.io/library/{tag}",
                },
            }
            _add(archive, "oci-layout", LAYOUT)
            _add(archive, "index.json", index_document([entry]))
            digests = [image.manifest.digest, image.config.digest, *(layer.descriptor.digest for layer in image.layers)]
            for digest in dict.fromkeys(digests):
                _add_file(archive, _blob_name(digest), store.blob(digest))
        _add(archive, "manifest.json", to_json([{"Config": config_name, "RepoTags": [tag], "Layers": names}]))


def check_target(to: str, *, several: bool = False) -> None:
    """Raises: BadInput for what `export` cannot write to, before anything is built."""
    if to.startswith("oci:"):
        if not to.removeprefix("oci:").partition(":")[0]:
            raise BadInput(f"no folder in {to!r}", hint="write oci:DIR or oci:DIR:tag")
    elif not to.endswith(".tar"):
        raise BadInput(f"do not know what {to!r} is", hint="write FILE.tar or oci:DIR[:tag]")
    elif several:
        raise BadInput(f"{to!r} can hold the image of one platform alone", hint="write oci:DIR[:tag] for several")


def export(images: Sequence[Image], start: Descriptor, store: Store, to: str) -> None:
    """Write the image to `FILE.tar`, or it and others with the index `start` into the OCI layout `oci:DIR[:tag]`.

    Raises: BadInput for anything else.
    """
    check_target(to, several=len(images) > 1)
    if to.endswith(".tar") and not to.startswith("oci:"):
        with replacing(Path(to)) as file:
            write_archive(images[0], store, file)
        return
    folder, _, tag = to.removeprefix("oci:").partition(":")
    target = Store(Path(folder).resolve())
    for image in images:
        for descriptor in (*(layer.descriptor for layer in image.layers), image.config, image.manifest):
            _copy(descriptor, store, target)
    _copy(start, store, target)
    platform = images[0].platform if len(images) == 1 else None
    target.tag(tag or docker_tag(images[0].name).partition(":")[2], start, platform=platform)


def _copy(descriptor: Descriptor, store: Store, target: Store) -> None:
    if not target.has(descriptor.digest, descriptor.size):
        with target.writer(expect=descriptor.digest) as writer, open(store.blob(descriptor.digest), "rb") as file:
            while data := file.read(1 << 20):
                writer.write(data)


def _blob_name(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    _add_stream(archive, name, io.BytesIO(data), len(data))


def _add_file(archive: tarfile.TarFile, name: str, path: Path) -> None:
    with open(path, "rb") as file:
        _add_stream(archive, name, file, path.stat().st_size)


def _add_stream(archive: tarfile.TarFile, name: str, stream: IO[bytes], size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    archive.addfile(info, stream)
