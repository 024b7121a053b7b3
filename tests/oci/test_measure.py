"""One reading of a layer: the size that is shown is that of the files that are judged and unpacked."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from functools import partial

import pytest

from recipes.elf.segments import BytesReader
from recipes.errors import BadArchive
from recipes.model import Layer
from recipes.oci.layers import layer_from_tar
from recipes.oci.roots import Roots
from recipes.oci.store import Store
from recipes.rootfs.tarindex import read_members
from recipes.support.workspace import Workspace

DIRECTORY, LINK, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
Member = tuple[str, bytes, str | int]

NASTY: dict[str, tuple[int, list[Member]]] = {
    "a file that comes twice": (7, [("a", b"0", 5), ("./a", b"0", 7)]),
    "one file by two ways": (14, [("lib", LINK, "usr/lib"), ("usr/lib/x", b"0", 5), ("lib/x", b"0", 7)]),
    "a name of a file that was replaced": (12, [("a", b"0", 5), ("b", HARD, "a"), ("a", b"0", 7)]),
    "a file with three names": (5, [("a", b"0", 5), ("b", HARD, "a"), ("c", HARD, "./b")]),
    "a file that became a folder": (3, [("a", b"0", 5), ("a/", DIRECTORY, 0), ("a/b", b"0", 3)]),
    "whiteouts": (5, [("etc/.wh.gone", b"0", 0), ("usr/.wh..wh..opq", b"0", 9), ("a", b"0", 5)]),
    "links": (14, [("a", LINK, "/nowhere"), ("b", LINK, "a"), ("c", b"0", 5)]),
    "what no engine unpacks": (5, [("a", b"0", 5), ("a", b"Z", 0), ("../../b", b"0", 9)]),
}


def packed(members: list[Member]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, kind, what in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if isinstance(what, str):
                info.linkname = what
            else:
                info.size = what
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    return out.getvalue()


class Dribble(io.BytesIO):
    """A stream that gives a little at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(700)


@pytest.fixture
def store(workspace: Workspace) -> Store:
    return Store.of(workspace)


def judged(store: Store, layer: Layer) -> int:
    """The bytes of the files and links in a root with this layer alone."""
    root = Roots(store).of([layer])
    entries = {entry.inode: entry for _, entry in root.entries() if entry.kind != "dir"}
    return sum(entry.size + len(os.fsencode(entry.target)) for entry in entries.values())


@pytest.mark.parametrize("case", NASTY)
def test_the_size_is_that_of_the_files(case: str, store: Store, workspace: Workspace) -> None:
    """Names, links and replacements in one layer count as an engine has them once they are unpacked."""
    expected, members = NASTY[case]
    layer = layer_from_tar(store, Dribble(packed(members)), "gzip")
    assert layer.content_bytes == expected
    assert judged(store, layer) == expected


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_stream_is_read_as_a_file_is(form: int, store: Store) -> None:
    """A tar in pieces, cut anywhere, is measured or refused in the very words in which it is judged or refused."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, size in {"a": 3000, "b/" * 20 + "c" * 90: 1, "d": 0}.items():
            info = tarfile.TarInfo(name)
            info.size = size
            archive.addfile(info, io.BytesIO(bytes(size)))
    whole = out.getvalue()
    lone = packed([("a", b"0", 5)])[:1024] + bytes(512) + b"x" * 1024
    for data in (*(whole[:length] for length in range(0, len(whole), 171)), lone, whole + b"rubbish" * 200):
        expected = answer(partial(size_of, data))
        passing = answer(partial(layer_from_tar, store, Dribble(data), "gzip"))
        if isinstance(passing, Layer):
            assert (passing.content_bytes, passing.tar_bytes) == (expected, len(data))
        else:
            assert passing == expected


def size_of(tar: bytes) -> int:
    return sum(member.size for member in read_members(BytesReader(tar)))


def answer(read: Callable[[], object]) -> object:
    """What it returns, or the words in which it refuses to."""
    try:
        return read()
    except BadArchive as error:
        return error.message
