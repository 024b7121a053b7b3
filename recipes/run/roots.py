"""An image's layers as a root file system, as the engines and the pipeline need it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from recipes.model import Image, Layer
from recipes.oci.layers import open_layer
from recipes.oci.store import Store
from recipes.rootfs.root import LayerSource, RootFs
from recipes.support.file_cache import FileCache


def open_root(layers: Sequence[Layer], store: Store) -> RootFs:
    """The root of these layers, the lowest first, through the index that the store's cache has of it."""
    sources = [LayerSource(layer.diff_id, partial(open_layer, store, layer)) for layer in layers]
    return RootFs.from_layers(sources, FileCache(store.cache / "roots"))


def root_beneath(image: Image, store: Store) -> RootFs:
    """What is in the image beside the program: base, files and data."""
    return open_root(image.layers[:-1], store)


def writable_folders(image: Image, store: Store) -> tuple[str, ...]:
    """Where a program may write although everything else is read-only: /tmp, if the image has it."""
    return ("/tmp",) if len(image.layers) > 1 and root_beneath(image, store).is_folder("/tmp") else ()
