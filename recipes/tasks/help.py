"""What `--help` prints: a task's words, options and examples, in columns that fit the terminal."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invoke.parser.argument import Argument

_SECTIONS = {
    "What is built": ("samples", "recipe", "recipes", "target", "package", "build", "option"),
    "The image": (
        "base",
        "bases",
        "from",
        "dlopen",
        "with",
        "install",
        "set",
        "platform",
        "compression",
        "max-blob",
    ),
    "The trial run": ("run", "engine", "args", "stdin", "expect", "expect-exit", "serves", "reference"),
    "The gate": (
        *("max-image", "max-download", "max-growth", "warn-image", "warn-download", "warn-growth"),
        *("baseline", "write-baseline", "summary", "sarif"),
    ),
    "What is printed": ("plan", "format", "sort", "output", "jobs", "verbose"),
}
"""The order of options, the same in every task. Before them stand those that no other task has."""

_VALUES = {
    "args": "WORDS",
    "baseline": "SIZES",
    "context": "DIR",
    "dlopen": "LIBRARY",
    "expect": "TEXT",
    "expect-exit": "CODE",
    "from": "ROOT",
    "jobs": "N",
    "max-blob": "SIZE",
    "max-download": "SIZE",
    "max-growth": "SIZE",
    "max-image": "SIZE",
    "memory": "SIZE",
    "option": "WORD",
    "output": "FILE",
    "platform": "OS/ARCH",
    "sarif": "FILE",
    "serves": "SECONDS",
    "set": "KEY=VALUE",
    "sort": "COLUMN",
    "stdin": "TEXT",
    "summary": "FILE",
    "to": "WHERE",
    "warn-download": "SIZE",
    "warn-growth": "SIZE",
    "warn-image": "SIZE",
    "with": "PATH",
    "write-baseline": "FILE",
}
"""What an option takes, where its own name does not say it."""

QUIET = ("-q, --quiet", "print results, errors and warnings alone")
VERBOSE = ("-v, --verbose", "print every command as it is run, and reasons whole")
_ALWAYS = {
    "fromscratch": (
        QUIET,
        VERBOSE,
        ("-h, --help", "print this"),
    ),
    "invoke": (
        ("-e, --echo", "print every command as it is run"),
        ("-h, --help", "print this"),
    ),
}
"""What each program takes with every task, beside the task's own options."""

_WIDEST = 100
_LEFT = 24
"""So many columns the names take at most; where one is longer, its text begins on the next line."""


def render_task(program: str, name: str, text: str, arguments: Sequence[Argument]) -> str:
    """The help of the task `name` of `program`; `text` is its docstring: a sentence, and examples below it."""
    sentence, _, examples = inspect.cleandoc(text).partition("\n\n")
    words = [each for each in arguments if each.positional]
    usage = " ".join((program, name, *(each.names[0].upper() for each in words), "[OPTIONS]"))
    parts = [f"Usage: {usage}\n", "\n".join(_wrapped(sentence, _width())) + "\n"]
    if words:
        parts.append(columns((each.names[0].upper(), _text(each, program)) for each in words))
    for title, options in _sections([each for each in arguments if not each.positional]):
        parts.append(f"{title}\n{columns((_spec(each), _text(each, program)) for each in options)}")
    own = {f"--{each.names[0]}" for each in arguments}
    always = (row for row in _ALWAYS[program] if row[0].split()[-1] not in own)
    parts.append(f"With every task\n{columns(always)}")
    if examples:
        lines = (f"  {program} {line.strip()}\n" for line in examples.splitlines()[1:])
        parts.append("Examples\n" + "".join(lines))
    return "\n".join(parts)


def _sections(options: Sequence[Argument]) -> Iterable[tuple[str, list[Argument]]]:
    by_name = {each.names[0]: each for each in options}
    known = {name for names in _SECTIONS.values() for name in names}
    yield from _filled("Of this task alone", [each for name, each in by_name.items() if name not in known])
    for title, names in _SECTIONS.items():
        yield from _filled(title, [by_name[name] for name in names if name in by_name])


def _filled(title: str, options: list[Argument]) -> Iterable[tuple[str, list[Argument]]]:
    if options:
        yield title, options


def _spec(option: Argument) -> str:
    """`--[no-]run`, `--recipe RECIPE` or `--serves[=SECONDS]`."""
    name = option.names[0]
    if option.kind is bool:
        return f"--[no-]{name}" if option.default else f"--{name}"
    value = _VALUES.get(name, name.upper())
    return f"--{name}[={value}]" if option.optional else f"--{name} {value}"


def _text(option: Argument, program: str) -> str:
    return str(option.help or "").replace("`invoke ", f"`{program} ")


def columns(pairs: Iterable[tuple[str, str]], left: int = _LEFT) -> str:
    """Names, and what they mean beside them, indented by two."""
    lines = []
    for name, text in pairs:
        first, *rest = _wrapped(text, _width() - left - 4) or [""]
        alone = len(name) > left
        lines += [f"  {name}"] if alone else []
        lines.append(f"  {'' if alone else name:{left}}  {first}".rstrip())
        lines += [f"{'':{left + 4}}{line}" for line in rest]
    return "".join(f"{line}\n" for line in lines)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _width() -> int:
    return min(_WIDEST, shutil.get_terminal_size().columns)
