"""Binary + BaseImage → Image: the base's own layers, and one more with the program in it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

from recipes.model import BaseImage, Binary, Descriptor, Image, ImageSettings, Layer
from recipes.package.config import config_document, manifest_document
from recipes.package.encode import Compression
from recipes.package.layers import FileEntry, source_date_epoch, write_layer
from recipes.package.store import CONFIG, MANIFEST, Store, to_json
from recipes.workspace import write_atomically

PROGRAM = "/app"
"""Where the program is, whatever its own name: so equal programs make equal layers, and the name needs no quoting."""

_MODE = 0o755
"""Fixed, because the mode of the file on disk depends on the umask and on the linker."""

_RECORDS = 2
"""Changes when an image made of the same inputs would be another one."""


def assemble(
    binary: Binary,
    base: BaseImage,
    *,
    store: Store,
    name: str,
    settings: ImageSettings | None = None,
    compression: Compression = "gzip",
    entrypoint: tuple[str, ...] = (PROGRAM,),
) -> Image:
    """The image, in the store under `name`. The same input gives the same digest on any machine.

    `entrypoint` may start something of the base that takes the program as its argument, such as a tracer. Nothing is
    compressed again that was assembled before: a record says which layer a binary became.
    """
    settings = settings or ImageSettings()
    layer = _program_layer(binary, store, compression)
    layers = (*base.layers, layer)
    config = store.add(to_json(config_document(binary.platform, base, layers, entrypoint, settings)), CONFIG)
    title = binary.sample.name if binary.sample else binary.path.name
    manifest = store.add(to_json(manifest_document(config, layers, base, title, settings)), MANIFEST)
    store.tag(name, manifest, platform=binary.platform)
    return Image(name, manifest, config, layers, binary.platform, base, binary, entrypoint, settings)


def _program_layer(binary: Binary, store: Store, compression: Compression) -> Layer:
    record = _record(binary, store, compression)
    known = _read(record)
    if known is not None and store.has(known.descriptor.digest, known.descriptor.size):
        return known
    layer = write_layer(store, [FileEntry(PROGRAM, binary.path, _MODE)], compression)
    write_atomically(record, json.dumps(dataclasses.asdict(layer)).encode())
    return layer


def _record(binary: Binary, store: Store, compression: Compression) -> Path:
    inputs = (_RECORDS, binary.sha256, binary.size, compression, PROGRAM, _MODE, source_date_epoch())
    key = hashlib.sha256(repr(inputs).encode()).hexdigest()
    return store.root.parent / "cache" / "layers" / f"{key}.json"


def _read(record: Path) -> Layer | None:
    try:
        data = json.loads(record.read_bytes())
        return Layer(**(data | {"descriptor": Descriptor(**data["descriptor"])}))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or not ours: made again
