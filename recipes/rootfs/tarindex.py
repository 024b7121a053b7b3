"""The members of a tar, by their headers alone: what each is and where its content stands.

Written for untrusted layers: nothing is allocated that the file does not hold, every number is checked
before it is used, and the only error is BadArchive. Reads ustar, GNU (long names, base-256 numbers), PAX and star, and
only forwards, so that a layer may be read while it is fetched: what measures, judges and unpacks it reads the same.
Where an archive says two things, it says what engines take it to say: Go's archive/tar decides.
Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from recipes.errors import BadArchive

_BLOCK = 512
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12s")
_MOST_EXTENDED_BYTES = 1 << 20
_MOST_MEMBERS = 2_000_000
_KINDS = {
    b"0": "file", b"\0": "file", b"7": "file", b"S": "file", b"1": "hardlink", b"2": "symlink",
    b"3": "device", b"4": "device", b"5": "dir", b"D": "dir", b"6": "fifo",
}  # fmt: skip
_WITHOUT_CONTENT = b"123456"
_OMITTED = b"gVMN"  # global headers, volume labels, continuations: they describe the archive, not a file
_SPARSE_VERSIONS = ((b"0", b"0"), (b"0", b"1"), (b"1", b"0"))


class Tar(Protocol):
    """An uncompressed tar. It is never asked for what lies before what it was asked for last."""

    @property
    def size(self) -> int:
        """The bytes of all of it, right as soon as `read_at` has given fewer than it was asked for."""

    def read_at(self, offset: int, length: int) -> bytes: ...


class Member(NamedTuple):
    """One member. `name` and `target` are as written, without NUL; `offset` is where its `size` bytes start.

    `kind` is "" for a type that no engine unpacks. A sparse member has its real size and offset -1: its content is in
    pieces, which nothing here puts together.
    """

    name: bytes
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    target: bytes
    offset: int


def read_members(tar: Tar) -> Iterator[Member]:
    """The members in the order of the archive. Raises: BadArchive."""
    extended: dict[bytes, bytes] = {}
    long: dict[bytes, bytes] = {}
    at = end = names = 0
    while block := _block(tar, at):
        if not any(block):
            if any(tar.read_at(at + _BLOCK, _BLOCK)):
                raise BadArchive(f"the tar has a lone empty block at byte {at}")
            return
        fields = _HEADER.unpack(block)
        _check_sum(block, fields[6], at)
        flag, size = fields[7], _size(fields[4])
        at += _BLOCK
        if flag in (b"x", b"X"):
            extended = _records(_small(tar, at, size))  # of several before a member the last one counts
        elif flag in (b"L", b"K"):
            long[flag] = _text(_small(tar, at, size))
        elif flag in _OMITTED:
            extended, long = {}, {}
        else:
            names += 1
            if names > _MOST_MEMBERS:
                raise BadArchive(f"the tar has more than {_MOST_MEMBERS} members")
            member, at, size = _member(tar, block, fields, extended, long, at)
            yield member
            extended, long = {}, {}
        end = at + size
        at = end + -end % _BLOCK
    if end > tar.size:
        raise BadArchive(f"the tar is truncated: a member ends at byte {end}, the tar at byte {tar.size}")


def _member(
    tar: Tar,
    block: bytes,
    fields: tuple[bytes, ...],
    extended: dict[bytes, bytes],
    long: dict[bytes, bytes],
    at: int,
) -> tuple[Member, int, int]:
    """The member, where its content starts, and how many bytes of the archive that takes.

    `extended` are the records of a PAX header before it, `long` GNU's long names (`L`) and targets (`K`).
    """
    flag = fields[7]
    name, target, prefix = _text(fields[0]), _text(fields[8]), _prefix(block)
    name = prefix + b"/" + name if prefix else name
    sparse = flag == b"S"
    stored = _size(fields[4])
    mode, uid, gid, mtime = (_number(fields[index]) for index in (1, 2, 3, 5))
    real = stored
    if sparse:
        real = _size(block[483:495])
        more = block[482:483]
        while any(more):
            more = _block(tar, at)[504:505]
            at += _BLOCK
    if extended:
        name = extended.get(b"path", name)
        target = extended.get(b"linkpath", target)
        stored = real = _decimal(extended, b"size", stored)
        uid, gid = _decimal(extended, b"uid", uid), _decimal(extended, b"gid", gid)
        mtime = _decimal(extended, b"mtime", mtime)
        if _is_sparse(extended):
            sparse = True
            real = _decimal(extended, b"GNU.sparse.realsize", _decimal(extended, b"GNU.sparse.size", real))
    name, target = long.get(b"L") or name, long.get(b"K") or target
    if sparse:
        name = extended.get(b"GNU.sparse.name", name)
    if b"\0" in name or b"\0" in target or stored < 0 or real < 0:
        raise BadArchive("the tar has a malformed extended header")
    if flag == b"\0" and name.endswith(b"/"):
        flag = b"5"  # before ustar there was no type for folders
    kind = _KINDS.get(flag, "")
    if flag in _WITHOUT_CONTENT:
        stored = 0  # some writers repeat the size of what a link leads to
    if kind != "file":
        real = 0
    limits = (mode & 0o7777, uid & 0xFFFFFFFF, gid & 0xFFFFFFFF, real)
    seconds = max(min(mtime, 1 << 62), -(1 << 62))
    return Member(name, kind, *limits, seconds, target, -1 if sparse else at), at, stored


def _is_sparse(extended: dict[bytes, bytes]) -> bool:
    """Whether a PAX header makes its member a sparse one. The first version did not give its number."""
    version = extended.get(b"GNU.sparse.major"), extended.get(b"GNU.sparse.minor")
    return version in _SPARSE_VERSIONS or (version == (None, None) and b"GNU.sparse.map" in extended)


def _prefix(block: bytes) -> bytes:
    """What stands before the name in another field of the header, b"" for nothing."""
    field = block[345:500]
    if block[257:263] == b"ustar\0":
        return _text(field[:131] if block[508:] == b"tar\0" else field)  # star keeps two times behind a shorter one
    # GNU tar keeps two times in its place; but Go before 1.8 marked archives as GNU's, and kept the prefix there.
    if block[257:265] == b"ustar  \0" and not (_is_time(field[:12]) and _is_time(field[12:24])):
        return _text(field) if _text(field).isascii() else b""
    return b""


def _is_time(field: bytes) -> bool:
    try:
        return not field[0] or _number(field).bit_length() < 64
    except BadArchive:
        return False


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _block(tar: Tar, at: int) -> bytes:
    """A header; b"" where the tar has ended."""
    block = tar.read_at(at, _BLOCK)
    if block and len(block) != _BLOCK:
        raise BadArchive(f"the tar is truncated: it ends inside a header at byte {at}")
    return block


def _small(tar: Tar, at: int, size: int) -> bytes:
    data = tar.read_at(at, size) if size <= _MOST_EXTENDED_BYTES else b""
    if len(data) != size:
        raise BadArchive(f"the tar has an extended header of {size} bytes")
    return data


def _check_sum(block: bytes, field: bytes, at: int) -> None:
    expected, written = sum(block) - sum(field) + 8 * 32, _number(field)
    if written == expected:
        return
    # Some old writers added up signed bytes.
    if written != expected - 256 * sum(byte > 127 for byte in block[:148] + block[156:]):
        what = "not a tar" if at == 0 else "the tar is broken"
        raise BadArchive(f"{what}: the checksum of the header at byte {at} is wrong")


def _size(field: bytes) -> int:
    size = _number(field)
    if size < 0:
        raise BadArchive("the tar has a member of negative size")
    return size


def _number(field: bytes) -> int:
    """An octal number, or a binary one where the first bit is set. An empty field is 0."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big")
        bits = 8 * len(field)
        return value - (1 << bits) if field[0] == 0xFF else value - (1 << bits - 1)
    text = _text(field).strip(b" ")
    if not text:
        return 0
    if not text.isdigit() or max(text) > ord("7"):
        raise BadArchive(f"the tar has a header with an invalid number: {field!r}")
    return int(text, 8)


def _decimal(extended: dict[bytes, bytes], key: bytes, otherwise: int) -> int:
    text = extended.get(key)
    if not text:
        return otherwise
    whole = text.partition(b".")[0]
    if not whole.removeprefix(b"-").isdigit() or len(whole) > 20:
        raise BadArchive(f"the tar has an extended header with an invalid number: {text[:40]!r}")
    return int(whole)


def _records(data: bytes) -> dict[bytes, bytes]:
    """The records `length key=value` of a PAX header; an empty value takes the key back."""
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(data) and data[at]:
        blank = data.find(b" ", at, at + 20)
        digits = data[at:blank] if blank > 0 else b""
        end = at + int(digits) if digits.isdigit() else 0
        key, equals, value = data[blank + 1 : end - 1].partition(b"=")
        if end > len(data) or end <= blank or not equals or data[end - 1 : end] != b"\n":
            raise BadArchive("the tar has an extended header that cannot be read")
        if value:
            records[key] = value
        else:
            records.pop(key, None)
        at = end
    return records
