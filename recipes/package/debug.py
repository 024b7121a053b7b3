"""A twin of an image with tools for looking around in it. The image is its base, so its layers stay what they are."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from recipes.errors import Unavailable
from recipes.model import Additions, Compression, FileEntry, Image
from recipes.oci.config import DEFAULT_PATH
from recipes.oci.store import Store
from recipes.package.assemble import data_layer, finish
from recipes.rootfs.root import RootFs

FOLDER = "/busybox"
"""Where the tools are: a folder that no program looks into by chance."""

_BUSYBOX = "/bin/busybox"


def tools(root: RootFs, strace: Path | None) -> tuple[FileEntry, ...]:
    """busybox of `root`, a link for each of its commands there, and a static strace. Raises: Unavailable."""
    if not root.is_file(_BUSYBOX):
        raise Unavailable(f"the base with the tools has no {_BUSYBOX}")
    commands = [name for name in root.names("/bin") if _is_command(root, name)]
    return (
        FileEntry(f"{FOLDER}/busybox", root.read(_BUSYBOX), 0o755),
        *(FileEntry(f"{FOLDER}/{name}", None, 0o777, link="busybox") for name in commands),
        *([FileEntry(f"{FOLDER}/strace", strace, 0o755)] if strace else []),
    )


def twin(image: Image, entries: Iterable[FileEntry], store: Store, compression: Compression) -> Image:
    """The image `<name>-debug`: all of `image`, one layer more, and PATH ends in the tools' folder."""
    layer = data_layer(tuple(entries), store, compression)
    settings = image.settings
    env = dict(image.base.env) | dict(settings.env)
    settings = replace(settings, env=(*settings.env, ("PATH", f"{env.get('PATH', DEFAULT_PATH)}:{FOLDER}")))
    base = replace(image.base, name=image.name, reference=image.name, digest=image.digest, layers=image.layers)
    name, additions = f"{image.name}-debug", Additions(settings)
    return finish(image.program, base, layer, store, name=name, additions=additions, entrypoint=image.entrypoint)


def _is_command(root: RootFs, name: str) -> bool:
    entry = root.lookup(f"/bin/{name}")
    return entry is not None and entry.kind == "symlink" and posixpath.basename(entry.target) == "busybox"
