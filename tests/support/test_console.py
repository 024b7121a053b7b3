"""Tests of recipes/support/console.py on a terminal: what is said above a progress display, and its title."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from tests.cli import ROOT

EVIL = "a\x1b[2J\x1b]0;t\x07\nerror: forged\u202e [bold]b[/bold] :apple:"

CODE = f"""
from recipes.support import console
with console.progress({EVIL!r}, 2) as advance:
    console.note({EVIL!r})
    console.error({EVIL!r}, {EVIL!r}, {EVIL!r})
    advance(2)
"""


def test_a_terminal_gets_no_sequence_but_our_own() -> None:
    """While a display is shown, a note and its title are as they are elsewhere: neither controls, markup nor emoji."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "300"}
    with subprocess.Popen((sys.executable, "-c", CODE), cwd=ROOT, stderr=theirs, env=environment) as process:
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
