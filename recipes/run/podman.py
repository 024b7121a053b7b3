"""podman, through its Docker-compatible service: one that is running, or one that is started for as long as we need it.

Source: podman-system-service(1).
"""

from __future__ import annotations

import os
import resource
import socket
import tempfile
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.errors import ToolMissing, Unavailable, shortened
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
        # Not in the workspace: the path of a socket may have 107 bytes. Source: unix(7).
        folder = tempfile.TemporaryDirectory(prefix="fromscratch-podman-")
        place = Path(folder.name) / "socket"
        try:
            # There, as conmon leaves a file where it was started when a container has met its memory limit.
            service = shell.Started(
                Command(("podman", "system", "service", "--time=0", f"unix://{place}"), cwd=Path(folder.name))
            )
        except ToolMissing as error:
            folder.cleanup()
            raise Unavailable("podman is not installed", hint="install it, or use --engine local") from error
        if not _listens(service, place):
            said = service.stop()
            folder.cleanup()
            raise Unavailable(f"podman's service does not start: {shortened(said)}", hint="`podman info` says more")
        engine = cls(_client(place), store, roots)
        weakref.finalize(engine, service.stop)
        weakref.finalize(engine, folder.cleanup)
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
