"""Tests of recipes/tasks/completion.py: what TAB offers, asked of the command, and in real shells."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from recipes.model import Command
from recipes.support import shell
from tests.cli import HELLO, ROOT, add, call, environment, error, fromscratch
from tests.need import need_tool


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A project with two samples."""
    add(tmp_path, "hi", HELLO)
    add(tmp_path, "hello", HELLO)
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["sma"], ["smallest"]),
        (["--ver"], ["--verbose", "--version"]),
        (["smallest", ""], ["hello", "hi"]),
        (["smallest", "./"], []),
        (["smallest", "hi", "--for"], ["--format"]),
        (["smallest", "hi", "--qu"], ["--quiet"]),
        (["smallest", "--no-"], ["--no-run"]),
        (["smallest", "hi", "--format", ""], ["json", "text"]),
        (["smallest", "hi", "--format=j"], ["--format=json"]),
        (["walkthrough", "--format", ""], ["html", "markdown", "text"]),
        (["compare-sizes", "--format", "gith"], ["github"]),
        (["compare-sizes", "--sort=bi"], ["--sort=binary"]),
        (["build-static", "hi", "--recipe", "gcc-static"], ["gcc-static", "gcc-static-small"]),
        (["build-static", "--base", "bund"], ["bundle"]),
        (["compare-sizes", "--recipes", "gcc-static,zig"], ["gcc-static,zig-static-small"]),
        (["compare-sizes", "--samples", "hi,he"], ["hi,hello"]),
        (["build-static", "hi", "--engine", "d"], ["docker"]),
        (["build-static", "hi", "--platform", "linux/arm"], ["linux/arm", "linux/arm64"]),
        (["build-static", "hi", "--args", ""], []),
        (["doctor", ""], []),
    ],
)
def test_what_is_offered(here: Path, typed: list[str], offered: list[str]) -> None:
    """Tasks, then options, their values and samples; nothing where file names are meant."""
    done = fromscratch(here, "--complete", "--", "fromscratch", *typed)
    assert (done.exit_code, done.stderr, done.stdout.decode().split()) == (0, b"", offered)


def test_images_of_the_store_are_offered_where_they_can_be_used(here: Path) -> None:
    """`run` and `export` take them, `smallest` takes none."""
    assert call(here, "build-static", "hi", "--recipe=gcc-static", "--no-run", "--engine=local").exit_code == 0
    for task, stored in (
        ("run", b"hi:gcc-static-scratch\n"),
        ("export", b"hi:gcc-static-scratch\n"),
        ("smallest", b""),
    ):
        offered = fromscratch(here, "--complete", "--", "fromscratch", task, "hi:gcc").stdout
        assert offered == stored


def test_a_damaged_project_completes_without_a_word(here: Path) -> None:
    """What is wrong is said by the task, and not between the prompt and the cursor."""
    (here / "pyproject.toml").write_text("[tool.fromscratch.bases]\nours = 3\n")
    done = fromscratch(here, "--complete", "--", "fromscratch", "build-static", "--base", "d")
    assert (done.exit_code, done.stdout, done.stderr) == (0, b"", b"")


def test_a_shell_that_is_not_known(tmp_path: Path) -> None:
    """It gets the nearest one."""
    done = fromscratch(tmp_path, "--print-completion-script", "csh")
    assert (done.exit_code, error(done)) == (2, "error: unknown shell 'csh'\n\nhint: did you mean 'zsh'?\n")


# ── in the shells themselves ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def variables(here: Path) -> dict[str, str]:
    """An environment whose PATH has the command."""
    command = here / "bin/fromscratch"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m recipes.tasks.program "$@"\n')
    command.chmod(0o755)
    given = environment(HOME=str(here), TERM="dumb", PS1="> ")
    return given | {"PATH": f"{command.parent}:{given['PATH']}"}


def typed(shell_words: tuple[str, ...], text: str, wanted: str, here: Path, variables: dict[str, str]) -> str:
    """What an interactive shell shows after `text` was typed, until `wanted` is there."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 300))
    shown, deadline = b"", time.monotonic() + 60
    with subprocess.Popen(
        shell_words, cwd=here, env=variables, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        try:
            os.write(ours, text.encode())
            while wanted not in _words(shown) and time.monotonic() < deadline:
                if select.select([ours], [], [], 1)[0]:
                    shown += os.read(ours, 65536)
        finally:
            process.kill()
            with contextlib.suppress(OSError):
                os.close(ours)
    return _words(shown)


def _words(shown: bytes) -> str:
    """Without what moves the cursor, each blank once."""
    return " ".join(re.sub(r"\x1b\[[?\d;]*[A-Za-z]|.\x08", "", shown.decode(errors="replace")).split())


@pytest.mark.parametrize(
    ("name", "words", "before"),
    [("bash", ("--norc", "-i"), ""), ("zsh", ("-f", "-i"), "autoload -Uz compinit; compinit -u -D; ")],
)
def test_tab_in_a_shell(name: str, words: tuple[str, ...], before: str, here: Path, variables: dict[str, str]) -> None:
    """The script is read, and TAB behind the beginning of a value writes the rest; a colon divides nothing."""
    setup = f'{before}eval "$(fromscratch --print-completion-script {name})"; echo rea""dy\n'
    (here / "pyproject.toml").write_text('[tool.fromscratch.bases."our:base"]\nreference = "docker://example.org/x"\n')
    line = "fromscratch build-static hel\t--recipe zig\t--base=our:b\t"
    expected = "build-static hello --recipe zig-static-small --base=our:base"
    shown = typed((need_tool(name), *words), setup + line, expected, here, variables)
    assert expected in shown, shown


def test_fish(here: Path, variables: dict[str, str]) -> None:
    """It says itself what it would offer."""
    fish = need_tool("fish")
    asked = "fromscratch --print-completion-script fish | source; complete --do-complete 'fromscratch smallest h'"
    done = shell.run(Command((fish, "--no-config", "-c", asked), cwd=here), environment=variables, timeout=60)
    assert done.stdout.split() == [b"hello", b"hi"], done.stderr
