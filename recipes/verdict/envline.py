"""`#!/usr/bin/env NAME`: what env makes of the rest of a script's first line, and how it says that it found nothing.

Source: Linux, fs/binfmt_script.c; coreutils, `src/env.c`; busybox, `coreutils/env.c`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from recipes.model import Environment
from recipes.verdict.subject import Root

_SPLIT = re.compile(r"(?:-S|--split-string=)(?P<words>.*)", re.DOTALL)
_SPECIAL = re.compile(r"[\\\"'$#]")  # what -S reads otherwise than as a part of a word
_BUSYBOX = b"BusyBox v"
_MOST_BYTES = 8 << 20


def is_env(interpreter: str) -> bool:
    return posixpath.basename(interpreter) == "env"


def asked_of_env(argument: str) -> tuple[Environment, str] | None:
    """What env is to set, and the program that it is to start; None where that is not known here.

    The kernel hands over all behind the interpreter as one argument, blanks included: only -S makes words of it. A line
    that names nothing starts the script itself, again and again.
    """
    words = [argument]
    split = _SPLIT.fullmatch(argument)
    if split is not None:
        if _SPECIAL.search(split["words"]):
            return None
        words = split["words"].split()
    return asked_by_words(words)


def asked_by_words(words: Sequence[str]) -> tuple[Environment, str] | None:
    """The same of arguments that are words already."""
    settings: list[tuple[str, str]] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not word or word.startswith("-"):
            return None  # an option
        if not equals:
            return tuple(settings), word
        settings.append((name, value))
    return None


def is_busybox(root: Root, path: str) -> bool:
    return _BUSYBOX in root.reader(path).read_at(0, _MOST_BYTES)


def complaint(interpreter: str, name: str, why: str, *, busybox: bool) -> str:
    """What env writes where it cannot start `name`; `why` is the C library's text."""
    return f"env: can't execute '{name}': {why}" if busybox else f"{interpreter}: '{name}': {why}"
