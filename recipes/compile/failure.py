"""A project's build that failed: the line that tells why, what would help, and the whole output in a file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from recipes.compile import missing
from recipes.compile.paths import log_of
from recipes.compile.plan import Plan
from recipes.compile.step import Step
from recipes.compile.toolchains import compiler
from recipes.errors import CommandFailed, LibraryMissing, shortened
from recipes.support.shell import Completed
from recipes.support.workspace import write_atomically

_CONFIGURING = re.compile(r"\bconfigure\S*: error: (?!in [`'])|^CMake Error|^\S*meson\.build:\d+:\d+: ERROR: |^ERROR: ")
_BUILDING = re.compile(
    r"fatal error: |\berror: (?!ld returned)|undefined reference to |multiple definition of |cannot find -l"
    r"|attempted static link of dynamic object|No rule to make target"
)
_OPTION = re.compile(r"--(?:with|without|enable|disable)-[\w-]*\w")
_CALLING = re.compile(r": (command not found|not found|No such file or directory|Permission denied)$")
_GIVING_UP = re.compile(r"^g?make(\[\d+\])?: \*\*\* ")
_PREPARING = ("config", "Setup", "bootstrap", "bootstrap.sh", "autogen.sh", "buildconf", "configure.sh")
"""Scripts after which a folder has a Makefile or a `configure`."""

_LONGEST_LINE = 4096
"""What is further on in a line says nothing to people, and patterns may look at it once for each of its words."""

_BEFORE, _AFTER = 25, 8
"""So many lines before and after the telling one are shown. A compiler quotes the source after it; what `configure` and
`make` say when they give up mostly follows the reason."""


def of_project(planned: Plan, step: Step, done: Completed) -> CommandFailed:
    """The error for a step of a build system, whose whole output is in a file by then."""
    lines = _lines((done.stdout + done.stderr).decode(errors="replace"))
    at = telling(lines)
    why = _whole(lines, at) if lines else f"exit code {done.exit_code}"
    log = keep_log(planned, step, done.stdout + done.stderr)
    advice = missing.advice(lines, why, own_libc=compiler(planned.recipe.toolchain).brings_its_own_libc)
    packages = missing.build_depends(planned.sample.folder)
    suggested = _suggested(lines[at : at + _AFTER]) if _CONFIGURING.search(why) else ""
    what_helps = (missing.with_packages(advice, packages), suggested)
    if not advice:
        what_helps = what_helps[::-1]
    kind = LibraryMissing if advice else CommandFailed
    shown = lines[at if _BUILDING.search(why) else max(0, at - _BEFORE) : at + _AFTER]
    return kind(
        f"{planned.sample.name}: {step.title} failed: {shortened(why, 300)}",
        "; ".join(filter(None, (*what_helps, f"the whole output is in {str(log)!r}"))),
        "\n".join(line for line in shown if line == lines[at] or not line.startswith("checking ")),
    )


def _suggested(lines: Sequence[str]) -> str:
    """One clause about the option that a `configure` which gave up asks for; "" for none."""
    match = _OPTION.search("\n".join(lines))
    return f"it suggests {match[0]}: that is `--option={match[0]}` here" if match else ""


def about_sources(planned: Plan, message: str) -> str:
    """What would help loose sources: a library of this machine that they name, or a script that prepares them."""
    if planned.sample.libs:
        return missing.advice(_lines(message), "", own_libc=False)
    folder = planned.sample.folder
    script = next((name for name in _PREPARING if (folder / name).is_file()), "")
    return f"these may be no loose sources: run its ./{script}, and then this again" if script else ""


def _lines(output: str) -> list[str]:
    return [line[:_LONGEST_LINE] for line in output.splitlines()]


def telling(lines: Sequence[str]) -> int:
    """The index of the line that says why, in what a build system wrote; the last one where none looks like that."""
    for pattern in (_CONFIGURING, _BUILDING):
        for number, line in enumerate(lines):
            if pattern.search(line):
                return number
    for pattern in (_CALLING, _GIVING_UP):
        for number in range(len(lines) - 1, -1, -1):
            if pattern.search(lines[number]):
                return number
    return max((number for number, line in enumerate(lines) if line.strip()), default=0)


def _whole(lines: Sequence[str], at: int) -> str:
    """The line; CMake says on the next ones what it is about."""
    if not lines[at].startswith("CMake Error"):
        return re.sub(r"^checking .*?\.\.\. ", "", lines[at].strip())
    more = [line.strip() for line in lines[at + 1 : at + 6]]
    rest = more[more[0] == "" :] if more else []
    text = " ".join(rest[: rest.index("")] if "" in rest else rest)
    return f"{lines[at].strip()} {text}".strip()


def keep_log(planned: Plan, step: Step, output: bytes) -> Path:
    """The output, and what `configure` has noted of its tests, which is where its reasons are."""
    text = f"$ {step.command}\n".encode("utf-8", "surrogateescape") + output
    with contextlib.suppress(OSError):
        text += b"\n\nconfig.log:\n" + (planned.work / "source/config.log").read_bytes()
    path = log_of(planned.work, step.title)
    write_atomically(path, text, sync=False)
    return path
