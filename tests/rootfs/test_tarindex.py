"""Tests of recipes/rootfs/tarindex.py."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from recipes.elf.segments import BytesReader
from recipes.errors import BadArchive
from recipes.model import Command
from recipes.rootfs.tarindex import Member, read_members
from recipes.support import shell
from tests.need import need_tool

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def info(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    for key, value in fields.items():
        setattr(member, key, value)
    return member


def pack(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def members(data: bytes) -> list[Member]:
    return list(read_members(BytesReader(data)))


@pytest.mark.parametrize("form", FORMATS)
def test_agrees_with_tarfile(form: str) -> None:
    """Names, kinds, numbers, links and contents are those that Python's tarfile wrote, in each of its formats."""
    long = "/".join(["a-rather-long-name"] * (7 if form == "ustar" else 30))
    data = pack(
        (info("dir/", tarfile.DIRTYPE, mode=0o1777), b""),
        (info("dir/file", mode=0o4755, uid=65532, gid=7, mtime=1234567890), b"content"),
        (info(long), b"x" * 1000),
        (info("link", tarfile.SYMTYPE, linkname="dir/file" if form == "ustar" else "t" * 300), b""),
        (info("hard", tarfile.LNKTYPE, linkname="dir/file"), b""),
        (info("fifo", tarfile.FIFOTYPE), b""),
        (info("null", tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
        (info("empty"), b""),
        form=FORMATS[form],
    )
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        theirs = archive.getmembers()
        ours = members(data)
        assert [member.name.decode().rstrip("/") for member in ours] == [member.name for member in theirs]
        assert [member.kind for member in ours] == [
            "dir",
            "file",
            "file",
            "symlink",
            "hardlink",
            "fifo",
            "device",
            "file",
        ]
        for mine, other in zip(ours, theirs, strict=True):
            assert (mine.mode, mine.uid, mine.gid, mine.mtime) == (other.mode, other.uid, other.gid, other.mtime)
            assert mine.target.decode() == other.linkname
            if mine.kind == "file":
                content = archive.extractfile(other)
                assert content is not None
                assert data[mine.offset : mine.offset + mine.size] == content.read()


def test_numbers_beyond_octal() -> None:
    """GNU tar's binary numbers: an owner above 2097151 and a time before 1970."""
    (member,) = members(pack((info("file", uid=4_000_000_000, mtime=-5), b""), form=tarfile.GNU_FORMAT))
    assert (member.uid, member.mtime) == (4_000_000_000, -5)


def test_names_are_bytes() -> None:
    """A name that is not UTF-8 comes back as it was written."""
    raw = os.fsdecode(b"caf\xe9")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
        archive.addfile(info(raw))
    assert [member.name for member in members(out.getvalue())] == [b"caf\xe9"]


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_sparse_members_have_their_real_size_and_no_content(tmp_path: Path, form: str) -> None:
    """What `tar -S` writes is passed over by its stored size: the next member is found."""
    with open(tmp_path / "sparse", "wb") as file:
        for piece in range(30):
            file.seek(piece * 1_000_000)
            file.write(b"data")
        file.truncate(50_000_000)
    (tmp_path / "next").write_bytes(b"next")
    tar = tmp_path / "out.tar"
    argv = (need_tool("tar"), f"--format={form}", "-S", "-C", str(tmp_path), "-cf", str(tar), "sparse", "next")
    shell.check(Command(argv))
    data = tar.read_bytes()
    sparse, following = members(data)
    assert (sparse.name, sparse.size, sparse.offset) == (b"sparse", 50_000_000, -1)
    assert (following.name, data[following.offset :][:4]) == (b"next", b"next")


def test_the_end() -> None:
    """Two empty blocks end a tar, and so does the end of the file; what follows them is not looked at."""
    data = pack((info("file"), b"x"))
    assert len(members(data + b"garbage" * 100)) == 1
    assert len(members(data[:1024])) == 1
    assert members(b"") == []
    assert members(bytes(1024)) == []


@pytest.mark.parametrize(
    "change",
    [
        (0, b"y", "checksum"),
        (124, b"77777777777\0", "checksum"),
        (156, b"x", "checksum"),
    ],
)
def test_a_changed_header_is_noticed(change: tuple[int, bytes, str]) -> None:
    """Any change in a header breaks its checksum."""
    at, value, message = change
    data = bytearray(pack((info("file"), b"x")))
    data[at : at + len(value)] = value
    with pytest.raises(BadArchive, match=message):
        members(bytes(data))


def resum(data: bytearray, at: int = 0) -> bytes:
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return bytes(data)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (124, b"77777777777\0", "truncated"),
        (124, b"\x80" + b"\x7f" * 11, "truncated"),
        (124, b"\xff" * 12, "negative"),
        (124, b"-1\0", "an invalid number"),
        (124, b"0x10\0", "an invalid number"),
        (108, b"9\0", "an invalid number"),
    ],
)
def test_numbers_that_lie(field: int, value: bytes, message: str) -> None:
    """Huge, negative and impossible numbers are errors, found before anything is allocated."""
    data = bytearray(pack((info("file"), b"x"), form=tarfile.USTAR_FORMAT))
    data[field : field + len(value)] = value
    with pytest.raises(BadArchive, match=message):
        members(resum(data))


def extended(records: bytes) -> bytes:
    header = bytearray(pack((info("header", tarfile.XHDTYPE), records), form=tarfile.USTAR_FORMAT)[:1024])
    return resum(header) + pack((info("file"), b"content"), form=tarfile.USTAR_FORMAT)


def test_extended_headers_count_for_one_member() -> None:
    """A PAX record changes the member that follows, and only that one; an empty value takes it back."""
    data = extended(b"15 path=longer\n8 path=\n13 path=name\n") + pack((info("plain"), b""))
    assert members(data)[0].name == b"name"
    assert members(extended(b"15 path=longer\n8 path=\n"))[0].name == b"file"
    assert members(extended(b"12 uid=1234\n"))[0].uid == 1234


@pytest.mark.parametrize(
    "records",
    [b"9 path=x\nrubbish", b"99999999 path=x\n", b"0 path=x\n", b"-9 path=x\n", b"x\n", b"6 path\n", b"12 size=many\n",
     b"11 size=-4\n", b"13 path=a\0b\n\n", b"13 size=1e30\n"],
)  # fmt: skip
def test_extended_headers_that_lie(records: bytes) -> None:
    """Records that cannot be are errors."""
    with pytest.raises(BadArchive):
        members(extended(records))


def before(*metas: tuple[bytes, bytes], name: str = "file", kind: bytes = tarfile.REGTYPE) -> list[bytes]:
    """The names that are read of one member, and of `next`, behind headers (type, content) that describe it."""
    headers = b"".join(pack((info("meta", flag), data), form=tarfile.USTAR_FORMAT)[:1024] for flag, data in metas)
    return [member.name for member in members(headers + pack((info(name, kind), b""), (info("next"), b"")))]


@pytest.mark.parametrize(
    ("metas", "name"),
    [
        ([(b"L", b"long\0"), (b"x", b"12 path=pax\n")], b"long"),
        ([(b"x", b"12 path=pax\n"), (b"L", b"long\0")], b"long"),
        ([(b"L", b"one\0"), (b"L", b"two\0")], b"two"),
        ([(b"x", b"12 path=one\n"), (b"x", b"10 uid=12\n")], b"file"),
        ([(b"x", b"12 path=pax\n"), (b"g", b"13 path=late\n")], b"file"),
        ([(b"x", b"21 GNU.sparse.name=a\n")], b"file"),
        ([(b"x", b"21 GNU.sparse.name=a\n22 GNU.sparse.map=0,0\n")], b"a"),
    ],
)
def test_headers_that_contradict_each_other(metas: list[tuple[bytes, bytes]], name: bytes) -> None:
    """Where headers say several things of one member, it is what Docker, whose reader is Go's, takes it to be."""
    assert before(*metas) == [name, b"next"]


@pytest.mark.parametrize(
    ("times", "name"), [(b"", b"name"), (b"00000000001\0" * 2, b"name"), (b"pre/fix", b"pre/fix/name")]
)
def test_a_prefix_in_a_header_of_gnu(times: bytes, name: bytes) -> None:
    """Where GNU tar keeps two times, old Go kept the folders of a long name: what is no time is that."""
    data = bytearray(pack((info("name"), b""), form=tarfile.GNU_FORMAT))
    data[345 : 345 + len(times)] = times
    assert [member.name for member in members(resum(data))] == [name]


def test_an_old_folder_has_no_content() -> None:
    """Before there was a type for folders a name with a slash at its end was one, whatever size its header gives."""
    data = bytearray(pack((info("dir"), b""), (info("next"), b"")))
    data[3:4], data[156:157], data[124:136] = b"/", b"\0", b"00000001000\0"
    assert [(member.name, member.kind) for member in members(resum(data))] == [(b"dir/", "dir"), (b"next", "file")]


def test_cut_anywhere() -> None:
    """A tar that ends too early is read up to there or is an error, and never anything else."""
    data = pack((info("x" * 200), b"content" * 200), (info("file"), b"x"))
    seen = 0
    for length in range(0, len(data), 37):
        try:
            seen = max(seen, len(members(data[:length])))
        except BadArchive:
            continue
    assert seen == 2
