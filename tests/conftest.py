"""What the tests of several rooms share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from recipes.support.workspace import Workspace
from tests.cli import HELLO, ROOT, add
from tests.sharing import know_compilers, made_once, probe, run_folder

pytest_plugins = [
    "tests.groups",
    "tests.compilers",
    "tests.fixtures_debian",
    "tests.fixtures_engine",
    "tests.fixtures_registry",
]


def pytest_configure() -> None:
    """Flush nothing to the disk: that takes milliseconds for each file, and tests/oci/test_store.py has its claim."""
    os.environ["FROMSCRATCH_NO_SYNC"] = "1"


@pytest.fixture(scope="session")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder in which the compilers were probed, and nothing else was done."""
    return made_once(run_folder(tmp_path_factory) / "probed", probe)


@pytest.fixture
def hears_all() -> Iterator[None]:
    """A process takes over what its parent ignores: SIGHUP below nohup, SIGINT in the background of a shell."""
    ignored = {number for number in (signal.SIGHUP, signal.SIGINT) if signal.getsignal(number) is signal.SIG_IGN}
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture
def workspace(tmp_path: Path, probed: Path) -> Workspace:
    """An empty project folder, in which the compilers are known."""
    root = tmp_path / "project"
    know_compilers(root, probed)
    return Workspace(root)


@pytest.fixture
def project(tmp_path: Path, probed: Path) -> Path:
    """A project with one sample of its own, which uses our tasks; the compilers are known."""
    return _project(tmp_path, probed)


@pytest.fixture(scope="session")
def shared_project(tmp_path_factory: pytest.TempPathFactory, probed: Path) -> Path:
    """The same for all tests that build its sample and change nothing: what one of them has built, the others have."""
    (project,) = made_once(run_folder(tmp_path_factory) / "shared", lambda parent: _project(parent, probed)).iterdir()
    return project


def _project(parent: Path, probed: Path) -> Path:
    folder = parent / 'it\'s a "project"'
    know_compilers(folder, probed)
    (folder / "tasks.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from recipes.tasks import collection\n\nnamespace = collection(__file__)\n"
    )
    add(folder, "hi", HELLO, 'expect = "hello\\n"\n')
    return folder
