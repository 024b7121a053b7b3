"""Stores in a folder of their own, without a workspace."""

from __future__ import annotations

from pathlib import Path

from recipes.oci.store import Store


def store_at(root: Path) -> Store:
    """The store in the folder `root`; what belongs to it lies beside it."""
    return Store(root, cache=root.with_name("cache"), locks=root.parent)
