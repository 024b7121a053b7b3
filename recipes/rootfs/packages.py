"""What dpkg knows of a root: which package a file belongs to, and what else came with it.

Source: dpkg(1), "FILES"; deb-substvars(5) and Debian Policy, 5.6.1 "Source" and 7.1 "Syntax of relationship fields".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from recipes.errors import BadInput
from recipes.rootfs.root import RootFs

_INFO = "/var/lib/dpkg/info"
_STATUS = "/var/lib/dpkg/status"
_DEPENDENCY = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_DATA = re.compile(
    rb"^(/usr/(?:lib|libexec|share)/(?:[^/\n]+-linux-[^/\n]+/[^/\n]+|(?![^/\n]+-linux-)[^/\n]+))(?=/)", re.MULTILINE
)
"""Folders of a package below /usr, also where libraries have a folder for each CPU."""

_FOR_PEOPLE = frozenset(
    {
        *("applications", "bash-completion", "bug", "debug", "doc", "doc-base", "icons", "info", "lintian", "locale"),
        *("man", "menu", "metainfo", "pixmaps", "zsh"),
    }
)
_SHARED_BY = 3
"""A folder that packages of more sources than this have files in is nobody's own."""


@dataclass(frozen=True, slots=True)
class _Package:
    source: str
    depends: frozenset[str]


def folders_beside(root: RootFs, path: str) -> tuple[str, ...]:
    """The folders below /usr that came with the program at `path`: of its package, and of those of the same source that
    it depends on. () where dpkg does not know the file, or keeps no books in this root.
    """
    lists = _lists(root)
    owner = next((name for name, files in lists.items() if _has(files, path)), "")
    packages = _packages(root) if owner else {}
    if owner not in packages:
        return ()
    family = _family(packages, owner)
    found = {match[1] for name in family for match in _DATA.finditer(lists.get(name, b""))}
    own = [
        folder
        for folder in sorted(found)
        if folder.rpartition(b"/")[2].decode(errors="surrogateescape") not in _FOR_PEOPLE
        and len({packages[name].source for name, files in lists.items() if name in packages and _has(files, folder)})
        <= _SHARED_BY
    ]
    return tuple(_towards(folder.decode(errors="surrogateescape"), path) for folder in own)


def _towards(folder: str, path: str) -> str:
    """The folder; or, where the program stands deeper in it, that one in it: /usr/lib/jvm holds one for each Java."""
    inside, deeper, _ = path.removeprefix(f"{folder}/").partition("/")
    return f"{folder}/{inside}" if deeper and path.startswith(f"{folder}/") else folder


def _family(packages: dict[str, _Package], owner: str) -> set[str]:
    source, family, pending = packages[owner].source, {owner}, [owner]
    while pending:
        for name in packages[pending.pop()].depends - family:
            if name in packages and packages[name].source == source:
                family.add(name)
                pending.append(name)
    return family


def _has(files: bytes, path: str | bytes) -> bool:
    """Whether a list has the path, or the same with the place that it had before /bin became a link to /usr/bin."""
    name = path if isinstance(path, bytes) else path.encode(errors="surrogateescape")
    names = (name, name.removeprefix(b"/usr")) if name.startswith(b"/usr/") else (name,)
    return any(b"\n%b\n" % each in files for each in names)


def _lists(root: RootFs) -> dict[str, bytes]:
    """The files of each package, one on a line, as dpkg wrote them down."""
    found = {}
    for name in root.names(_INFO):
        if name.endswith(".list"):
            found[name.removesuffix(".list").partition(":")[0]] = b"\n" + root.read(f"{_INFO}/{name}")
    return found


def _packages(root: RootFs) -> dict[str, _Package]:
    try:
        text = root.read(_STATUS).decode(errors="replace")
    except BadInput:
        return {}
    return dict(_parsed(text))


def _parsed(text: str) -> Iterator[tuple[str, _Package]]:
    for paragraph in text.split("\n\n"):
        fields: dict[str, str] = dict(
            re.findall(r"^(Package|Source|Depends|Pre-Depends): *(.*)$", paragraph, re.MULTILINE)
        )
        name = fields.get("Package", "")
        depends = f"{fields.get('Depends', '')},{fields.get('Pre-Depends', '')}"
        names = (_DEPENDENCY.match(word.strip()) for word in re.split(r"[,|]", depends))
        source = fields.get("Source", name).partition(" ")[0]
        yield name, _Package(source, frozenset(match[0] for match in names if match))
