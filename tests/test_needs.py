"""What a program needs at run time: each sample fails without it, as predicted, and works with it."""

from __future__ import annotations

import dataclasses
import io
import tarfile
from pathlib import Path

import pytest

from recipes import pipeline
from recipes.bases.resolve import resolve
from recipes.compile.recipe import RECIPES
from recipes.model import (
    Expect,
    FileEntry,
    HealthCheck,
    Image,
    ImageSettings,
    Platform,
    RunOutcome,
    Sample,
    Status,
    Verdict,
)
from recipes.oci.layers import open_layer
from recipes.package.runtime_data import ANSWERS, CA_BUNDLE
from recipes.pipeline import Project
from recipes.run.docker import DockerEngine
from recipes.run.local import LocalEngine
from recipes.samples.reader import load
from recipes.support.workspace import Workspace
from recipes.verdict.hazards import RULES
from tests.cli import ROOT
from tests.fixtures_debian import Assembled
from tests.need import need
from tests.programs import compile_c

SAMPLES = {  # what each of them needs, and what it says without that
    "https-go": ("ca-certificates", "certificate signed by unknown authority"),
    "clock": ("time-zones", "2023-11-14 22:13:20"),
    "clock-go": ("time-zones", "unknown time zone Europe/Berlin"),
    "whoami": ("users", "no name for user 65532"),
    "scratchpad": ("tmp", "No such file or directory"),
    "resolver": ("services", "resolver: "),
}


@pytest.fixture
def project(workspace: Workspace) -> Project:
    return Project.at(workspace.root)


def sample_of(name: str) -> Sample:
    return load(name, Workspace(ROOT))


def image_of(project: Project, sample: Sample, recipe: str, base: str = "scratch") -> tuple[Image, Verdict]:
    program = pipeline.build_program(project, sample, RECIPES[recipe], Platform.host(), echo=False)
    return pipeline.package(project, program, resolve(base, Platform.host(), project.workspace, project.store))


def run(project: Project, image: Image) -> RunOutcome:
    outcome = pipeline.try_run(project, image, LocalEngine(project.workspace, project.roots))
    need("namespaces" not in outcome.reason, "user namespaces")
    return outcome


def members(project: Project, image: Image) -> dict[str, tarfile.TarInfo]:
    """What the image has beside its program, by name."""
    found: dict[str, tarfile.TarInfo] = {}
    for layer in image.layers[:-1]:
        with open_layer(project.store, layer) as stream:
            data = io.BytesIO(stream.read())
        with tarfile.open(fileobj=data) as archive:
            found |= {member.name: member for member in archive}
    return found


RECIPES_OF = {"c++": ("gcc-static-small", "zig-static-small"), "go": ("go-static",)}
CELLS = [(name, recipe) for name in SAMPLES for recipe in RECIPES_OF["go" if name.endswith("-go") else "c++"]]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "recipe"), CELLS)
def test_each_sample_fails_without_and_works_with(name: str, recipe: str, project: Project) -> None:
    """`needs = []` leaves the finding and the program fails as it says; by default exactly what it needs is added."""
    wanted, message = SAMPLES[name]
    sample = sample_of(name)
    bare = dataclasses.replace(sample, image=dataclasses.replace(sample.image, needs=()))
    image, verdict = image_of(project, bare, recipe)
    assert len(image.layers) == 1
    assert wanted in {ANSWERS.get(finding.code) for finding in verdict.findings}
    outcome = run(project, image)
    assert outcome.meets(sample.expect) is False
    assert message in outcome.stdout + outcome.stderr

    image, verdict = image_of(project, sample, recipe)
    assert image.additions.tmp  # always, as it costs nothing
    assert [added.need for added in image.additions.runtime_data] == ([] if wanted == "tmp" else [wanted])
    assert not [finding for finding in verdict.findings if finding.code in ANSWERS]
    assert run(project, image).meets(sample.expect) is True
    assert image.image_bytes > image.program.size or wanted == "tmp"  # a folder has no bytes
    assert image.overhead_bytes == sum(layer.content_bytes for layer in image.layers[:-1])


@pytest.mark.slow
def test_authorities_of_its_own_are_trusted_on_a_base_that_has_a_bundle(project: Project, assembled: Assembled) -> None:
    """They stand behind the base's, which stay; without them the base's bundle does not let the program through."""
    assembled.give(project.workspace, "deb-static")
    sample = sample_of("https-go")
    without = dataclasses.replace(sample, image=dataclasses.replace(sample.image, ca=()))
    image, _ = image_of(project, without, "go-static", "deb-static")
    assert image.additions.runtime_data == ()
    assert run(project, image).meets(sample.expect) is False

    image, verdict = image_of(project, sample, "go-static", "deb-static")
    assert [added.need for added in image.additions.runtime_data] == ["ca-certificates"]
    assert verdict.status is Status.RUNS
    assert run(project, image).meets(sample.expect) is True
    path = "/etc/ssl/certs/ca-certificates.crt"
    below = pipeline.open_root(project, image.base).read(path)
    whole = pipeline.open_root(project, image.base, image.additions.layers).read(path)
    assert whole == b"\n".join((below, *(path.read_bytes() for path in sample.image.ca)))


@pytest.mark.slow
def test_what_the_base_has_is_not_added(project: Project, assembled: Assembled) -> None:
    """On a base with zones and users nothing is added, and nothing is changed."""
    assembled.give(project.workspace, "deb-static")
    for name in ("clock", "whoami"):
        image, _ = image_of(project, sample_of(name), "zig-static-small", "deb-static")
        assert image.additions.runtime_data == ()
        assert len(image.layers) == len(image.base.layers) + 1


@pytest.mark.slow
def test_a_user_that_is_a_name_gets_an_entry(project: Project) -> None:
    """An engine cannot start a program as a user that the image does not know: predicted without, added by default."""
    binary = compile_c(project.workspace, "#include <unistd.h>\nint main(void) { return getuid() != 65532; }")
    settings = ImageSettings(user="app:app", needs=())
    sample = Sample("named", project.workspace.root, "binary", (Path(binary.path.name),), image=settings)
    taken = pipeline.take_program(project, sample, Platform.host())
    base = resolve("scratch", Platform.host(), project.workspace, project.store)
    image, verdict = pipeline.package(project, taken, base)
    assert verdict.status is Status.FAILS
    assert run(project, image).reason == verdict.reason
    assert verdict.reason == "unable to find user app: no matching entries in passwd file"

    sample = dataclasses.replace(sample, image=ImageSettings(user="app:app"))
    taken = pipeline.take_program(project, sample, Platform.host())
    image, verdict = pipeline.package(project, taken, base)
    assert verdict.status is Status.RUNS
    assert run(project, image).exit_code == 0


@pytest.mark.slow
def test_files_of_the_sample_are_in_the_image(project: Project, tmp_path: Path) -> None:
    """At any path, with their mode and owner; what the sample brings along itself is not added again."""
    program = compile_c(project.workspace, "#include <stdio.h>\nint main(void) { return !tmpfile(); }")
    own = (
        FileEntry("/etc/passwd", b"root:x:0:0::/:/\nnonroot:x:65532:65532::/:/\n", 0o644),
        FileEntry("/srv/key", b"secret", 0o400, 65532, 65532),
        FileEntry("/data", None, 0o1777),
    )
    settings = ImageSettings(files=own, needs=("users", "tmp"))
    sample = Sample("files", project.workspace.root, "binary", (Path(program.path.name),), image=settings)
    taken = pipeline.take_program(project, sample, Platform.host())
    base = resolve("scratch", Platform.host(), project.workspace, project.store)
    image, _ = pipeline.package(project, taken, base)
    found = members(project, image)
    assert set(found) == {"etc/passwd", "srv/key", "data", "etc/group", "tmp"}
    key = found["srv/key"]
    assert (key.mode, key.uid, key.gid, key.size) == (0o400, 65532, 65532, 6)
    assert found["tmp"].isdir()
    assert found["tmp"].mode == 0o1777
    assert found["etc/passwd"].size == own[0].size()
    assert run(project, image).exit_code == 0


def test_answers_are_for_findings_that_exist() -> None:
    """Each code is one of a rule."""
    assert set(ANSWERS) - {"unknown-user"} <= {rule.code for rule in RULES}


# ── health ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_the_probe_asks_a_server_in_scratch(project: Project, docker_engine: DockerEngine) -> None:
    """The engine finds the server of `server-go` healthy by the probe, and a program that does not serve unhealthy."""
    served = sample_of("server-go")
    check = HealthCheck(("/probe", "http://127.0.0.1:8080/healthz"), "http://127.0.0.1:8080/healthz", 1, 1, retries=1)
    sample = dataclasses.replace(served, image=dataclasses.replace(served.image, healthcheck=check))
    image, _ = image_of(project, sample, "go-static")
    assert members(project, image)["probe"].size < 40_000
    assert members(project, image)[CA_BUNDLE.strip("/")].size > 100_000
    docker_engine.load(image)
    assert health(docker_engine, image) == "healthy"
    idle = compile_c(project.workspace, "#include <unistd.h>\nint main(void) { for (;;) pause(); }")
    other = Sample("idle", project.workspace.root, "binary", (Path(idle.path.name),), image=sample.image)
    taken = pipeline.take_program(project, other, Platform.host())
    image, _ = pipeline.package(project, taken, resolve("scratch", Platform.host(), project.workspace, project.store))
    docker_engine.load(image)
    assert health(docker_engine, image) == "unhealthy"


def health(engine: DockerEngine, image: Image) -> str:
    import time

    api = engine._client.api
    host = api.create_host_config(network_mode="none", read_only=True)
    container = api.create_container(image.config.digest, host_config=host)["Id"]
    try:
        api.start(container)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            state = api.inspect_container(container)["State"]["Health"]["Status"]
            if state != "starting":
                return str(state)
            time.sleep(0.1)
        return "starting"
    finally:
        api.remove_container(container, force=True)


@pytest.mark.slow
def test_a_server_runs_when_it_goes_on_running(project: Project) -> None:
    """`serves` is met by a program that is still there after that time, and not by one that has ended."""
    sample = sample_of("server-go")
    image, _ = image_of(project, sample, "go-static")
    assert run(project, image).meets(sample.expect) is True
    ends = compile_c(project.workspace, "int main(void) { return 0; }")
    ended = Sample("ends", project.workspace.root, "binary", (Path(ends.path.name),), expect=Expect(serves=0.5))
    taken = pipeline.take_program(project, ended, Platform.host())
    image, _ = pipeline.package(project, taken, resolve("scratch", Platform.host(), project.workspace, project.store))
    outcome = run(project, image)
    assert (outcome.exit_code, outcome.meets(ended.expect)) == (0, False)
    assert outcome.meets(Expect(exit_code=7, serves=0.5)) is False
