"""What a loader does with one program in one root, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recipes.elf.dlopennote import OpenedLater
from recipes.model import Library

LoaderKind = Literal["none", "glibc", "musl", "unknown"]
MOST_OPENED_LATER = 256
"""How many entries of dlopen notes are looked up for one program."""

ProblemCode = Literal[
    "interpreter-missing",
    "interpreter-broken",
    "told-to-print",
    "library-missing",
    "library-broken",
    "version-missing",
    "relocations-unknown",
    "libc-foreign",
    "symbol-missing",
    "symbol-undefined",
    "symbol-undefined-later",
    "opened-later-missing",
    "cpu-level",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the program does not start. `message` is what the loader (or, before it, the kernel) writes, word by word.

    `library` is what the problem is about, `needed_by` who asks for it; `level` is the x86-64 level of a "cpu-level".
    """

    code: ProblemCode
    message: str
    evidence: str
    library: str
    needed_by: str
    level: int = 0


@dataclass(frozen=True, slots=True)
class Loading:
    """`loader` is "none" for a program without PT_INTERP, "unknown" for one whose rules are not known here.

    `libraries` is the whole closure in load order, the missing ones included. `problems` are in the order in which the
    loader meets them: glibc stops at its first missing library, writes all version errors at once, and both come before
    anything about symbols, where it stops at the first, and about the CPU; musl writes all there are, libraries before
    symbols. `warnings` are what it writes and then goes on; `later` is what ends the program once it gets so far;
    `doubts` are what may keep it from its first instruction, and no file tells.
    """

    loader: LoaderKind
    libraries: tuple[Library, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    later: tuple[Problem, ...] = ()
    doubts: tuple[Problem, ...] = ()
    uses_platform: bool = False
    """whether a path names glibc's $PLATFORM, which is another one on another kind of machine"""


def opened_later_missing(later: OpenedLater, asking: str, message: str) -> Problem:
    """That nothing is there of what an object may open at run time."""
    purpose = f"for {later.feature}, " if later.feature else ""
    evidence = f"{asking} may open {' or '.join(later.sonames)} ({purpose}{later.priority}), which the image lacks"
    return Problem("opened-later-missing", message, evidence, later.sonames[0], asking)
