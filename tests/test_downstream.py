"""Another project installs this one as a library, and gets its tasks in three lines."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from recipes.model import Command
from recipes.support import shell
from recipes.support.shell import Completed
from tests.need import need_tool

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow

TASKS = """\
from recipes.tasks import collection

namespace = collection(__file__)
"""

USE = """\
from pathlib import Path

from recipes import Platform, read_elf
from recipes.model import Linkage

facts = read_elf(Path("/proc/self/exe"))
reveal_type(facts.linkage)
reveal_type(Platform.parse("linux/arm64"))
reveal_type(read_elf)
wrong: int = facts.linkage.is_static and Linkage.STATIC
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment into which `pip install` has put this project and what it depends on."""
    folder = tmp_path_factory.mktemp("downstream")
    shell.check(Command((sys.executable, "-m", "venv", str(folder / "venv"))))
    python = folder / "venv/bin/python"
    shell.check(Command((str(python), "-m", "pip", "install", "--quiet", str(ROOT))), timeout=500)
    return python


@pytest.fixture(scope="module")
def project(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody's project: three lines of tasks.py, and a program of its own."""
    folder = tmp_path_factory.mktemp("their project")
    (folder / "tasks.py").write_text(TASKS)
    (folder / "samples/greet").mkdir(parents=True)
    (folder / "samples/greet/main.cpp").write_text('#include <cstdio>\nint main() { std::puts("Servus"); }\n')
    (folder / "samples/greet/sample.toml").write_text('expect = { stdout = "Servus\\n" }\n')
    return folder


def invoke(python: Path, folder: Path, *words: str, path: str = os.environ["PATH"]) -> Completed:
    environment = {"PATH": path, "HOME": str(folder)}
    return shell.run(
        Command((str(python.with_name("invoke")), *words), cwd=folder), environment=environment, timeout=300
    )


def test_their_invoke_lists_our_tasks(python: Path, project: Path) -> None:
    """`invoke --list` in the other project shows the tasks under their own names."""
    done = invoke(python, project, "--list")
    assert done.exit_code == 0, done.stderr.decode()
    listed = done.stdout.decode().split()
    assert {"build-static", "compare-sizes", "inspect", "dockerfile", "export", "doctor"} <= set(listed)


def test_their_sample_is_built_in_their_folder(python: Path, project: Path) -> None:
    """`invoke build-static` builds the other project's sample, below the other project's `build/`."""
    need_tool("g++")
    done = invoke(python, project, "build-static", "greet", "--engine", "local", "--no-run", "--format", "json")
    assert done.exit_code == 0, done.stderr.decode()
    row = json.loads(done.stdout)["rows"][0]
    assert (row["sample"], row["linkage"].split("-")[0]) == ("greet", "static")
    assert row["image_bytes"] == row["binary_bytes"]
    blob = project / "build/images/blobs" / row["digest"].replace(":", "/")
    assert blob.is_file()


def test_what_is_not_installed_says_which_extra_brings_it(python: Path, project: Path) -> None:
    """Alone it brings no toolchain: `recipes`, `doctor` and the error name the command that does."""
    words = {"recipes": 0, "doctor": 0, "build-static greet --recipe zig-static-small": 4}
    for line, exit_code in words.items():
        done = invoke(python, project, *line.split(), path="/nowhere")
        assert done.exit_code == exit_code, done.stderr.decode()
        assert b"pip install 'fromscratch[zig]'" in b" ".join((done.stdout + done.stderr).split()), line


def test_judging_needs_no_toolchain(python: Path, project: Path) -> None:
    """`inspect`, `verify` and `package` of a file do all they do with what is installed alone."""
    program = os.path.realpath(sys.executable)
    assert invoke(python, project, "inspect", program, path="/nowhere").exit_code == 0
    done = invoke(python, project, "verify", program, "--base=scratch", path="/nowhere")
    assert (done.exit_code, b"interpreter-missing" in done.stdout) == (3, True), done.stderr.decode()
    done = invoke(python, project, "package", program, "--no-run", "--format=json", path="/nowhere")
    row = json.loads(done.stdout)["rows"][0]
    assert (done.exit_code, row["verdict"]["status"]) == (3, "fails")
    assert (project / "build/images/blobs" / row["digest"].replace(":", "/")).is_file()


def test_the_data_files_are_installed(python: Path, project: Path) -> None:
    """The list of bases and the page's template come with the package."""
    done = invoke(python, project, "bases")
    assert done.exit_code == 0, done.stderr.decode()
    assert b"docker://" in done.stdout
    program = (
        "from recipes import model; from recipes.report import html; print(html.render_page(model.Comparison(())))"
    )
    assert b"</html>" in shell.check(Command((str(python), "-c", program), cwd=project)).stdout


def test_only_the_package_is_installed(python: Path) -> None:
    """Tests, samples and tasks.py of this project do not land among the other project's modules."""
    library = next(python.parent.parent.glob("lib/python*/site-packages"))
    assert (library / "recipes/py.typed").is_file()
    assert not [name for name in ("tests", "samples", "tasks.py", "docs") if (library / name).exists()]


def test_the_package_is_typed(python: Path, tmp_path: Path) -> None:
    """Under mypy --strict the other project sees our types, and a wrong use is an error."""
    (tmp_path / "use.py").write_text(USE)
    words = ("--strict", "--no-incremental", "--python-executable", str(python), "use.py")
    done = shell.run(Command((sys.executable, "-m", "mypy", *words), cwd=tmp_path), timeout=300)
    text = done.stdout.decode()
    assert 'Revealed type is "recipes.model.Linkage"' in text
    assert 'Revealed type is "recipes.model.Platform"' in text
    assert 'Revealed type is "def (path: pathlib.Path) -> recipes.model.ElfFacts"' in text
    assert "Incompatible types in assignment" in text
    assert done.exit_code == 1
    assert text.count("error:") == 1, text
