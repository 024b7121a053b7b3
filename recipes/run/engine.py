"""Which engine runs an image."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal, Protocol

from recipes.errors import Unavailable
from recipes.model import BaseImage, Image, Limits, RunOutcome
from recipes.oci.roots import Roots
from recipes.oci.store import Store
from recipes.support.console import note
from recipes.support.workspace import Workspace

EngineName = Literal["auto", "docker", "podman", "local"]

_SOCKET = Path("/var/run/docker.sock")


class Engine(Protocol):
    """What can run an image."""

    @property
    def name(self) -> str: ...

    def prepare(self, base: BaseImage) -> None:
        """Do once what every image on this base needs, so that they do not wait for each other."""

    def load(self, image: Image) -> None:
        """Let the engine have the image, where it keeps images of its own."""

    def run(
        self, image: Image, *, args: tuple[str, ...] = (), stdin: bytes = b"", limits: Limits | None = None
    ) -> RunOutcome:
        """Run it once, and leave nothing behind."""

    def stop(self) -> None:
        """End what runs at this moment; called on ^C from another thread."""


class AttachingEngine(Engine, Protocol):
    """One that can also lend a program the caller's streams."""

    def attach(
        self,
        image: BaseImage,
        *,
        args: tuple[str, ...] = (),
        stdin: bytes | None = None,
        terminal: bool = False,
        network: str = "none",
        memory: int,
    ) -> RunOutcome:
        """Run a whole image for the caller: with the caller's streams and signals, for as long as it takes."""


def choose(name: EngineName, workspace: Workspace, store: Store, roots: Roots) -> AttachingEngine:
    """`auto` is the Docker Engine where one answers, else local; which one is said on stderr.

    Raises: Unavailable where `docker` or `podman` was asked for by name and does not answer.
    """
    from recipes.run.local import LocalEngine

    if name == "local":
        return LocalEngine(workspace, roots)
    if name == "podman":
        from recipes.run.podman import PodmanEngine

        return PodmanEngine.connect(store, roots)
    # Importing the SDK costs more than the whole rest of a build in which nothing changed.
    if name == "docker" or may_have_docker():
        from recipes.run.docker import DockerEngine

        try:
            return DockerEngine.connect(store, roots)
        except Unavailable:
            if name == "docker":
                raise
    note("engine: local (no Docker Engine answers)")
    return LocalEngine(workspace, roots)


def may_have_docker() -> bool:
    """Whether anything on this machine says where a Docker Engine could be."""
    if os.environ.get("DOCKER_HOST") or os.environ.get("DOCKER_CONTEXT") or _SOCKET.exists():
        return True
    folder = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    try:
        config = json.loads((Path(folder) / "config.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("currentContext", "default") != "default"
