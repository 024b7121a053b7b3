"""A base that is made for one program: its loader, exactly the libraries that the loader will load, and what else is
named.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from recipes.errors import BadInput
from recipes.loader.closure import Closure
from recipes.model import BaseImage, Compression, FileEntry, Platform
from recipes.oci.reference import BUNDLE
from recipes.oci.store import Store
from recipes.package.assemble import data_layer
from recipes.rootfs.root import Entry, RootFs
from recipes.support.workspace import replacing

_ELF_MODE, _DATA_MODE = 0o755, 0o644


def taken_along(root: RootFs, paths: Iterable[str]) -> dict[str, Entry]:
    """All that is at and beneath `paths`, and what links there lead to, by its path without links.

    A link to a folder that holds one of `paths` is kept, and that folder is not taken for it. Sockets, pipes and
    devices are left out. Raises: BadInput for a path where there is nothing.
    """
    found: dict[str, Entry] = {}
    named = [_named(root, path) for path in paths]
    pending = named[::-1]
    while pending:
        place = pending.pop()
        entry = root.lookup(place)
        if place in found or entry is None or entry.kind not in ("file", "dir", "symlink"):
            continue
        found[place] = entry
        if entry.kind == "dir":
            pending += (f"{place}/{name}" for name in root.names(place))
        elif entry.kind == "symlink":
            target = root.resolve(posixpath.join(posixpath.dirname(place), entry.target), follow=False)
            if target is not None and not any(f"{path}/".startswith(f"{target.rstrip('/')}/") for path in named):
                pending.append(target)
    return found


def _named(root: RootFs, path: str) -> str:
    place = root.resolve(path, follow=False) if path.startswith("/") else None
    if place is None or place == "/":
        raise BadInput(
            f"the root has no {path!r} to take along", hint="name a file or a folder of it: --with /usr/lib/x"
        )
    return place


def make_base(
    closure: Closure,
    along: Mapping[str, Entry],
    root: RootFs,
    source: str,
    platform: Platform,
    store: Store,
    compression: Compression,
) -> BaseImage:
    """One layer with the files of the closure and all that is taken `along`, read from `root`; `source` is its name.

    Links of the old root become files; of several names for one file the others are links to the first, since a loader
    would load two copies twice. What is taken along stays as it is. The layer depends on the contents alone.
    Raises: BadInput.
    """
    first = {path: path for path, entry in along.items() if entry.kind == "file"}
    entries, digests = [], {}
    for entry, digest in _as_they_are(root, along, store):
        entries.append(entry)
        if isinstance(entry.source, Path):
            digests[entry.source] = digest
    for place, real in closure.places:
        if place in along or (real in along and _passes_link(place, along)):
            continue
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


def _passes_link(place: str, along: Mapping[str, Entry]) -> bool:
    """Whether a folder on the way is a link that is taken along: nothing can stand behind it under that name."""
    parts = place.split("/")
    return any(
        (entry := along.get("/".join(parts[:count]))) is not None and entry.kind == "symlink"
        for count in range(2, len(parts))
    )


def _as_they_are(root: RootFs, along: Mapping[str, Entry], store: Store) -> Iterator[tuple[FileEntry, str]]:
    """An entry for each, and the digest of its content. Further names of a file are links to the first."""
    first: dict[int, str] = {}
    for path, entry in sorted(along.items()):
        link = entry.target
        if entry.kind == "file" and entry.inode:
            link = first.setdefault(entry.inode, path)
        if entry.kind == "symlink" or (link and link != path):
            yield FileEntry(path, None, 0o777, link=link), ""
        elif entry.kind == "dir":
            yield FileEntry(path, None, entry.mode, entry.uid, entry.gid), ""
        else:
            file, digest = _keep(root, path, store)
            yield FileEntry(path, file, entry.mode, entry.uid, entry.gid), digest


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
