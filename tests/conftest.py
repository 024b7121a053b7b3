"""What the tests of several rooms share."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.workspace import Workspace

pytest_plugins = ["tests.fixtures_engine", "tests.fixtures_registry"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty project folder."""
    root = tmp_path / "project"
    root.mkdir()
    return Workspace(root)
