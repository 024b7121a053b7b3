"""Tests of recipes/tasks/program.py and place.py: `fromscratch` as a command, wherever it is called."""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import recipes
from recipes.model import Command
from recipes.support import shell
from recipes.tasks import GROUPS
from recipes.tasks.place import project_around
from recipes.tasks.program import Fromscratch
from tests.cli import HELLO, ROOT, add, call, error, fromscratch

TASKS = "from recipes.tasks import collection\n\nnamespace = collection(__file__)\n"


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# ── where it works ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tasks.py", TASKS),
        ("tasks.py", "import recipes.tasks\n"),
        ("pyproject.toml", "[tool.fromscratch]\n"),
        ("pyproject.toml", '[tool.fromscratch.bases.ours]\nreference = "docker://example.org/x"\n'),
        ("samples/hi/main.cpp", HELLO),
    ],
)
def test_a_project_is_found_from_below(tmp_path: Path, name: str, text: str) -> None:
    """By each of its marks, also from a folder inside; the nearest one counts."""
    below = tmp_path / "project/a/b"
    below.mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "project"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    assert project_around(below) == tmp_path / "project"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tasks.py", "from invoke.tasks import task\n# from recipes.tasks import collection\n"),
        ("pyproject.toml", '[project]\nname = "x"\n# [tool.fromscratch]\n'),
        ("samples", "a file"),
    ],
)
def test_what_only_looks_like_a_project(tmp_path: Path, name: str, text: str) -> None:
    """A comment, another tool's table and a file are no marks."""
    (tmp_path / name).write_text(text)
    assert project_around(tmp_path) is None


def test_in_a_project_everything_is_below_its_build(tmp_path: Path) -> None:
    """It has the project's samples, from a folder inside too, and keeps things where `invoke` does."""
    add(tmp_path, "hi", HELLO)
    inside = tmp_path / "samples/hi"
    done = fromscratch(inside, "samples")
    assert (done.exit_code, b"hi " in done.stdout) == (0, True), done.stderr
    assert files(tmp_path) <= {"samples", "build"}
    assert files(inside) == {"main.cpp"}
    assert done.stdout == call(tmp_path, "samples").stdout


@pytest.mark.parametrize(("variable", "place"), [("XDG_CACHE_HOME", "fromscratch"), ("HOME", ".cache/fromscratch")])
def test_elsewhere_everything_is_in_the_users_cache(tmp_path: Path, variable: str, place: str) -> None:
    """The current folder stays as it was, and a relative $XDG_CACHE_HOME counts as none."""
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    home.mkdir()
    given = {"XDG_CACHE_HOME": "relative", variable: str(home)}
    done = fromscratch(here, "smallest", "/bin/ls", "--engine=local", "--no-run", **given)
    assert done.exit_code == 0, done.stderr.decode()
    assert not files(here)
    assert "images" in files(home / place / "build")


# ── what it prints ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_its_version_is_ours(tmp_path: Path) -> None:
    """And that of the package."""
    assert fromscratch(tmp_path, "--version").stdout.decode() == f"fromscratch {recipes.__version__}\n"
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == recipes.__version__


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("--list",), ("-l",)])
def test_every_task_is_listed_under_a_heading(tmp_path: Path, words: tuple[str, ...]) -> None:
    """With its first sentence; no line is wider than a terminal."""
    done = fromscratch(tmp_path, *words, COLUMNS="80")
    text = done.stdout.decode()
    assert done.exit_code == 0
    assert max(map(len, text.splitlines())) <= 80
    for title, tasks in GROUPS.items():
        listed = text.partition(f"{title}\n")[2].partition("\n\n")[0]
        for task in tasks:
            assert f"  {task.name.replace('_', '-')} " in listed
            assert " ".join(str(task.__doc__).split("\n")[0].split()) in " ".join(listed.split())


def test_quiet_and_verbose(tmp_path: Path) -> None:
    """Quiet leaves the result alone; before the task or behind it is the same."""
    words = ("smallest", "/bin/ls", "--no-run", "--engine=local")
    usual = fromscratch(tmp_path, *words)
    assert usual.stderr != b""
    for quiet in (("-q", *words), (*words, "--quiet")):
        done = fromscratch(tmp_path, *quiet)
        assert (done.exit_code, done.stdout, done.stderr) == (usual.exit_code, usual.stdout, b"")
    add(tmp_path, "hi", HELLO)
    built = ("build-static", "hi", "--recipe=gcc-static", "--no-run", "--engine=local")
    assert b"(cd " in fromscratch(tmp_path, *built, "-v").stderr


def test_a_lock_belongs_to_a_project(tmp_path: Path) -> None:
    """Elsewhere it would be written into the cache, where nobody keeps it."""
    done = fromscratch(tmp_path, "bases", "--update")
    assert done.exit_code == 2
    assert "bases.lock belongs to a project, and this folder is in none" in error(done)


def test_invoke_has_the_same_tasks(tmp_path: Path) -> None:
    """No more and no fewer than the command has."""
    listed = call(tmp_path, "--list").stdout.decode()
    assert {line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "} == {
        task.name.replace("_", "-") for tasks in GROUPS.values() for task in tasks
    }


@pytest.mark.parametrize("words", [("--help",), ("smallest", "--help"), ("recipes",)])
def test_a_reader_may_leave(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """`fromscratch --help | head -0` is no error."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(SystemExit) as ending:
            Fromscratch().run(["fromscratch", *words])
        monkeypatch.undo()
    assert ending.value.code == 0


# ── what is installed ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_package(tmp_path: Path) -> None:
    """Tables, templates and sources to compile among them; building it leaves nothing beside the sources."""
    source = tmp_path / "source"
    shutil.copytree(ROOT / "recipes", source / "recipes", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    before = {path.relative_to(source) for path in source.rglob("*")}
    words = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path / "wheel"), str(source))
    shell.check(Command((sys.executable, *words)), timeout=300)
    assert {path.relative_to(source) for path in source.rglob("*")} == before
    (wheel,) = (tmp_path / "wheel").iterdir()
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("recipes/")}
    assert packed == {str(path) for path in before if (source / path).is_file() and path.parts[0] == "recipes"}


@pytest.mark.slow
def test_uvx_runs_it_for_a_new_user(tmp_path: Path) -> None:
    """From the folder of the sources, with core dependencies alone: the smallest image of a program of the machine."""
    shell.check(Command((sys.executable, "-m", "venv", str(tmp_path / "tools"))))
    uv = str(tmp_path / "tools/bin/uv")
    shell.check(Command((f"{uv[:-2]}pip", "install", "--quiet", "uv")), timeout=300)
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    given = {name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_", "SSL_"))}
    words = (uv, "tool", "run", "--from", str(ROOT), "fromscratch", "smallest", "/bin/ls", "--no-run")
    done = shell.run(
        Command(words, cwd=here),
        environment={**given, "PATH": os.environ["PATH"], "HOME": str(home), "DOCKER_HOST": "unix:///none"},
        timeout=300,
    )
    assert done.exit_code == 0, done.stderr.decode()
    assert b"ls on bundle" in done.stdout
    assert not files(here)


def test_a_usage_error_is_one_line_and_a_hint(tmp_path: Path) -> None:
    """With the exit code of bad input, where Invoke would say 1."""
    done = fromscratch(tmp_path, "smalest")
    assert done.exit_code == 2
    assert error(done) == "error: unknown task 'smalest'\n\nhint: did you mean 'smallest'?\n"
