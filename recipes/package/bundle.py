"""A base that is made for one program: its loader and exactly the libraries that the loader will load."""

from __future__ import annotations

import hashlib
from pathlib import Path

from recipes.errors import BadInput
from recipes.loader.closure import Closure
from recipes.model import BaseImage, Compression, FileEntry, Platform
from recipes.oci.reference import BUNDLE
from recipes.oci.store import Store
from recipes.package.assemble import data_layer
from recipes.rootfs.root import RootFs
from recipes.support.workspace import replacing

_ELF_MODE, _DATA_MODE = 0o755, 0o644


def make_base(
    closure: Closure, root: RootFs, source: str, platform: Platform, store: Store, compression: Compression
) -> BaseImage:
    """One layer with the files of the closure, read from `root`; `source` says what that is.

    Links of the old root become files; of several names for one file the others are links to the first, since a loader
    would load two copies twice. The layer depends on the contents alone. Raises: BadInput.
    """
    first: dict[str, str] = {}
    entries, digests = [], {}
    for place, real in closure.places:
        known = first.setdefault(real, place)
        if known != place:
            entries.append(FileEntry(place, None, 0o777, link=known))
            continue
        file, digest = _keep(root, real, store)
        digests[file] = digest
        executable = root.read(real, 0, 4) == b"\x7fELF"
        entries.append(FileEntry(place, file, _ELF_MODE if executable else _DATA_MODE))
    if not entries:
        return BaseImage(BUNDLE, f"{BUNDLE}:{source}", platform)
    layer = data_layer(tuple(entries), store, compression, digests)
    return BaseImage(BUNDLE, f"{BUNDLE}:{source}", platform, digest=layer.diff_id, layers=(layer,))


def _keep(root: RootFs, path: str, store: Store) -> tuple[Path, str]:
    """The file by its content, beside the programs: the root may be a living system that changes."""
    digest = _digest(root, path)
    file = store.cache / "libraries" / digest
    if not file.exists():
        found = hashlib.sha256()
        with replacing(file) as out:
            for data in root.stream(path):
                found.update(data)
                out.write(data)
            if found.hexdigest() != digest:
                raise BadInput(f"{path} of the root changed while it was being copied", hint="try again")
    return file, digest


def _digest(root: RootFs, path: str) -> str:
    found = hashlib.sha256()
    for data in root.stream(path):
        found.update(data)
    return found.hexdigest()
