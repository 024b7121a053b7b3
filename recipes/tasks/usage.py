"""What is wrong with a command line, in words that say what to type instead."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from difflib import get_close_matches

from invoke.exceptions import ParseError
from invoke.parser.context import ParserContext

from recipes.errors import BadInput
from recipes.support.printable import shell_word

_UNKNOWN = re.compile(r"No idea what (['\"])(?P<word>.*)\1 is!", re.DOTALL)
_NO_VALUE = re.compile(r"Flag <\w+: (?P<name>\S+).*> needed value")
_UNCLEAR = re.compile(r"(?P<word>.*) is ambiguous when given after an optional-value flag", re.DOTALL)
"""What Invoke says where it cannot go on; its errors have no other form."""


_ARGS_LIKE_OPTIONS = "an option of ours that is meant for the program has a blank before it: --args=' --format'"


def explained(
    error: ParseError, context: ParserContext | None, core: ParserContext, tasks: Iterable[str], program: str
) -> BadInput:
    """Invoke's error as one of ours; `context` is the task that was being read, `core` has the program's options."""
    text = str(error)
    task = context.name if context is not None else None
    more = f"`{program} {task} --help` shows what it takes" if task else f"`{program} --help` lists the tasks"
    if found := _UNKNOWN.fullmatch(text):
        options = {*core.flags, *(() if context is None else (*context.flags, *context.inverse_flags))}
        return _unknown(found["word"], task, options if found["word"].startswith("-") else tasks, more, program)
    if found := _NO_VALUE.match(text):
        return BadInput(
            f"--{found['name']} needs a value", hint=_ARGS_LIKE_OPTIONS if found["name"] == "args" else more
        )
    if found := _UNCLEAR.fullmatch(text):
        return BadInput(f"{found['word']} may be a value of the option before it", hint="write that as --option=VALUE")
    if context is not None and context.missing_positional_args:
        names = [each.names[0].upper() for each in context.missing_positional_args]
        words = " and ".join(f"{'an' if name[0] in 'AEIOU' else 'a'} {name}" for name in names)
        return BadInput(f"{task} needs {words}", hint=more)
    return BadInput(text, hint=more)


def _unknown(word: str, task: str | None, known: Iterable[str], more: str, program: str) -> BadInput:
    option = word.startswith("-")
    near = get_close_matches(word, sorted(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else more
    if not option and not task and os.path.lexists(word):
        return BadInput(f"{word!r} is not a task", hint=f"`{program} smallest {shell_word(word)}` makes an image of it")
    if option:
        return BadInput(f"unknown option {word!r}{f' of {task}' if task else ''}", hint)
    if not task:
        return BadInput(f"unknown task {word!r}", hint)
    return BadInput(f"unexpected argument {word!r} of {task}", hint=f"quote words that belong together; {more}")
