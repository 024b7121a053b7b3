"""The engine that needs neither daemon nor root: overlay and namespaces of an ordinary user.

Where the kernel or a policy refuses any of it, the outcome is "not run" with the reason, never a pass.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from recipes import shell
from recipes.model import Command, Image, Limits, RunOutcome, RunStatus
from recipes.package.config import DEFAULT_PATH
from recipes.package.store import Store
from recipes.run.unpack import unpack
from recipes.workspace import Workspace, make_folder, write_atomically

_SKELETON = "skeleton-1"
"""What Docker puts into every container. The number changes with its contents."""

_JAIL = Path(__file__).with_name("jail.py")


@dataclass(frozen=True, slots=True)
class LocalEngine:
    workspace: Workspace
    store: Store
    name: str = "local"

    def load(self, image: Image) -> None:
        """Nothing to load: layers are unpacked when they are run."""

    def stop(self) -> None:
        """Nothing to stop: what runs here ends with `shell.stop_all`."""

    def run(
        self, image: Image, *, args: tuple[str, ...] = (), stdin: bytes = b"", limits: Limits | None = None
    ) -> RunOutcome:
        """Run the image's entry point in its own root, without network, without rights, within `limits`."""
        limits = limits or Limits()
        uid, gid, unknown = _user(image.settings.user)
        if unknown:
            return RunOutcome(self.name, RunStatus.NOT_STARTED, reason=unknown)
        layers = image.layers[len(image.base.layers) :]
        lower = [unpack([layer], self.store, self.workspace) for layer in reversed(layers)]
        if image.base.layers:
            lower.append(unpack(image.base.layers, self.store, self.workspace))
        skeleton = self._skeleton()
        spec = {
            "folder": str(self.workspace.roots),
            "lower": [skeleton.name, *(folder.name for folder in lower)],
            "mountpoint": "mountpoint",
            "uid": uid,
            "gid": gid,
            "argv": [*image.entrypoint, *(args or image.settings.cmd)],
            "env": {"PATH": DEFAULT_PATH, "HOME": "/", "HOSTNAME": "fromscratch"}
            | dict(image.base.env)
            | dict(image.settings.env),
            "workdir": image.settings.workdir,
            "memory": limits.memory_bytes,
            "processes": limits.processes,
        }
        return self._start(spec, stdin, limits)

    def _start(self, spec: dict[str, object], stdin: bytes, limits: Limits) -> RunOutcome:
        read, write = os.pipe()
        try:
            command = Command((sys.executable, "-I", "-S", str(_JAIL), json.dumps({**spec, "status": write})))
            done = shell.run(
                command,
                stdin=stdin,
                timeout=limits.seconds,
                output_limit=limits.output_bytes,
                environment={"PATH": os.defpath},
                pass_fds=(write,),
            )
        finally:
            os.close(write)
            with open(read, "rb") as pipe:
                told: dict[str, object] = {}
                for line in pipe.read().splitlines():
                    told.update(json.loads(line))
        return self._outcome(spec, told, done, limits)

    def _outcome(
        self, spec: dict[str, object], told: dict[str, object], done: shell.Completed, limits: Limits
    ) -> RunOutcome:
        stdout, stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        seconds = float(str(told.get("seconds", done.seconds)))
        if done.stopped:
            most = f"{limits.seconds:g} s" if done.stopped == "time limit" else f"{limits.output_bytes} bytes"
            reason = f"stopped at the {done.stopped} of {most}"
            return RunOutcome(self.name, RunStatus.STOPPED, None, stdout, stderr, seconds, reason)
        if "refused" in told:
            return RunOutcome(self.name, RunStatus.NOT_RUN, reason=str(told["refused"]))
        if "exec" in told:
            program = str(spec["argv"][0])  # type: ignore[index]  # made a list above
            message = os.strerror(int(str(told["exec"]))).lower()
            reason = f"{told.get('what', f'exec {program}')}: {message}"
            return RunOutcome(self.name, RunStatus.NOT_STARTED, None, stdout, stderr, seconds, reason)
        if "seconds" not in told:
            reason = f"the local engine itself failed: {stderr.strip().rpartition(chr(10))[2] or done.exit_code}"
            return RunOutcome(self.name, RunStatus.NOT_RUN, reason=reason)
        return RunOutcome(self.name, RunStatus.EXITED, done.exit_code, stdout, stderr, seconds)

    def _skeleton(self) -> Path:
        """The top of every root, made once: what Docker itself puts into a container."""
        roots = self.workspace.roots
        skeleton = roots / _SKELETON
        if not roots.joinpath(f"{_SKELETON}.complete").exists():
            make_folder(roots / "mountpoint")
            for name in ("dev", "proc", "sys", "etc"):
                make_folder(skeleton / name)
            write_atomically(skeleton / "etc/hostname", b"fromscratch\n")
            write_atomically(skeleton / "etc/hosts", b"127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\tfromscratch\n")
            write_atomically(skeleton / "etc/resolv.conf", b"")
            if not (skeleton / "etc/mtab").is_symlink():
                (skeleton / "etc/mtab").symlink_to("/proc/mounts")
            write_atomically(roots / f"{_SKELETON}.complete", b"")
        if os.geteuid() == 0:
            # Root gives its rights up before it mounts, so the folders have to be open to others whatever the umask.
            for folder in (
                roots,
                roots / "mountpoint",
                skeleton,
                *(skeleton / name for name in ("dev", "proc", "sys", "etc")),
            ):
                folder.chmod(0o755)
        return skeleton


def _user(text: str) -> tuple[int, int, str]:
    """(uid, gid, problem) of `65532:65532` or `65532`. A name would need the image's own list of users."""
    user, _, group = text.partition(":")
    if not user.isdigit() or (group and not group.isdigit()):
        return 0, 0, f"unable to find user {user}: no matching entries in passwd file"
    return int(user), int(group or 0), ""
