"""A program in its image, doing what it is for: its layers as a folder that is the root of a process of its own.

It has the network of this machine, so that a client here can talk to it, and sees no other process and no other file.
Unlike the engines this limits nothing: it is for programs of known origin.
"""

from __future__ import annotations

import contextlib
import http.server
import os
import pty
import select
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from recipes.bases.resolve import resolve
from recipes.errors import Unavailable
from recipes.model import BaseImage, Command, Platform
from recipes.pipeline import Project
from recipes.run.unpack import unpack
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.gallery.public import public, telling
from tests.gallery.rows import Exercise

_SECONDS = 60.0
_PATIENCE = 3.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ENTER = """\
root=$1 user=$2 group=$3; shift 3
mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" &&
exec unshare --user --map-user="$user" --map-group="$group" --keep-caps chroot "$root" "$@"
"""
"""Only root mounts, and only the image's user runs the program; so there is a namespace for each."""


@dataclass(frozen=True, slots=True)
class Exercised:
    """What came of it: `said` is "" where the program did what it had to, else the one line of what it did instead."""

    said: str


def exercise(project: Project, digest: str, wanted: Exercise, folder: Path) -> Exercised:
    """Start the image with that digest, and let it do what is `wanted`. `folder` is for its root.

    Raises: RecipeError where the image cannot be unpacked, or a process cannot be started.
    """
    image = find_image(project, digest)
    root = unpack(image.layers, project.roots, Workspace(folder))
    for place in ("proc", "dev", "tmp"):
        _under(root, place).mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        port = free_port()
        wanted = _filled_in(wanted, port, root, folder, stack)
        for path, text in wanted.files:
            file = _under(root, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        argv = (*_entering(root, image), *image.start, *wanted.args)
        env = {"PATH": _PATH, "HOME": "/tmp", "TERM": "xterm", **dict(image.env)}
        said = _serve(argv, env, wanted, port) if wanted.talk else _run(argv, env, wanted)
    return Exercised(public(said, folder, project.workspace.root))


def find_image(project: Project, digest: str) -> BaseImage:
    """The image of the project with that digest. Raises: Unavailable."""
    for tag, descriptor in project.store.tags().items():
        if descriptor.digest == digest:
            layout = f"oci:{project.store.root}:{tag}"
            return resolve(layout, Platform.host(), project.workspace, project.store)
    raise Unavailable(f"no image {digest} in {str(project.store.root)!r}")


def _under(root: Path, path: str) -> Path:
    return Path(os.path.normpath(f"{root}/{path}"))


def _entering(root: Path, image: BaseImage) -> tuple[str, ...]:
    user, _, group = image.user.partition(":")
    words = ("unshare", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _ENTER, "sh")
    return (*words, str(root), user or "0", group or user or "0")


# ── what it is given ─────────────────────────────────────────────────────────────────────────────────────────────────


def _filled_in(wanted: Exercise, port: int, root: Path, folder: Path, stack: contextlib.ExitStack) -> Exercise:
    """`wanted` with its own port, and with that of the HTTPS server, which runs as long as `stack`."""
    texts = [*wanted.args, *(text for _, text in wanted.files)]
    values = {"{port}": str(port)}
    if any("{tls}" in text for text in texts):
        certificate, key = _certificate(folder)
        values["{tls}"] = str(stack.enter_context(_https(certificate, key)))
        _under(root, "ca.pem").write_bytes(certificate.read_bytes())

    def fill(text: str) -> str:
        for name, value in values.items():
            text = text.replace(name, value)
        return text

    return replace(
        wanted,
        args=tuple(map(fill, wanted.args)),
        files=tuple((path, fill(text)) for path, text in wanted.files),
    )


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    words = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate))
    shell.check(Command(("openssl", *words, *names)), timeout=60)
    return certificate, key


class _Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the name that http.server calls
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello over TLS\n")

    def log_message(self, *_: object) -> None:
        """It has nothing to say."""


@contextlib.contextmanager
def _https(certificate: Path, key: Path) -> Iterator[int]:
    """A server for HTTPS on a free port of this machine, while the block runs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hello) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


# ── what it does ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _run(argv: tuple[str, ...], env: dict[str, str], wanted: Exercise) -> str:
    if wanted.terminal:
        return _in_terminal(argv, env, wanted)
    done = shell.run(Command(argv), stdin=wanted.stdin.encode(), environment=env | _own_path(), timeout=_SECONDS)
    wrote = (done.stdout + done.stderr).decode(errors="replace")
    if done.stopped or done.exit_code != wanted.code:
        return f"{done.stopped or f'exit code {done.exit_code}'}: {telling(wrote)}"
    return "" if wanted.says in wrote else f"did not write {wanted.says!r}: {telling(wrote)}"


def _in_terminal(argv: tuple[str, ...], env: dict[str, str], wanted: Exercise) -> str:
    """Until it has written what it has to, or for ten seconds."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        argv, env=env | _own_path(), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    wrote, deadline = b"", time.monotonic() + 10
    if wanted.stdin:
        os.write(ours, wanted.stdin.encode())
    with _ended(process), open(ours, "rb", buffering=0) as screen:
        while wanted.says.encode() not in wrote and time.monotonic() < deadline:
            if select.select([screen], [], [], 0.2)[0]:
                try:
                    wrote += screen.read(1 << 16)
                except OSError:  # the other side is closed
                    break
    return (
        ""
        if wanted.says.encode() in wrote
        else f"did not write {wanted.says!r}: {telling(wrote.decode(errors='replace'))}"
    )


def _serve(argv: tuple[str, ...], env: dict[str, str], wanted: Exercise, port: int) -> str:
    with tempfile.TemporaryFile() as output:  # a pipe that nobody reads would stop it
        process = subprocess.Popen(
            argv, env=env | _own_path(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        with _ended(process):
            said = _talk(port, wanted, process)
        output.seek(0)
        wrote = output.read().decode(errors="replace")
    return f"{said}: {telling(wrote)}" if said and wrote.strip() else said


def _talk(port: int, wanted: Exercise, process: subprocess.Popen[bytes]) -> str:
    """Talk to the server, for some seconds again and again: one that listens may still be getting ready.

    Returns what went wrong the last time, or "".
    """
    deadline = time.monotonic() + _PATIENCE
    while (said := _converse(port, wanted, process)) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
    return said


def _converse(port: int, wanted: Exercise, process: subprocess.Popen[bytes]) -> str:
    """Say each line to the server, and wait for its answer. Returns as `_talk`."""
    try:
        connection = _connected(port, process)
        if connection is None:
            return f"exit code {process.poll()}" if process.poll() is not None else "does not listen"
        with _in_tls(connection) if wanted.tls else connection as line:
            return next(filter(None, (_ask(line, *each) for each in wanted.talk)), "")
    except OSError as error:
        return f"the connection broke: {error.strerror or error}"


def _in_tls(connection: socket.socket) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # who it is was decided here
    return context.wrap_socket(connection)


def _ask(line: socket.socket, question: str, answer: str) -> str:
    line.sendall(question.encode("latin-1"))
    got = b""
    while answer.encode("latin-1") not in got:
        try:
            more = line.recv(1 << 16)
        except TimeoutError:
            more = b""
        if not more:
            return f"answers {got.decode('latin-1')[-60:]!r}, not {answer!r}"
        got += more
    return ""


def _connected(port: int, process: subprocess.Popen[bytes]) -> socket.socket | None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        time.sleep(0.1)
    return None


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End it and all that it has started after the block: process 1 of its namespace takes the others with it."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _own_path() -> dict[str, str]:
    """unshare, sh and mount are found by this machine's PATH; the program itself has its whole path."""
    return {"PATH": f"{os.environ.get('PATH', os.defpath)}:{_PATH}"}
