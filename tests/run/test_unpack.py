"""Tests of recipes/run/unpack.py: layers become a folder that holds what they hold, once, or nothing at all."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from recipes.errors import CannotWrite, RecipeError
from recipes.model import Layer
from recipes.oci.layers import layer_from_tar
from recipes.oci.roots import Roots
from recipes.oci.store import Store
from recipes.run.unpack import NOBODY, unpack
from recipes.support.workspace import Workspace

Member = tuple[str, bytes, int, bytes | str]
"""Name, type, mode, and content or where it leads."""

OWNER = (NOBODY, NOBODY) if os.geteuid() == 0 else (os.geteuid(), os.getegid())


class Layers:
    """Makes layers of a workspace, and unpacks them."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self._store = workspace, Store.of(workspace)

    def layer(self, members: Iterable[Member]) -> Layer:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name, kind, mode, data in members:
                info = tarfile.TarInfo(name)
                info.type, info.mode = kind, mode
                content = data if isinstance(data, bytes) else b""
                info.size, info.linkname = len(content), data if isinstance(data, str) else ""
                archive.addfile(info, io.BytesIO(content))
        return layer_from_tar(self._store, io.BytesIO(out.getvalue()), "gzip")

    def unpacked(self, *layers: Layer) -> Path:
        return unpack(layers, Roots(self._store), self.workspace)


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(Workspace(tmp_path))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


REG, DIR, LINK, HARD, FIFO, CHAR = (
    tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE,
)  # fmt: skip


def test_each_kind_of_file(layers: Layers) -> None:
    """Files, links of both kinds, folders and fifos are what they were; a device is left out."""
    folder = layers.unpacked(
        layers.layer([
            ("a", DIR, 0o755, b""), ("a/file", REG, 0o640, b"content"), ("a/again", HARD, 0o640, "a/file"),
            ("up", LINK, 0o777, "../../etc/passwd"), ("pipe", FIFO, 0o600, b""), ("null", CHAR, 0o666, b""),
        ])
    )  # fmt: skip
    assert sorted(os.listdir(folder)) == ["a", "pipe", "up"]
    assert (folder / "a/file").read_bytes() == b"content"
    assert (folder / "a/again").samefile(folder / "a/file")
    assert os.readlink(folder / "up") == "../../etc/passwd"
    assert stat.S_ISFIFO((folder / "pipe").stat().st_mode)
    assert mode(folder / "pipe") == 0o600


def test_everything_belongs_to_whom_the_program_will_be(layers: Layers) -> None:
    """The folder itself too, and links."""
    layer = layers.layer([("d", DIR, 0o755, b""), ("d/f", REG, 0o644, b"1"), ("l", LINK, 0o777, "d/f")])
    folder = layers.unpacked(layer)
    found = [folder, *folder.rglob("*")]
    assert len(found) == 4
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in found} == {OWNER}
    assert mode(folder) == 0o755


@pytest.mark.parametrize(
    ("kind", "asked", "given"),
    [
        (REG, 0o4755, 0o755),  # nothing is run with the rights of another
        (REG, 0o2755, 0o755),
        (REG, 0o000, 0o400),  # its owner has to read it
        (REG, 0o111, 0o511),
        (DIR, 0o1777, 0o1777),  # as /tmp
        (DIR, 0o2755, 0o755),
        (DIR, 0o000, 0o700),  # its owner has to fill and to remove it
        (DIR, 0o555, 0o755),
    ],
)
def test_modes(layers: Layers, kind: bytes, asked: int, given: int) -> None:
    """As the layer says, but for the rights of others, and with what its owner needs."""
    inside: list[Member] = [("it/inside", REG, 0o644, b"")] if kind == DIR else []
    folder = layers.unpacked(layers.layer([("it", kind, asked, b""), *inside]))
    assert mode(folder / "it") == given
    assert not inside or (folder / "it/inside").exists()


def test_a_later_layer_replaces_and_deletes(layers: Layers) -> None:
    """As an engine has them on top of each other: whiteouts are not files."""
    below = layers.layer([("kept", REG, 0o644, b"1"), ("gone", REG, 0o644, b"2"), ("other", REG, 0o644, b"3")])
    above = layers.layer([(".wh.gone", REG, 0o644, b""), ("other", REG, 0o644, b"4")])
    folder = layers.unpacked(below, above)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"kept": b"1", "other": b"4"}
    assert layers.unpacked(above, below) != folder


def test_it_is_unpacked_once(layers: Layers) -> None:
    """What is there is believed, also when the layers themselves are gone; nothing is written to see that."""
    layer = layers.layer([("file", REG, 0o644, b"1")])
    folder = layers.unpacked(layer)
    for blob in (layers.workspace.images / "blobs/sha256").iterdir():
        blob.unlink()
    (folder / "mark").touch()
    (lock,) = layers.workspace.roots.glob("*.lock")
    lock.unlink()
    assert layers.unpacked(layer) == folder
    assert (folder / "mark").exists()
    assert list(layers.workspace.roots.iterdir()) == [folder]


def test_what_cannot_be_written_leaves_nothing(layers: Layers) -> None:
    """One error with the place, no half of a root in it, and nothing beside it; with room the next try works."""
    names = ["/".join(["n" * 200] * depth) for depth in range(1, 25)]  # in the end longer than a path may be
    layer = layers.layer([("file", REG, 0o644, b"1"), *((name, DIR, 0o755, b"") for name in names)])
    with pytest.raises(RecipeError, match=r"cannot unpack layers into .*: File name too long"):
        layers.unpacked(layer)
    assert [path for path in layers.workspace.roots.iterdir() if path.is_dir()] == []
    assert list((layers.workspace.build / "tmp").iterdir()) == []


def test_a_place_where_nothing_can_be(layers: Layers) -> None:
    """A file is where the folder of all roots has to be."""
    layer = layers.layer([("file", REG, 0o644, b"1")])
    layers.workspace.roots.write_text("")
    with pytest.raises(CannotWrite):
        layers.unpacked(layer)
