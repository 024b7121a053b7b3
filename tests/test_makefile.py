"""The make targets: set-up happens once, completely or not at all, and whatever the user gave arrives unharmed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

from recipes.model import Command
from recipes.support import shell
from tests.need import need_tool

ROOT = Path(__file__).resolve().parent.parent
ECHO_TASKS = """
import sys
from invoke.collection import Collection
from invoke.tasks import task

@task(name="build-static")
def build_static(c, sample, recipe=""):
    sys.stdout.write(repr((sample, recipe)))

@task
def doctor(c):
    sys.stdout.write("well")

namespace = Collection(build_static, doctor)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a blank in its name, our Makefile, and tasks that print what they were given. Nothing is set up."""
    folder = tmp_path / "a project"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copytree(ROOT / "recipes", folder / "recipes", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tasks.py").write_text(ECHO_TASKS)
    # One real, hash-checked package is enough to see whether set-up works.
    entry = re.search(r"^invoke==.*?(?=^\S)", (ROOT / "requirements.lock").read_text(), re.MULTILINE | re.DOTALL)
    assert entry
    (folder / "requirements.lock").write_text(entry[0])
    return folder


@pytest.fixture
def ready(project: Path) -> Path:
    """The same with an environment that counts as set up; its packages are those of the one that runs the tests."""
    venv.create(project / ".venv", symlinks=True)
    library = next((project / ".venv").glob("lib/python*/site-packages"))
    here = [path for path in sys.path if path.endswith("site-packages")]
    (library / "borrowed.pth").write_text("\n".join(here))
    (project / ".venv/.runtime").touch()
    return project


def make(folder: Path, *words: str, path: str | None = None) -> shell.Completed:
    """`make words…` with an environment of nothing but PATH and an empty home."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.endswith("_proxy")}
    environment = {**kept, "PATH": path or os.environ["PATH"], "HOME": str(home)}
    return shell.run(Command((need_tool("make"), "-C", str(folder), *words)), environment=environment, timeout=300)


@pytest.mark.parametrize(
    "sample",
    ["plain", "two words", 'it\'s "quoted"', "$HOME $(id) `id`", "a\nline", "-dash", "--help", "semi;colon", "ünï"],
)
def test_the_sample_arrives_as_it_was_given(ready: Path, sample: str) -> None:
    """SAMPLE reaches the task byte for byte, whatever shell or make would like to read into it."""
    done = make(ready, "build-static", f"SAMPLE={sample}")
    assert done.exit_code == 0, done.stderr.decode()
    assert repr((sample, "")) in done.stdout.decode()


def test_further_arguments_are_handed_on(ready: Path) -> None:
    """ARGS is a piece of command line."""
    done = make(ready, "build-static", "SAMPLE=x", "ARGS=--recipe 'gcc static'")
    assert repr(("x", "gcc static")) in done.stdout.decode()


def test_nothing_is_set_up_twice(ready: Path) -> None:
    """When the stamp is newer than the lock file, the target is one call of Invoke."""
    plan = make(ready, "--dry-run", "doctor").stdout.decode()
    assert [line.strip() for line in plan.splitlines() if not line.startswith("make")] == [
        ".venv/bin/python -m invoke doctor"
    ]


def test_a_changed_lock_file_sets_up_again(ready: Path) -> None:
    """A lock file that is newer than the stamp means a new environment."""
    later = time.time() + 10
    os.utime(ready / "requirements.lock", (later, later))
    assert "-m venv --clear" in make(ready, "--dry-run", "doctor").stdout.decode()


def test_an_environment_without_its_interpreter_is_set_up_again(ready: Path) -> None:
    """A stamp does not help when the Python that the environment was made from is gone."""
    for name in (ready / ".venv/bin").glob("python*"):
        name.unlink()
    (ready / ".venv/bin/python").symlink_to("/nowhere/python3")
    assert "-m venv --clear" in make(ready, "--dry-run", "doctor").stdout.decode()


def test_without_python_it_says_so(project: Path, tmp_path: Path) -> None:
    """No Python 3.11 or newer on PATH: one clear error with a hint, and no half-made environment."""
    tools = tmp_path / "tools"
    tools.mkdir()
    old = tools / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = make(project, "doctor", path=str(tools))
    assert done.exit_code != 0
    assert b"error: no Python 3.11 or newer found" in done.stderr
    assert b"hint:" in done.stderr
    assert not (project / ".venv").exists()


@pytest.mark.slow
def test_set_up_from_nothing(project: Path) -> None:
    """One command makes the environment and runs the task: in a path with a blank, with -j, a bare environment."""
    done = make(project, "-j4", "doctor")
    assert done.exit_code == 0, done.stderr.decode()
    assert "well" in done.stdout.decode()
    assert (project / ".venv/.runtime").exists()
    first, last = done.stderr.decode().splitlines()
    assert re.fullmatch(r"setting up \.venv with Python 3\S+, once: downloads about \d+ MB, mostly .*", first)
    assert re.fullmatch(r"set up in \d+ s; zig builds its C and C\+\+ libraries once, with the first program", last)


@pytest.mark.slow
def test_a_wrong_hash_is_refused(project: Path) -> None:
    """A package that is not the one the lock file means is not installed, and nothing counts as set up."""
    lock = project / "requirements.lock"
    lock.write_text(re.sub(r"sha256:\w{8}", "sha256:00000000", lock.read_text()))
    done = make(project, "doctor")
    assert done.exit_code != 0
    assert b"HASH" in done.stderr.upper()
    assert not (project / ".venv/.runtime").exists()


@pytest.mark.slow
def test_a_killed_set_up_is_done_again(project: Path) -> None:
    """kill -9 in the middle leaves no stamp, and the next make just works."""
    process = subprocess.Popen(
        ["make", "-C", str(project), "doctor"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while not (project / ".venv/pyvenv.cfg").exists():
            assert process.poll() is None, "set-up ended before it began"
            time.sleep(0.01)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (project / ".venv/.runtime").exists()
    assert "well" in make(project, "doctor").stdout.decode()


def test_every_target_of_the_help_exists(ready: Path) -> None:
    """`make help` names no target that make does not know."""
    text = make(ready, "help").stdout.decode()
    names = {
        name
        for line in text.splitlines()
        if line.startswith("make ") and "  " in line
        for name in re.findall(r"[a-z-]+", re.sub(r"[A-Z]+=\w+", "", line[5:].split("  ")[0]))
    }
    assert {"compare-sizes", "build-static", "test", "bench", "clean"} <= names
    known = set(re.findall(r"^([a-z][a-z -]*):", (ready / "Makefile").read_text(), re.MULTILINE))
    assert names <= {word for target in known for word in target.split()}


def test_clean_removes_what_was_built(ready: Path) -> None:
    """Also folders that forbid it, as unpacked layers have them; the environment stays."""
    locked = ready / "build/roots/x/locked"
    locked.mkdir(parents=True)
    (locked / "file").touch()
    locked.chmod(0o555)
    (ready / "tests").mkdir()
    done = make(ready, "clean")
    assert done.exit_code == 0, done.stderr.decode()
    assert not (ready / "build").exists()
    assert (ready / ".venv/.runtime").exists()
