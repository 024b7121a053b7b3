"""Tests of recipes/support/console.py on a terminal: what is said above a progress display, and its title."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time

import pytest

from recipes.support import console
from tests.cli import ROOT

EVIL = "a\x1b[2J\x1b]0;t\x07\nerror: forged\u202e [bold]b[/bold] :apple:"

PROGRESS = f"""
from recipes.support import console
with console.progress({EVIL!r}, 2) as advance:
    console.note({EVIL!r})
    console.error({EVIL!r}, {EVIL!r}, {EVIL!r})
    advance(2)
"""


ACTIVITY = f"""
import time
from recipes.support import console
with console.activity({EVIL!r}) as watch:
    watch({EVIL!r}.encode().replace(b"\\n", b"") + b"\\nmake[1]: Entering directory '/'\\n\\n")
    while console._live is None:
        time.sleep(0.1)
    console.note({EVIL!r})
    console.error({EVIL!r}, {EVIL!r}, {EVIL!r})
    time.sleep(0.5)
"""


def on_terminal(code: str, columns: str) -> str:
    """What Python writes to its stderr while it carries out `code`, where that is a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": columns}
    with subprocess.Popen((sys.executable, "-c", code), cwd=ROOT, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.returncode == 0, shown
    return shown.decode()


@pytest.mark.parametrize("code", [PROGRESS, ACTIVITY], ids=["progress", "activity"])
def test_a_terminal_gets_no_sequence_but_our_own(code: str) -> None:
    """While a display is shown, a note and its title are as they are elsewhere: neither controls, markup nor emoji."""
    text = on_terminal(code, "300")
    written = r"a\x1b[2J\x1b]0;t\x07\nerror: forged\u202e [bold]b[/bold] :apple:"
    assert text.count(written) >= 4
    assert "\x1b[2J" not in text
    assert "\x1b]0" not in text
    assert [line for line in text.splitlines() if line.startswith("error: ")] == [f"error: {written}"]


def test_an_error_is_folded_where_it_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal by words, and what can be copied out of a hint stays whole; a log gets lines to search for."""
    said = ("there is no such folder at all", "`make one` and `invoke samples` lists it")
    shown = on_terminal(f"from recipes.support import console; console.error(*{said})", "24")
    assert shown.splitlines() == [
        "error: there is no such",
        "       folder at all",
        "",
        "hint: `make one` and",
        "      `invoke samples`",
        "      lists it",
    ]
    console.error(*said)
    assert capsys.readouterr().err == f"error: {said[0]}\n\nhint: {said[1]}\n"


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Off a terminal what goes on says so by its last line, and says no more once it is over."""
    monkeypatch.setattr(console, "_SILENCE", 0.05)
    said = ""
    with console.activity("app: build") as watch:
        watch(b"CC one.o\nCC two.o\n\nmake[1]: Leaving directory '/'\n")
        while "two" not in said:
            said += capsys.readouterr().err
    assert re.match(r"(app: build, \d+ s: app: build\n)*app: build, \d+ s: CC two\.o\n", said)
    capsys.readouterr()
    time.sleep(0.2)
    assert capsys.readouterr().err == ""


# ── how much is said ─────────────────────────────────────────────────────────────────────────────────────────────────


def say_everything() -> None:
    console.note("a note")
    console.command("a command")
    console.warn("a warning")
    console.quote("what another wrote")
    with console.stage("a stage"):
        pass
    console.hint("a hint")
    console.error("an error", "what to do")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, {"note", "warning", "stage", "hint", "error"}),
        ({"verbose": True}, {"note", "command", "warning", "stage", "hint", "error"}),
        ({"quiet": True}, {"warning", "error"}),
    ],
)
def test_how_much_is_said(how: dict[str, bool], said: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Commands for those who want to see all; warnings and errors for everybody; afterwards it is as before."""
    with console.saying(**how):
        say_everything()
    text = capsys.readouterr().err
    assert set(re.findall(r"\ban? (note|command|warning|stage|hint|error)\b", text)) == said
    assert text.endswith("error: an error\n\nhint: what to do\n")
    say_everything()
    assert "a note\na warning\n" in capsys.readouterr().err


def test_off_a_terminal_large_amounts_are_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    """How much there is to move; what is small, or only counted, needs no line."""
    for title, total, unit in (
        ("fetching a", 12_345_678, "bytes"),
        ("fetching b", 5_000, "bytes"),
        ("counting", 9, ""),
    ):
        with console.progress(title, total, unit) as advance:
            advance(total)
    assert capsys.readouterr().err == "fetching a (12.3 MB)\n"
