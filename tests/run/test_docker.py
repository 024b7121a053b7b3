"""The Docker Engine, for real: what it shows, what it runs, what it leaves behind."""

from __future__ import annotations

import pytest

from recipes import pipeline
from recipes.bases.resolve import resolve
from recipes.model import Limits, Platform, RunStatus, Status
from recipes.pipeline import Project
from recipes.run.docker import DockerEngine
from recipes.workspace import Workspace
from tests.programs import compile_c, image_of

pytestmark = pytest.mark.slow


BASES = ("scratch", "deb-static", "deb-cc", "deb-musl", "deb-busybox", "deb-python", "deb-slim")


@pytest.mark.parametrize("base", BASES)
def test_image_bytes_is_what_the_engine_shows(base: str, workspace: Workspace, docker_engine: DockerEngine) -> None:
    """`image_bytes` equals what `docker image inspect` says of the same image, on every base that can be assembled."""
    project = Project.at(workspace.root)
    image = image_of(project, compile_c(workspace, "int main(void) { return 0; }"), base)
    docker_engine.load(image)
    assert docker_engine.image_size(image) == image.image_bytes


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
    path = image.binary.path
    data = path.read_bytes()
    path.unlink()
    if harm != "gone":
        path.write_bytes({"other": data[:-1] + b"!", "shorter": data[:-1], "longer one": data + bytes(1 << 20)}[harm])
    docker_engine.load(image)
    assert docker_engine.image_size(image) == image.image_bytes
    assert docker_engine.run(image).exit_code == len(harm)


def test_a_base_is_taken_from_the_engine(workspace: Workspace, docker_engine: DockerEngine) -> None:
    """`docker-daemon:` gives an image of the engine as a base, with its layers' sizes as the engine shows them."""
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
    verdict = pipeline.judge_on(project, binary, pipeline.read_facts(binary, workspace), image.base)
    outcome = docker_engine.run(image)
    assert (verdict.status, outcome.status) == (Status.FAILS, RunStatus.NOT_STARTED)
    assert outcome.reason == verdict.reason
