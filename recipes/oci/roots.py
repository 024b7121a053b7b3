"""Layers of the store as root file systems."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.model import Layer
from recipes.oci.store import Store
from recipes.support.work import once
from recipes.support.workspace import sweep_parts

if TYPE_CHECKING:
    from recipes.rootfs.root import RootFs

_MOST_OPEN = 64
"""A comparison has fewer bases, each with and without a few sets of data; an index has some megabytes."""


class Roots:
    """Each set of layers as one root, opened by the first who asks and shared from then on; safe for threads.

    What was asked for longest ago is let go.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[str, ...], Callable[[], RootFs]] = OrderedDict()
        self._folders: dict[Path, Callable[[], RootFs]] = {}

    def __reduce__(self) -> tuple[type[Roots], tuple[Store]]:
        return Roots, (self._store,)  # roots that are open stay with their process

    def of(self, layers: Sequence[Layer]) -> RootFs:
        """The root of layers, the lowest first; no layers are scratch. Raises: BadArchive."""
        key = tuple(layer.diff_id for layer in layers)
        with self._lock:
            root = self._open.setdefault(key, once(partial(self._opened, tuple(layers))))
            self._open.move_to_end(key)
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
        return root()

    def of_folder(self, folder: Path) -> RootFs:
        """A folder of this machine as a root, read when asked. Raises: BadInput."""
        with self._lock:
            root = self._folders.setdefault(folder, once(partial(self._opened_folder, folder)))
        return root()

    def _opened(self, layers: tuple[Layer, ...]) -> RootFs:
        from recipes.oci.layers import open_layer
        from recipes.rootfs.root import LayerSource, RootFs
        from recipes.support.file_cache import FileCache

        sources = [LayerSource(layer.diff_id, partial(open_layer, self._store, layer)) for layer in layers]
        folder = self._store.cache / "roots"
        sweep_parts(folder)
        return RootFs.from_layers(sources, FileCache(folder))

    def _opened_folder(self, folder: Path) -> RootFs:
        from recipes.rootfs.root import RootFs

        return RootFs.from_directory(folder)
