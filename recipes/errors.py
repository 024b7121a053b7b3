"""The error tree and its exit codes.

"It is dynamic" is a verdict, a value. "g++ is missing" and "the file is truncated" are errors: one sentence that says
what is wrong, and a hint that says what to do about it. Only `recipes/tasks/` turns them into text and an exit code.
"""

from __future__ import annotations

from collections.abc import Iterable


class RecipeError(Exception):
    """Something the user can act on. `message` is one sentence without a full stop; `hint` may be empty."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadInput(RecipeError):
    """An unknown name, an unreadable file, an invalid setting. Exit code 2."""

    exit_code = 2


class NotElf(BadInput):
    """The file is not an ELF file."""


class TruncatedElf(BadInput):
    """The file says it has parts that it does not have."""


class BadArchive(BadInput):
    """A tar, layer or image layout that cannot be trusted: truncated, out of bounds, digest mismatch."""


class CannotWrite(RecipeError):
    """A file that had to be written: the disk is full or read-only, the folder belongs to another user. Exit code 2."""

    exit_code = 2


class DamagedBlob(BadArchive):
    """A blob of the store was not what its digest says. It is gone from there, so the next run makes or fetches it."""


class GateFailed(RecipeError):
    """A verdict or a gate failed, such as a static recipe whose result is not static. Exit code 3."""

    exit_code = 3


class ToolMissing(RecipeError):
    """A compiler or helper program is not on this machine. Exit code 4."""

    exit_code = 4


class CommandFailed(RecipeError):
    """A command ended with an error. `output` is its own message, whole. Exit code 5."""

    exit_code = 5

    def __init__(self, message: str, hint: str = "", output: str = "") -> None:
        super().__init__(message, hint)
        self.output = output


class LibraryMissing(CommandFailed):
    """A project's build that goes on once a library or a tool is installed. Exit code 5."""


class Unavailable(RecipeError):
    """An engine, registry or base that was asked for by name is unavailable. Exit code 6."""

    exit_code = 6


def unknown(kind: str, name: str, known: Iterable[str]) -> BadInput:
    """The error for a name that is not known, with the nearest known one as the hint."""
    import difflib

    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
    return BadInput(f"unknown {kind} {name!r}", hint)


def shortened(text: str, length: int = 200) -> str:
    """Words that others have chosen, no longer than may stand in a message."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
