"""What a source tree says about itself: what the project is called, and what Debian has made of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from recipes.compile.files import text_of

_VERSION = re.compile(r"[-_ ]v?\d[^-_ ]*$|(?<=\D)[\d.]+$")
"""A version behind a separator, or digits that end the name."""

_SUFFIX = re.compile(r"(?<=\w)[-_]?(?:utils|tools|dfsg)$", re.IGNORECASE)
"""What a project that comes with more programs than the one, or a package of it, is called beside that."""

_FIX = re.compile(r"\bCVE-\d{4}-\d", re.IGNORECASE)
# A file's name has no more than 255 bytes.
_SOURCE = re.compile(r"^Source:[ \t]*(\S{1,255})(?!\S)", re.MULTILINE)
_CONFIGURE = re.compile(r"^PACKAGE_(?:TARNAME|NAME)='([^'\n]{1,255})'", re.MULTILINE)
_CMAKE = re.compile(r"^CMAKE_PROJECT_NAME:STATIC=(.{1,255})$", re.MULTILINE)


def given_names(folder: Path) -> tuple[str, ...]:
    """The folder's name, as it is and without a version; and Debian's for the source package, where it says one."""
    debian = [match[1] for match in _SOURCE.finditer(text_of(folder / "debian/control"))][:1]
    return tuple(dict.fromkeys(plain for name in (folder.name, *debian) for plain in _plain(name)))


def declared_names(*trees: Path) -> tuple[str, ...]:
    """What the project calls itself, once it is configured in one of `trees`: for Autoconf, CMake and Meson."""
    found: dict[str, None] = {}
    for tree in trees:
        written = (
            *_CONFIGURE.findall(text_of(tree / "configure")),
            *_CMAKE.findall(text_of(tree / "CMakeCache.txt")),
            *_meson(tree / "meson-info/intro-projectinfo.json"),
        )
        found.update((plain, None) for name in written for plain in _plain(name))
    return tuple(found)


def patches_of(folder: Path) -> tuple[Path, ...]:
    """The patches in one of Debian's source packages, applied when it was unpacked. Source: dpkg-source(1), "3.0"."""
    lines = (line.split("#")[0].split() for line in text_of(folder / "debian/patches/series").splitlines())
    paths = (PurePosixPath(words[0]) for words in lines if words)
    return tuple(
        folder / "debian/patches" / path for path in paths if not path.is_absolute() and os.pardir not in path.parts
    )


def fixes_of(folder: Path) -> tuple[Path, ...]:
    """Those of `patches_of` that fix a vulnerability, as their name or their text says."""
    return tuple(patch for patch in patches_of(folder) if _FIX.search(f"{patch.name}\n{text_of(patch)}"))


def _plain(name: str) -> Iterator[str]:
    """`lua5.4-5.4.4` is also `lua5.4` and `lua`, and `findutils` is about `find`."""
    while name:
        yield name
        yield name.lower()
        shorter = _VERSION.sub("", name)
        if shorter == name:
            shorter = _SUFFIX.sub("", name)
        if shorter == name:
            return
        name = shorter


def _meson(path: Path) -> tuple[str, ...]:
    try:
        return (str(json.loads(text_of(path))["descriptive_name"]),)
    except (ValueError, KeyError, TypeError):
        return ()
