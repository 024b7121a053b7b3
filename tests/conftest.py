"""What the tests of several rooms share."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.support.workspace import Workspace
from tests.cli import HELLO, ROOT, add

pytest_plugins = ["tests.compilers", "tests.fixtures_engine", "tests.fixtures_registry"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty project folder."""
    root = tmp_path / "project"
    root.mkdir()
    return Workspace(root)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one sample of its own, which uses our tasks."""
    folder = tmp_path / 'it\'s a "project"'
    folder.mkdir()
    (folder / "tasks.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from recipes.tasks import collection\n\nnamespace = collection(__file__)\n"
    )
    add(folder, "hi", HELLO, 'expect = "hello\\n"\n')
    return folder
