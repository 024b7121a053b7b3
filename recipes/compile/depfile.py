"""The files that a compiler says it read. Source: GCC manual, "-MD"; GNU make manual, "Rule Syntax"."""

from __future__ import annotations

import re

_TARGET = re.compile(rb"^[^\s\\:]+:")
_WORD = re.compile(rb"(?:\\\r?\n|\s)*((?:\\[^\r\n]|\$\$|[^\s\\])+)")
_ESCAPED = re.compile(rb"(\\*)\\([ \t])|\\#|\$\$")


def parse(data: bytes) -> tuple[bytes, ...]:
    """The prerequisites of the first rule, unescaped, each once. The target must be a plain word (use -MT).

    A file name with a newline in it cannot be written in a depfile: it comes out as pieces that do not exist.
    """
    words = (match[1] for match in _WORD.finditer(_TARGET.sub(b"", data, count=1)))
    return tuple(dict.fromkeys(_ESCAPED.sub(_plain, word) for word in words))


def _plain(match: re.Match[bytes]) -> bytes:
    if match[2]:  # the backslashes before a blank are doubled, those anywhere else are not
        return match[1][: len(match[1]) // 2] + match[2]
    return match[0][-1:]
