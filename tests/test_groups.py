"""Tests of tests/groups.py."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from recipes.model import Command
from recipes.support import shell
from tests.groups import GROUPS

ROOT = Path(__file__).resolve().parent.parent


def test_the_files_of_the_groups_are_there() -> None:
    """A file that got another name would leave its group without a word."""
    assert [name for name in GROUPS if not (ROOT / name).is_file()] == []


def test_one_worker_has_a_group() -> None:
    """Of two workers, one does all tests of a file that is named; other files are shared out."""
    words = (
        "-m",
        "pytest",
        "-v",
        "-n",
        "2",
        "-k",
        "links_lead or rooms_know",
        "tests/test_docs.py",
        "tests/test_rooms.py",
    )
    done = shell.run(Command((sys.executable, *words), cwd=ROOT), timeout=120)
    assert done.exit_code == 0, done.stdout.decode()
    workers: dict[str, set[str]] = {}
    for worker, file in re.findall(r"^\[(gw\d)\] .* PASSED tests/(\w+)\.py", done.stdout.decode(), re.MULTILINE):
        workers.setdefault(file, set()).add(worker)
    assert {file: len(names) for file, names in workers.items()} == {"test_docs": 1, "test_rooms": 2}
