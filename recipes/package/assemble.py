"""Program + BaseImage → Image: the base's own layers, and one more with the program in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recipes.errors import BadInput
from recipes.model import Additions, BaseImage, Compression, Descriptor, FileEntry, Image, Layer, Program
from recipes.oci.config import config_document, manifest_document, source_date_epoch
from recipes.oci.media_types import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from recipes.oci.store import Store, index_document, platform_document, to_json
from recipes.support.records import keep_value, kept_value

_MODE = 0o755
"""Fixed, because the mode of the file on disk depends on the umask and on the linker."""

TMP = FileEntry("/tmp", None, 0o1777)
"""Many programs end without it, and a folder has no bytes."""

_RECORDS = 5
"""Changes when an image made of the same inputs would be another one."""


def assemble(
    program: Program,
    base: BaseImage,
    *,
    store: Store,
    name: str,
    additions: Additions | None = None,
    compression: Compression = "gzip",
    entrypoint: tuple[str, ...] = (),
) -> Image:
    """The image, in the store under `name`. The same input gives the same digest on any machine.

    `entrypoint` may start something of the base that takes the program as its argument, such as a tracer; () starts
    the program. Nothing is compressed again that was assembled before: a record says which layer a file became.
    """
    additions = additions or Additions()
    files = (FileEntry(additions.settings.place, program.path, _MODE), *((TMP,) if additions.tmp else ()))
    layer = data_layer(files, store, compression, {program.path: program.sha256})
    entrypoint = entrypoint or (additions.settings.entrypoint,)
    image = finish(program, base, layer, store, name=name, additions=additions, entrypoint=entrypoint)
    return replace(image, own_files=files)


def finish(
    program: Program,
    base: BaseImage,
    last: Layer,
    store: Store,
    *,
    name: str,
    additions: Additions,
    entrypoint: tuple[str, ...],
) -> Image:
    """The documents of the image whose last layer is `last`, in the store under `name`."""
    layers = (*base.layers, *additions.layers, last)
    config = store.add(to_json(config_document(program.platform, base, layers, entrypoint, additions)), OCI_CONFIG)
    manifest = store.add(
        to_json(manifest_document(config, layers, base, program.name, additions.settings)), OCI_MANIFEST
    )
    store.tag(name, manifest, platform=program.platform)
    return Image(
        name=name,
        manifest=manifest,
        config=config,
        layers=layers,
        platform=program.platform,
        base=base,
        program=program,
        entrypoint=entrypoint,
        additions=additions,
    )


def join(images: Sequence[Image], store: Store, name: str) -> Descriptor:
    """One index for images of several platforms, in the store under `name`: who pulls it gets the fitting one.

    Source: OCI image-spec, "Image Index".
    """
    entries: list[dict[str, Any]] = [
        {
            "mediaType": image.manifest.media_type,
            "digest": image.manifest.digest,
            "size": image.manifest.size,
            "platform": platform_document(image.platform),
        }
        for image in sorted(images, key=lambda image: image.platform)
    ]
    index = store.add(index_document(entries), OCI_INDEX)
    store.tag(name, index)
    return index


def data_layer(
    entries: tuple[FileEntry, ...], store: Store, compression: Compression, known: Mapping[Path, str] | None = None
) -> Layer:
    """A layer with these files, made once: a record says what it became.

    `known` are the SHA-256 digests of files that need not be read to tell. Raises: BadInput for an unreadable file.
    """
    record = _record(entries, store, compression, known or {})
    made = kept_value(record, Layer)
    if made is not None and store.has(made.descriptor.digest, made.descriptor.size):
        return made
    from recipes.oci.layers import write_layer

    layer = write_layer(store, entries, compression)
    keep_value(record, layer)
    return layer


def _record(entries: tuple[FileEntry, ...], store: Store, compression: Compression, known: Mapping[Path, str]) -> Path:
    described = [
        (entry.path, _content(entry, known), entry.size(), entry.mode, entry.uid, entry.gid, entry.link)
        for entry in entries
    ]
    key = hashlib.sha256(repr((_RECORDS, compression, source_date_epoch(), described)).encode()).hexdigest()
    return store.cache / "layers" / f"{key}.json"


def _content(entry: FileEntry, known: Mapping[Path, str]) -> str | None:
    if entry.source is None:
        return None
    if isinstance(entry.source, bytes):
        return hashlib.sha256(entry.source).hexdigest()
    if entry.source in known:
        return known[entry.source]
    try:
        with open(entry.source, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"cannot read {str(entry.source)!r}: {error.strerror}") from error
