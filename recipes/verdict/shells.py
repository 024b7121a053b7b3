"""A shell that is called with a script: which file that is, and how each shell says that it cannot open it.

Source: POSIX, `sh`; dash, `src/input.c`; bash, `shell.c`; busybox, `shell/ash.c`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from recipes.elf.segments import Reader

_SHELLS = ("sh", "ash", "bash", "dash", "busybox")
_MOST_BYTES = 8 << 20
_DENIED = "Permission denied"


def is_shell(path: str) -> bool:
    return posixpath.basename(path) in _SHELLS


def script_of(path: str, arguments: Sequence[str]) -> str:
    """The script by its path; "" where there is none, with options, and for a bare name: bash searches PATH for it."""
    words = list(arguments)
    if posixpath.basename(path) == "busybox":
        words = words[1:] if words and is_shell(words[0]) else []
    return words[0] if words and "/" in words[0] and not words[0].startswith(("-", "+")) else ""


def complaint_of_shell(shell: Reader, argv: Sequence[str], script: str, why: str) -> str:
    """What a shell writes where it cannot open its script; "" for one that is not known here.

    `why` is the C library's text, for which dash has one of its own.
    """
    content = shell.read_at(0, _MOST_BYTES)
    if b"BusyBox v" in content:
        name = argv[1] if posixpath.basename(argv[0]) == "busybox" else argv[0]
        return f"{name}: can't open '{script}': {why}"
    if b"GNU bash" in content:
        return f"{argv[0]}: {script}: {why}"
    if b"cannot %s %s: %s" in content and b"No such file\0" in content:
        return f"{argv[0]}: 0: cannot open {script}: {_DENIED if why == _DENIED else 'No such file'}"
    return ""
