"""The Docker Engine, for real: what it shows, what it runs, what it leaves behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from recipes import pipeline
from recipes.bases.resolve import resolve
from recipes.errors import DamagedBlob, Unavailable
from recipes.model import Limits, Platform, RunStatus, Status
from recipes.pipeline import Project
from recipes.run import docker
from recipes.run.docker import DockerEngine
from recipes.support.workspace import Workspace
from tests.fixtures_debian import BASES, Assembled
from tests.need import need, need_tool
from tests.oci.test_measure import NASTY, packed
from tests.programs import compile_c, image_of
from tests.run.faults import between

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("base", ["scratch", *BASES])
def test_image_bytes_is_what_the_engine_shows(
    base: str, workspace: Workspace, docker_engine: DockerEngine, assembled: Assembled
) -> None:
    """`image_bytes` equals what `docker image inspect` says of the same image, on every base that can be assembled."""
    if base != "scratch":
        assembled.give(workspace, base)
    project = Project.at(workspace.root)
    image = image_of(project, compile_c(workspace, "int main(void) { return 0; }"), base)
    docker_engine.load(image)
    assert docker_engine.image_size(image) == image.image_bytes


@pytest.mark.parametrize("case", ["one file by two ways", "a file with three names", "whiteouts", "links"])
def test_odd_layers_are_measured_as_the_engine_does(
    case: str, tmp_path: Path, workspace: Workspace, docker_engine: DockerEngine
) -> None:
    """What a layer links and takes away within itself has the size that the engine shows. (It takes no name twice.)"""
    (tmp_path / "root.tar").write_bytes(packed(NASTY[case][1]))
    project = Project.at(workspace.root)
    binary = compile_c(workspace, "int main(void) { return 0; }")
    image = image_of(project, binary, f"rootfs:{tmp_path / 'root.tar'}")
    docker_engine.load(image)
    assert docker_engine.image_size(image) == image.image_bytes == binary.size + NASTY[case][0]


def test_a_damaged_base_is_not_loaded(tmp_path: Path, workspace: Workspace, docker_engine: DockerEngine) -> None:
    """The engine is not given a layer of the same length that is another one: it stays without the image."""
    (tmp_path / "root.tar").write_bytes(packed([("a", b"0", 300_000)]))
    project = Project.at(workspace.root)
    image = image_of(project, compile_c(workspace, "int main(void) { return 9; }"), f"rootfs:{tmp_path / 'root.tar'}")
    blob = project.store.blob(image.base.layers[0].descriptor.digest)
    data = blob.read_bytes()
    blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(DamagedBlob):
        docker_engine.load(image)
    assert not blob.exists()
    with pytest.raises(Unavailable, match="has no image"):
        docker_engine.image_size(image)


def test_loading_twice_sends_nothing_the_second_time(workspace: Workspace, docker_engine: DockerEngine) -> None:
    """An image that the engine has is recognised by its ID, whoever loaded it."""
    project = Project.at(workspace.root)
    image = image_of(project, compile_c(workspace, "int main(void) { return 3; }"), "scratch")
    docker_engine.load(image)
    size = docker_engine.image_size(image)
    for layer in image.layers:
        project.store.blob(layer.descriptor.digest).unlink()
    docker_engine.load(image)
    assert docker_engine.image_size(image) == size


@pytest.mark.parametrize("harm", ["other", "shorter", "longer one", "gone"])
def test_a_program_that_is_another_by_now(harm: str, workspace: Workspace, docker_engine: DockerEngine) -> None:
    """The engine gets the image that was assembled, whatever has become of the program's file since."""
    project = Project.at(workspace.root)
    image = image_of(project, compile_c(workspace, f"int main(void) {{ return {len(harm)}; }}"), "scratch")
    path = image.program.path
    data = path.read_bytes()
    path.unlink()
    if harm != "gone":
        path.write_bytes({"other": data[:-1] + b"!", "shorter": data[:-1], "longer one": data + bytes(1 << 20)}[harm])
    docker_engine.load(image)
    assert docker_engine.image_size(image) == image.image_bytes
    assert docker_engine.run(image).exit_code == len(harm)


def test_a_base_is_taken_from_the_engine(
    workspace: Workspace, docker_engine: DockerEngine, assembled: Assembled
) -> None:
    """`docker-daemon:` gives an image of the engine as a base, with its layers' sizes as the engine shows them."""
    assembled.give(workspace, "deb-static")
    project = Project.at(workspace.root)
    binary = compile_c(workspace, "int main(void) { return 0; }")
    below = image_of(project, binary, "deb-static")
    docker_engine.load(below)
    reference = f"docker-daemon:fromscratch/{below.name}"
    base = resolve(reference, Platform.host(), workspace, project.store)
    assert [layer.diff_id for layer in base.layers] == [layer.diff_id for layer in below.layers]
    assert base.image_bytes == docker_engine.image_size(below)


def test_nothing_is_left_behind(workspace: Workspace, docker_engine: DockerEngine) -> None:
    """After a run, and after one that had to be stopped, there is no container."""
    project = Project.at(workspace.root)
    image = image_of(project, compile_c(workspace, "int main(void) { for (;;); }"), "scratch")
    outcome = docker_engine.run(image, limits=Limits(seconds=1))
    assert outcome.status is RunStatus.STOPPED
    assert outcome.reason.startswith("stopped at the time limit")
    assert docker_engine._client.api.containers(all=True) == []


def test_the_verdict_says_what_docker_says(workspace: Workspace, docker_engine: DockerEngine) -> None:
    """A dynamic program on scratch: the predicted message is the engine's, word by word."""
    project = Project.at(workspace.root)
    binary = compile_c(workspace, "int main(void) { return 0; }", "-O1")
    image = image_of(project, binary, "scratch")
    verdict = pipeline.judge_on(project, binary, image.base)
    outcome = docker_engine.run(image)
    assert (verdict.status, outcome.status) == (Status.FAILS, RunStatus.NOT_STARTED)
    assert outcome.reason == verdict.reason


# ── an engine that fails ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("request_line", "fault"),
    [("/images/sha256", "500"), ("/images/sha256", "drop 0"), ("/images/load", "500"), ("/images/load", "drop 60")],
)
def test_a_failure_while_loading_is_one_error(
    request_line: str, fault: str, workspace: Workspace, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that answers 500 or hangs up while it gets an image is Unavailable: exit code 6."""
    project = Project.at(workspace.root)
    image = image_of(project, compile_c(workspace, f"int main(void) {{ return {len(request_line + fault)}; }}"))
    with between(engine, {request_line: fault}) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        runner = DockerEngine.connect(project.store, project.roots)
        with pytest.raises(Unavailable, match=r"the Docker Engine cannot load fromscratch/"):
            runner.load(image)


def test_failures_around_a_run(workspace: Workspace, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep that fails stops nothing; an engine that hangs up in the middle of a run is not the program's failure."""
    project = Project.at(workspace.root)
    image = image_of(project, compile_c(workspace, "int main(void) { return 4; }"))
    faults = {"/containers/json": "500"}
    with between(engine, faults) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        runner = DockerEngine.connect(project.store, project.roots)
        assert runner.run(image).exit_code == 4
        faults["/wait"] = "drop 0"
        assert runner.run(image).status is RunStatus.NOT_RUN
        faults["/images/sha256"] = "500"
        with pytest.raises(Unavailable, match="no disk"):
            runner.image_size(image)


@pytest.mark.parametrize(("request_line", "fault"), [("/json", "500"), ("/get", "500"), ("/get", "drop 5000")])
def test_a_failure_while_saving_is_one_error(
    request_line: str, fault: str, workspace: Workspace, docker_engine: DockerEngine, engine: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A base that the engine does not hand out whole is Unavailable."""
    project = Project.at(workspace.root)
    image = image_of(project, compile_c(workspace, "int main(void) { return 5; }"))
    docker_engine.load(image)
    with between(engine, {request_line: fault}) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        with pytest.raises(Unavailable, match="the Docker Engine cannot"):
            resolve(f"docker-daemon:fromscratch/{image.name}", Platform.host(), workspace, project.store)


# ── containers whose owner has gone ──────────────────────────────────────────────────────────────────────────────────

_OWNER = "from recipes.run import docker; print(docker._owner(), flush=True)"


def test_only_the_dead_are_swept(workspace: Workspace, docker_engine: DockerEngine) -> None:
    """A container goes when its owner is seen to have ended, and stays where its owner cannot be seen from here."""
    need(os.geteuid() == 0, "root, to make a pid namespace")
    image = image_of(Project.at(workspace.root), compile_c(workspace, "int main(void) { return 6; }"))
    docker_engine.load(image)
    command, root = [sys.executable, "-c", _OWNER], Path(__file__).resolve().parents[2]
    hidden = [need_tool("unshare"), "--fork", "--pid", "--mount-proc", *command]
    dead, elsewhere = (
        subprocess.run(words, cwd=root, check=True, capture_output=True, text=True).stdout.strip()
        for words in (command, hidden)
    )
    other_machine = re.sub(r"[0-9a-f]{8}-[0-9a-f-]+", "0" * 36, dead)
    owners = {"dead": dead, "elsewhere": elsewhere, "other machine": other_machine, "alive": docker._owner()}
    api = docker_engine._client.api
    made = {
        name: api.create_container(image.config.digest, labels={docker._LABEL: owner})["Id"]
        for name, owner in owners.items()
    }
    try:
        docker_engine.run(image)
        left = {container["Id"] for container in api.containers(all=True)}
        assert {name for name, container in made.items() if container in left} == owners.keys() - {"dead"}
    finally:
        for container in made.values():
            docker_engine._discard(container)


def test_what_a_program_writes_in_the_engines_place() -> None:
    """An engine's words about the program, and no other's; what is made to take hours to read is not the engine's."""
    told = "exec /app: no such file or directory"
    assert docker._is_about("/app", f"{told}\n")
    assert not docker._is_about("/app", told.replace("app", "other"))
    assert not docker._is_about("/app", f"{told}\nmore")
    assert not docker._is_about("/app", f"exec {': ' * 500_000}\nx")
    stat = 'exec: "/app": stat /app: no such file or directory'
    assert docker._telling(f"OCI runtime create failed: unable to start container process: {stat}: unknown") == stat
    assert docker._telling(f"{'exec' * 500_000}: x: ") == f"{'exec' * 500_000}: x:"
