"""What every task has: `--help` wherever it stands, `--quiet`, and options that are not taken for a word."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import invoke.tasks
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument

from recipes.support import console

T = TypeVar("T", bound=Callable[..., Any])

_OUR_OPTIONS = {
    "quiet": "print results and errors alone: no notes, no progress",
    "verbose": "print every command as it is run, and reasons whole",
}


class Help(Argument):
    """An option that acts when it is seen, whatever else is missing or would follow."""

    def __init__(self, act: Callable[[], str]) -> None:
        super().__init__(names=("help", "h"), kind=bool, default=False, help="print this and exit")
        self._act = act

    def set_value(self, value: Any, cast: bool = True) -> None:
        """Raises: Exit."""
        from recipes.tasks.common import show
        from recipes.tasks.ending import reader_may_leave

        with reader_may_leave():
            show(self._act())
        raise Exit(code=0)


class Word(Argument):
    """A word that has a place, which no option can take: Invoke would give it any that it does not know."""

    def set_value(self, value: Any, cast: bool = True) -> None:
        """Raises: ParseError."""
        if str(value).startswith("-"):
            raise ParseError(f"No idea what {value!r} is!")
        super().set_value(value, cast)


class Task(invoke.tasks.Task[T]):
    """A task of ours."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        texts = dict(self.help)
        found = super().get_arguments(ignore_unknown_help)
        self.help = texts  # Invoke takes out of it what it has used
        names = {each.names[0] for each in found}
        more = [
            Argument(name=name, kind=bool, default=False, help=text)
            for name, text in _OUR_OPTIONS.items()
            if name not in names
        ]
        return [*map(_placed, found), *more, Help(lambda: self.render_help(called_as()))]

    def render_help(self, program: str) -> str:
        """What `program TASK --help` prints."""
        from recipes.tasks.help import render_task

        return render_task(program, self.name.replace("_", "-"), self.__doc__ or "", self.get_arguments())

    def __call__(self, *args: Any, **options: Any) -> T:
        """The body, which is not told of what concerns every task alike."""
        taken = self.argspec(self.body).parameters
        with console.saying(quiet=options.get("quiet", False), verbose=options.get("verbose", False)):
            return super().__call__(*args, **{name: value for name, value in options.items() if name in taken})


def _placed(argument: Argument) -> Argument:
    if not argument.positional:
        return argument
    return Word(names=argument.names, help=argument.help, attr_name=argument.attr_name, positional=True)


def called_as() -> str:
    """The command that the user typed: `fromscratch`, or `invoke` also where it is `python -m invoke` or `inv`."""
    return "fromscratch" if os.path.basename(sys.argv[0]) == "fromscratch" else "invoke"


task = partial(invoke.tasks.task, klass=Task, auto_shortflags=False)
"""Invoke's decorator for tasks of ours."""
