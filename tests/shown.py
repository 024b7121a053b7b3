"""What a page shows of a command's output, against the output: the words must be the same, numbers about the same."""

from __future__ import annotations

import re

MAY_DIFFER = {
    "digest": (r"sha256:\w+", r"sha256:\w+"),
    "time": (r"\d[\d.]* s\b", r"[\d.]+ s"),
    "version": (r"\d+(?:\.\d+){2,}", r"[\d.]+"),
    "number": (r"\d[\d,]*(?:\.\d+)?", r"(\d[\d,]*(?:\.\d+)?)"),
    "rule": (r"-{4,}", r"-+"),
    "blank": (r" +", r" +"),
}
"""What is not compared letter by letter: how a page shows it, and what may stand there. Numbers count as values."""

_PART = re.compile("|".join(f"(?P<{name}>{shown})" for name, (shown, _) in MAY_DIFFER.items()))


def differences(shown: str, output: str) -> list[tuple[str, str]]:
    """The numbers that are more than a quarter away from those that are shown; both texts where their words differ.

    A line `…` stands for any lines.
    """
    pattern = _like(shown)
    ours, theirs = pattern.fullmatch(shown), pattern.fullmatch(output)
    if not ours or not theirs:
        return [(shown, output)]
    pairs = zip(ours.groups(), theirs.groups(), strict=True)
    return [(told, found) for told, found in pairs if not 0.8 * _value(told) <= _value(found) <= 1.25 * _value(told)]


def _like(shown: str) -> re.Pattern[str]:
    return re.compile("".join(r"(?:.*\n)*" if line == "…\n" else _line(line) for line in shown.splitlines(True)))


def _line(line: str) -> str:
    end, pieces = 0, []
    for part in _PART.finditer(line):
        pieces += [re.escape(line[end : part.start()]), MAY_DIFFER[str(part.lastgroup)][1]]
        end = part.end()
    return "".join([*pieces, re.escape(line[end:])])


def _value(number: str) -> float:
    return float(number.replace(",", ""))
