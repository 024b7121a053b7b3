"""The local engine in a process of its own, as root and as an ordinary user, seen from outside."""

from __future__ import annotations

import contextlib
import os
import pickle
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recipes.model import Image, Limits
from recipes.pipeline import Project
from recipes.run.local import LocalEngine
from recipes.support.workspace import Workspace
from tests.need import need, need_tool

ROOT = Path(__file__).resolve().parents[2]
ORDINARY = 12321
"""A user that no machine has."""

_RUNNER = """
import pickle, sys
engine, image, args, limits = pickle.loads(sys.stdin.buffer.read())
outcome = engine.run(image, args=args, limits=limits)
print(outcome.status, outcome.exit_code, outcome.reason or outcome.stdout, sep="|", end="")
"""


@dataclass(frozen=True)
class Outside:
    """A folder that belongs to a user, and how that user starts Python with this project on its path."""

    workspace: Workspace
    argv: tuple[str, ...]
    environment: dict[str, str]

    def start(self, image: Image, args: tuple[str, ...] = (), limits: Limits | None = None) -> subprocess.Popen[bytes]:
        """A process that runs the image and prints `status|exit code|reason or stdout`."""
        _give(self.workspace.root, self.argv)
        engine = LocalEngine(self.workspace, Project.at(self.workspace.root).roots)
        process = subprocess.Popen(
            [*self.argv, "-c", _RUNNER],
            cwd=self.workspace.root,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(pickle.dumps((engine, image, args, limits or Limits())))
        process.stdin.close()
        return process


@contextlib.contextmanager
def outside(user: str) -> Iterator[Outside]:
    """`user` is "root" or "ordinary"; either may be who runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="outside-"))  # not below pytest's, which is closed to other users
    folder.chmod(0o755)
    try:
        (folder / "project").mkdir()
        yield Outside(Workspace(folder / "project"), *_python(user, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _python(user: str, folder: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    path = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    if (user == "root") == (os.geteuid() == 0):
        return (sys.executable,), {**path, "PYTHONPATH": str(ROOT)}
    need(os.geteuid() == 0, "root")
    # Neither this project nor this interpreter need be open to others: a copy, and one that is everybody's.
    shutil.copytree(ROOT / "recipes", folder / "code/recipes", ignore=shutil.ignore_patterns("__pycache__"))
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or ""
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    need(python and subprocess.run([python, "-c", check], check=False).returncode == 0, "a Python for all users")
    change = (need_tool("setpriv"), f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups")
    return (*change, python), {**path, "PYTHONPATH": str(folder / "code")}


def _give(folder: Path, argv: tuple[str, ...]) -> None:
    if len(argv) > 1:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, ORDINARY, ORDINARY, follow_symlinks=False)


@contextlib.contextmanager
def marked() -> Iterator[str]:
    """A word to give to a program as its argument, by which it is found; whatever still has it is ended."""
    word = f"marked-{secrets.token_hex(8)}"
    try:
        yield word
    finally:
        for pid in processes(word):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def processes(word: str) -> list[int]:
    """The processes of this machine that have `word` as an argument."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                found.append(int(pid))
    return found


def wait_until(there: bool, word: str, seconds: float = 20) -> bool:
    """Whether in that time such a process is there, or is not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if bool(processes(word)) == there:
            return True
        time.sleep(0.02)
    return False
