"""Tests of recipes/tasks/help.py, task.py and usage.py: what `--help` shows of each task, and what a typo gets."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from invoke.collection import Collection

from recipes.tasks import GROUPS
from recipes.tasks.program import Fromscratch
from recipes.tasks.task import Task
from tests.cli import call, error, fromscratch

TASKS = [task for tasks in GROUPS.values() for task in tasks]


def name_of(task: Task[Any]) -> str:
    return str(Collection().transform(task.name))


@pytest.mark.parametrize("task", TASKS, ids=name_of)
def test_each_task_has_help(task: Task[Any], tmp_path: Path) -> None:
    """After its name, alone or behind what would be a mistake, and by `--help TASK`; it fits eighty columns."""
    name = name_of(task)
    done = fromscratch(tmp_path, name, "--help", COLUMNS="80")
    text = done.stdout.decode()
    assert (done.exit_code, done.stderr) == (0, b"")
    assert text.startswith(f"Usage: fromscratch {name} ")
    assert max(map(len, text.splitlines())) <= 80
    assert "  -q, --quiet " in text
    assert "--verbose " in text
    for words in ((name, "-h"), ("--help", name)):
        assert fromscratch(tmp_path, *words, COLUMNS="80").stdout == done.stdout, words


def test_help_may_stand_anywhere(tmp_path: Path) -> None:
    """Behind the task's words and options, too; but what an option takes is its value."""
    usual = fromscratch(tmp_path, "smallest", "--help").stdout
    assert usual == fromscratch(tmp_path, "smallest", "/bin/ls", "--no-run", "-h").stdout
    assert usual == fromscratch(tmp_path, "smallest", "--no-run", "--help", "/bin/ls").stdout
    for words in (("--args=--help",), ("--args", "--help")):
        done = fromscratch(tmp_path, "inspect", "/bin/ls", *words)
        assert (done.exit_code, "unknown option '--args'" in error(done)) == (2, True)
        done = fromscratch(tmp_path, "package", "/bin/ls", "--no-run", "--engine=local", *words)
        assert (done.exit_code, b"Usage" in done.stdout) == (3, False)


def test_under_invoke_a_task_with_words_has_the_same_help(tmp_path: Path) -> None:
    """Invoke alone would take `--help` for the word."""
    text = call(tmp_path, "smallest", "--help", COLUMNS="80").stdout.decode()
    assert text.startswith("Usage: invoke smallest SAMPLE [OPTIONS]")
    assert "  -e, --echo " in text
    assert "  invoke smallest ./mybin\n" in text


@pytest.mark.parametrize("task", TASKS, ids=name_of)
def test_its_examples_can_be_typed(task: Task[Any], tmp_path: Path) -> None:
    """Each begins with the task's name, and the parser takes all of it."""
    text = fromscratch(tmp_path, name_of(task), "--help", COLUMNS="80").stdout.decode()
    examples = text.partition("\nExamples\n")[2].splitlines()
    assert examples
    for example in examples:
        words = shlex.split(example)
        assert words[:2] == ["fromscratch", name_of(task)]
        program = Fromscratch()
        program.create_config()
        program.parse_core(words)
        program.parse_collection()
        program.parse_tasks()
        assert [context.name for context in program.tasks] == [name_of(task)]


def test_help_says_how_it_was_called(tmp_path: Path) -> None:
    """What can be typed next is typed with the same command."""
    assert b"`fromscratch recipes` lists them" in fromscratch(tmp_path, "build-static", "--help").stdout
    assert b"`invoke recipes` lists them" in call(tmp_path, "build-static", "--help").stdout


# ── typos ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("smalest /bin/ls", "unknown task 'smalest'", "did you mean 'smallest'?"),
        ("xyzzy", "unknown task 'xyzzy'", "`fromscratch --help` lists the tasks"),
        ("--versoin", "unknown option '--versoin'", "did you mean '--version'?"),
        ("smallest /bin/ls --fromat json", "unknown option '--fromat' of smallest", "did you mean '--format'?"),
        ("smallest --fromat json", "unknown option '--fromat' of smallest", "did you mean '--format'?"),
        ("smallest /bin/ls --no-rum", "unknown option '--no-rum' of smallest", "did you mean '--no-run'?"),
        ("inspect /bin/ls --xyzzy", "unknown option '--xyzzy' of inspect",
         "`fromscratch inspect --help` shows what it takes"),
        ("inspect /bin/ls --format", "--format needs a value", "`fromscratch inspect --help` shows what it takes"),
        ("inspect", "inspect needs a SAMPLE", "`fromscratch inspect --help` shows what it takes"),
        ("run", "run needs an IMAGE", "`fromscratch run --help` shows what it takes"),
        ("push", "push needs a SAMPLE and a TO", "`fromscratch push --help` shows what it takes"),
        ("inspect /bin/ls /bin/cat", "unexpected argument '/bin/cat' of inspect",
         "quote words that belong together; `fromscratch inspect --help` shows what it takes"),
        ("build-static --serves hi", "'hi' may be a value of the option before it", "write that as --option=VALUE"),
        ("--help smalest", "unknown task 'smalest'", "did you mean 'smallest'?"),
    ],
)  # fmt: skip
def test_a_typo_is_one_line_and_a_hint(tmp_path: Path, line: str, message: str, hint: str) -> None:
    """Exit code 2, as for all bad input."""
    done = fromscratch(tmp_path, *shlex.split(line))
    assert (done.exit_code, error(done)) == (2, f"error: {message}\n\nhint: {hint}\n")


def test_under_invoke_its_own_exit_code_stays(tmp_path: Path) -> None:
    """Invoke's parser ends with 1, in its own words."""
    done = call(tmp_path, "smallest", "--fromat")
    assert (done.exit_code, done.stderr) == (1, b"No idea what '--fromat' is!\n")
