"""The tree of a root as one block of bytes that is searched where it lies: opening it costs the same for any size.

Rows of fixed width are sorted by folder and name, so a name is found by bisection and a folder's names stand together.
A check sum covers all of it: an index that is not exactly what was written is rejected.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, get_args

from recipes.errors import BadArchive
from recipes.rootfs.layering import Merger
from recipes.rootfs.tree import Entry, Kind, Skipped

VERSION = 2
_MAGIC = b"fsroot\r\n"
_START = struct.Struct("<8sII")  # magic, check sum of the rest, length of the JSON header
_ROW = struct.Struct("<HHHHIIIIQqq")  # kind, mode, layer, 0, uid, gid, inode, target, size, mtime, offset
_KINDS: tuple[Kind, ...] = get_args(Kind)


def encode(merger: Merger, sizes: Sequence[int]) -> bytes:
    """The index of a merged tree over layers whose tars are `sizes` bytes long. Raises: BadArchive."""
    found = [(b"", merger.root)] + [(folder + b"\0" + name, node) for folder, name, node in merger.walk()]
    found.sort(key=lambda pair: pair[0])
    numbers = {kind: number for number, kind in enumerate(_KINDS)}
    keys, rows, targets, ends = bytearray(), bytearray(), bytearray(b"\0"), bytearray()
    for key, node in found:
        member = node.member
        target = 0
        if member.kind == "symlink":
            target = len(targets)
            targets += member.target + b"\0"
        rows += _ROW.pack(
            numbers[member.kind],  # type: ignore[index]  # no other kind of member is ever placed
            member.mode,
            node.layer,
            0,
            member.uid,
            member.gid,
            node.inode,
            target,
            member.size,
            member.mtime,
            member.offset,
        )
        keys += key
        ends += len(keys).to_bytes(4, "little")
    header = {
        "version": VERSION,
        "count": len(found),
        "keys": len(keys),
        "targets": len(targets),
        "sizes": list(sizes),
        "skipped": [[item.name, item.why] for item in merger.skipped],
    }
    text = json.dumps(header).encode()
    rest = text + ends + rows + keys + targets
    return _START.pack(_MAGIC, zlib.crc32(rest), len(text)) + rest


class Index:
    """What `encode` wrote. Raises: BadArchive where it did not write exactly this."""

    def __init__(self, data: bytes) -> None:
        if len(data) < _START.size:
            raise BadArchive("not the index of a root")
        magic, check, length = _START.unpack_from(data)
        if magic != _MAGIC or zlib.crc32(memoryview(data)[_START.size :]) != check:
            raise BadArchive("not the index of a root")
        header: dict[str, Any] = json.loads(data[_START.size : _START.size + length])
        if header["version"] != VERSION:
            raise BadArchive("the index of a root was written by another version")
        self.count: int = header["count"]
        self.sizes: tuple[int, ...] = tuple(header["sizes"])
        self.skipped = tuple(Skipped(name, why) for name, why in header["skipped"])
        ends = _START.size + length
        self._rows = ends + 4 * self.count
        keys = self._rows + _ROW.size * self.count
        self._targets = keys + header["keys"]
        self._data = data
        self._keys = data[keys : self._targets]
        self._ends = struct.unpack_from(f"<{self.count}I", data, ends)

    def _key(self, row: int) -> bytes:
        return self._keys[self._ends[row - 1] if row else 0 : self._ends[row]]

    def _first(self, key: bytes) -> int:
        return bisect_left(range(self.count), key, key=self._key)

    def find(self, path: bytes) -> int | None:
        """The row of an absolute path; b"/" is the root."""
        folder, _, name = path.rpartition(b"/")
        key = folder + b"\0" + name if name else b""
        row = self._first(key)
        return row if row < self.count and self._key(row) == key else None

    def names(self, path: bytes) -> list[bytes]:
        """The names in a folder, sorted."""
        folder = path.rstrip(b"/") + b"\0"
        first, end = self._first(folder), self._first(folder[:-1] + b"\1")
        return [self._key(row)[len(folder) :] for row in range(first, end) if row]

    def entry(self, row: int) -> Entry:
        kind, mode, _, _, uid, gid, inode, target, size, mtime, _ = self._fields(row)
        text = ""
        if target:
            at = self._targets + target
            text = os.fsdecode(self._data[at : self._data.index(b"\0", at)])
        return Entry(kind=_KINDS[kind], mode=mode, uid=uid, gid=gid, size=size, mtime=mtime, target=text, inode=inode)

    def place(self, row: int) -> tuple[int, int, int]:
        """Layer, offset in the layer's tar (-1: in pieces) and size of a file's content."""
        fields = self._fields(row)
        return fields[2], fields[10], fields[8]

    def _fields(self, row: int) -> tuple[int, ...]:
        return _ROW.unpack_from(self._data, self._rows + _ROW.size * row)
