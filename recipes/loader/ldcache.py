"""/etc/ld.so.cache: from a library's name to the paths where ldconfig found it.

Both formats are read: the one of libc5 times, and glibc's own, alone or behind the old one; in the latter also the
extension that names the glibc-hwcaps folder of an entry. A cache that glibc would not use is an empty one.
Source: glibc, `sysdeps/generic/dl-cache.h` and `elf/dl-cache.c`.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import NamedTuple

from recipes.architecture import architecture as row_of

_OLD_MAGIC, _NEW_MAGIC = b"ld.so-1.7.0", b"glibc-ld.so.cache1.1"
_OLD_HEADER, _NEW_HEADER = 16, 48
_OLD_ENTRY, _NEW_ENTRY = "iII", "iIIIQ"  # flags, name, path; and: kernel version, hardware
_EXTENSION_MAGIC, _HWCAPS_SECTION = 0xEAA42174, 1
_NAMED_HWCAP = 1 << 30  # of the upper half: the lower half is an index into the extension's names
_ISA_LEVELS = 0x3FF  # of the upper half: what the file's own note asks for
_MOST_SECTIONS = 64
_LONGEST = 4096

_PLAIN_ELF = 1


class Cached(NamedTuple):
    """One entry. `hwcap` is the name of a glibc-hwcaps folder, "" for none; `path` is as ldconfig wrote it.

    `hardware` are the marks of what older releases of glibc had folders for, and `level` is the x86-64 level.
    """

    path: str
    flags: int
    hwcap: str = ""
    hardware: int = 0
    level: int = 1


@dataclass(frozen=True, slots=True)
class LdCache:
    """The entries by name, in the order of the file."""

    entries: dict[str, tuple[Cached, ...]]

    def find(
        self,
        name: str,
        architecture: str,
        bits: int,
        hwcaps: tuple[str, ...] = (),
        *,
        e_flags: int = 0,
        hardware: int = 0,
        level: int = 1,
    ) -> str | None:
        """The path that the loader tries for `name`. `hwcaps` are the folders this machine uses, the best first;
        `e_flags` are those of the loader's own file, `hardware` the marks of older kinds that it takes.

        Source: glibc, `search_cache`.
        """
        row = row_of(architecture)
        flags = row.cache_flags.get((bits, e_flags & row.abi_mask), (0,))
        wanted = {_PLAIN_ELF, *flags}
        fitting = [entry for entry in self.entries.get(name, ()) if entry.flags in wanted]
        for hwcap in hwcaps:
            for entry in fitting:
                if entry.hwcap == hwcap and entry.level <= level:
                    return entry.path
        plain = [entry for entry in fitting if not entry.hwcap and not entry.hardware & ~hardware]
        # The first with the loader's own mark ends the search; of others the last counts.
        return next((entry.path for entry in plain if entry.flags == flags[0]), plain[-1].path if plain else None)


def read_ldcache(data: bytes, *, little_endian: bool = True) -> LdCache:
    """Read the content of an ld.so.cache; what cannot be one gives no entries, as the loader then ignores it."""
    order = "<" if little_endian else ">"
    new = 0
    if data.startswith(_OLD_MAGIC):
        if len(data) <= _OLD_HEADER:
            return LdCache({})
        (count,) = struct.unpack_from(order + "I", data, 12)
        if (len(data) - _OLD_HEADER) // 12 < count:
            return LdCache({})
        strings = _OLD_HEADER + 12 * count
        new = -(-strings // 8) * 8
        if not data.startswith(_NEW_MAGIC, new):
            return _old_entries(data, order, strings)
    return _new_entries(data, order, new) if data.startswith(_NEW_MAGIC, new) else LdCache({})


def _old_entries(data: bytes, order: str, strings: int) -> LdCache:
    found: dict[str, list[Cached]] = {}
    names = _Names(data, strings)
    for flags, key, value in struct.iter_unpack(order + _OLD_ENTRY, memoryview(data)[_OLD_HEADER:strings]):
        _add(found, names, key, value, flags)
    return _frozen(found)


def _new_entries(data: bytes, order: str, start: int) -> LdCache:
    first = start + _NEW_HEADER
    if len(data) <= first:
        return LdCache({})
    count, _, endianness, extension = struct.unpack_from(order + "IIB3xI", data, start + 20)
    # 0: written before the mark was there; 1: invalid; 2 and 3: little and big.
    if (len(data) - first) // 24 < count or endianness & 3 not in (0, 2 if order == "<" else 3):
        return LdCache({})
    names = _Names(data, start)
    hwcaps = _hwcap_names(data, order, start + extension, names) if extension else []
    found: dict[str, list[Cached]] = {}
    table = memoryview(data)[first : first + 24 * count]
    for flags, key, value, _, hardware in struct.iter_unpack(order + _NEW_ENTRY, table):
        upper = hardware >> 32
        if upper & ~_ISA_LEVELS != _NAMED_HWCAP:
            _add(found, names, key, value, flags, hardware=hardware)
        elif (index := hardware & 0xFFFFFFFF) < len(hwcaps):
            _add(found, names, key, value, flags, hwcap=hwcaps[index], level=1 + (upper & _ISA_LEVELS))
    return _frozen(found)


def _hwcap_names(data: bytes, order: str, at: int, names: _Names) -> list[str]:
    if at + 8 > len(data):
        return []
    magic, count = struct.unpack_from(order + "II", data, at)
    if magic != _EXTENSION_MAGIC:
        return []
    for section in range(min(count, _MOST_SECTIONS)):
        if at + 8 + 16 * (section + 1) > len(data):
            break
        tag, _, offset, size = struct.unpack_from(order + "IIII", data, at + 8 + 16 * section)
        offset += names.start
        if tag == _HWCAPS_SECTION and size % 4 == 0 and offset + size <= len(data):
            table = struct.unpack_from(f"{order}{size // 4}I", data, offset)
            return [names.text(name) or "?" for name in table[:_LONGEST]]
    return []


class _Names:
    """The strings, which stand at offsets from `start`."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data = data
        self.start = start
        self._budget = 8 * len(data)  # names that overlap cost more memory than the file

    def text(self, offset: int) -> str | None:
        at = self.start + offset
        end = self._data.find(b"\0", at, at + _LONGEST)
        self._budget -= end - at
        return os.fsdecode(self._data[at:end]) if end >= 0 and self._budget >= 0 else None


def _add(
    found: dict[str, list[Cached]],
    names: _Names,
    key: int,
    value: int,
    flags: int,
    *,
    hwcap: str = "",
    hardware: int = 0,
    level: int = 1,
) -> None:
    name, path = names.text(key), names.text(value)
    if name and path:
        found.setdefault(name, []).append(Cached(path, flags, hwcap, hardware, level))


def _frozen(found: dict[str, list[Cached]]) -> LdCache:
    return LdCache({name: tuple(entries) for name, entries in found.items()})
