"""The Docker Engine: load an image, run it with nothing but itself, always clean up. The only importer of docker."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import threading
import time
import weakref
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from recipes.errors import DamagedBlob, RecipeError, Unavailable
from recipes.model import BaseImage, Image, Limits, RunOutcome, RunStatus
from recipes.oci.archive import archive, unpacked_archive
from recipes.oci.reference import docker_tag
from recipes.oci.roots import Roots
from recipes.oci.store import Store
from recipes.run.listening import Deadline, listening, reason
from recipes.run.roots import words_of, writable_folders
from recipes.support import streams

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.types import Ulimit

REPOSITORY = "fromscratch/"
_LABEL = "fromscratch.owner"
_DEFAULT_HOST = "unix:///var/run/docker.sock"
_ENDING = 60
"""Seconds for a container to end once its program has, or was killed."""
_LONGEST_MESSAGE = 16384
"""Characters of what an engine says of a program, whose path of at most 4096 bytes is in it twice. What programs write
may be longer, and made to take long.
"""
_NO_EXEC = re.compile(r"(?:exec (?P<program>[^\n]*?): [^\n]++|standard_init_linux\.go[^\n]*)\n?")
_TELLING = re.compile(r'((?:exec|chdir|stat|unable to find|mkdir)[^\n]*?: [^":]+?)(?:: unknown)?$')


class DockerEngine:
    """A Docker Engine that answers."""

    name = "docker"
    title = "the Docker Engine"
    """What messages call it."""

    def __init__(self, client: DockerClient, store: Store, roots: Roots) -> None:
        self._client = client
        weakref.finalize(self, client.close)  # its connections live as long as it does
        self._store, self._roots = store, roots
        self._loading: dict[str | None, threading.Lock] = {}
        self._lock = threading.Lock()
        self._bases: set[str | None] = set()
        self._running: set[str] = set()
        self._swept = False

    @classmethod
    def connect(cls, store: Store, roots: Roots) -> DockerEngine:
        """Raises: Unavailable where no engine answers."""
        return cls(_client(), store, roots)

    # ── images ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def prepare(self, base: BaseImage) -> None:
        """Nothing to prepare: a base goes in with the first image that stands on it."""

    def load(self, image: Image) -> None:
        """Let the engine have the image, tagged `fromscratch/<name>`; what it has already is not sent again.

        Raises: RecipeError for an image that it does not take, Unavailable where it fails.
        """
        from docker.errors import ImageNotFound

        tag = REPOSITORY + docker_tag(image.name)
        repository, _, version = tag.partition(":")
        with _asking("load", tag, self.title), contextlib.suppress(ImageNotFound):
            known = self._client.api.inspect_image(image.config.digest)
            if tag not in (known.get("RepoTags") or ()):
                self._client.api.tag(image.config.digest, repository, version)
            return
        # One at a time per base: the first sends the base's layers, the others then leave them out.
        with self._lock:
            turn = self._loading.setdefault(image.base.digest, threading.Lock())
        with turn:
            skip = {layer.diff_id for layer in image.base.layers} if image.base.digest in self._bases else set()
            try:
                self._send(image, tag, skip, afresh=True)
            except DamagedBlob:
                raise
            except RecipeError:  # the base may have been removed meanwhile, or the program be another one
                self._send(image, tag, set(), afresh=False)
            self._bases.add(image.base.digest)

    def image_size(self, image: Image) -> int:
        """What `docker image inspect` says. Raises: Unavailable."""
        with _asking("measure", image.config.digest, self.title):
            return int(self._client.api.inspect_image(image.config.digest)["Size"])

    def _send(self, image: Image, tag: str, skip: set[str], *, afresh: bool) -> None:
        self._take(tag, archive(image, self._store, tag=tag, uncompressed=True, skip_diff_ids=skip, afresh=afresh))

    def _load_whole(self, image: BaseImage) -> str:
        """The engine's ID of an image of the store or a file."""
        from docker.errors import ImageNotFound

        if image.config is None:
            raise RecipeError(f"{image.name} is a root without an entry point")
        tag = REPOSITORY + docker_tag(image.name)
        with _asking("load", tag, self.title), contextlib.suppress(ImageNotFound):
            self._client.api.inspect_image(image.config.digest)
            return image.config.digest
        self._take(tag, unpacked_archive(image.config, image.layers, self._store, tag))
        return image.config.digest

    def _take(self, tag: str, pieces: Iterator[bytes]) -> None:
        with _asking("load", tag, self.title):
            for message in self._client.api.load_image(pieces, quiet=True):
                if "error" in message:
                    raise RecipeError(f"{self.title} cannot load {tag}: {message['error']}")

    # ── containers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def run(
        self, image: Image, *, args: tuple[str, ...] = (), stdin: bytes = b"", limits: Limits | None = None
    ) -> RunOutcome:
        """Run the image once: no network, read-only, no capabilities, bounded, always removed afterwards."""
        self._sweep()
        self.load(image)
        return self.run_loaded(image, args, stdin, limits or Limits())

    def run_loaded(self, image: Image, args: tuple[str, ...], stdin: bytes, limits: Limits) -> RunOutcome:
        """`run` for an image that the engine has: one container, from its making to its removal."""
        from docker.errors import APIError
        from requests import RequestException

        container = ""
        try:
            container = self._create(
                image.config.digest,
                list(image.entrypoint),
                list(args or image.settings.cmd) or None,
                limits,
                stdin_open=bool(stdin),
                writable=writable_folders(image, self._roots),
            )
            self._running.add(container)
            return self._converse(container, image.entrypoint[0], stdin, limits)
        except APIError as error:
            return self.not_started(str(error.explanation or error))
        except RequestException as error:
            return RunOutcome(self.name, RunStatus.NOT_RUN, reason=f"{self.title} went away: {error}")
        finally:
            if container:
                self._running.discard(container)
                self._discard(container)

    def not_started(self, message: str) -> RunOutcome:
        """What it means that the engine has refused to start a container."""
        return RunOutcome(self.name, RunStatus.NOT_STARTED, stderr=message, reason=_telling(message))

    def limits(self) -> list[Ulimit] | None:
        """Those of a process, for each container; None for the engine's own."""
        return None

    def stop(self) -> None:
        """Kill what runs at this moment; the threads that wait for it then remove it."""
        for container in tuple(self._running):
            with contextlib.suppress(Exception):  # it may have ended by itself, or the engine be gone
                self._client.api.kill(container)

    def _discard(self, container: str) -> None:
        from requests import RequestException

        with contextlib.suppress(RequestException):  # another process may have done it, or the engine be gone
            self._client.api.remove_container(container, force=True, v=True)

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
        """Run a whole image for the caller: with the caller's streams and signals, for as long as it takes.

        Raises: RecipeError as `load`.
        """
        from docker.errors import APIError
        from requests import RequestException

        words_of(image, args)
        self._sweep()
        image_id = self._load_whole(image)
        container = ""
        try:
            container = self._create(
                image_id,
                list(image.entrypoint) or None,
                list(args or image.cmd) or None,
                Limits(memory_bytes=memory),
                stdin_open=True,
                tty=terminal,
                network=network,
                writable=("/tmp",) if self._roots.of(image.layers).is_folder("/tmp") else (),
            )
            self._running.add(container)
            code = self._lend(container, stdin, terminal=terminal)
            if code == 137 and self._client.api.inspect_container(container)["State"].get("OOMKilled"):
                why = reason("memory limit", Limits(memory_bytes=memory))
                return RunOutcome(self.name, RunStatus.STOPPED, reason=why)
            return RunOutcome(self.name, RunStatus.EXITED, exit_code=code)
        except APIError as error:
            return self.not_started(str(error.explanation or error))
        except RequestException as error:
            return RunOutcome(self.name, RunStatus.NOT_RUN, reason=f"{self.title} went away: {error}")
        finally:
            if container:
                self._running.discard(container)
                self._discard(container)

    def _lend(self, container: str, stdin: bytes | None, *, terminal: bool) -> int:
        """Start the container with the caller's streams, or terminal; its exit code."""
        api = self._client.api
        stream = api.attach_socket(container, params={"stdout": 1, "stderr": 1, "stream": 1, "stdin": 1})
        connection = getattr(stream, "_sock", stream)
        connection.settimeout(None)

        def pass_on(number: int) -> None:
            with contextlib.suppress(Exception):  # it may have ended by itself
                api.kill(container, number)

        def resize() -> None:
            with contextlib.suppress(Exception):  # it may have ended by itself
                api.resize(container, *streams.size())

        try:
            with streams.passing_on(pass_on), contextlib.ExitStack() as undo:
                api.start(container)
                if terminal:
                    undo.enter_context(streams.raw_terminal(resize))
                streams.feed(stdin, connection.sendall, partial(connection.shutdown, socket.SHUT_WR))
                try:
                    for number, data in _received(connection) if terminal else _frames(connection):
                        streams.write_all(streams.ERR if number == 2 else streams.OUT, data)
                except BrokenPipeError:  # nothing reads any more what it writes
                    api.kill(container)
                    return 128 + signal.SIGPIPE
                return int(api.wait(container, timeout=None)["StatusCode"])
        finally:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                connection.close()
            stream.close()

    def _create(
        self,
        image: str,
        entrypoint: list[str] | None,
        command: list[str] | None,
        limits: Limits,
        *,
        writable: tuple[str, ...],
        stdin_open: bool,
        tty: bool = False,
        network: str = "none",
    ) -> str:
        from docker.types import LogConfig

        api = self._client.api
        host = api.create_host_config(
            network_mode=network,
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            mem_limit=limits.memory_bytes,
            memswap_limit=limits.memory_bytes,
            pids_limit=limits.processes,
            ulimits=self.limits(),
            log_config=LogConfig(type="none"),
            tmpfs=dict.fromkeys(writable, "rw,nosuid,nodev,mode=1777,size=64m"),
        )
        made = api.create_container(
            image,
            # Both: an entry point of its own makes the engine forget the image's command.
            entrypoint=entrypoint,
            command=command,
            stdin_open=stdin_open,
            tty=tty,
            host_config=host,
            labels={_LABEL: _owner()},
        )
        return str(made["Id"])

    def _converse(self, container: str, program: str, stdin: bytes, limits: Limits) -> RunOutcome:
        api = self._client.api
        params = {"stdout": 1, "stderr": 1, "stream": 1, "stdin": int(bool(stdin))}
        stream = api.attach_socket(container, params=params)
        connection = getattr(stream, "_sock", stream)
        feeder = threading.Thread(target=_feed, args=(connection, stdin))
        try:
            started = time.monotonic()
            api.start(container)
            if stdin:
                feeder.start()
            deadline = Deadline(limits, partial(self._ports, container))
            outputs, stopped = _collect(connection, deadline, limits.output_bytes)
            if stopped:
                # First: the engine does not count a container as ended while its output is still to be read.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                with contextlib.suppress(Exception):
                    api.kill(container)
            code = int(api.wait(container, timeout=_ENDING)["StatusCode"])
            seconds = time.monotonic() - started
        finally:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # closing alone does not wake the feeder
            with contextlib.suppress(OSError):
                connection.close()
            stream.close()
            if feeder.is_alive():
                feeder.join()
        stdout, stderr = (output.decode(errors="replace") for output in outputs)
        outcome = partial(RunOutcome, self.name, stdout=stdout, stderr=stderr, seconds=seconds)
        if stopped:
            listens = deadline.ports if stopped != "output limit" else ()
            timed_out = stopped != "output limit"
            return outcome(RunStatus.STOPPED, reason=reason(stopped, limits), timed_out=timed_out, listens=listens)
        if code == 137 and api.inspect_container(container)["State"].get("OOMKilled"):
            return outcome(RunStatus.STOPPED, reason=reason("memory limit", limits))
        if code in (1, 126, 127, 255) and not stdout and _is_about(program, stderr):
            return outcome(RunStatus.NOT_STARTED, reason=stderr.strip())
        return outcome(RunStatus.EXITED, exit_code=code)

    def _ports(self, container: str) -> tuple[str, ...]:
        """Those on which it listens; () where that cannot be seen from here."""
        return listening(int(self._client.api.inspect_container(container)["State"]["Pid"]), container)

    def _sweep(self) -> None:
        """Remove containers whose owner was killed before it could do so; where that fails, the next one will."""
        from requests import RequestException

        with self._lock:
            if self._swept:
                return
            self._swept = True
        with contextlib.suppress(RequestException):
            for container in self._client.api.containers(all=True, filters={"label": _LABEL}):
                if _has_ended(container["Labels"].get(_LABEL, "")):
                    self._discard(container["Id"])


def save_archive(reference: str) -> Iterator[bytes]:
    """An image of the engine as a docker-archive. Raises: Unavailable."""
    with _asking("save", reference), contextlib.closing(_client()) as client:
        yield from client.images.get(reference).save(named=True)


def image_id(reference: str) -> str:
    """What the reference stands for now. Raises: Unavailable."""
    with _asking("look up", reference), contextlib.closing(_client()) as client:
        return str(client.api.inspect_image(reference)["Id"])


@contextlib.contextmanager
def _asking(what: str, reference: str, title: str = DockerEngine.title) -> Iterator[None]:
    """The block asks the engine for something about an image. Raises: Unavailable for each way in which it may fail."""
    from docker.errors import APIError, DockerException, ImageNotFound
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ImageNotFound as error:
        raise Unavailable(f"{title} has no image {reference!r}", hint="`docker images` lists them") from error
    except (DockerException, HTTPError, OSError) as error:  # requests' own are OSErrors
        words = (isinstance(error, APIError) and error.explanation) or error
        raise Unavailable(f"{title} cannot {what} {reference}: {words}") from error


def _client() -> DockerClient:
    import docker
    from docker.context import ContextAPI
    from docker.errors import DockerException

    try:
        context = None
        if not os.environ.get("DOCKER_HOST"):
            context = ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT") or None)
        if context is None or not context.Host:
            _knock(os.environ.get("DOCKER_HOST") or _DEFAULT_HOST)
            return docker.from_env(timeout=60)
        _knock(context.Host)
        return docker.DockerClient(base_url=context.Host, tls=context.TLSConfig or False, timeout=60)
    except (DockerException, OSError, ValueError) as error:
        raise Unavailable(
            f"no Docker Engine answers: {error}", hint="start it or set DOCKER_HOST, or use --engine local"
        ) from error


def client_at(address: str) -> DockerClient:
    """Raises: Unavailable where no service that is compatible with Docker's answers there."""
    import docker
    from docker.errors import DockerException

    try:
        return docker.DockerClient(base_url=address, timeout=60)
    except DockerException as error:
        raise Unavailable(
            f"{address} does not answer: {error}", hint="is it a service that Docker's client can use?"
        ) from error


def _knock(address: str) -> None:
    """Raises: OSError where nothing listens at a socket; the SDK reports it in five lines, and leaks its own socket."""
    scheme, _, path = address.partition("://")
    if scheme in ("unix", "http+unix"):
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(10)
            try:
                door.connect(f"/{path.lstrip('/')}")
            except OSError as error:
                raise OSError(f"{address}: {error.strerror or error}") from error


def _feed(connection: Any, data: bytes) -> None:
    with contextlib.suppress(OSError):  # the program may end without reading it
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)


def _collect(connection: Any, deadline: Deadline, limit: int) -> tuple[tuple[bytes, bytes], str]:
    """stdout and stderr until the stream ends, and the limit that was met, if any.

    Source: Docker Engine API, "Attach to a container", stream format.
    """
    outputs = {1: bytearray(), 2: bytearray()}
    buffer = bytearray()
    while True:
        if passed := deadline.passed():
            return (bytes(outputs[1]), bytes(outputs[2])), passed
        connection.settimeout(deadline.left())
        try:
            data = connection.recv(65536)
        except TimeoutError:
            continue
        except ConnectionError:
            data = b""
        if not data:
            return (bytes(outputs[1]), bytes(outputs[2])), ""
        buffer += data
        while len(buffer) >= 8:
            stream, size = struct.unpack(">BxxxI", buffer[:8])
            if len(buffer) < 8 + size:
                break
            output = outputs[2 if stream == 2 else 1]
            output += buffer[8 : 8 + size]
            del buffer[: 8 + size]
            if len(output) > limit:
                del output[limit:]
                return (bytes(outputs[1]), bytes(outputs[2])), "output limit"


def _received(connection: Any) -> Iterator[tuple[int, bytes]]:
    """What a terminal shows, piece by piece, as if it were stdout."""
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65536):
            yield 1, data


def _frames(connection: Any) -> Iterator[tuple[int, bytes]]:
    """(1 for stdout or 2 for stderr, what was written), as it comes. Source: as `_collect`."""
    buffer = bytearray()
    for _, data in _received(connection):
        buffer += data
        while len(buffer) >= 8:
            stream, size = struct.unpack(">BxxxI", buffer[:8])
            if len(buffer) < 8 + size:
                break
            yield stream, bytes(buffer[8 : 8 + size])
            del buffer[: 8 + size]


def _is_about(program: str, stderr: str) -> bool:
    """Whether it is the engine that says there that it cannot start the program: it writes into the same stream."""
    found = _NO_EXEC.fullmatch(stderr) if len(stderr) <= _LONGEST_MESSAGE else None
    return found is not None and os.path.basename(found["program"] or program) == os.path.basename(program)


def _telling(message: str) -> str:
    """The part of the engine's message that says what is wrong: `exec /app: no such file or directory`."""
    found = _TELLING.search(message.strip()[-_LONGEST_MESSAGE:])
    return found[1] if found else message.strip()


def _owner() -> str:
    """This process, for processes that see the same pids: `place pid start-time`."""
    return f"{_place()} {os.getpid()} {_start_time(os.getpid())}"


def _has_ended(owner: str) -> bool:
    """Whether that process is seen to have gone. One on another machine or in another pid namespace cannot be seen."""
    place, _, process = owner.partition(" ")
    pid, _, started = process.partition(" ")
    return place == _place() and pid.isdigit() and _start_time(int(pid)) != started


def _place() -> str:
    """Where a pid means the same process: this boot of this machine, and this pid namespace. Source: namespaces(7)."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return f"{file.read().strip()}/{os.readlink('/proc/self/ns/pid')}"


def _start_time(pid: int) -> str:
    """When a process was started, which tells it from a later one with the same pid. Source: proc(5), stat."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""
