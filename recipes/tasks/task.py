"""What every task has: `--help` wherever it stands, and how much is said while it runs."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from functools import cache, partial
from inspect import Parameter, Signature, signature
from typing import Any, Self, TypeVar

import invoke.tasks
from invoke.context import Context
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument

from recipes.support import console

T = TypeVar("T", bound=Callable[..., Any])

HELP = ("--help", "-h")


_LIKE_AN_OPTION = r"--[a-z][a-z0-9-]*|-[A-Za-z]"


class Shallow:
    """What Invoke copies with all that it holds: every task and argument, twice in each run. Nothing in them is changed
    in place, so a copy may share it.
    """

    def __deepcopy__(self, memo: object) -> Self:
        return copy.copy(self)


class Option(Shallow, Argument):
    """One of Invoke's arguments, which is copied faster."""

    def __init__(self, like: Argument) -> None:
        super().__init__(
            names=like.names,
            kind=like.kind,
            default=like.default,
            help=like.help,
            positional=like.positional,
            optional=like.optional,
            incrementable=like.incrementable,
            attr_name=like.attr_name,
        )


class Word(Option):
    """A word that has a place, which no option can take: Invoke would give it any that it does not know."""

    def __init__(self, like: Argument, give_help: Callable[[], None]) -> None:
        super().__init__(like)
        self._give_help = give_help

    def set_value(self, value: Any, cast: bool = True) -> None:
        """Raises: Exit where it is asked for help; ParseError for another option."""
        if value in HELP:
            self._give_help()
            raise Exit(code=0)
        if re.fullmatch(_LIKE_AN_OPTION, str(value)):
            raise ParseError(f"No idea what {value!r} is!")
        super().set_value(value, cast)


class Task(Shallow, invoke.tasks.Task[T]):
    """A task of ours."""

    @cache  # noqa: B019  # Invoke asks twice; there are as many as there are tasks
    def argspec(self, body: Callable[..., Any]) -> Signature:
        """With the options of a group in place of the parameter that takes them all."""
        spec: Signature = super().argspec(body)
        return spec.replace(parameters=[option for each in spec.parameters.values() for option in _options(each)])

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        texts = self.help
        self.help = dict(texts)  # Invoke takes out of it what it has used
        found = super().get_arguments(ignore_unknown_help)
        self.help = texts
        return [Word(each, self._give_help) if each.positional else Option(each) for each in found]

    def _give_help(self) -> None:
        from recipes.tasks.ending import reader_may_leave
        from recipes.tasks.output import show

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
            return super().__call__(c, *args, **self._grouped(options))

    def _grouped(self, options: dict[str, Any]) -> dict[str, Any]:
        """`options` as the body takes them: those of a group as one value."""
        taken = dict(options)
        for name, parameter in signature(self.body).parameters.items():
            if _is_group(parameter):
                fields = {field: taken.pop(field) for field in parameter.default._fields if field in taken}
                taken[name] = taken.get(name, parameter.default)._replace(**fields)
        return taken


def _is_group(parameter: Parameter) -> bool:
    """Whether a parameter takes several options: as a NamedTuple of them, which is its default."""
    return hasattr(parameter.default, "_fields")


def _options(parameter: Parameter) -> list[Parameter]:
    if not _is_group(parameter):
        return [parameter]
    return [Parameter(name, parameter.kind, default=value) for name, value in parameter.default._asdict().items()]


task = partial(invoke.tasks.task, klass=Task, auto_shortflags=False)
"""Invoke's decorator for tasks of ours."""
