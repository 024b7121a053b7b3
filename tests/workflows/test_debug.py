"""Tests of `invoke debug`: a twin with tools whose first layers are the image's, and whose shell works."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from recipes import pipeline
from recipes.errors import Unavailable
from recipes.model import FileEntry, Image, Platform, RunStatus
from recipes.oci.layers import write_layer
from recipes.oci.store import Store
from recipes.pipeline import Project
from recipes.run.docker import DockerEngine
from recipes.run.local import LocalEngine
from recipes.support.workspace import Workspace
from recipes.workflows import debug, stored
from tests.cli import call, error
from tests.fixtures_debian import Assembled
from tests.need import need, need_tool
from tests.programs import compile_c, image_of

PUTS = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }'


@pytest.fixture
def image(workspace: Workspace, assembled: Assembled) -> Image:
    assembled.give(workspace, "deb-busybox")
    return image_of(Project.at(workspace.root), compile_c(workspace, PUTS))


def manifest(store: Store, name: str) -> Any:
    return json.loads(store.read(store.tags()[name].digest))


def test_a_link_in_a_layer(workspace: Workspace) -> None:
    """A link is a link, to the letter, and counts as an engine counts it: the length of its target."""
    from recipes.oci.roots import Roots

    store = Store.of(workspace)
    entries = (FileEntry("/a/sh", None, 0o777, link="tool"), FileEntry("/a/tool", b"12345", 0o755))
    layer = write_layer(store, entries, "gzip")
    root = Roots(store).of((layer,))
    entry = root.lookup("/a/sh")
    assert entry is not None
    assert (entry.kind, entry.target) == ("symlink", "tool")
    assert root.read("/a/sh") == b"12345"
    assert layer.content_bytes == len("12345") + len("tool")


@pytest.mark.slow
def test_the_image_stays_and_is_the_start_of_its_twin(workspace: Workspace, image: Image) -> None:
    """Name, digest and layers of the image are as before; the twin's layers are these and one more."""
    project = Project.at(workspace.root)
    before = manifest(project.store, image.name)
    twin = debug.make_twin(project, image)
    assert manifest(project.store, image.name) == before
    assert twin.name == f"{image.name}-debug"
    of_twin = manifest(project.store, twin.name)
    assert of_twin["layers"][:-1] == before["layers"]
    assert twin.layers[:-1] == image.layers
    assert of_twin["annotations"]["org.opencontainers.image.base.digest"] == image.digest
    config = json.loads(project.store.read(of_twin["config"]["digest"]))
    assert config["config"]["Entrypoint"] == ["/app"]
    assert "PATH=" in "".join(config["config"]["Env"])
    assert config["config"]["Env"][0].endswith(":/busybox")
    assert len(config["history"]) == len(config["rootfs"]["diff_ids"]) == len(of_twin["layers"])
    assert debug.make_twin(project, image).digest == twin.digest
    # Whoever names the stored image gets the very same twin.
    assert debug.make_twin(project, stored.image(project, image.name, Platform.host())).digest == twin.digest


@pytest.mark.slow
def test_the_program_and_the_shell_run_in_the_twin(workspace: Workspace, image: Image) -> None:
    """The twin does what the image does; its shell starts, and finds commands through PATH."""
    project = Project.at(workspace.root)
    twin, engine = debug.make_twin(project, image), LocalEngine(workspace, project.roots)
    outcome = engine.run(twin)
    if outcome.status is RunStatus.NOT_RUN:
        need(False, f"namespaces ({outcome.reason})")
    assert outcome.stdout == "hello\n"
    assert debug.works(debug.check(twin, engine))
    assert not debug.works(debug.check(image, engine))  # the image itself has no shell


@pytest.mark.slow
def test_docker_runs_the_twin(engine: str, workspace: Workspace, image: Image) -> None:
    """Docker starts the shell by the entry point that it is given, and the program by the image's own."""
    project = Project.at(workspace.root)
    twin, docker = debug.make_twin(project, image), DockerEngine.connect(project.store, project.roots)
    assert debug.works(debug.check(twin, docker))
    assert docker.run(twin).stdout == "hello\n"
    assert docker.image_size(twin) == twin.image_bytes


@pytest.mark.slow
def test_what_the_task_prints(project: Path, assembled: Assembled) -> None:
    """The twin, what it is of, that it works, how to start it; a dynamic strace is left out with a reason."""
    plain = project.rename(project.with_name("plain"))  # apt refuses a folder with a double quote in its name
    assembled.give(Workspace(plain), "deb-busybox")
    done = call(plain, "debug", "hi", "--engine=local", "--recipe=zig-static-small")
    assert done.exit_code == 0, done.stderr.decode()
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "hi:zig-static-small-scratch-debug" in out
    assert "1 of the image unchanged" in out
    assert "the shell works (local engine" in out
    assert "--entrypoint /busybox/sh" in err
    assert "strace is left out:" in err


@pytest.mark.slow
def test_a_static_strace_comes_along(workspace: Workspace, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """One on PATH that is static and for the image's CPU is taken; for another CPU it is not."""
    program = compile_c(workspace, PUTS)
    folder = workspace.root / "tools"
    folder.mkdir()
    program.path.rename(folder / "strace")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    assert debug.find_strace(Platform.host().architecture)[0] == folder / "strace"
    found, why = debug.find_strace("s390x")
    assert found is None
    assert "is for" in why
    project = Project.at(workspace.root)
    twin = debug.make_twin(project, image)
    root = pipeline.open_root(project, twin.base, twin.layers[-1:])
    assert root.mode("/busybox/strace") == 0o755


@pytest.mark.slow
def test_no_busybox_no_twin(project: Path) -> None:
    """Where it is unavailable that is one error, and no twin is made."""
    need_tool("g++")
    (project / "pyproject.toml").write_text('[tool.fromscratch.bases]\ndeb-busybox = "rootfs:/no/such/root"\n')
    done = call(project, "debug", "hi", "--engine=local")
    assert done.exit_code == Unavailable.exit_code
    assert "no debug twin of hi:" in error(done)
    assert "-debug" not in (project / "build/images/index.json").read_text()
