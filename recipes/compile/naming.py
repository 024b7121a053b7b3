"""What a source tree says about itself: what the project is called, and what Debian has made of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

_VERSION = re.compile(r"[-_ ]v?\d[^-_ ]*$|(?<=\D)[\d.]+$")
"""A version behind a separator, or digits that end the name."""

_SUFFIX = re.compile(r"(?<=\w)[-_]?(?:utils|tools|dfsg)$", re.IGNORECASE)
"""What a project that comes with more programs than the one, or a package of it, is called beside that."""

_FIX = re.compile(r"\bCVE-\d{4}-\d", re.IGNORECASE)
_SOURCE = re.compile(r"^Source:[ \t]*(\S+)", re.MULTILINE)
_CONFIGURE = re.compile(r"^PACKAGE_(?:TARNAME|NAME)='([^']+)'", re.MULTILINE)
_CMAKE = re.compile(r"^CMAKE_PROJECT_NAME:STATIC=(.+)$", re.MULTILINE)


def given_names(folder: Path) -> tuple[str, ...]:
    """The folder's name, as it is and without a version; and Debian's for the source package, where it says one."""
    debian = [match[1] for match in _SOURCE.finditer(_text(folder / "debian/control"))][:1]
    return tuple(dict.fromkeys(plain for name in (folder.name, *debian) for plain in _plain(name)))


def declared_names(*trees: Path) -> tuple[str, ...]:
    """What the project calls itself, once it is configured in one of `trees`: for Autoconf, CMake and Meson."""
    found: dict[str, None] = {}
    for tree in trees:
        written = (
            *_CONFIGURE.findall(_text(tree / "configure")),
            *_CMAKE.findall(_text(tree / "CMakeCache.txt")),
            *_meson(tree / "meson-info/intro-projectinfo.json"),
        )
        found.update((plain, None) for name in written for plain in _plain(name))
    return tuple(found)


def patches_of(folder: Path) -> tuple[Path, ...]:
    """The patches in one of Debian's source packages, applied when it was unpacked. Source: dpkg-source(1), "3.0"."""
    lines = (line.split("#")[0].split() for line in _text(folder / "debian/patches/series").splitlines())
    return tuple(folder / "debian/patches" / words[0] for words in lines if words)


def fixes_of(folder: Path) -> tuple[Path, ...]:
    """Those of `patches_of` that fix a vulnerability, as their name or their text says."""
    return tuple(patch for patch in patches_of(folder) if _FIX.search(f"{patch.name}\n{_text(patch)}"))


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
        return (str(json.loads(_text(path))["descriptive_name"]),)
    except (ValueError, KeyError, TypeError):
        return ()


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
