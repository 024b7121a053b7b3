"""Other CPUs: one index for several platforms, each judged, run by an emulator where this machine has one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes import pipeline
from recipes.bases.resolve import resolve
from recipes.compile.recipe import RECIPES
from recipes.errors import BadInput
from recipes.model import Command, Image, Platform, RunStatus
from recipes.pipeline import Project
from recipes.run import emulation
from recipes.run.local import LocalEngine
from recipes.samples.reader import load
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.cli import ROOT, call, error
from tests.fixtures_debian import Assembled
from tests.need import need, need_tool
from tests.schemas import read

OTHER = Platform("linux", "arm64" if Platform.host().architecture == "amd64" else "amd64")


def test_platforms_are_read_from_a_list() -> None:
    """Each once, in the order in which they are named; none is this machine's."""
    assert Platform.parse_list("linux/arm64, amd64,linux/arm64") == (Platform.parse("arm64"), Platform.parse("amd64"))
    assert Platform.parse_list("") == (Platform.host(),)
    with pytest.raises(BadInput, match="is not a Linux one"):
        Platform.parse_list("linux/amd64,windows/amd64")


def hello_for(platform: Platform, root: Path) -> tuple[Project, LocalEngine, Image]:
    project = Project.at(root)
    sample = load("hello", Workspace(ROOT))
    program = pipeline.build_program(project, sample, RECIPES["zig-static-small"], platform, echo=False)
    image, _ = pipeline.package(project, program, resolve("scratch", platform, project.workspace, project.store))
    return project, LocalEngine(project.workspace, project.roots), image


@pytest.mark.slow
def test_another_cpu_runs_through_an_emulator(shared_project: Path) -> None:
    """The image of another platform runs in its own root, in which the emulator is not to be seen by the user."""
    need(emulation.emulator(OTHER), f"qemu-user-static for {OTHER}")
    project, engine, image = hello_for(OTHER, shared_project)
    outcome = pipeline.try_run(project, image, engine)
    need("namespaces" not in outcome.reason, "user namespaces")
    assert (outcome.status, outcome.stdout) == (RunStatus.EXITED, "Hello World!\n")


@pytest.mark.slow
def test_without_an_emulator_it_is_not_run(shared_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is said, and is no pass; by itself the kernel says what the engines show."""
    project, engine, image = hello_for(OTHER, shared_project)
    if not emulation.runs_by_itself(OTHER):
        assert engine.run(image).reason == "exec /app: exec format error"
    monkeypatch.setattr(emulation, "emulator", lambda platform: None)
    monkeypatch.setattr(emulation, "runs_by_itself", lambda platform: False)
    outcome = pipeline.try_run(project, image, engine)
    assert outcome.status is RunStatus.NOT_RUN
    assert outcome.reason == f"this machine cannot run programs for {OTHER}, and has no QEMU for them"
    assert outcome.meets(load("hello", Workspace(ROOT)).expect) is None


@pytest.mark.slow
def test_several_platforms_become_one_index(shared_project: Path) -> None:
    """`--platform a,b` builds, judges and runs each; skopeo finds the fitting image behind the one tag."""
    skopeo = need_tool("skopeo")
    both = f"{Platform.host()},{OTHER}"
    options = ("--recipe", "zig-static-small", "--engine", "local", "--format", "json", "--platform", both)
    done = call(shared_project, "build-static", "hi", *options)
    assert done.exit_code == 0, done.stderr
    document = read("images", done.stdout)
    assert [row["platform"] for row in document["rows"]] == both.split(",")
    store = Workspace(shared_project).images
    index = json.loads((store / "blobs/sha256" / document["index"].removeprefix("sha256:")).read_bytes())
    assert {entry["digest"] for entry in index["manifests"]} == {row["digest"] for row in document["rows"]}
    for platform in Platform.parse_list(both):
        architecture = ("--override-arch", platform.architecture, "--override-os", "linux")
        shown = shell.check(Command((skopeo, *architecture, "inspect", f"oci:{store}:hi:latest")))
        assert json.loads(shown.stdout)["Architecture"] == platform.architecture


@pytest.mark.slow
def test_a_comparison_of_platforms_says_which(shared_project: Path) -> None:
    """Each platform has rows of its own, and a smallest of its own."""
    both = f"{Platform.host()},{OTHER}"
    options = ("--recipes", "zig-static-small", "--bases", "scratch", "--engine", "local", "--platform", both)
    done = call(shared_project, "compare-sizes", "--samples", "hi", *options)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    for platform in Platform.parse_list(both):
        smallest, row = [line for line in lines if line.startswith(f"hi ({platform})")]
        assert "zig-static-small" in smallest
        assert "scratch *" in row


def test_a_recipe_that_cannot_build_for_it(project: Path) -> None:
    """Without a cross compiler the recipe of another is named that builds for others too."""
    done = call(project, "build-static", "hi", "--recipe", "gcc-static", "--platform", "linux/s390x", PATH=str(project))
    assert done.exit_code == 4
    text = error(done)
    assert "no g++ for linux/s390x found (needed by recipe gcc-static)" in text
    assert "g++-s390x-linux-gnu, or use --recipe zig-static-small" in text


@pytest.mark.slow
def test_a_cross_compiler_of_the_machine(project: Path) -> None:
    """Where Debian's is installed, gcc's recipes build for its platform as well, and say which compiler it was."""
    target = {"arm64": "aarch64-linux-gnu", "amd64": "x86_64-linux-gnu"}[OTHER.architecture]
    need_tool(f"{target}-g++")
    options = (
        "--recipe",
        "gcc-static-small",
        "--platform",
        str(OTHER),
        "--engine",
        "local",
        "--format",
        "json",
        "--echo",
    )
    done = call(project, "build-static", "hi", *options)
    (row,) = json.loads(done.stdout)["rows"]
    assert (row["platform"], row["linkage"]) == (str(OTHER), "static")
    assert f"{target}-g++" in done.stderr.decode()
    assert row["runs"] is True


@pytest.mark.slow
def test_a_bundle_for_both(project: Path, tmp_path: Path, assembled: Assembled) -> None:
    """A dynamic program of another CPU gets the loader and libraries of a root for that CPU, and runs with them."""
    target = {"arm64": "aarch64-linux-gnu", "amd64": "x86_64-linux-gnu"}[OTHER.architecture]
    need_tool(f"{target}-g++")
    need(emulation.emulator(OTHER), f"qemu-user-static for {OTHER}")
    both = f"{Platform.host()},{OTHER}"
    project = project.rename(tmp_path / "plain")  # mmdebstrap cannot cope with quotes in a name
    for platform in Platform.parse_list(both):
        assembled.give(Workspace(project), "deb-cc", platform=platform)
    options = ("--from", "deb-cc", "--platform", both, "--engine", "local", "--format", "json")
    done = call(project, "bundle", "hi", *options)
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert [(row["base"], row["linkage"], row["runs"]) for row in document["rows"]] == [("bundle", "dynamic", True)] * 2
    assert document["index"]
