"""What `go` said when it failed: the line that tells why, without the list of what it downloaded."""

from __future__ import annotations

import re

from recipes.compile import missing
from recipes.errors import CommandFailed, shortened

_PROGRESS = re.compile(r"go: (downloading|finding|added|upgraded) ")
_TOO_OLD = re.compile(r"requires go >= (\S+)")
_LACKING = re.compile(r": undefined: |build constraints exclude all Go files in ")
_HEADER = re.compile(r"fatal error: '([\w./+-]+)' file not found|fatal error: [\w./+-]+: No such file or directory")
"""As clang says it, which is zig's compiler here and uses no library of this machine; and as gcc does."""

_INCOMPLETE = re.compile(r"listed in go\.work file: open |replacement directory \S+ does not exist")


def go_failed(what: str, output: str) -> CommandFailed:
    """The error for `what`, whose command printed `output`.

    The compiler's messages of a package stand below its path, after `#`. The go command's own begin with `go: `, and
    go on in lines that are indented, the last of which is the cause.
    """
    lines = [line for line in output.splitlines() if line.strip() and not _PROGRESS.match(line)]
    message = "\n".join(lines)
    why = next((number for number, line in enumerate(lines) if not line.startswith("# ")), None)
    if why is None:
        return CommandFailed(f"{what} failed", output=message)
    last = why + 1
    while last < len(lines) and lines[last].startswith("\t"):
        last += 1
    told = " ".join(line.strip() for line in lines[why:last]).removeprefix("go: ")
    return CommandFailed(f"{what} failed: {shortened(told, 400)}", _hint(lines[why:], told), message)


def lacks_code(output: str) -> bool:
    """Whether it may be for want of files that are left out without cgo."""
    return _LACKING.search(output) is not None


def _hint(lines: list[str], told: str) -> str:
    if header := _HEADER.search(told):
        if header[1]:
            return (
                f"{header[1]} is of a library in C, and this recipe uses none of this machine's: `invoke smallest` "
                "does, and puts the shared library beside the program"
            )
        return missing.advice(lines, told, own_libc=False)
    if newer := _TOO_OLD.search(told):
        return f"install Go {newer[1]} or a later one"
    if _INCOMPLETE.search(told):
        return "a part of its repository is missing: build a clone, or module/path@version from the proxy"
    return ""
