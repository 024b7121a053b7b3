"""What a project installs beside its program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from recipes.errors import BadInput
from recipes.model import FileEntry, Installed

_NOT_DATA = frozenset(
    {
        *("include", "pkgconfig", "cmake", "aclocal", "man", "info", "doc", "locale"),
        *("bash-completion", "applications", "icons", "metainfo", "zsh", "fish"),
    }
)
"""Folders for people, for who builds with it, or for a desktop."""


def beside(installed: Installed) -> tuple[FileEntry, ...]:
    """All that stands in the tree but the program, as it stands there, for an image. Raises: BadInput."""
    try:
        return tuple(_entries(installed.tree, installed.program))
    except OSError as error:
        raise BadInput(f"cannot read what was installed in {str(installed.tree)!r}: {error.strerror}") from error


def data_of(installed: Installed) -> tuple[FileEntry, ...]:
    """The files beside the program that it may read. Raises: BadInput."""
    return tuple(entry for entry in beside(installed) if entry.source is not None and _is_data(entry))


def named_data(installed: Installed) -> tuple[FileEntry, ...]:
    """Those of `data_of` that the program names: it was built to read them there. Raises: BadInput."""
    named = frozenset(installed.named)
    return tuple(entry for entry in data_of(installed) if entry.path in named) if named else ()


def _entries(tree: Path, program: str) -> Iterator[FileEntry]:
    for parent, folders, files in os.walk(tree):
        folders.sort()
        for name in (*folders, *sorted(files)):
            file = Path(parent, name)
            path = f"/{file.relative_to(tree)}"
            if path == program:
                continue
            if file.is_symlink():
                yield FileEntry(path, None, 0o777, link=os.readlink(file))
            elif file.is_dir():
                yield FileEntry(path, None, 0o755)
            elif file.is_file():
                yield FileEntry(path, file, 0o755 if os.access(file, os.X_OK) else 0o644)


def _is_data(entry: FileEntry) -> bool:
    parts = entry.path.split("/")
    return not (entry.mode & 0o111 or entry.path.endswith((".a", ".la")) or _NOT_DATA & {*parts})
