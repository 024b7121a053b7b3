"""Tests of recipes/support/printable.py: whatever a value holds, it is one line that loses nothing."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from recipes.model import Command
from recipes.support import shell
from recipes.support.printable import folded, line, page, plain, quoted, shell_word, text
from tests.need import need_tool

STEERING = [
    *map(chr, (*range(0x20), *range(0x7F, 0xA0))),
    *"\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff",
    *"\u00ad\u061c\U000e0001\ud800\udc9b\udfff",
]


@pytest.mark.parametrize("character", STEERING, ids=lambda character: f"U+{ord(character):04X}")
def test_what_steers_is_an_escape(character: str) -> None:
    """C0, DEL, C1, line separators, bidi, zero-width and format characters, lone surrogates: each is seen, in ASCII."""
    shown = line(f"a{character}b")
    assert shown.isascii()
    assert shown.isprintable()
    assert shown.startswith("a\\")
    assert len(shown) > 3


def test_no_category_of_control_goes_through() -> None:
    """Of all of Unicode, nothing that is a control, a format, a surrogate, a line separator or not assigned."""
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    assert {unicodedata.category(character) for character in line(everything)}.isdisjoint(
        {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}
    )


@pytest.mark.parametrize("value", ["", "hello", "ü × … 漢字 e\u0301 \u00a0 \U0001f600", 'a\\b "c"'])
def test_what_is_seen_stays(value: str) -> None:
    """Letters of any script, combining marks, wide characters, spaces and backslashes are themselves."""
    assert line(value) == text(value) == value


def test_the_escapes_are_the_usual_ones() -> None:
    """As Python writes them; a byte that is not text is that byte."""
    assert line("\x1b[2J\r\n\t\x9b\u202e\U000e0001\udcff\ud800") == r"\x1b[2J\r\n\t\x9b\u202e\U000e0001\xff\ud800"


def test_a_value_begins_no_line() -> None:
    """A page has as many lines as it was given; a text keeps the lines and tabs that are ours."""
    assert page(["a\nerror: b", "c\x85d\u2028e\x0bf"]) == "a\\nerror: b\nc\\x85d\\u2028e\\x0bf\n"
    assert text("a\tb\n\x1bc\rd") == "a\tb\n\\x1bc\\rd"


def test_what_a_program_wrote() -> None:
    """Without colours, each line indented, tabs as blanks; nothing for nothing."""
    wrote = "\x1b[1;31merror:\x1b[0m no\r\n\terror: x\n\nlast\x1b[2J\n"
    assert quoted(wrote) == ["  error: no", "          error: x", "", r"  last\x1b[2J"]
    assert quoted("") == quoted("\n") == []
    assert plain("\x9b31ma\x1b[mb") == "ab"


def test_a_text_is_folded_by_words() -> None:
    """What is copied stays on one line, names keep their blanks, and lines after the first have less room."""
    assert folded("one two  three `four five six` seven", 14, indent=4) == [
        "one two  three",
        "`four five six`",
        "seven",
    ]
    assert folded("a  b c ", None) == ["a  b c "]
    assert folded("", 5) == [""]
    assert folded("x" * 9 + " y", 5) == ["x" * 9, "y"]
    assert folded("new\nline", 3) == [r"new\nline"]


@pytest.mark.parametrize(
    "word", ["a b", "it's", "new\nline", "end\n", "\x1b[31m'\\", "\u202eabc", "\udcff1", "\t7", "%s\n", "\x011"]
)
def test_a_word_for_a_shell(word: str) -> None:
    """One line in which nothing is invisible, and the shell has the very bytes of the word."""
    shown = shell_word(word)
    assert shown == line(shown)
    done = shell.run(Command((need_tool("bash"), "-c", f"printf '%s|' {shown}")))
    assert done.stdout == word.encode("utf-8", "surrogateescape") + b"|"


def test_a_surrogate_that_is_no_byte_is_no_error() -> None:
    """No program can be given it, but it can be in what is shown."""
    assert shell_word("\ud800") == r"$'\355\240\200'"
