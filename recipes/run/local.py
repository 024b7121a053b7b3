"""The engine that needs neither daemon nor root: overlay and namespaces of an ordinary user.

Where the kernel or a policy refuses any of it, the outcome is "not run" with the reason, never a pass.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.model import (
    BaseImage,
    Command,
    Environment,
    Image,
    ImageSettings,
    Layer,
    Limits,
    Program,
    RunOutcome,
    RunStatus,
)
from recipes.oci.config import DEFAULT_PATH
from recipes.oci.roots import Roots
from recipes.rootfs.accounts import Account, UnknownAccount, look_up
from recipes.run.cgroups import control_group
from recipes.run.emulation import FOLDER, emulator_layer
from recipes.run.interpreter import library_path, sealed_interpreter
from recipes.run.listening import reason
from recipes.run.roots import find_program, root_beneath, words_of, writable_folders
from recipes.run.seccomp import FAMILIES, filter_for
from recipes.run.unpack import NOBODY, unpack
from recipes.support import shell
from recipes.support.workspace import Workspace, make_folder, open_to_others, write_atomically

if TYPE_CHECKING:
    from recipes.rootfs.root import RootFs
    from recipes.run.mounts import VolumeContents

_SKELETON = "skeleton-1"
"""What Docker puts into every container. The number changes with its contents."""

_JAIL = Path(__file__).parent / "jail/start.py"

_GRACE = 10.0
"""Seconds for starting and ending; the jail itself keeps the time of the program."""

_TERMINAL = (("TERM", "xterm"),)
"""What an engine says of a terminal that it makes, where the image does not. Source: moby, container/container.go."""

Start = Callable[..., shell.Completed]
"""Runs a command, as `shell.run` does with `program`, `environment` and `pass_fds`."""


@dataclass(frozen=True, slots=True)
class LocalEngine:
    workspace: Workspace
    roots: Roots
    name: str = "local"

    def prepare(self, base: BaseImage) -> None:
        """Unpack the base. Raises: RecipeError where that cannot be done."""
        if base.layers:
            unpack(base.layers, self.roots, self.workspace)

    def load(self, image: Image) -> None:
        """Nothing to load: layers are unpacked when they are run."""

    def stop(self) -> None:
        """Nothing to stop: what runs here ends with `shell.stop_all`."""

    def run(
        self,
        image: Image,
        *,
        args: tuple[str, ...] = (),
        stdin: bytes = b"",
        limits: Limits | None = None,
        emulator: Path | None = None,
    ) -> RunOutcome:
        """Run the image's entry point in its own root, without network, without rights, within `limits`.

        With an `emulator` it is that which runs, and the program in it.
        Raises: RecipeError where the layers are damaged or cannot be unpacked.
        """
        try:
            account = self._account(image)
        except UnknownAccount as unknown:
            return self._not_started(str(unknown))
        own = [[layer] for layer in reversed(image.layers[len(image.base.layers) :])]
        root, writable = partial(root_beneath, image, self.roots), writable_folders(image, self.roots)
        # The program itself, and before it what emulates its CPU: the image must not choose what that is.
        through = _through(emulator)
        return self._contained(
            {
                **self._root(root, image.settings, account, writable, [*own, image.base.layers], emulator),
                "programs": [*through, image.entrypoint[0]],
                "argv": [*through, *image.entrypoint, *(args or image.settings.cmd)],
            },
            account,
            image.base.env,
            image.settings,
            limits or Limits(),
            _captured(stdin, limits or Limits()),
        )

    def run_at_home(
        self, program: Program, *, args: tuple[str, ...] = (), stdin: bytes = b"", limits: Limits | None = None
    ) -> RunOutcome:
        """Run the program in this machine's own root, contained as an image would be: the files are all that differs.

        It reads what its user may of the system's folders, which cannot be written to, and nothing of people's own.
        """
        from recipes.run.home import home_layer, home_path, system_folders

        settings = program.sample.image
        try:
            account = look_up(settings.user, *(_contents(path) for path in ("/etc/passwd", "/etc/group")))
        except UnknownAccount as unknown:
            return self._not_started(str(unknown))
        place = home_path(program)
        return self._contained(
            {
                "lower": [self._skeleton().name, home_layer(program, self.workspace).name],
                "binds": system_folders(),
                "programs": [place],
                "argv": [place, *(args or settings.cmd)],
                "volumes": {},
                "writable": ("/tmp",),
            },
            account,
            (),
            settings,
            limits or Limits(),
            _captured(stdin, limits or Limits()),
        )

    def attach(
        self,
        image: BaseImage,
        *,
        args: tuple[str, ...] = (),
        stdin: bytes | None = None,
        terminal: bool = False,
        network: str = "none",
        memory: int,
        emulator: Path | None = None,
    ) -> RunOutcome:
        """Run a whole image for the caller: with the caller's streams and signals, for as long as it takes.

        Raises: RecipeError as `run`.
        """
        from recipes.run.attached import Attachment

        root, argv = self.roots.of(image.layers), words_of(image, args)
        try:
            account = look_up(image.user, *_lists_of(root))
        except UnknownAccount as unknown:
            return self._not_started(str(unknown))
        program = find_program(root, argv[0], image, account)
        if not program:
            return self._not_started(f'exec: "{argv[0]}": executable file not found in $PATH')
        settings = ImageSettings(workdir=image.workdir, env=image.env, volumes=image.volumes)
        writable, through = ("/tmp",) if root.is_folder("/tmp") else (), _through(emulator)
        in_root = self._root(lambda: root, settings, account, writable, [image.layers], emulator)
        if network == "host":
            in_root["lower"] = [self._network_layer().name, *in_root["lower"]]
        attachment = Attachment(stdin, terminal=terminal)
        return self._contained(
            {
                **in_root,
                "programs": [*through, program],
                "argv": [*through, program, *argv[1:]] if through else list(argv),
                "shares_network": network == "host",
                "channel": attachment.descriptor,
                "terminal": terminal,
            },
            account,
            _TERMINAL if terminal else (),
            settings,
            Limits(seconds=math.inf, memory_bytes=memory),
            attachment.run,
        )

    def _not_started(self, reason: str) -> RunOutcome:
        return RunOutcome(self.name, RunStatus.NOT_STARTED, reason=reason)

    def _contained(
        self,
        spec: dict[str, Any],
        account: Account,
        base_env: Environment,
        settings: ImageSettings,
        limits: Limits,
        start: Start,
    ) -> RunOutcome:
        """Start the jail with all that is the same for every root; `start` is how a process is run."""
        filtered = filter_for(os.uname().machine)
        if not filtered:
            why = f"the local engine cannot filter system calls on this CPU ({os.uname().machine})"
            return RunOutcome(self.name, RunStatus.NOT_RUN, reason=why)
        env = {"PATH": DEFAULT_PATH, "HOSTNAME": "fromscratch"} | dict(base_env) | dict(settings.env)
        common = {
            "parent": os.getpid(),
            "folder": str(self.workspace.roots.absolute()),
            "mountpoint": "mountpoint",
            "uid": account.uid,
            "gid": account.gid,
            "nobody": NOBODY,
            "env": {"HOME": account.home} | env,
            "workdir": settings.workdir,
            "filter": filtered,
            "families": FAMILIES,
            "seconds": limits.seconds,
            "listening": limits.listening_seconds,
            "memory": limits.memory_bytes,
            "processes": limits.processes,
            "shares_network": False,
            "channel": -1,
            "terminal": False,
        }
        with control_group(limits) as group:
            return self._start({**common, **spec, "group": group}, start, limits)

    def _root(
        self,
        root: Callable[[], RootFs],
        settings: ImageSettings,
        account: Account,
        writable: tuple[str, ...],
        layers: Iterable[Sequence[Layer]],
        emulator: Path | None,
    ) -> dict[str, Any]:
        """What the jail is told of the root of an image: its folders, the topmost first, ours above what the image has.

        `layers` come as they are unpacked, the topmost first: those of a base into one folder.
        """
        made, volumes = self._folders(root, settings, account)
        lower = [
            self._skeleton(),
            *([emulator_layer(emulator, self.workspace)] if emulator is not None else []),
            *(unpack(several, self.roots, self.workspace) for several in layers if several),
            *([self._folders_layer(made)] if made else []),
        ]
        return {
            "lower": [folder.name for folder in lower],
            "binds": [],
            "volumes": {place: contents for place, contents in volumes.items() if place not in writable},
            "writable": writable,
        }

    def _start(self, spec: dict[str, Any], start: Start, limits: Limits) -> RunOutcome:
        try:
            interpreter = sealed_interpreter()
        except OSError as error:
            why = f"no sealed copy of the interpreter can be made here ({error.strerror})"
            return RunOutcome(self.name, RunStatus.NOT_RUN, reason=why)
        # In memory and by descriptor: arguments may be longer than a command line, and are private.
        given = os.memfd_create("jail")
        read, write = os.pipe()
        try:
            with open(os.dup(given), "wb") as file:
                marshal.dump(spec, file)
            os.lseek(given, 0, os.SEEK_SET)
            done = start(
                Command((sys.executable, "-I", "-S", str(_JAIL), str(given), str(write))),
                program=f"/proc/self/fd/{interpreter}",
                environment={"PATH": os.defpath, **library_path()},
                pass_fds=(given, write, interpreter),
            )
        finally:
            os.close(given)
            os.close(write)
            with open(read, "rb") as pipe:
                lines = pipe.read().decode(errors="surrogateescape").split("\n")
        told = dict(line.partition("\t")[::2] for line in lines)
        return self._outcome(told, done, limits)

    def _outcome(self, told: dict[str, str], done: shell.Completed, limits: Limits) -> RunOutcome:
        stdout, stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        seconds = float(told.get("seconds", done.seconds))
        if "refused" in told:
            return RunOutcome(self.name, RunStatus.NOT_RUN, reason=told["refused"])
        outcome = partial(RunOutcome, self.name, stdout=stdout, stderr=stderr, seconds=seconds)
        if "failed" in told:
            return outcome(RunStatus.NOT_STARTED, reason=told["failed"])
        if stopped := told.get("stopped") or done.stopped:
            timed_out = stopped in ("time limit", "listening")
            listens = tuple(told.get("listens", "").split()) if timed_out else ()
            return outcome(RunStatus.STOPPED, reason=reason(stopped, limits), timed_out=timed_out, listens=listens)
        if "seconds" not in told:
            why = f"the local engine itself failed: {stderr.strip().rpartition(chr(10))[2] or done.exit_code}"
            return RunOutcome(self.name, RunStatus.NOT_RUN, reason=why)
        return outcome(RunStatus.EXITED, exit_code=done.exit_code)

    def _account(self, image: Image) -> Account:
        """Who the image's user is. The program alone brings no lists of users. Raises: UnknownAccount."""
        if len(image.layers) == 1:
            return look_up(image.settings.user)
        return look_up(image.settings.user, *_lists_of(root_beneath(image, self.roots)))

    def _folders(
        self, open_root: Callable[[], RootFs], settings: ImageSettings, account: Account
    ) -> tuple[list[str], dict[str, VolumeContents]]:
        """Where folders have to be though the image may lack them, and what is in those that are volumes."""
        if not any(path.strip("/") for path in (settings.workdir, *settings.volumes)):
            return [], {}
        from recipes.run.mounts import place_of, volume

        root = open_root()
        places = sorted({place_of(root, path) for path in settings.volumes} - {"/"})  # one in another comes after it
        made = {place_of(root, settings.workdir), *places} - {"/"}
        return sorted(made), {place: volume(root, place, account) for place in places}

    def _skeleton(self) -> Path:
        """The top of every root, made once: what Docker itself puts into a container."""
        roots = self.workspace.roots
        skeleton = roots / _SKELETON
        folders = [skeleton, *(skeleton / name for name in ("dev", "proc", "sys", "etc"))]
        if not roots.joinpath(f"{_SKELETON}.complete").exists():
            for folder in (roots / "mountpoint", *folders):
                make_folder(folder)
            write_atomically(skeleton / "etc/hostname", b"fromscratch\n")
            write_atomically(skeleton / "etc/hosts", b"127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\tfromscratch\n")
            write_atomically(skeleton / "etc/resolv.conf", b"")
            with contextlib.suppress(FileExistsError):
                (skeleton / "etc/mtab").symlink_to("/proc/mounts")
            write_atomically(roots / f"{_SKELETON}.complete", b"")
        open_to_others(roots, roots / "mountpoint", *folders)
        return skeleton

    def _network_layer(self) -> Path:
        """How this machine finds others by their names, for a program that shares its network."""
        contents = {path: _contents(path) for path in ("/etc/hosts", "/etc/resolv.conf")}
        layer = self.workspace.roots / f"network-{hashlib.sha256(repr(contents).encode()).hexdigest()[:16]}"
        make_folder(layer / "etc")
        open_to_others(layer, layer / "etc")
        for path, data in contents.items():
            write_atomically(Path(f"{layer}{path}"), data)
        return layer

    def _folders_layer(self, paths: Sequence[str]) -> Path:
        """A layer with nothing but folders: the working directory and volumes. Docker makes them where they lack.

        It is one layer for all of them, as the kernel takes neither many nor the same one twice.
        """
        layer = self.workspace.roots / f"folders-{hashlib.sha256(os.fsencode(chr(0).join(paths))).hexdigest()[:16]}"
        for path in paths:
            folder = Path(os.path.normpath(f"{layer}/{path}"))
            make_folder(folder)
            open_to_others(folder, *(above for above in folder.parents if above.is_relative_to(layer)))
        return layer


def _through(emulator: Path | None) -> list[str]:
    """The program in the root that runs the image's own, where its CPU is emulated."""
    return [f"{FOLDER}/{emulator.name}"] if emulator is not None else []


def _captured(stdin: bytes, limits: Limits) -> Start:
    return partial(shell.run, stdin=stdin, timeout=limits.seconds + _GRACE, output_limit=limits.output_bytes)


def _lists_of(root: RootFs) -> list[bytes]:
    """The image's own lists of users and groups."""
    return [root.read(path) if root.is_file(path) else b"" for path in ("/etc/passwd", "/etc/group")]


def _contents(path: str) -> bytes:
    """What is in a file of this machine; nothing where it has none."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
