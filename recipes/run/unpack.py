"""Layers as a folder, for the engine that mounts them.

Layers are read through `rootfs`, the same rules that verdicts go by: what could escape or lie about itself is
not in that tree, so it cannot be written either. Devices are left out, setuid bits dropped; everything belongs to whom
the program will be: the caller, or NOBODY where that is root.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.errors import RecipeError
from recipes.model import Layer
from recipes.oci.roots import Roots
from recipes.support import disk
from recipes.support.workspace import Workspace, locked, make_folder

if TYPE_CHECKING:
    from recipes.rootfs.root import RootFs

NOBODY = 65532
"""The user and the group that root becomes before a program runs."""


def unpack(layers: Sequence[Layer], roots: Roots, workspace: Workspace) -> Path:
    """The folder `build/roots/<key>` with what these layers hold together, made once and kept."""
    owner = NOBODY if os.geteuid() == 0 else os.geteuid()
    key = hashlib.sha256("\n".join((f"{owner}", *(layer.diff_id for layer in layers))).encode()).hexdigest()[:32]
    folder = workspace.roots / key
    if folder.is_dir():
        return folder
    make_folder(workspace.roots)
    with locked(workspace.roots / f"{key}.lock"):
        if not folder.is_dir():
            root = roots.of(layers)
            with workspace.temporary("unpack") as place:
                disk.Room(place, "unpacked layers").need(_size(root, os.statvfs(place).f_frsize))
                try:
                    _write(root, place / "root")
                    disk.sync_all(place)
                    os.rename(place / "root", folder)
                except OSError as error:
                    raise RecipeError(
                        f"cannot unpack layers into {str(folder)!r}: {error.strerror}", hint="is the disk full?"
                    ) from error
    return folder


def _size(root: RootFs, block: int) -> int:
    """The bytes that it takes on a disk with blocks of that many bytes; each name takes one at least."""
    files = {entry.inode: entry.size for _, entry in root.entries() if entry.kind == "file"}
    return sum(-(-size // block) * block for size in files.values()) + block * sum(1 for _ in root.entries())


def _write(root: RootFs, folder: Path) -> None:
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    _give_away(str(folder))
    modes: list[tuple[str, int]] = []
    written: dict[int, str] = {}
    for path, entry in root.entries():
        place = f"{folder}{path}"
        if entry.kind == "dir":
            os.mkdir(place)
            # The owner has to be able to fill and to remove it, whatever the layer says; 1777 stays as it is.
            modes.append((place, (entry.mode & 0o1777) | 0o700))
        elif entry.kind == "symlink":
            os.symlink(entry.target, place)
        elif entry.kind == "file":
            if entry.inode and entry.inode in written:
                os.link(written[entry.inode], place)
                continue
            with open(place, "xb") as file:
                root.copy_file(path, file)
                os.fchmod(file.fileno(), (entry.mode & 0o777) | 0o400)
            written[entry.inode] = place
        elif entry.kind == "fifo":
            with contextlib.suppress(OSError):  # some file systems have none
                os.mkfifo(place, entry.mode & 0o777)
        _give_away(place)
    for place, mode in modes:
        os.chmod(place, mode)


def _give_away(place: str) -> None:
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):  # root of a user namespace that maps no other user stays itself
            os.chown(place, NOBODY, NOBODY, follow_symlinks=False)
