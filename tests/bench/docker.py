"""`docker build` as a peer: the engine that answers, else a private one for the length of the run."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recipes.errors import CommandFailed
from recipes.model import Command
from recipes.support import shell


@dataclass(frozen=True, slots=True)
class DockerPeer:
    """A `docker` client and the builder it is told to use: DOCKER_BUILDKIT's value, "" for the client's own choice."""

    client: str
    variable: str
    name: str

    def build(self, context: Path, tag: str) -> None:
        argv = (self.client, "build", "--quiet", "--no-cache", "--tag", tag, str(context))
        told = (("DOCKER_BUILDKIT", self.variable),) if self.variable else ()
        shell.check(Command(argv, env=told), timeout=900)

    def remove(self, *tags: str) -> None:
        shell.run(Command((self.client, "image", "rm", "--force", *tags)), timeout=300)


@contextlib.contextmanager
def engine(folder: Path) -> Iterator[str]:
    """Have an engine answer at DOCKER_HOST; yields "" or the reason why none does."""
    client = shutil.which("docker")
    if client is None:
        yield "docker is not installed"
    elif _answers(client):
        yield ""
    elif os.geteuid() != 0 or not (daemon := shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin")):
        yield "no Docker Engine answers, and none can be started here"
    else:
        with _private_engine(client, daemon, folder) as reason:
            yield reason


@contextlib.contextmanager
def _private_engine(client: str, daemon: str, folder: Path) -> Iterator[str]:
    socket, log = folder / "docker.sock", folder / "dockerd.log"
    words = ("--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "dockerd.pid")
    argv = [daemon, "--host", f"unix://{socket}", "--bridge=none", "--iptables=false", *map(str, words)]
    before = os.environ.get("DOCKER_HOST")
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    os.environ["DOCKER_HOST"] = f"unix://{socket}"
    try:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline and not _answers(client):
            time.sleep(0.1)
        yield "" if _answers(client) else f"dockerd did not start: {log.read_text(errors='replace')[-300:]}"
    finally:
        os.environ.pop("DOCKER_HOST")
        if before is not None:
            os.environ["DOCKER_HOST"] = before
        process.terminate()
        process.wait(timeout=60)


def _answers(client: str) -> bool:
    return shell.run(Command((client, "version", "--format", "{{.Server.Version}}")), timeout=20).exit_code == 0


def builders(context: Path) -> list[DockerPeer]:
    """What `docker build` can be here: first as it comes, then told to use BuildKit, where that works too."""
    client = shutil.which("docker")
    if client is None:
        return []
    version = shell.run(Command((client, "--version"))).stdout.decode().split()[2].strip(",")
    peers = [
        DockerPeer(client, "", f"docker build {version}"),
        DockerPeer(client, "1", f"docker build {version} with DOCKER_BUILDKIT=1"),
    ]
    return [peer for peer in peers if _works(peer, context)]


def _works(peer: DockerPeer, context: Path) -> bool:
    try:
        peer.build(context, "bench-probe")
    except CommandFailed:
        return False
    peer.remove("bench-probe")
    return True
