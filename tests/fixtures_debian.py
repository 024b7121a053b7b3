"""Bases assembled from Debian packages, each once in a run of the tests: assembling takes seconds to a minute."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from recipes.bases.resolve import resolve
from recipes.errors import Unavailable
from recipes.model import BaseImage, Platform
from recipes.oci.layers import open_layer
from recipes.oci.store import Store
from recipes.support.workspace import Workspace
from tests.need import need, need_tool
from tests.sharing import made_once, run_folder

AMD64 = Platform("linux", "amd64")
BASES = ("deb-static", "deb-cc", "deb-musl", "deb-busybox", "deb-python", "deb-slim")


class Assembled:
    """A project that has assembled bases. Several processes may use it, as any project."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root)
        self.store = Store.of(self.workspace)

    def base(self, name: str, platform: Platform = AMD64) -> BaseImage:
        """The base, or the test ends as `need` says where Debian's mirror cannot be reached."""
        need_tool("mmdebstrap")
        try:
            return resolve(name, platform, self.workspace, self.store)
        except Unavailable as error:
            if "network" in error.hint or "minutes ago" in error.hint:
                need(False, f"Debian's mirror ({error.message})")
            raise

    def give(self, workspace: Workspace, *names: str, platform: Platform = AMD64) -> None:
        """Let another project have these bases, by the files that it would have written itself."""
        other = Store.of(workspace)
        for name in names:
            for layer in self.base(name, platform).layers:
                blob = other.place(layer.descriptor.digest)
                blob.parent.mkdir(parents=True, exist_ok=True)
                if not blob.exists():
                    link_or_copy(self.store.blob(layer.descriptor.digest), blob)
        workspace.bases.mkdir(parents=True, exist_ok=True)
        for record in self.workspace.bases.glob("*.json"):
            shutil.copy(record, workspace.bases)

    def members(self, name: str, platform: Platform = AMD64) -> dict[str, tarfile.TarInfo]:
        (layer,) = self.base(name, platform).layers
        with open_layer(self.store, layer) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            return {member.name: member for member in archive}

    def content(self, name: str, path: str, platform: Platform = AMD64) -> bytes:
        (layer,) = self.base(name, platform).layers
        with open_layer(self.store, layer) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if member.name == path:
                    file = archive.extractfile(member)
                    assert file is not None
                    return file.read()
        raise AssertionError(f"no {path} in {name}")

    def unpack(self, name: str, folder: Path) -> Path:
        (layer,) = self.base(name).layers
        folder.mkdir(exist_ok=True)
        with open_layer(self.store, layer) as stream:
            data = stream.read()
        subprocess.run(["tar", "-C", str(folder), "-x", "--no-same-owner"], input=data, check=True)
        return folder

    def root(self, name: str) -> Path:
        """The base as a folder, which all tests that ask for it share."""
        return made_once(self.workspace.root / f"root of {name}", lambda folder: self.unpack(name, folder))


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """For files of a store or a cache, which never change once they are there."""
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


@pytest.fixture(scope="session")
def assembled(tmp_path_factory: pytest.TempPathFactory) -> Assembled:
    folder = run_folder(tmp_path_factory) / "assembled"
    folder.mkdir(exist_ok=True)
    return Assembled(folder)
