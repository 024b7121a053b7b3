"""The code is as its linters want it; `make check` asks them directly."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recipes.model import Command
from recipes.support import shell

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
@pytest.mark.parametrize("words", ["ruff check .", "ruff format --check .", "mypy", "deptry ."])
def test_style_and_types(words: str) -> None:
    """ruff, mypy --strict and deptry have nothing to say: style, types, and what is imported is declared and used."""
    done = shell.run(Command((sys.executable, "-m", *words.split()), cwd=ROOT), timeout=500)
    assert done.exit_code == 0, (done.stdout + done.stderr).decode()
