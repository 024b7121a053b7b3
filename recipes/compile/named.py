"""Which of the files that a project installs its program names by their paths."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_PATH = re.compile(rb"(/[\x21-\x7e]{2,4095}+)(\0?)")
"""One, or a list of some with colons between. Other text with a slash is passed over as a whole: it may be long."""

_SHARED = frozenset(
    {
        *("usr", "local", "opt", "etc", "var", "bin", "sbin", "lib", "lib64", "libexec"),
        *("share", "misc", "locale", "man", "include"),
    }
)
"""Folders that programs share: one that names them means something in them."""


def named_files(program: Path, tree: Path) -> tuple[str, ...]:
    """The paths of those files below `tree`, a folder that stands for /, which the program at `program` names.

    It names a file by its whole path, by that without the ending, as libmagic does, or by a folder that it is in.
    """
    if not program.stat().st_size:  # of which there is no mmap
        return ()
    with open(program, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        texts = {text for text, end in _PATH.findall(data) if end}
    held = {path.rstrip("/") for text in texts for path in os.fsdecode(text).split(":")}
    return tuple(path for path in sorted(_files(tree)) if not held.isdisjoint(_names_of(PurePosixPath(path))))


def _files(tree: Path) -> Iterator[str]:
    for parent, _, files in os.walk(tree):
        yield from (f"/{Path(parent, name).relative_to(tree)}" for name in files)


def _names_of(path: PurePosixPath) -> Iterator[str]:
    yield str(path)
    yield str(path.with_suffix(""))
    yield from (str(folder) for folder in path.parents if folder.name not in _SHARED)
