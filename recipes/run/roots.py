"""An image's layers as a root file system, as the engines need it."""

from __future__ import annotations

from recipes.model import Image
from recipes.oci.roots import Roots
from recipes.rootfs.root import RootFs


def root_beneath(image: Image, roots: Roots) -> RootFs:
    """What is in the image beside the program: base, files and data."""
    return roots.of(image.layers[:-1])


def writable_folders(image: Image, roots: Roots) -> tuple[str, ...]:
    """Where a program may write although everything else is read-only: /tmp, if the image has it."""
    there = image.additions.tmp or (len(image.layers) > 1 and root_beneath(image, roots).is_folder("/tmp"))
    return ("/tmp",) if there else ()
