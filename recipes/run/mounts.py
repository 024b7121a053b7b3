"""The folders that an engine makes in a container: the working directory, where it lacks, and volumes with contents.

Source: moby, `daemon/create_unix.go` and `container/container_unix.go`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from recipes.rootfs.accounts import Account
from recipes.rootfs.layering import LINKS_IN_A_ROW
from recipes.rootfs.root import Entry, RootFs

VolumeEntry = tuple[str, str, int, str]
"""One name in a volume: where, its kind as in `rootfs.tree.Entry`, its mode for the account, a link's target."""

VolumeContents = tuple[int, list[VolumeEntry]]
"""A volume's mode for the account, and what is in it."""


def place_of(root: RootFs, path: str) -> str:
    """Where `path` leads to in the root, also as far as it does not exist yet."""
    place, ahead, links = "/", path.split("/")[::-1], 0
    while ahead:
        there = os.path.normpath(f"{place}/{ahead.pop()}").replace("//", "/")
        entry = root.lookup(there)
        if entry is None or entry.kind != "symlink" or links == LINKS_IN_A_ROW:
            place = there
            continue
        links += 1
        ahead += entry.target.split("/")[::-1]
        if entry.target.startswith("/"):
            place = "/"
    return place


def volume(root: RootFs, place: str, account: Account) -> VolumeContents:
    """A volume at `place`: what the image's folder is and holds, else an empty folder that is root's."""
    entry = root.lookup(place)
    if entry is None or entry.kind != "dir":
        return _mode_for(account, Entry("dir", 0o755)), []
    return _mode_for(account, entry), list(_contents(root, place, account))


def _contents(root: RootFs, place: str, account: Account) -> Iterator[VolumeEntry]:
    above = f"{place.rstrip('/')}/"
    for path, entry in root.entries():
        if path.startswith(above):
            yield path.removeprefix(above), entry.kind, _mode_for(account, entry), entry.target


def _mode_for(account: Account, entry: Entry) -> int:
    """The entry's mode for a root where all is the account's: as its owner it may do what it may in the image."""
    rights = sum(right for right in (4, 2, 1) if account.may(entry, right))
    return entry.mode & 0o1077 | rights << 6
