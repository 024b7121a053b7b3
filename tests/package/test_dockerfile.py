"""Tests of recipes/package/dockerfile.py: the real engine builds what it says, and gets the same files and settings."""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from recipes.bases.resolve import resolve
from recipes.errors import BadInput
from recipes.model import Additions, BaseImage, Command, FileEntry, HealthCheck, Image, ImageSettings, Platform
from recipes.oci.layers import open_layer
from recipes.oci.store import Store
from recipes.package.assemble import assemble, data_layer
from recipes.package.dockerfile import Layered, render, render_layers, write_context, write_layers
from recipes.pipeline import Project
from recipes.run.docker import DockerEngine
from recipes.support import shell
from recipes.support.workspace import Workspace
from recipes.workflows import stored
from tests.need import need_tool
from tests.programs import compile_c

SETTINGS = ImageSettings(
    user="1234:567",
    workdir="/",
    cmd=("--greet", 'a "b" $c \\d'),
    env=(("PLAIN", "value"), ("ODD", 'blank, "quote", $HOME and \\back'), ("EMPTY", "")),
    ports=("8080/tcp",),
    volumes=("/srv/data", "/var/odd, name"),
    stop_signal="SIGINT",
    healthcheck=HealthCheck(("/app", "--health", "it's"), interval=7, timeout=1.5, retries=2),
    labels=(("org.example.title", "it's 100% $odd"),),
)

ODD = ImageSettings(
    path="/opt/a $HOME 'b' ${x}/\"it\" \\d",
    workdir="/a $HOME 'b' \"c\" \\d ${x}",
    env=(("it's a $NAME", "1"), ("plain.name-2/3", "'")),
    volumes=("/v $HOME", "/q\"uote\\s 's\nnext"),
    labels=(("k y", "v"), ("$k", 'a "b"'), ('"', "\\")),
)

DATA = (
    FileEntry("/etc/app/it's a file", b"text", 0o640, 7, 8),
    FileEntry("/tmp", None, 0o1777),
)

File = tuple[str, int, int, int, str]


def files(image: Image | BaseImage, store: Store) -> dict[str, File]:
    """By name: kind, mode, owner, group and content of everything but folders, later layers last."""
    found = {}
    for layer in image.layers:
        with open_layer(store, layer) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member)
                data = content.read() if content else b""
                if not member.isdir():
                    name = member.name.removeprefix("./").strip("/")
                    found[name] = (
                        str(member.type),
                        member.mode & 0o7777,
                        member.uid,
                        member.gid,
                        str(data[:64]) + str(len(data)),
                    )
    return found


@pytest.mark.slow
@pytest.mark.parametrize("settings", [SETTINGS, ODD], ids=["usual", "odd"])
def test_docker_build_gives_the_same_image(
    workspace: Workspace, docker_engine: DockerEngine, engine: str, tmp_path: Path, settings: ImageSettings
) -> None:
    """Files, data, modes, owners, user, entry point, environment, ports, volumes, health, labels: all as in ours."""
    docker = need_tool("docker")
    store = Store.of(workspace)
    binary = compile_c(workspace, "#include <stdio.h>\nint main(int n, char **v) { puts(v[n - 1]); }")
    scratch = BaseImage("scratch", "scratch", Platform.host())
    additions = Additions(settings, (data_layer(DATA, store, "gzip"),))
    ours = assemble(binary, scratch, store=store, name="ours:1", additions=additions)
    context = tmp_path / "a context"
    write_context(ours, store, context)
    with pytest.raises(BadInput, match="is not empty"):
        write_context(ours, store, context)
    environment = {
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "DOCKER_HOST": engine,
        "DOCKER_BUILDKIT": "0",
        "HOME": str(tmp_path),
    }
    build = Command((docker, "build", "--quiet", "--tag", "theirs:1", str(context)))
    done = shell.run(build, environment=environment, timeout=300)
    assert done.exit_code == 0, done.stderr.decode()
    theirs = resolve("docker-daemon:theirs:1", Platform.host(), workspace, store)
    assert files(theirs, store) == files(ours, store)
    docker_engine.load(ours)
    images = [
        json.loads(shell.check(Command((docker, "image", "inspect", name)), environment=environment).stdout)[0]
        for name in ("theirs:1", ours.config.digest)
    ]
    for key in ("User", "WorkingDir", "Entrypoint", "Cmd", "ExposedPorts", "Volumes", "StopSignal", "Healthcheck"):
        assert images[0]["Config"].get(key) == images[1]["Config"].get(key), key
    assert set(images[1]["Config"]["Env"]) <= set(images[0]["Config"]["Env"])
    assert images[0]["Config"]["Labels"].items() <= images[1]["Config"]["Labels"].items()
    assert images[0]["Size"] == images[1]["Size"] == ours.image_bytes


@pytest.mark.parametrize(
    "settings",
    [
        ImageSettings(env=(("A", "two\nlines"),)),
        ImageSettings(labels=(("a\nb", ""),)),
        ImageSettings(labels=(("a=b", "c"),)),
        ImageSettings(workdir="/a\rb"),
        ImageSettings(workdir="/a\\"),
        ImageSettings(workdir="/a "),
        ImageSettings(user="a\\"),
        ImageSettings(env=(("A", "\x1b[2J"),)),
        ImageSettings(labels=(("a", "\u202e"),)),
        ImageSettings(cmd=("\udcff",)),
    ],
)
def test_what_no_dockerfile_can_say(workspace: Workspace, tmp_path: Path, settings: ImageSettings) -> None:
    """A line break or another invisible character, a backslash that would join two lines, a name with a =, a word that
    is not Unicode: each is an error before anything is written."""
    store = Store.of(workspace)
    binary = compile_c(workspace, "int main(void) { return 0; }")
    scratch = BaseImage("scratch", "scratch", Platform.host())
    image = assemble(binary, scratch, store=store, name="a:1", additions=Additions(settings))
    with pytest.raises(BadInput, match="a Dockerfile cannot express"):
        write_context(image, store, tmp_path / "context")
    assert not (tmp_path / "context").exists()


def test_a_stored_image_says_what_it_was_made_with(workspace: Workspace) -> None:
    """The instructions are those of the image as it was made, read from its config; a registry base is named again."""
    project = Project.at(workspace.root)
    base_layer = data_layer((FileEntry("/etc/base", b"base", 0o644),), project.store, "gzip")
    digest = "sha256:" + "0" * 64
    base = BaseImage("ours", "docker://example.org/base:1", Platform.host(), digest=digest, layers=(base_layer,))
    binary = compile_c(workspace, "int main(void) { return 0; }")
    image = assemble(binary, base, store=project.store, name="a:1", additions=Additions(SETTINGS))
    made = render(image).splitlines()
    found = render_layers(stored.layered(project, "a:1", Platform.host())).splitlines()
    assert found[:2] == [made[0], 'ADD ["layer-1.tar", "/"]']
    assert [line for line in found[2:] if not line.startswith('ENV PATH="')] == made[2:]


def test_a_layer_that_takes_files_away(workspace: Workspace, tmp_path: Path) -> None:
    """A Dockerfile cannot say that, and nothing is written."""
    store = Store.of(workspace)
    layer = data_layer((FileEntry("/etc/.wh.passwd", b"", 0o644),), store, "gzip")
    with pytest.raises(BadInput, match="takes files of another one away"):
        write_layers(Layered("scratch", (layer,), SETTINGS, ("/app",)), store, tmp_path / "context")
    assert list((tmp_path / "context").iterdir()) == []


def test_a_bundle_is_no_base_of_others(workspace: Workspace, tmp_path: Path) -> None:
    """Nobody else has it, so its files come along with the program's own."""
    store = Store.of(workspace)
    binary = compile_c(workspace, "int main(void) { return 0; }")
    library = data_layer((FileEntry("/lib/library", b"code", 0o755),), store, "gzip")
    bundle = BaseImage("bundle", "bundle:rootfs:/", Platform.host(), digest=library.diff_id, layers=(library,))
    data = data_layer((FileEntry("/etc/data", b"data", 0o644),), store, "gzip")
    image = assemble(binary, bundle, store=store, name="a:1", additions=Additions(layers=(data,)))
    lines = render(image).splitlines()
    assert lines[:3] == ["FROM scratch", 'ADD ["data-1.tar", "/"]', 'ADD ["data-2.tar", "/"]']
    write_context(image, store, tmp_path / "context")
    with tarfile.open(tmp_path / "context/data-1.tar") as archive:
        assert archive.getnames() == ["lib/library"]


def test_what_a_base_is_called(workspace: Workspace) -> None:
    """A registry base is named with its digest; one from elsewhere comes with a word on how to get it there."""
    store = Store.of(workspace)
    binary = compile_c(workspace, "int main(void) { return 0; }")
    root = workspace.root / "root"
    root.mkdir()
    (root / "file").write_text("text")
    base = resolve(f"rootfs:{root}", Platform.host(), workspace, store)
    local = render(assemble(binary, base, store=store, name="a:1"))
    assert local.splitlines()[0].startswith("# The base ")
    named = render(assemble(binary, replace(base, name="syntax=evil $x y"), store=store, name="a:1")).splitlines()
    assert re.match(r"#\s*\w+\s*=", named[0]) is None, "a directive would choose the program that reads the file"
    assert named[1] == "FROM syntax-evil-x-y:latest"
    with pytest.raises(BadInput, match="a Dockerfile cannot express"):
        render(assemble(binary, replace(base, name="a\nRUN evil"), store=store, name="a:1"))
    remote = replace(base, reference="docker://example.org/base:1", digest="sha256:" + "0" * 64)
    lines = render(assemble(binary, remote, store=store, name="a:2")).splitlines()
    assert lines[0] == "FROM example.org/base:1@sha256:" + "0" * 64
