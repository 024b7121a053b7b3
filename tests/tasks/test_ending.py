"""Tests of recipes/tasks/ending.py: each way to end is one message and one exit code, and leaves nothing running."""

from __future__ import annotations

import inspect
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from invoke.exceptions import Exit

from recipes import errors
from recipes.model import Command
from recipes.support import shell
from recipes.tasks.ending import ending_well
from tests.cli import ROOT, environment
from tests.sharing import interruptible

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """What a task does with signals ends with the test, and what the process ignores is heard in it."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    with interruptible():
        yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ended(body: Callable[[], Any]) -> int:
    """The exit code of a task with this body."""
    try:
        ending_well(body)()
    except Exit as ending:
        return int(ending.code)
    except SystemExit as ending:
        return int(ending.code or 0)
    return 0


def raising(error: BaseException) -> Callable[[], Any]:
    def body() -> None:
        raise error

    return body


def tree(kind: type[errors.RecipeError]) -> Iterator[type[errors.RecipeError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from tree(each)


# ── what a body returns and raises ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
def test_what_it_returns_is_the_exit_code(returned: int | None, code: int) -> None:
    """Nothing is none."""
    assert ended(lambda: returned) == code


def test_arguments_reach_the_body() -> None:
    """It has the same options and words as before: Invoke reads them."""

    def task(context: str, option: str = "") -> int:
        """Say something."""
        assert (context, option) == ("c", "o")
        return 7

    guarded = ending_well(task)
    assert inspect.signature(guarded) == inspect.signature(task)
    assert guarded.__doc__ == "Say something."
    with pytest.raises(Exit):
        guarded("c", option="o")


@pytest.mark.parametrize("kind", sorted(set(tree(errors.RecipeError)), key=str))
def test_an_error_of_ours_is_one_message(kind: type[errors.RecipeError], capsys: pytest.CaptureFixture[str]) -> None:
    """With its hint and its exit code, and without a traceback; stdout stays empty."""
    assert ended(raising(kind("it is wrong", "put it right"))) == kind.exit_code != 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("error: it is wrong\n\nhint: put it right\n")
    assert "Traceback" not in err


def test_what_a_command_said_stands_above(capsys: pytest.CaptureFixture[str]) -> None:
    """Whole and indented, so that no line of it passes for one of ours."""
    assert ended(raising(errors.CommandFailed("cc failed", "", "a\nerror: b\n"))) == 5
    assert capsys.readouterr().err == "  a\n  error: b\n\nerror: cc failed\n"


def test_a_bug_is_said_to_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    """With its place, and with nothing in it that would steer a terminal."""
    assert ended(raising(ValueError("a\x1b[31m\nb"))) == 1
    err = capsys.readouterr().err
    assert "error: BUG in fromscratch: ValueError: a" in err
    assert "in raising" in err or "in body" in err
    assert "\x1b" not in err
    assert "hint: please report it" in err


# ── a damaged blob ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("damaged", "code"), [(0, 0), (1, 0), (2, 2)])
def test_a_damaged_blob_is_made_anew(damaged: int, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """It is gone from the store, so the second try makes it; once, and not for ever."""
    tries: list[int] = []

    def body() -> None:
        tries.append(1)
        if len(tries) <= damaged:
            raise errors.DamagedBlob("sha256:0 is damaged")

    assert ended(body) == code
    assert len(tries) == min(damaged, 1) + 1
    assert capsys.readouterr().err.count("trying once more") == min(damaged, 1)


# ── being stopped ────────────────────────────────────────────────────────────────────────────────────────────────────


class Running:
    """A process that another thread of a task waits for."""

    def __init__(self, folder: Path) -> None:
        self._mark = folder / "running"
        self.exit_code: int | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.exit_code = shell.run(Command(("sh", "-c", 'touch "$0"; sleep 60', str(self._mark)))).exit_code

    def start(self) -> None:
        self._thread.start()
        while not self._mark.exists():
            assert self._thread.is_alive()
            time.sleep(0.01)

    def end(self) -> int | None:
        self._thread.join(30)
        return self.exit_code


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + 15), (signal.SIGHUP, 128 + 1)]
)
def test_a_signal_ends_what_runs(tmp_path: Path, number: int, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """^C, a polite kill and a terminal that closes: the shell's exit code for it, no traceback, no process left."""
    running, unwound = Running(tmp_path), []

    def body() -> None:
        try:
            running.start()
            os.kill(os.getpid(), number)
            threading.Event().wait(30)
        finally:
            unwound.append(True)

    assert ended(body) == code
    assert running.end() == 128 + signal.SIGKILL
    assert unwound == [True]
    assert capsys.readouterr().err == ("interrupted\n" if number == signal.SIGINT else "")


def test_a_bug_ends_what_runs(tmp_path: Path) -> None:
    """A thread that waits for a process would keep the whole task from ending."""
    running = Running(tmp_path)

    def body() -> None:
        running.start()
        raise ValueError

    assert ended(body) == 1
    assert running.end() == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_ignored_stays_ignored(number: signal.Signals) -> None:
    """As under nohup."""
    signal.signal(number, signal.SIG_IGN)
    assert ended(lambda: os.kill(os.getpid(), number)) == 0


# ── stdout ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_terminal_of_ascii_gets_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it cannot show is written out, and is no error."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert ended(lambda: sys.stdout.write("\u00fc \udcff\n") and None) == 0
    assert raw.getvalue() == b"\\xfc \\udcff\n"


def test_a_reader_that_has_gone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`… | head` is no error, and Python does not complain of it at the end."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert ended(lambda: stream.write("line\n") and None) == 0
        monkeypatch.undo()
    assert capsys.readouterr().err == ""


# ── where stdout and stderr lead ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("words", ["recipes", "--help", "recipes --help"])
def test_a_full_disk_behind_stdout_is_one_message(project: Path, words: str) -> None:
    """Exit code 2, and no complaint of Python's about what was not written."""
    done = paste(project, f"{words} >/dev/full")
    assert done.exit_code == 2
    assert done.stderr == b"error: cannot write to stdout: No space left on device\n\nhint: is the disk full?\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [("recipes >&-", 0), ("--help >&-", 0), ("nosuch 2>&-", 2), ("run nosuch 2>&-", 2)],
)
def test_a_stream_that_is_closed_changes_no_exit_code(project: Path, words: str, code: int) -> None:
    """What was asked is done, and nothing is a traceback."""
    done = paste(project, words)
    assert (done.exit_code, done.stdout, done.stderr) == (code, b"", b"")


def paste(project: Path, words: str) -> shell.Completed:
    """`fromscratch` with these words and redirections, in a shell of its own."""
    program = f"{sys.executable} -c 'from recipes.tasks.program import main; main()' {words}"
    variables = environment(PYTHONPATH=str(ROOT), XDG_CACHE_HOME=str(project))
    return shell.run(Command(("sh", "-c", program), cwd=project), environment=variables, timeout=60)
