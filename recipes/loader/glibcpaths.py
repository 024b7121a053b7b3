"""Where glibc's loader looks: the folders, in its order, each with the reason why it looks there.

Source: ld.so(8); glibc, `elf/dl-load.c`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from recipes.architecture import Kind, of_elf_machine
from recipes.elf.dynamic import Dynamic
from recipes.loader.objects import Object

_TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))")
# Of printable characters, and nothing of that kind before it: so each byte of a hostile file is looked at once.
_FOLDERS = re.compile(rb"(?<![!-~])(?:/(?:[!-.0-9;-~]++/)++\0)+")
_OTHERS_DEFAULT = ("/lib64/", "/usr/lib64/")
_TLS_MARK = 1 << 63
HWCAPS_SINCE = (2, 33)
"""The release of glibc that brought glibc-hwcaps, and with them the check of what a file asks of the CPU."""


@dataclass(slots=True, eq=False)
class LinkMap:
    """A loaded object, as the loader keeps it. `name` is the path it was found at; the program's own is ""."""

    name: str
    names: set[str]
    dynamic: Dynamic
    object: Object | None
    origin: str
    shown: str
    """what messages call it"""
    loader: LinkMap | None = None
    folders: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def answers_to(self, name: str) -> bool:
        return name in self.names or name == self.name or (name == self.dynamic.soname and name != "")


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """What the loader knows without looking: its built-in folders, and the CPU that it runs on. See `machine_of`."""

    system_folders: tuple[str, ...]
    hwcaps: tuple[str, ...]
    """the glibc-hwcaps folders that it uses, the best first"""
    legacy: tuple[str, ...]
    """the folders beneath one of a search path that come before it, in a release that has them"""
    cache_hardware: int
    """the marks that an entry of ld.so.cache may have"""
    level: int
    platform: str
    secure: bool
    """whether the program runs with the rights of another user or group than who starts it"""

    def expand(self, text: str, origin: str, *, of_program: bool = False) -> str:
        """Replace $ORIGIN, $LIB and $PLATFORM; "" where that cannot be: the loader then drops the whole path.

        `of_program`: it is a search path of the program's own. Source: glibc, `_dl_dst_substitute`.
        """
        if "$" not in text:
            return text
        expanded = self._expanded(text, origin)
        origins = [match for match in _TOKEN.finditer(text) if self.secure and "ORIGIN" in match[0]]
        if not origins:
            return expanded
        alone = len(origins) == 1 and origins[0].start() == 0 and text[origins[0].end() :][:1] in ("", "/")
        trusted = not of_program or f"{posixpath.normpath(expanded)}/".startswith(self.system_folders)
        return expanded if alone and trusted else ""

    def _expanded(self, text: str, origin: str) -> str:
        first = self.system_folders[0].strip("/").removeprefix("usr/")
        values = {"ORIGIN": origin, "LIB": first, "PLATFORM": self.platform}
        if not self.platform and any("PLATFORM" in token for token in _TOKEN.findall(text)):
            return ""
        return _TOKEN.sub(lambda match: values[match[1] or match[2]], text)

    def split(self, text: str, origin: str, separators: str, *, of_program: bool = False) -> tuple[str, ...]:
        """The folders of a search path, each ending in a slash, each once; an empty one is the working folder.

        Source: glibc, `fillin_rpath`.
        """
        if not text:
            return ()
        parts = ((part, self.expand(part, origin, of_program=of_program)) for part in re.split(f"[{separators}]", text))
        return tuple(dict.fromkeys(path.rstrip("/") + "/" if part else "" for part, path in parts if path or not part))


def release_number(text: str) -> tuple[int, ...]:
    """A release such as "2.36" to compare with others; () for "", which is older than any that names itself."""
    return tuple(map(int, text.split("."))) if text else ()


@lru_cache(maxsize=64)
def machine_of(
    system_folders: tuple[str, ...], kind: Kind, number: int, release: tuple[int, ...], secure: bool = False
) -> Machine:
    """What a loader of a release of glibc knows on a kind of machine whose CPU has that ELF number.

    Source: glibc, `_dl_important_hwcaps`, which knows glibc-hwcaps from 2.33 and the older names up to 2.36;
    `search_cache`, which knows these up to 2.39.
    """
    hardware = dict(kind.legacy_hwcaps)
    names = [*hardware, *filter(None, (kind.at_platform,)), "tls"] if release < (2, 37) else []
    marks = sum(hardware.values()) | kind.platform_mark | _TLS_MARK if release < (2, 40) else 0
    hwcaps = of_elf_machine(number).hwcaps[: kind.level - 1][::-1] if release >= HWCAPS_SINCE else ()
    return Machine(system_folders, hwcaps, _together(names), marks, kind.level, kind.at_platform, secure)


@lru_cache(maxsize=16)
def folders_for_some(kinds: tuple[Kind, ...]) -> tuple[str, ...]:
    """The names, below a folder that is searched, at which releases up to 2.36 begin what they use on some machines."""
    names = {name for kind in kinds for name in (kind.at_platform, *dict(kind.legacy_hwcaps)) if name}
    return ("tls", *sorted(names))


def _together(names: Sequence[str]) -> tuple[str, ...]:
    """Each choice of the names as a path, the last name first, in the loader's order: from all of them to the first."""
    chosen = range(2 ** len(names) - 1, 0, -1)
    return tuple(
        "".join(f"{names[at]}/" for at in reversed(range(len(names))) if choice >> at & 1) for choice in chosen
    )


@lru_cache(maxsize=16)
def system_folders(loader: bytes) -> tuple[str, ...]:
    """The folders that were built into a loader: distributions differ, so they are read from its own data."""
    for match in _FOLDERS.finditer(loader):
        folders = tuple(part.decode() for part in match[0].split(b"\0")[:-1])
        if any(folder.rstrip("/").endswith(("/lib", "/lib64", "/lib32", "/libx32")) for folder in folders):
            return folders
    return _OTHERS_DEFAULT


def own_paths(machine: Machine, chain: LinkMap, program: LinkMap) -> Iterator[tuple[str, tuple[str, ...]]]:
    """RPATH, with the reason: of the object that asks, of those that had it loaded, and of the program.

    An object with a RUNPATH has no RPATH, and uses no other object's.
    """
    if chain.dynamic.runpath is not None:
        return
    asked: LinkMap | None = chain
    seen_program = False
    while asked is not None:
        folders = _folders(machine, asked, "RPATH", asked.dynamic.rpath)
        if folders:
            seen_program |= asked is program
            yield f"RPATH of {asked.shown}", folders
        asked = asked.loader
    folders = () if seen_program else _folders(machine, program, "RPATH", program.dynamic.rpath)
    if folders:
        yield f"RPATH of {program.shown}", folders


def runpath(machine: Machine, asking: LinkMap) -> tuple[str, ...]:
    return _folders(machine, asking, "RUNPATH", asking.dynamic.runpath)


def _folders(machine: Machine, asked: LinkMap, tag: str, text: str | None) -> tuple[str, ...]:
    if tag not in asked.folders:
        ignored = text is None or (tag == "RPATH" and asked.dynamic.runpath is not None)
        asked.folders[tag] = (
            () if ignored or text is None else machine.split(text, asked.origin, ":", of_program=asked.object is None)
        )
    return asked.folders[tag]


def absolute(path: str, workdir: str = "/") -> str:
    """A path as the loader writes it, against the working folder."""
    return path if path.startswith("/") else posixpath.join("/", workdir, path)
