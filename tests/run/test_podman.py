"""podman as an engine: the service that is started for it, and what it says where it cannot run anything."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from recipes.errors import Unavailable
from recipes.model import Command, RunStatus
from recipes.pipeline import Project
from recipes.run import podman
from recipes.run.podman import PodmanEngine
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.need import need, need_tool
from tests.programs import compile_c, image_of


def test_without_podman_it_is_unavailable(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 6, with another engine as the hint; no folder for the socket is left."""
    project = Project.at(workspace.root)
    monkeypatch.setenv("PATH", str(workspace.root))
    monkeypatch.setenv("TMPDIR", str(workspace.root))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(podman, "_sockets", tuple)
    with pytest.raises(Unavailable, match="podman is not installed") as caught:
        PodmanEngine.connect(project.store, project.roots)
    assert (caught.value.exit_code, caught.value.hint) == (6, "install it, or use --engine local")
    assert not list(workspace.root.glob("fromscratch-podman-*"))


@pytest.mark.slow
def test_the_service_ends_with_the_engine(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """It listens in a folder of its own, which is gone afterwards with it."""
    need_tool("podman")
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(podman, "_sockets", tuple)
    before = set(Path("/tmp").glob("fromscratch-podman-*"))
    project = Project.at(workspace.root)
    engine = PodmanEngine.connect(project.store, project.roots)
    (folder,) = set(Path("/tmp").glob("fromscratch-podman-*")) - before
    assert podman._answers(folder / "socket")
    image = image_of(project, compile_c(workspace, "int main(void) { return 7; }", "-static"))
    outcome = engine.run(image)
    del engine
    gc.collect()
    assert not podman._answers(folder / "socket")
    assert not folder.exists()
    need(outcome.status is not RunStatus.NOT_RUN, outcome.reason)
    assert (outcome.status, outcome.exit_code) == (RunStatus.EXITED, 7)


@pytest.mark.slow
def test_the_service_ends_where_we_are_killed(workspace: Workspace) -> None:
    """SIGKILL leaves us no time: it ends by itself, and its folder, which is ours alone, is gone."""
    need_tool("podman")
    script = f"""
import time
from pathlib import Path
from recipes.pipeline import Project
from recipes.run import podman
podman._sockets = tuple
project = Project.at(Path({str(workspace.root)!r}))
engine = podman.PodmanEngine.connect(project.store, project.roots)
print(flush=True)
time.sleep(60)
"""
    # Not below pytest's folder: the address of a socket has 107 bytes at most.
    with (
        tempfile.TemporaryDirectory(prefix="service-") as place,
        subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": place}
        ) as ours,
    ):
        assert ours.stdout is not None
        assert ours.stdout.readline() == b"\n"
        (folder,) = Path(place).glob("fromscratch-podman-*")
        assert folder.stat().st_mode & 0o777 == 0o700
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(folder / "socket"))
            ours.kill()
            assert connection.recv(1) == b""
        while folder.exists():
            time.sleep(0.05)


@pytest.mark.slow
def test_a_service_that_runs_already_is_used(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that CONTAINER_HOST names, and no other is started."""
    need_tool("podman")
    place = tmp_path / "s"
    service = shell.Started(Command(("podman", "system", "service", "--time=0", f"unix://{place}")))
    try:
        assert podman._listens(service, place)
        monkeypatch.setenv("CONTAINER_HOST", f"unix://{place}")
        monkeypatch.setenv("PATH", os.devnull)
        project = Project.at(workspace.root)
        assert PodmanEngine.connect(project.store, project.roots).name == "podman"
    finally:
        service.stop()


def test_a_service_that_does_not_start(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last words are the reason, at once."""
    script = workspace.root / "podman"
    script.write_text("#!/bin/sh\necho first\necho Error: no locks >&2\nexit 125\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{workspace.root}:{os.environ['PATH']}")
    monkeypatch.setattr(podman, "_sockets", tuple)
    project = Project.at(workspace.root)
    with pytest.raises(Unavailable, match="podman's service does not start: Error: no locks"):
        PodmanEngine.connect(project.store, project.roots)
