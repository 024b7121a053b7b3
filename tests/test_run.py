"""`invoke run`: an image runs as a program of the caller's, with what is typed, what is shown, and its exit code."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import secrets
import select
import shutil
import signal
import socket
import struct
import subprocess
import tarfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recipes.model import Command
from recipes.pipeline import Project
from recipes.support import shell
from recipes.support.shell import Completed
from tests.cli import ROOT, argv, error, invoke
from tests.fixtures_registry import LocalRegistry
from tests.need import need
from tests.programs import compile_c, image_of, program_of
from tests.run.outside import processes, wait_until

TASKS = f"""
import sys
import tarfile

sys.path.insert(0, {str(ROOT)!r})
from recipes.tasks import collection

namespace = collection(__file__)
"""

ECHO = r"""
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char text[4096]; long n;
    fprintf(stderr, "%d %s", argc, argc > 1 ? argv[1] : "");
    while ((n = read(0, text, sizeof text)) > 0) write(1, text, n);
    return 7; }"""

SIGNALS = r"""
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static void caught(int number) { dprintf(1, "caught %d\n", number); _exit(5); }
static void kept(int number) { (void)number; write(1, "kept\n", 5); }
int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "catch")) { signal(SIGINT, caught); signal(SIGTERM, caught); }
    if (argc > 1 && !strcmp(argv[1], "keep")) signal(SIGINT, kept);
    write(1, "ready\n", 6);
    for (;;) pause(); }"""

TERMINAL = r"""
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
int main(void) {
    struct winsize size = {0}; char line[100] = "";
    printf("%s %d %s\n", ttyname(0), isatty(2), getenv("TERM")); fflush(stdout);
    fgets(line, sizeof line, stdin); ioctl(0, TIOCGWINSZ, &size);
    printf("%d %d typed %s", size.ws_row, size.ws_col, line); fflush(stdout);
    for (;;) pause(); }"""

SERVER = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at; int door = socket(AF_INET, SOCK_STREAM, 0);
    bind(door, (void *)&at, size); listen(door, 1); getsockname(door, (void *)&at, &size);
    printf("%d\n", ntohs(at.sin_port)); fflush(stdout);
    int guest = accept(door, 0, 0); write(guest, "served", 6); close(guest); return 0; }"""


@pytest.fixture(params=["local", pytest.param("docker", marks=pytest.mark.slow)])
def engine_name(request: pytest.FixtureRequest) -> str:
    if request.param == "docker":
        request.getfixturevalue("engine")
    return str(request.param)


@pytest.fixture
def project(tmp_path: Path, hears_all: None) -> Project:
    (tmp_path / "tasks.py").write_text(TASKS)
    return Project.at(tmp_path)


def image(project: Project, code: str) -> str:
    """The name in the store of an image of that program."""
    return image_of(project, compile_c(project.workspace, code)).name


def variables(engine: str) -> dict[str, str]:
    return {"DOCKER_HOST": os.environ["DOCKER_HOST"]} if engine == "docker" and "DOCKER_HOST" in os.environ else {}


def run(project: Project, *words: str, engine: str = "local") -> Completed:
    done = invoke(project.workspace.root, "run", *words, "--engine", engine, **variables(engine))
    need(b"not allowed here" not in done.stderr, f"namespaces ({done.stderr!r})")
    return done


@contextlib.contextmanager
def started(project: Project, *words: str, engine: str = "local") -> Iterator[subprocess.Popen[bytes]]:
    """The task as a process of its own, with pipes."""
    process = subprocess.Popen(
        argv("run", *words, "--engine", engine),
        cwd=project.workspace.root,
        env={**os.environ, "DOCKER_HOST": "unix:///none", **variables(engine)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def test_streams_arguments_and_exit_code(project: Project, engine_name: str) -> None:
    """stdin comes in piece by piece while it runs, stdout and stderr go out apart, and the exit code is its."""
    with started(project, image(project, ECHO), "--args", "'two words'", engine=engine_name) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for text in (b"first\n", b"second\n"):
            process.stdin.write(text)
            process.stdin.flush()
            assert process.stdout.readline() == text  # before the next one is typed
        process.stdin.close()
        assert process.stderr.read().endswith(b"2 two words")
        assert process.wait(60) == 7


def test_much_passes_through(project: Project, tmp_path: Path) -> None:
    """What is larger than any pipe comes out as it went in, also into a file."""
    data = os.urandom(5_000_000)
    (tmp_path / "in").write_bytes(data)
    words = " ".join(argv("run", image(project, ECHO), "--engine", "local"))
    done = shell.run(Command(("sh", "-c", f"{words} < in > out"), cwd=tmp_path), timeout=60)
    assert (done.exit_code, (tmp_path / "out").read_bytes() == data) == (7, True), done.stderr


def test_stdin_of_the_command_line(project: Project) -> None:
    """--stdin is in place of the caller's."""
    done = run(project, image(project, ECHO), "--stdin", "given\n")
    assert (done.stdout, done.exit_code) == (b"given\n", 7), done.stderr.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_program(project: Project, engine_name: str, number: signal.Signals) -> None:
    """^C and SIGTERM are the program's, and so is what it makes of them."""
    with started(project, image(project, SIGNALS), "--args=catch", engine=engine_name) as process:
        assert line(process) == "ready"
        process.send_signal(number)
        assert line(process) == f"caught {int(number)}"
        assert process.wait(60) == 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_nobody_catches(project: Project, number: signal.Signals) -> None:
    """A program without a handler ends by it, though it is process 1, which the kernel would spare."""
    with started(project, image(project, SIGNALS)) as process:
        assert line(process) == "ready"
        process.send_signal(number)
        assert process.wait(60) == 128 + number


def test_the_second_interrupt_ends_it(project: Project, engine_name: str) -> None:
    """A program that goes on after ^C ends with the second one, and nothing of it is left."""
    mark = secrets.token_hex(8)
    with started(project, image(project, SIGNALS), f"--args=keep {mark}", engine=engine_name) as process:
        assert line(process) == "ready"
        process.send_signal(signal.SIGINT)
        assert line(process) == "kept"
        assert processes(mark)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert wait_until(False, mark)


def test_nobody_reads(project: Project) -> None:
    """A program whose output nobody reads any more ends as in any pipe."""
    words = " ".join(argv("run", image(project, ECHO), "--engine", "local"))
    done = shell.run(Command(("bash", "-c", f"yes | {words} | head -1; echo ${{PIPESTATUS[1]}}"),
                             cwd=project.workspace.root), timeout=60)  # fmt: skip
    assert done.stdout == b"y\n141\n"


def test_its_own_network_unless_asked(project: Project, engine_name: str) -> None:
    """A server is reached over loopback with --network host, and not without."""
    name = image(project, SERVER)
    with started(project, name, engine=engine_name) as process, pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(line(process))), 10)
    with started(project, name, "--network", "host", engine=engine_name) as process:
        with socket.create_connection(("127.0.0.1", int(line(process))), 10) as guest:
            assert guest.recv(10) == b"served"
        assert process.wait(60) == 0


def test_a_terminal(project: Project, engine_name: str) -> None:
    """With --tty it has a terminal of its own, called xterm, as large as the caller's, on which keys and ^C arrive."""
    name = image(project, TERMINAL)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 33, 99, 0, 0))
    before = termios.tcgetattr(slave)
    process = subprocess.Popen(
        argv("run", name, "--tty", "--engine", engine_name),
        cwd=project.workspace.root,
        env={**os.environ, "DOCKER_HOST": "unix:///none", **variables(engine_name)},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    try:
        shown(master, b"/dev/pts/0 1 xterm\r\n")
        os.write(master, b"hello\r")
        shown(master, b"33 99 typed hello\r\n")
        if engine_name == "local":
            os.write(master, b"\x03")
            assert process.wait(60) == 130
            assert termios.tcgetattr(slave) == before
    finally:
        process.terminate()
        time.sleep(0.2)
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def shown(master: int, until: bytes) -> bytes:
    """What the terminal shows, up to `until`."""
    text = b""
    while until not in text:
        assert select.select([master], [], [], 60)[0], text
        text += os.read(master, 4096)
    return text


def test_files(project: Project, tmp_path: Path) -> None:
    """Archives and layouts run as they are."""
    name = image(project, ECHO)
    for to, target in (("a.tar", "docker-archive:a.tar"), ("b.tar", "oci-archive:b.tar"), ("oci:c:d", "oci:c:d")):
        exported = invoke(tmp_path, "export", name, "--to", to)
        assert exported.exit_code == 0, exported.stderr
        done = run(project, target, "--stdin", "x")
        assert (done.stdout, done.exit_code) == (b"x", 7), done.stderr


def test_names_that_there_are_not(project: Project) -> None:
    """An unknown name gets the nearest one, or those of its repository."""
    name = image(project, ECHO)
    repository = name.partition(":")[0]
    for wrong in (f"{name}x", f"{repository}:none", repository):
        text = error(run(project, wrong))
        assert f"unknown image {wrong!r}" in text
        assert name in text


def test_what_is_not_started(project: Project) -> None:
    """What is wrong is our error with our code, and never taken for the program's."""
    name = image(project, ECHO)
    assert "error: --tty needs a terminal" in error(run(project, name, "--tty"))
    assert run(project, name, "--network", "bridge").exit_code == 2
    assert run(project, "docker://alpine").exit_code == 2


def test_the_dockerfile_of_a_stored_image(project: Project, tmp_path: Path) -> None:
    """It is made of the image's layers: nothing is built again, and the program need not be there any more."""
    name, context = image(project, ECHO), tmp_path / "context"
    done = invoke(project.workspace.root, "dockerfile", name, "--context", str(context))
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert lines[:2] == ["FROM scratch", 'ADD ["layer-1.tar", "/"]']
    assert lines[-2:] == ["USER 65532:65532", 'ENTRYPOINT ["/app"]']
    assert (context / "Dockerfile").read_text().splitlines() == lines
    with tarfile.open(context / "layer-1.tar") as layer:
        assert layer.getmember("app").mode == 0o755
    assert "is in the store as it is" in error(invoke(project.workspace.root, "dockerfile", name, "--base", "bundle"))


@pytest.mark.parametrize("words", [("--set", "user=0:0"), ("--platform", "linux/arm64"), ("--base", "bundle")])
def test_a_stored_image_is_as_it_is(project: Project, words: tuple[str, ...]) -> None:
    """What would make another image of it is refused."""
    text = error(invoke(project.workspace.root, "export", image(project, ECHO), "--to", "x.tar", *words))
    assert "is in the store as it is" in text


def test_a_stored_image_is_pushed_by_its_name(project: Project, registry: LocalRegistry, docker_config: Path) -> None:
    """The registry has the very same manifest afterwards."""
    name = image(project, ECHO)
    to = f"{registry.host}/stored/{secrets.token_hex(4)}:1"
    done = invoke(project.workspace.root, "push", name, "--to", to)
    assert done.exit_code == 0, done.stderr
    digest = project.store.tags()[name].digest
    assert done.stdout.decode().strip() == f"{to.rpartition(':')[0]}@{digest}"
    assert registry.blob(digest).is_file()


def test_a_stored_image_that_fails_is_pushed_by_force_alone(
    project: Project, registry: LocalRegistry, docker_config: Path
) -> None:
    """It is judged like one that is made for the push."""
    dynamic = Path(shutil.which("ls") or "/bin/ls")
    need(dynamic.is_file(), "ls")
    name = image_of(project, program_of(dynamic)).name
    to = f"{registry.host}/stored/{secrets.token_hex(4)}:1"
    refused = invoke(project.workspace.root, "push", name, "--to", to)
    assert refused.exit_code == 3
    assert f"{name} would not start" in error(refused)
    assert invoke(project.workspace.root, "push", name, "--to", to, "--force").exit_code == 0
