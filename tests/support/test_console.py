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


@pytest.mark.parametrize("code", [PROGRESS, ACTIVITY], ids=["progress", "activity"])
def test_a_terminal_gets_no_sequence_but_our_own(code: str) -> None:
    """While a display is shown, a note and its title are as they are elsewhere: neither controls, markup nor emoji."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "300"}
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
    text = shown.decode()
    written = r"a\x1b[2J\x1b]0;t\x07\nerror: forged\u202e [bold]b[/bold] :apple:"
    assert text.count(written) >= 4
    assert "\x1b[2J" not in text
    assert "\x1b]0" not in text
    assert [line for line in text.splitlines() if line.startswith("error: ")] == [f"error: {written}"]


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
