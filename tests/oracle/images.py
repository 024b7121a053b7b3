"""Images as other builders make them, and what a real Docker Engine does with each of their settings."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recipes.errors import RecipeError
from recipes.model import Command, Platform, Status
from recipes.pipeline import Project
from recipes.support import shell
from recipes.workflows.verify import verify_image
from tests.need import need_tool

AMD64 = Platform.parse("linux/amd64")
TAG = "images-of-builders:1"
# Go 1.20 moved this check from the kernel into the search: the words depend on what runc was built with.
_DENIED = re.compile(r'exec:? "?([^" ]+)"?: permission denied')


@dataclass(frozen=True)
class Setting:
    """What an image is told to start, as whom and where."""

    entry: tuple[str, ...] = ("/app",)
    cmd: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""
    env: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(f"{key}={value}" for key, value in vars(self).items() if value)

    @property
    def config(self) -> dict[str, Any]:
        named = {"Entrypoint": [*self.entry], "Cmd": [*self.cmd], "Env": [*self.env]}
        return {key: value for key, value in named.items() if value} | {"User": self.user, "WorkingDir": self.workdir}


def file(
    name: str, data: bytes = b"", mode: int = 0o755, uid: int = 0, gid: int = 0, kind: bytes = tarfile.REGTYPE,
    target: str = "",
) -> tuple[tarfile.TarInfo, bytes]:  # fmt: skip
    """A member of a layer."""
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid, info.type, info.linkname, info.size = mode, uid, gid, kind, target, len(data)
    return info, data


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return file(name, mode=0o755, kind=kind, target=target)


def folder(name: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> tuple[tarfile.TarInfo, bytes]:
    return file(name, b"", mode, uid, gid, tarfile.DIRTYPE)


Members = Sequence[tuple[tarfile.TarInfo, bytes]]


def tar_of(members: Members, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def save(path: Path, layers: Sequence[bytes], config: dict[str, Any], **top: Any) -> Path:
    """Write layers and settings as `docker save` would. `top` is set around the settings, None removes."""
    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    about = {"architecture": "amd64", "os": "linux", "config": config} | top
    about = {key: value for key, value in about.items() if value is not None}
    document = json.dumps(about | {"rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [TAG], "Layers": names}]).encode()
    blobs = zip(("config.json", *names, "manifest.json"), (document, *layers, manifest), strict=True)
    path.write_bytes(tar_of([file(name, data, 0o644) for name, data in blobs]))
    return path


@dataclass
class Machine:
    """An engine, the builders' programs, and the project that judges; `place` is a folder for what is made."""

    address: str
    place: Path
    project: Project
    wrong: list[str] = field(default_factory=list)
    count: int = 0
    undecided: int = 0

    def call(self, *words: str | Path, stdin: bytes = b"") -> shell.Completed:
        """Run a program. It keeps what it keeps in `place`."""
        home = {"HOME": str(self.place), "DOCKER_HOST": self.address, "TMPDIR": str(self.place)}
        settings = {"PATH": os.environ["PATH"], "DOCKER_BUILDKIT": "0", "BUILDAH_ISOLATION": "chroot", **home}
        return shell.run(Command(tuple(map(str, words))), environment=settings, timeout=120, stdin=stdin)

    def make(self, *words: str | Path, stdin: bytes = b"") -> str:
        """The last line that a builder writes. Raises: AssertionError where it fails."""
        ran = self.call(*words, stdin=stdin)
        assert ran.exit_code == 0, f"{words}: {(ran.stdout + ran.stderr).decode(errors='replace')}"
        return ran.stdout.decode().strip().rpartition("\n")[2]

    def compare(self, what: str, reference: str, tag: str = TAG) -> None:
        """Hold the verdicts on the engine's image `tag` and on `reference`, which is the same, against its run."""
        ran = self.call(need_tool("docker"), "run", "--rm", "--network=none", tag)
        output = _DENIED.sub(r"exec \1: permission denied", (ran.stdout + ran.stderr).decode(errors="replace"))
        for source in (reference, f"docker-daemon:{tag}"):
            self.count += 1
            try:
                verdict = verify_image(self.project, source, AMD64).verdict
            except RecipeError as error:
                self.wrong.append(f"{what}, {source}: {error.message}, the engine: {ran.exit_code}, {output}")
                continue
            reason = _DENIED.sub(r"exec \1: permission denied", verdict.reason)
            runs, known = verdict.status is Status.RUNS, verdict.status is not Status.UNKNOWN
            self.undecided += not known
            as_said = output.startswith("hello\n") if runs else reason.lower() in output.lower()
            if known and (runs != (ran.exit_code == 0) or not as_said):
                self.wrong.append(
                    f"{what}, {source}: {verdict.status}, {reason}; the engine: {ran.exit_code}, {output}"
                )


Builder = Callable[[Machine, Path, Setting], str]
"""Makes an image of a folder and a setting, loads it into the engine as TAG, and returns a reference to the same."""


def docker_build(machine: Machine, root: Path, setting: Setting) -> str:
    lines = ["FROM scratch", "ADD root.tar /", "COPY passwd group /etc/"]
    lines += [f"ENV {text}" for text in setting.env]
    lines += [f"USER {setting.user}"] if setting.user else []
    lines += [f"WORKDIR {setting.workdir}"] if setting.workdir else []
    lines += [f"ENTRYPOINT {json.dumps(setting.entry)}"] if setting.entry else []
    lines += [f"CMD {json.dumps(setting.cmd)}"] if setting.cmd else []
    (root / "Dockerfile").write_text("\n".join(lines))
    machine.make("docker", "build", "--quiet", f"--tag={TAG}", root)
    return _saved_by_docker(machine)


def docker_import(machine: Machine, root: Path, setting: Setting) -> str:
    changes = [f"ENV {text}" for text in setting.env]
    changes += [f"USER {setting.user}"] if setting.user else []
    changes += [f"WORKDIR {setting.workdir}"] if setting.workdir else []
    changes += [f"ENTRYPOINT {json.dumps(setting.entry)}"] if setting.entry else []
    changes += [f"CMD {json.dumps(setting.cmd)}"] if setting.cmd else []
    machine.make("docker", "import", *(f"--change={change}" for change in changes), root / "whole.tar", TAG)
    return _saved_by_docker(machine)


def buildah(machine: Machine, root: Path, setting: Setting) -> str:
    """Buildah's commit, as podman saves it: an oci-archive."""
    program = ("buildah", *_storage(machine))
    name = machine.make(*program, "from", "scratch")
    machine.make(*program, "add", name, root / "root.tar", "/")
    for late in ("passwd", "group"):
        machine.make(*program, "copy", name, root / late, "/etc/")
    # Without a command of its own an entry point keeps none.
    options = [f"--entrypoint={json.dumps(setting.entry)}", f"--user={setting.user}", f"--workingdir={setting.workdir}"]
    options += [f"--cmd={' '.join(setting.cmd)}", *(f"--env={text}" for text in setting.env)]
    machine.make(*program, "config", *options, name)
    machine.make(*program, "commit", "--rm", name, TAG)
    target = machine.place / "podman.tar"
    target.unlink(missing_ok=True)
    podman = ("podman", *_storage(machine))
    machine.make(*podman, "save", "--quiet", "--format=oci-archive", f"--output={target}", TAG)
    machine.make(*podman, "rmi", "--force", TAG)
    _load(machine, f"oci-archive:{target}")
    return f"oci-archive:{target}"


def umoci(machine: Machine, root: Path, setting: Setting) -> str:
    """A layout to which umoci has added layers, gzip or none, and an empty one."""
    layout = machine.place / "umoci"
    image = f"--image={layout}:1"
    if not layout.exists():
        machine.make("umoci", "init", f"--layout={layout}")
        machine.make("umoci", "new", image)
        (root / "empty.tar").write_bytes(tar_of(()))
        for layer in ("root.tar", "late.tar", "empty.tar"):
            machine.make("umoci", "raw", "add-layer", image, root / layer)
    options = [f"--config.entrypoint={word}" for word in setting.entry]
    options += [f"--config.cmd={word}" for word in setting.cmd] + [f"--config.env={text}" for text in setting.env]
    clear = [f"--clear=config.{name}" for name in ("entrypoint", "cmd", "env")]
    options += [f"--config.user={setting.user}", f"--config.workingdir={setting.workdir}"]
    machine.make("umoci", "config", image, *clear, *options)
    _load(machine, f"oci:{layout}:1")
    return f"oci:{layout}:1"


def skopeo(machine: Machine, root: Path, setting: Setting) -> str:
    """The layers as they are, copied to a layout with zstd."""
    layers = [(root / name).read_bytes() for name in ("root.tar", "late.tar", "late.tar")]
    plain, layout = save(machine.place / "plain.tar", layers, setting.config), machine.place / "zstd"
    copy = ("skopeo", "copy", "--quiet", "--insecure-policy", "--dest-compress-format=zstd", "--dest-compress")
    machine.make(*copy, f"docker-archive:{plain}", f"oci:{layout}:1")
    machine.make("docker", "load", f"--input={plain}")
    return f"oci:{layout}:1"


BUILDERS: dict[str, tuple[Builder, tuple[str, ...]]] = {
    "docker build": (docker_build, ()),
    "docker import": (docker_import, ()),
    "buildah and podman": (buildah, ("buildah", "podman", "skopeo")),
    "umoci": (umoci, ("umoci", "skopeo")),
    "skopeo": (skopeo, ("skopeo",)),
}
"""Each with the programs that it needs besides Docker's."""


def _storage(machine: Machine) -> tuple[str, ...]:
    place = machine.place
    return (f"--root={place}/containers", f"--runroot={place}/running", "--storage-driver=vfs")


def _saved_by_docker(machine: Machine) -> str:
    target = machine.place / "docker.tar"
    machine.make("docker", "save", f"--output={target}", TAG)
    return f"docker-archive:{target}"


def _load(machine: Machine, reference: str) -> None:
    target = machine.place / "loaded.tar"
    target.unlink(missing_ok=True)
    machine.make("skopeo", "copy", "--quiet", "--insecure-policy", reference, f"docker-archive:{target}:{TAG}")
    machine.make("docker", "load", f"--input={target}")
