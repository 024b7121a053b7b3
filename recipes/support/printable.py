r"""Untrusted text, made safe to print: names, messages of other hosts and libraries, what programs wrote.

A terminal obeys what it is given: an escape sequence clears it, a carriage return writes over a line, a bidi control
turns one around, and a newline in a file's name begins a line that looks like one of ours. Four rules keep that out:

- A line is one line. Whatever is invisible in it is written as an escape (`\x1b`, `\n`, `\u202e`; `\xff` for a byte
  that is not text). `console` treats all that goes to stderr so, and `page` all that a report is made of: a value needs
  no care where it is put into a sentence, so none can be forgotten.
- What has lines of its own, such as a compiler's message, is `quoted`: without colours, each line made safe and
  indented, so that none of it begins where our lines begin.
- stdout has one door, `tasks.output.show`, which writes `text`: newlines and tabs go through, nothing else invisible;
  or lines of `Span`, whose colours are put around what was made safe.
- JSON holds the raw text, as its own escapes are plain ASCII.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_COLOUR = r"(?:\x1b\[|\x9b)[0-9;:]*m"
_SEEN = ("Zs", "Co")
"""Categories that `str.isprintable` refuses and that steer nothing: spaces, and what fonts define for themselves."""


_CODES = {"good": "32", "bad": "31", "strong": "1", "quiet": "2"}
"""Source: ECMA-48, "SGR"."""


class Span(NamedTuple):
    """A part of a line, and how it looks on a terminal: a key of `_CODES`, or "" for as it is."""

    text: str
    style: str = ""


Line = Sequence[Span]


def line(value: str) -> str:
    r"""`value` as part of one line: controls, newlines, format characters and stray bytes are written as escapes."""
    return value if value.isprintable() else "".join(map(_visible, value))


def text(value: str) -> str:
    """Text whose lines and tabs are ours: all else in it that is invisible is written as an escape."""
    return "\n".join("\t".join(map(line, row.split("\t"))) for row in value.split("\n"))


def inert(value: str) -> str:
    r"""Lines in which the runner of GitHub's Actions sees no command of its own, on stdout or on stderr.

    It takes `::name::` at the start of a line, also behind spaces, and `##[name]` anywhere. The first character of both
    is written as `\u003a` or `\u0023`, which a JSON string holds as well: there it is read back as what it was.
    Source: actions/runner, `ActionCommand.TryParseV2` and `TryParse`.
    """
    return "\n".join(map(_inert, value.split("\n")))


def _inert(row: str) -> str:
    start = len(row) - len(row.lstrip())
    if row.startswith("::", start):
        row = f"{row[:start]}\\u003a{row[start + 1 :]}"
    return row.replace("##[", "\\u0023#[")


def page(lines: Iterable[str]) -> str:
    """The lines of a report as one text that ends in a newline."""
    return "".join(f"{line(each)}\n" for each in lines)


def painted(lines: Iterable[Line], *, colours: bool) -> str:
    """The lines of a report as `page` has them, with escape sequences of ours alone; without `colours` none at all."""
    return "".join(f"{''.join(_paint(span, colours) for span in each).rstrip()}\n" for each in lines)


def width(value: str) -> int:
    """How many columns of a terminal a safe line takes. Source: Unicode Standard Annex #11."""
    if value.isascii():
        return len(value)
    shown = (each for each in value if not unicodedata.combining(each))
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in shown)


def folded(value: str, room: int | None, indent: int = 0) -> list[str]:
    """`value` in lines of at most `room` columns, all but the first with `indent` fewer; None: in one.

    What is copied stays on one line: a word, and what is between backticks.
    """
    value, rows = line(value), [""]
    if room is None or width(value) <= room:
        return [value]
    for word in re.findall(r" *(?:`[^`]*`|[^ ])+", value):
        if rows[-1] and width(rows[-1] + word) > room - (indent if len(rows) > 1 else 0):
            rows.append(word.lstrip())
        else:
            rows[-1] += word
    return rows


def plain(output: str) -> str:
    """What a program wrote, without its colours."""
    return re.sub(_COLOUR, "", output)


def quoted(output: str, indent: str = "  ") -> list[str]:
    """What a program wrote, as lines that cannot be taken for ours; [] for nothing."""
    rows = re.split(r"\r?\n", plain(output).strip("\r\n"))
    return [f"{indent}{line(row.expandtabs())}".rstrip() for row in rows] if rows != [""] else []


def shell_word(word: str) -> str:
    r"""`word` for a shell, on one line: as `shlex.quote` writes it, or as `$'…\033…'` where something is invisible.

    Source: POSIX.1-2024, "Dollar-Single-Quotes", which bash, zsh, ksh and busybox know, and dash does not yet.
    """
    import shlex

    if line(word) == word:
        return shlex.quote(word)
    return f"$'{''.join(map(_octal, word))}'"


def _is_seen(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) in _SEEN


def _visible(character: str) -> str:
    if _is_seen(character):
        return character
    if "\udc80" <= character <= "\udcff":  # how Python keeps a byte that is not text
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def _paint(span: Span, colours: bool) -> str:
    text = line(span.text)
    return f"\x1b[{_CODES[span.style]}m{text}\x1b[0m" if colours and span.style and text.strip() else text


def _octal(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if _is_seen(character):
        return character
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", errors))
