"""A project that cannot be written to: what looks and judges works all the same, what has to write is one error.

Five ways in which it cannot be: its folders' modes, a read-only mount, a build folder of somebody else, a full disk,
and a file where the build folder should be. Modes bind root too, once it has given up the right to pass them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recipes.elf.facts import read_elf
from recipes.model import Command
from recipes.support import shell
from recipes.support.shell import Completed
from tests.cli import argv, call, environment, error
from tests.need import need, need_tool

Wrapper = tuple[str, ...]
"""The words before a command that has to live with the obstacle."""


def without_rights() -> Wrapper:
    """For root: without the capabilities that open what modes close."""
    if os.geteuid() != 0:
        return ()
    return (need_tool("setpriv"), "--bounding-set=-dac_override,-dac_read_search", "--")


def in_namespace(script: str) -> Wrapper:
    """After `script` in mount and user namespaces of its own, whose $1 is the project."""
    need_tool("unshare")
    enter = ("unshare", "--mount", "--map-root-user", "sh", "-ec")
    tried = shell.run(Command((*enter, "mount -t tmpfs none /mnt")))
    need(tried.exit_code == 0, "mounts in user namespaces")
    return (*enter, f'{script}\nshift\ncd .\nexec "$@"', "sh", ".")


def by_mode(project: Path) -> Wrapper:
    for parent, _, _ in os.walk(project / "build", topdown=False):
        Path(parent).chmod(0o555)
    project.chmod(0o555)
    return without_rights()


def by_mount(project: Path) -> Wrapper:
    return in_namespace('mount --bind "$PWD" "$PWD"; mount -o remount,bind,ro "$PWD"; cd "$PWD"')


def of_another(project: Path) -> Wrapper:
    (project / "build").mkdir(exist_ok=True)
    if os.geteuid() == 0:
        os.chown(project / "build", 65534, 65534)
    (project / "build").chmod(0o700 if os.geteuid() == 0 else 0)
    return without_rights()


def full(project: Path) -> Wrapper:
    (project / "build").mkdir(exist_ok=True)
    return in_namespace("mount -t tmpfs -o size=64k none build; head -c 1M /dev/zero >build/full 2>/dev/null || true")


def a_file(project: Path) -> Wrapper:
    shutil.rmtree(project / "build", ignore_errors=True)
    (project / "build").write_text("in the way")
    return ()


Obstacle = Callable[[Path], Wrapper]

OBSTACLES: dict[str, Obstacle] = {
    "mode": by_mode,
    "mount": by_mount,
    "of another": of_another,
    "full": full,
    "a file": a_file,
}


@pytest.fixture(params=OBSTACLES)
def obstacle(project: Path, request: pytest.FixtureRequest) -> Iterator[Obstacle]:
    yield OBSTACLES[request.param]
    open_again(project)


def open_again(project: Path) -> None:
    """As it was before the obstacle, so that the next one, or pytest, can change it."""
    project.chmod(0o755)
    if os.geteuid() == 0 and (project / "build").exists():
        os.chown(project / "build", 0, 0)
    for parent, folders, _ in os.walk(project / "build"):
        for name in folders:
            Path(parent, name).chmod(0o755)


def invoke(project: Path, wrapper: Wrapper, *words: str) -> Completed:
    """The command as a process of its own, where it takes one."""
    if not wrapper:
        return call(project, *words)
    return shell.run(Command((*wrapper, *argv(*words)), cwd=project), environment=environment(), timeout=300)


def invoke_behind(obstacle: Obstacle, project: Path, line: str) -> Completed:
    try:
        return invoke(project, obstacle(project), *line.split())
    finally:
        open_again(project)


def forget(project: Path) -> None:
    """Empty the caches; their folders stay, and so do programs and what says which layer is made of what."""
    for path in (project / "build/cache").rglob("*"):
        if path.is_file() and not {"binaries", "layers"} & {*path.parts}:
            path.unlink()


READING = [
    ("verify /bin/true --base scratch", False),
    ("verify /bin/true --base scratch", True),
    ("verify script --base scratch --format json", False),
    ("inspect /bin/true samples bases doctor build-static hi --plan", False),
    ("recipes", True),
    ("verify docker://127.0.0.1:1/a:1", False),
]
"""Command lines, some of several tasks, and whether the project has been used: then its caches have folders, which is
another way to fail.
"""


@pytest.mark.parametrize(("line", "used"), READING)
def test_what_looks_works(project: Path, line: str, used: bool) -> None:
    """Behind each obstacle the same result as where all can be written, and nothing to say about it."""
    (project / "script").write_text("#!/bin/sh\n")
    usual = invoke(project, (), *line.split())
    for name, obstacle in OBSTACLES.items():
        if used:
            forget(project)
        else:
            shutil.rmtree(project / "build", ignore_errors=True)
        done = invoke_behind(obstacle, project, line)
        assert done.stderr.decode() == usual.stderr.decode(), name
        assert (done.exit_code, done.stdout) == (usual.exit_code, usual.stdout), name


MADE = [
    "inspect hi",
    "verify hi --base scratch",
    "verify /bin/true --base rootfs:root --format json",
    "dockerfile hi",
    "build-static hi --no-run",
    "export hi --to ../image.tar",
]


@pytest.mark.parametrize("line", MADE)
def test_what_was_made_is_used(project: Path, line: str) -> None:
    """Programs, bases and images that are there need not be written, and what was only kept is found out again."""
    need_tool("g++")
    loader = read_elf(Path("/bin/true")).interpreter or ""
    place = project / "root" / loader.lstrip("/")
    place.parent.mkdir(parents=True)
    shutil.copy(loader, place)
    invoke(project, (), *line.split())
    usual = invoke(project, (), *line.split())
    for name in ("mode", "mount"):
        forget(project)
        done = invoke_behind(OBSTACLES[name], project, line)
        assert done.stderr.decode() == usual.stderr.decode(), name
        assert (done.exit_code, done.stdout) == (usual.exit_code, usual.stdout), name


WRITING = [
    "build-static hi --no-run",
    "package /bin/true --no-run",
    "inspect hi",
    "verify hi --base scratch",
    "verify /bin/true --base rootfs:root",
    "dockerfile hi",
    "export hi --to image.tar",
    "bundle /bin/true --from rootfs:root --no-run",
]


@pytest.mark.parametrize("line", WRITING)
def test_what_writes_says_that_it_cannot(project: Path, obstacle: Obstacle, line: str) -> None:
    """One error that names the place, with a hint; exit code 2, or 5 where it was a compiler that could not write."""
    need_tool("g++")
    (project / "root/etc").mkdir(parents=True)
    (project / "root/etc/file").write_text("x" * 100_000)
    done = invoke(project, obstacle(project), *line.split())
    assert done.exit_code in (2, 5), done.stderr.decode()
    text = error(done)
    assert "cannot write" in text or "No space left" in text
    assert "hint: " in text


def test_a_table_names_what_could_not_be_written(project: Path, obstacle: Obstacle) -> None:
    """A cell that cannot be made is a line below the table, and the exit code is that of its error."""
    need_tool("g++")
    line = "compare-sizes --bases scratch --recipes gcc-static --no-run --samples hi"
    done = invoke(project, obstacle(project), *line.split())
    assert done.exit_code in (2, 5)
    assert b"\nfailed: hi with gcc-static: " in done.stdout
    assert b"Traceback" not in done.stderr
