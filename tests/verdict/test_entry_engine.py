"""Tests of how an engine finds an entry point and whom it starts it as: the table is held against a real engine."""

from __future__ import annotations

import os
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from recipes.model import Command, Environment, Platform, Status, Verdict
from recipes.rootfs.root import RootFs
from recipes.support import shell
from recipes.verdict.entry import judge_entry
from tests.compilers import Compilers
from tests.need import need, need_tool
from tests.verdict import programs

AMD64 = Platform.parse("linux/amd64")

PASSWD = b"me:x:7:8::/:\nminus:x:-1:8::/:\nword:x:word:8::/:\nlarge:x:3000000000:8::/:\n"


@dataclass(frozen=True)
class Case:
    """An image's settings, and what the engine says of them: "" where it starts the program."""

    entry: str
    message: str = ""
    path: str | None = None
    workdir: str = "/"
    user: str = ""

    def __str__(self) -> str:
        return " ".join(f"{key}={value}" for key, value in vars(self).items() if value and key != "message")

    @property
    def env(self) -> Environment:
        return () if self.path is None else (("PATH", self.path),)


def missing(name: str) -> str:
    return f'exec: "{name}": executable file not found in $PATH'


def relative(name: str) -> str:
    return f'exec: "{name}": cannot run executable found relative to current directory'


def no_file(name: str, why: str = "no such file or directory") -> str:
    return f'exec: "{name}": stat {name}: {why}'


def denied(name: str) -> str:
    return f'exec: "{name}": permission denied'


RANGE = "uids and gids must be in range 0-2147483647"

CASES = (
    Case("app"),
    Case("app", missing("app"), path=""),
    Case("app", missing("app"), path="", workdir="/bin"),
    Case("app", relative("app"), path=".", workdir="/bin"),
    Case("app", relative("app"), path="bin"),
    Case("app", relative("app"), path=":/bin"),
    Case("app", path=":/bin", workdir="/folder"),
    Case("app", path="nowhere:/bin"),
    Case("app", path="/bin:"),
    Case("app", path="//bin/"),
    Case("app", relative("app"), path="/nowhere:"),
    Case("no", missing("no"), path="bin"),
    Case("text", missing("text"), path="/opt"),
    Case("folder", missing("folder"), path="/"),
    Case("..", missing("..")),
    Case("./app"),
    Case("bin//app"),
    Case("./no", no_file("./no"), workdir="/bin"),
    Case("/opt/../no", no_file("/opt/../no")),
    Case("/no/", no_file("/no/")),
    Case("/app/", no_file("/app/", "not a directory")),
    Case("/link/", no_file("/link/", "not a directory")),
    Case("app/", no_file("app/", "not a directory"), workdir="/bin"),
    Case("/app/more", no_file("/app/more", "not a directory")),
    Case("/through", no_file("/through", "not a directory")),
    Case("through/app", no_file("through/app", "not a directory")),
    Case("/loop", no_file("/loop", "too many levels of symbolic links")),
    Case("loop/app", no_file("loop/app", "too many levels of symbolic links")),
    Case("loop", missing("loop"), path="/"),
    Case("/folder/", denied("/folder/")),
    Case("/", denied("/")),
    Case("opt/text", denied("opt/text")),
    Case("closed/app", no_file("closed/app", "permission denied"), user="7"),
    Case("app", missing("app"), path="/closed", user="7"),
    Case("app", path="/closed:/bin", user="7"),
    Case("./script", "exec ./script: no such file or directory"),
    Case("script", "exec /opt/script: no such file or directory", path="/opt"),
    Case("/opt/../script", "exec /opt/../script: no such file or directory"),
    Case("/app", user="2147483647"),
    Case("/app", RANGE, user="2147483648"),
    Case("/app", RANGE, user="-1"),
    Case("/app", RANGE, user="0:2147483648"),
    Case("/app", RANGE, user="minus"),
    Case("/app", user="word"),
    Case("/app", user="large"),
    Case("/app", user="+5"),
    Case("/app", "unable to find user 99999999999999999999: no matching entries", user="99999999999999999999"),
    Case("/app", "Cannot mkdir: /app is not a directory", workdir="/app"),
    Case("/app", "/app/more: not a directory", workdir="/app/more"),
    Case("./app", workdir="/nowhere/../bin/"),
    Case("/app", workdir="/closed", user="7"),
    Case("/app", workdir="/nowhere/new", user="7"),
    Case("/dev/app", no_file("/dev/app")),
    Case("/proc/app", no_file("/proc/app")),
    Case("/app", "unable to find group no: no matching entries in group file", user="me:no"),
)


@pytest.fixture
def folder(tmp_path: Path, compilers: Compilers) -> Path:
    """A root with a static program in several places, a text, a folder, a script without its interpreter."""
    root = tmp_path / "root"
    content = compilers.c(programs.HELLO_C, "-static").read_bytes()
    files = {"app": content, "bin/app": content, "closed/app": content, "opt/text": b"text", "etc/passwd": PASSWD}
    files |= {"script": b"#!/no/such\n", "opt/script": b"#!/no/such\n", "etc/group": b""}
    files |= {"dev/app": content, "proc/app": content}
    for name, data in files.items():
        (root / name).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        (root / name).write_bytes(data)
        (root / name).chmod(0o644 if name.startswith(("etc", "opt/t")) else 0o755)
    (root / "folder").mkdir()
    (root / "link").symlink_to("app")
    (root / "through").symlink_to("app/more")
    (root / "loop").symlink_to("loop")
    (root / "closed").chmod(0o700)
    return root


def test_a_working_folder_is_absolute(folder: Path) -> None:
    """runc refuses another one; `docker run` refuses it as an option, so that an image has to say it."""
    for workdir in ("opt", ".", "./opt"):
        said = judged(folder, Case("/app", workdir=workdir))
        assert (said.status, said.reason) == (Status.FAILS, "Cwd must be an absolute path")


def judged(folder: Path, case: Case) -> Verdict:
    root = RootFs.from_directory(folder)
    return judge_entry(root, (case.entry,), AMD64, env=case.env, user=case.user, workdir=case.workdir)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_the_engine_will_say(folder: Path, case: Case) -> None:
    """The verdict, and the words of the engine."""
    need(os.geteuid() == 0, "root, whose files another user may not reach")
    said = judged(folder, case)
    assert (said.status is Status.RUNS) == (not case.message)
    assert case.message in said.reason


@pytest.mark.slow
def test_what_the_engine_says(folder: Path, engine: str, tmp_path: Path) -> None:
    """The whole table in a real engine: what is judged to run runs, and the rest ends with the predicted message."""
    docker = need_tool("docker")
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin", "DOCKER_HOST": engine, "HOME": str(tmp_path)}
    tag = "entry-points:1"

    def ask(*words: str) -> shell.Completed:
        return shell.run(Command((docker, *words)), environment=environment, timeout=120)

    with tarfile.open(tmp_path / "root.tar", "w") as archive:
        archive.add(folder, "")
    assert ask("import", str(tmp_path / "root.tar"), tag).exit_code == 0
    wrong = {}
    try:
        for case in CASES:
            variables = [f"--env={key}={value}" for key, value in case.env]
            settings = (f"--entrypoint={case.entry}", f"--user={case.user}", f"--workdir={case.workdir}", *variables)
            ran = ask("run", "--rm", "--network=none", *settings, tag)
            said, output = judged(folder, case), (ran.stdout + ran.stderr).decode()
            expected = "hello\n" if said.status is Status.RUNS else said.reason
            if (said.status is Status.RUNS) != (ran.exit_code == 0) or expected not in output:
                wrong[repr(case)] = (said.reason, output)
    finally:
        ask("rmi", "--force", tag)
    assert wrong == {}
