"""What is wrong with a command line, in words that say what to type instead."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from invoke.exceptions import ParseError
from invoke.parser.context import ParserContext

from recipes.errors import BadInput

_UNKNOWN = re.compile(r"No idea what (['\"])(?P<word>.*)\1 is!", re.DOTALL)
_NO_VALUE = re.compile(r"Flag <Argument: (?P<name>\S+).*> needed value")
_UNCLEAR = re.compile(r"(?P<word>.*) is ambiguous when given after an optional-value flag", re.DOTALL)
"""What Invoke says where it cannot go on; its errors have no other form."""


def explained(error: ParseError, context: ParserContext | None, tasks: Iterable[str], program: str) -> BadInput:
    """Invoke's error as one of ours; `context` is the task that was being read, or the program's own options."""
    text = str(error)
    task = context.name if context is not None else None
    more = f"`{program} {task} --help` lists its options" if task else f"`{program} --help` lists the tasks"
    if found := _UNKNOWN.fullmatch(text):
        return _unknown(found["word"], context, tasks, program)
    if found := _NO_VALUE.match(text):
        return BadInput(f"--{found['name']} needs a value", hint=more)
    if found := _UNCLEAR.fullmatch(text):
        return BadInput(f"{found['word']} may be a value of the option before it", hint="write that as --option=VALUE")
    if context is not None and context.missing_positional_args:
        words = " ".join(each.names[0].upper() for each in context.missing_positional_args)
        return BadInput(f"{task} needs a {words}", hint=f"for example `{program} {task} …`; {more}")
    return BadInput(text, hint=more)


def _unknown(word: str, context: ParserContext | None, tasks: Iterable[str], program: str) -> BadInput:
    task = context.name if context is not None else None
    if not word.startswith("-"):
        near = get_close_matches(word, sorted(tasks), n=1)
        if not task:
            hint = f"did you mean {near[0]!r}?" if near else f"`{program} --help` lists the tasks"
            return BadInput(f"unknown task {word!r}", hint)
        return BadInput(
            f"{task} cannot use {word!r}, which is not the name of another task either",
            hint=f"quote words that belong together; `{program} {task} --help` shows what it takes",
        )
    options = () if context is None else (*context.flags, *context.inverse_flags)
    near = get_close_matches(word, sorted(options), n=1)
    of = f" of {task}" if task else ""
    more = f"`{program} {task} --help` lists its options" if task else f"`{program} --help` lists the options"
    return BadInput(f"unknown option {word!r}{of}", f"did you mean {near[0]!r}?" if near else more)
