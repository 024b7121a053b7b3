"""What every task has: `--help` wherever it stands, and how much is said while it runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import invoke.tasks
from invoke.context import Context
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument

from recipes.support import console

T = TypeVar("T", bound=Callable[..., Any])

HELP = ("--help", "-h")


_LIKE_AN_OPTION = re.compile(r"--[a-z][a-z0-9-]*|-[A-Za-z]")


class Word(Argument):
    """A word that has a place, which no option can take: Invoke would give it any that it does not know."""

    def __init__(self, like: Argument, give_help: Callable[[], None]) -> None:
        super().__init__(names=like.names, help=like.help, attr_name=like.attr_name, positional=True)
        self._give_help = give_help

    def set_value(self, value: Any, cast: bool = True) -> None:
        """Raises: Exit where it is asked for help; ParseError for another option."""
        if value in HELP:
            self._give_help()
            raise Exit(code=0)
        if _LIKE_AN_OPTION.fullmatch(str(value)):
            raise ParseError(f"No idea what {value!r} is!")
        super().set_value(value, cast)


class Task(invoke.tasks.Task[T]):
    """A task of ours."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        texts = dict(self.help)
        found = super().get_arguments(ignore_unknown_help)
        self.help = texts  # Invoke takes out of it what it has used
        return [Word(each, self._give_help) if each.positional else each for each in found]

    def _give_help(self) -> None:
        from recipes.tasks.common import show
        from recipes.tasks.ending import reader_may_leave

        with reader_may_leave():
            show(self.render_help(console.called_as()))

    def render_help(self, program: str) -> str:
        """What `program TASK --help` prints."""
        from recipes.tasks.help import render_task

        return render_task(program, self.name.replace("_", "-"), self.__doc__ or "", self.get_arguments())

    def __call__(self, c: Context, *args: Any, **options: Any) -> T:
        """The body. Invoke's settings for commands count for ours, too: `echo` shows them, `hide` drops all notes."""
        verbose = bool(options.get("verbose") or c.config.run.echo)
        if "verbose" in options:
            options["verbose"] = verbose
        with console.saying(quiet=bool(c.config.run.hide), verbose=verbose):
            return super().__call__(c, *args, **options)


task = partial(invoke.tasks.task, klass=Task, auto_shortflags=False)
"""Invoke's decorator for tasks of ours."""
