"""Tests of recipes/support/terminal.py: a report is as wide as its terminal, with colours where they are wanted."""

from __future__ import annotations

import fcntl
import io
import os
import struct
import termios
from collections.abc import Iterator
from typing import TextIO

import pytest

from recipes.support.terminal import Screen, screen_of


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[TextIO]:
    """The program's side of a real terminal of 72 columns."""
    for name in ("NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 72, 0, 0))
    with open(slave, "w", encoding="utf-8") as stream:
        yield stream
    os.close(master)


def test_a_terminal_says_how_wide_it_is(terminal: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS says so before it, and where neither knows it is taken for a page."""
    assert screen_of(terminal) == Screen(72, True)
    monkeypatch.setenv("COLUMNS", "90")
    assert screen_of(terminal).width == 90
    monkeypatch.setenv("COLUMNS", "many")
    assert screen_of(terminal).width == 72
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    assert screen_of(terminal).width == 100


@pytest.mark.parametrize(
    ("name", "value", "colours"),
    [("NO_COLOR", "1", False), ("NO_COLOR", "", True), ("TERM", "dumb", False), ("TERM", "", False)],
)
def test_who_wants_no_colours_gets_none(
    terminal: TextIO, monkeypatch: pytest.MonkeyPatch, name: str, value: str, colours: bool
) -> None:
    """Source: no-color.org: present and not an empty string, whatever its value."""
    monkeypatch.setenv(name, value)
    assert screen_of(terminal).colours is colours


def test_what_is_no_terminal_is_the_same_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe, a file, a log: a fixed width and no colours, whatever the variables say."""
    monkeypatch.setenv("COLUMNS", "30")
    assert screen_of(io.StringIO()) == Screen(100, False)
