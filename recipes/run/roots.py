"""An image's layers as a root file system, as the engines and the pipeline need it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from recipes.model import Image, Layer
from recipes.oci.layers import open_layer
from recipes.oci.store import Store
from recipes.rootfs.root import LayerSource, RootFs


def layer_sources(store: Store, layers: Sequence[Layer]) -> list[LayerSource]:
    return [LayerSource(layer.diff_id, partial(open_layer, store, layer)) for layer in layers]


def root_beneath(image: Image, store: Store) -> RootFs:
    """What is in the image beside the program: base, files and data."""
    layers = image.layers[:-1]
    return RootFs.from_layers(layer_sources(store, layers), store.root.parent / "cache" / "roots")


def writable_folders(image: Image, store: Store) -> tuple[str, ...]:
    """Where a program may write although everything else is read-only: /tmp, if the image has it."""
    return ("/tmp",) if len(image.layers) > 1 and root_beneath(image, store).is_folder("/tmp") else ()
