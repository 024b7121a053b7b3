"""Tests of tests/groups.py."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from recipes.model import Command
from recipes.support import shell
from tests.groups import ENGINE, GROUPS, group_of

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", GROUPS)
def test_what_is_in_a_group_is_there(name: str) -> None:
    """A file or function that got another name would leave its group without a word."""
    file, _, function = name.partition("::")
    assert (f"def {function}(" if function else "def test_") in (ROOT / file).read_text(encoding="utf-8")


def test_a_function_with_parameters_is_one_group() -> None:
    """Its tests have the group of the function, others of the file are alone."""
    file = "tests/workflows/test_verify.py"
    assert group_of(f"{file}::test_what_docker_build_made[1::2]") == ENGINE
    assert group_of(f"{file}::test_a_sample_on_one_base") == f"{file}::test_a_sample_on_one_base"


def test_one_worker_has_a_group() -> None:
    """Of two workers, one does all tests of a file that is named; other files are shared out."""
    words = (
        "-m",
        "pytest",
        "-v",
        "-n",
        "2",
        "-k",
        "links_lead or test_model",
        "tests/test_docs.py",
        "tests/test_model.py",
    )
    done = shell.run(Command((sys.executable, *words), cwd=ROOT), timeout=120)
    assert done.exit_code == 0, done.stdout.decode()
    workers: dict[str, set[str]] = {}
    for worker, file in re.findall(r"^\[(gw\d)\] .* PASSED tests/(\w+)\.py", done.stdout.decode(), re.MULTILINE):
        workers.setdefault(file, set()).add(worker)
    assert {file: len(names) for file, names in workers.items()} == {"test_docs": 1, "test_model": 2}
