"""podman, through its Docker-compatible service: one that is running, or one that is started for as long as we need it.

Source: podman-system-service(1).
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import tempfile
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.errors import Unavailable, shortened
from recipes.model import Command, RunOutcome, RunStatus
from recipes.oci.roots import Roots
from recipes.oci.store import Store
from recipes.run.docker import DockerEngine, client_at
from recipes.support import shell

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.types import Ulimit

_STARTING = 20.0
"""Seconds for a service to listen."""

_PID_MAX = Path("/proc/sys/kernel/pid_max")

_SERVICE = """\
exec 3<&0
{ read -r _ <&3; kill -9 "$$"; rm -rf -- "$1"; } &
exec podman system service --time=0 "unix://$1/socket" </dev/null 3<&-
"""
"""stdin is a pipe that we hold: it ends when we do, also where we are killed and could end nothing ourselves."""


class PodmanEngine(DockerEngine):
    """A podman that answers."""

    name = "podman"
    title = "podman"

    @classmethod
    def connect(cls, store: Store, roots: Roots) -> PodmanEngine:
        """Raises: Unavailable where podman is not installed, or its service does not answer."""
        running = next(filter(_answers, _sockets()), None)
        if running is not None:
            return cls(_client(running), store, roots)
        with contextlib.ExitStack() as undo:
            engine = cls(_client(_start(undo)), store, roots)
            weakref.finalize(engine, undo.pop_all().close)
        return engine

    def limits(self) -> list[Ulimit]:
        """This process's own. podman's defaults may be above what it has itself, and then it cannot start a container
        without CAP_SYS_RESOURCE. Source: containers.conf(5), default_ulimits.
        """
        from docker.types import Ulimit

        files, processes = resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_NPROC)
        most = int(_PID_MAX.read_text())  # podman has no more processes than there are numbers for them
        soft, hard = (most if limit == resource.RLIM_INFINITY else min(limit, most) for limit in processes)
        return [Ulimit(name="nofile", soft=files[0], hard=files[1]), Ulimit(name="nproc", soft=soft, hard=hard)]

    def not_started(self, message: str) -> RunOutcome:
        """podman says about the program itself `exec …`; all else is about podman, and about no image."""
        outcome = super().not_started(message)
        if outcome.reason.startswith(("exec", "chdir", "stat")):
            return outcome
        return RunOutcome(self.name, RunStatus.NOT_RUN, reason=f"podman cannot start a container: {message}")


def _start(undo: contextlib.ExitStack) -> Path:
    """Where the service listens that is started here; `undo` ends it. Raises: Unavailable."""
    if shell.which("podman") is None:
        raise Unavailable("podman is not installed", hint="install it, or use --engine local")
    # Not in the workspace: the path of a socket may have 107 bytes. Source: unix(7).
    folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="fromscratch-podman-")))
    # Started there, as conmon leaves a file where it was started when a container has met its memory limit.
    service = shell.Started(Command(("sh", "-c", _SERVICE, "podman", str(folder)), cwd=folder))
    undo.callback(service.stop)
    place = folder / "socket"
    if not _listens(service, place):
        raise Unavailable(
            f"podman's service does not start: {shortened(service.stop())}", hint="`podman info` says more"
        )
    return place


def _sockets() -> tuple[Path, ...]:
    """Where a service may listen: the user's, and for root the system's."""
    given = os.environ.get("CONTAINER_HOST", "")
    user = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    named = [Path(given.removeprefix("unix://"))] if given.startswith("unix://") else []
    return (*named, Path(user) / "podman/podman.sock", Path("/run/podman/podman.sock"))


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as door:
        try:
            door.connect(str(path))
        except OSError:
            return False
    return True


def _listens(service: shell.Started, path: Path) -> bool:
    """Whether it does before it ends, or its time is over."""
    deadline = time.monotonic() + _STARTING
    while not _answers(path):
        if service.ended or time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _client(path: Path) -> DockerClient:
    return client_at(f"unix://{path}")
