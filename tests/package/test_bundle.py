"""Tests of recipes/package/bundle.py: the files of a closure become one layer that depends on their contents alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from recipes.elf.segments import Reader
from recipes.errors import BadInput
from recipes.loader.closure import Closure
from recipes.model import BaseImage, Library, Platform
from recipes.oci.roots import Roots
from recipes.oci.store import Store
from recipes.package.bundle import make_base, taken_along
from recipes.rootfs.foldertree import FolderTree
from recipes.rootfs.root import RootFs
from tests.stores import store_at

HERE = Platform.host()
ELF = b"\x7fELF" + bytes(60)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_at(tmp_path / "images")


def root(folder: Path, **files: bytes) -> RootFs:
    for name, content in files.items():
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return RootFs.from_directory(folder)


def made(closure: Closure, system: RootFs, store: Store, *along: str) -> BaseImage:
    return make_base(closure, taken_along(system, along), system, "rootfs:/x", HERE, store, "gzip")


def test_files_are_where_the_loader_looks(tmp_path: Path, store: Store) -> None:
    """At the new place and with the content of the old one; programs and libraries may be executed, data may not."""
    system = root(tmp_path / "root", loader=ELF, data=b"text")
    base = made(Closure((("/lib/data", "/data"), ("/lib64/ld.so", "/loader"))), system, store)
    assert (base.name, base.reference, base.platform) == ("bundle", "bundle:rootfs:/x", HERE)
    (layer,) = base.layers
    assert base.digest == layer.diff_id
    inside = Roots(store).of(base.layers)
    found = {path: (entry.mode, inside.read(path)) for path, entry in inside.entries() if entry.kind == "file"}
    assert found == {"/lib/data": (0o644, b"text"), "/lib64/ld.so": (0o755, ELF)}


def test_several_names_for_one_file_stay_one(tmp_path: Path, store: Store) -> None:
    """The others are links to the first: a loader would load two copies twice."""
    system = root(tmp_path / "root", lib=ELF)
    base = made(Closure((("/lib/a.so", "/lib"), ("/lib/b.so", "/lib"), ("/usr/c.so", "/lib"))), system, store)
    inside = Roots(store).of(base.layers)
    kinds = {path: (entry.kind, entry.target) for path, entry in inside.entries() if entry.kind != "dir"}
    assert kinds == {
        "/lib/a.so": ("file", ""), "/lib/b.so": ("symlink", "/lib/a.so"), "/usr/c.so": ("symlink", "/lib/a.so")
    }  # fmt: skip
    assert inside.read("/usr/c.so") == ELF


def test_contents_alone_decide(tmp_path: Path, store: Store) -> None:
    """Modes, times and names in the old root leave no trace; another content does, and so does another place."""
    one, other = root(tmp_path / "one", lib=ELF), root(tmp_path / "other", renamed=ELF)
    (tmp_path / "other/renamed").chmod(0o600)
    os.utime(tmp_path / "other/renamed", (1, 1))
    first = made(Closure((("/lib/x", "/lib"),)), one, store)
    assert made(Closure((("/lib/x", "/renamed"),)), other, store).digest == first.digest
    assert made(Closure((("/lib/y", "/lib"),)), one, store).digest != first.digest
    third = root(tmp_path / "third", lib=ELF + b"1")
    assert made(Closure((("/lib/x", "/lib"),)), third, store).digest != first.digest


def test_nothing_to_load_is_an_empty_base(tmp_path: Path, store: Store) -> None:
    """As where the root has not even the loader: the verdict on it will say so."""
    closure = Closure((), missing=(Library("libx.so", None, "/app"),))
    base = made(closure, root(tmp_path / "root", x=b""), store)
    assert (base.layers, base.digest, base.reference) == ((), None, "bundle:rootfs:/x")


class Changing(FolderTree):
    """A living system: whenever `/lib` is about to be read, it has the next content."""

    def __init__(self, folder: Path, contents: Iterable[bytes]) -> None:
        super().__init__(folder)
        self._file, self._contents = folder / "lib", iter(contents)

    def reader(self, path: str) -> Reader:
        self._file.write_bytes(next(self._contents))
        return super().reader(path)


def test_what_changes_while_it_is_copied_is_refused(tmp_path: Path, store: Store) -> None:
    """A file that would be half the one and half the other is not kept; the next try takes it as it is then."""
    root(tmp_path / "root", lib=b"")
    closure = Closure((("/lib/x", "/lib"),))
    with pytest.raises(BadInput, match="/lib of the root changed while it was being copied"):
        made(closure, RootFs(Changing(tmp_path / "root", [b"one", b"two"])), store)
    kept = store.cache / "libraries"
    assert list(kept.iterdir()) == []
    base = made(closure, RootFs(Changing(tmp_path / "root", [b"two"] * 3)), store)
    assert Roots(store).of(base.layers).read("/lib/x") == b"two"


def test_what_is_kept_is_not_copied_again(tmp_path: Path, store: Store) -> None:
    """It is kept by its content, so that it outlives the root that it came from."""
    closure = Closure((("/lib/x", "/lib"),))
    first = made(closure, root(tmp_path / "root", lib=ELF), store)
    (kept,) = (store.cache / "libraries").iterdir()
    before = kept.stat()
    assert kept.read_bytes() == ELF
    assert made(closure, root(tmp_path / "another", lib=ELF), store) == first
    assert kept.stat().st_ino == before.st_ino


# ── what is taken along ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def system(tmp_path: Path) -> RootFs:
    """A root with a folder, what its links lead to, and what is not named."""
    top = tmp_path / "root"
    (top / "opt/it/bin").mkdir(parents=True)
    (top / "share").mkdir()
    (top / "opt/it/bin/tool").write_bytes(ELF)
    (top / "opt/it/bin/tool").chmod(0o750)
    os.link(top / "opt/it/bin/tool", top / "opt/it/bin/tool2")
    (top / "opt/it/data").symlink_to("/share/data")
    (top / "share/data").write_text("data")
    (top / "share/more").write_text("more")
    (top / "opt/it/up").symlink_to("..")
    (top / "opt/it/nowhere").symlink_to("/none")
    (top / "opt/other").write_text("other")
    os.mkfifo(top / "opt/it/pipe")
    return RootFs.from_directory(top)


def test_all_beneath_and_where_its_links_lead(system: RootFs) -> None:
    """Not what a link leads to that is above it, not a pipe, and not what stands beside it."""
    found = {path: entry.kind for path, entry in taken_along(system, ["/opt/it"]).items()}
    assert found == {
        "/opt/it": "dir", "/opt/it/bin": "dir", "/opt/it/bin/tool": "file", "/opt/it/bin/tool2": "file",
        "/opt/it/data": "symlink", "/opt/it/up": "symlink", "/opt/it/nowhere": "symlink", "/share/data": "file",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/none", "opt/it", "/", "/opt/it/../.."])
def test_what_cannot_be_taken_along(system: RootFs, path: str) -> None:
    """Nothing is there, it is not a path of the root, or it is the whole of it."""
    with pytest.raises(BadInput, match="to take along"):
        taken_along(system, [path])


def test_what_is_taken_along_stays_as_it_is(system: RootFs, store: Store) -> None:
    """Modes, links and several names; a library that is among it is a link to the file there, and not a second one."""
    closure = Closure((("/lib/tool.so", "/opt/it/bin/tool"), ("/opt/it/bin/tool", "/opt/it/bin/tool")))
    base = made(closure, system, store, "/opt/it")
    inside = Roots(store).of(base.layers)
    found = {path: (entry.kind, entry.mode, entry.target) for path, entry in inside.entries() if entry.kind != "dir"}
    assert found["/opt/it/bin/tool"] == ("file", 0o750, "")
    assert found["/opt/it/bin/tool2"][::2] == ("symlink", "/opt/it/bin/tool")
    assert found["/opt/it/data"][::2] == ("symlink", "/share/data")
    assert found["/lib/tool.so"][::2] == ("symlink", "/opt/it/bin/tool")
    assert inside.read("/lib/tool.so") == ELF
    assert "/share/more" not in found
