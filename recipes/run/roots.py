"""An image's layers as a root file system, as the engines need it."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from recipes.errors import BadInput
from recipes.model import BaseImage, Image
from recipes.oci.config import DEFAULT_PATH

if TYPE_CHECKING:
    from recipes.oci.roots import Roots
    from recipes.rootfs.accounts import Account
    from recipes.rootfs.root import RootFs


def root_beneath(image: Image, roots: Roots) -> RootFs:
    """What is in the image beside the program: base, files and data."""
    return roots.of(image.layers[:-1])


def writable_folders(image: Image, roots: Roots) -> tuple[str, ...]:
    """Where a program may write although everything else is read-only: /tmp, if the image has it."""
    there = image.additions.tmp or (len(image.layers) > 1 and root_beneath(image, roots).is_folder("/tmp"))
    return ("/tmp",) if there else ()


def words_of(image: BaseImage, args: tuple[str, ...]) -> tuple[str, ...]:
    """What a whole image starts: its entry point with `args`, or with its own command. Raises: BadInput for nothing."""
    words = (*image.entrypoint, *(args or image.cmd))
    if not words:
        raise BadInput(f"{image.name} has neither an entry point nor a command", hint="name a program with --args")
    return words


def find_program(root: RootFs, name: str, image: BaseImage, account: Account) -> str:
    """The path of the program that an image calls `name`; "" where it is in no folder of PATH. Source: execvp(3)."""
    if "/" in name:
        return posixpath.join(image.workdir, name)
    seen = root.seen_by(account)
    folders = dict(image.env).get("PATH", DEFAULT_PATH).split(":")
    paths = (posixpath.join(folder, name) for folder in folders if folder.startswith("/"))
    return next((path for path in paths if seen.is_file(path) and seen.may_execute(path)), "")
