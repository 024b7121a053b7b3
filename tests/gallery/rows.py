"""The rows of programs.toml: where a program comes from, by which command it is packaged, and how it is exercised."""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from recipes.support.records import converted

PROGRAMS = Path(__file__).with_name("programs.toml")

Kind = Literal["c", "go", "file", "new"]
"""A source package of Debian's, a main package of the module proxy, a program that is built already, and a source that
nobody had looked at before it was tried."""


@dataclass(frozen=True, slots=True)
class Exercise:
    """What the program has to do in its image, and with what it is started.

    `{port}` in `args` and `files` is a free port, at which each of `talk` is sent, and has to be answered by something
    that holds the other text; both are Latin-1, so any byte can be written. `{tls}` is the port of a local HTTPS
    server, whose certificate is at /ca.pem. Without `talk` the program has to end with `code`, and write what holds
    `says`. In a `terminal` it only has to write that.
    """

    shows: str
    args: tuple[str, ...] = ()
    stdin: str = ""
    says: str = ""
    code: int = 0
    files: tuple[tuple[str, str], ...] = ()
    talk: tuple[tuple[str, str], ...] = ()
    tls: bool = False
    terminal: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """`source` is a Debian source package, a `module@version` or a path; `task` is the command that it is given to.

    `unpack` names the Debian package that holds the file at that path, where this machine need not have it installed.
    `then` are the options without which it does not work, one try after the other; `ships` is the Debian package and
    the path in it of the program to compare with.
    """

    name: str
    kind: Kind
    source: str
    exercise: Exercise
    task: str = "build-static"
    unpack: str = ""
    ships: tuple[str, str] | None = None
    then: tuple[tuple[str, ...], ...] = ()

    @property
    def is_module(self) -> bool:
        return "@" in self.source

    @property
    def is_file(self) -> bool:
        return self.source.startswith("/")


def read_rows(path: Path = PROGRAMS) -> tuple[Row, ...]:
    """The rows in the order of the file. Raises: ValueError for an unknown key, or a value of another type."""
    listed = tomllib.loads(path.read_text(encoding="utf-8"))
    if unknown := listed.keys() - set(get_args(Kind)):
        raise ValueError(f"unknown kind of row: {', '.join(sorted(unknown))}")
    return tuple(_row(kind, name, entry) for kind in get_args(Kind) for name, entry in listed.get(kind, {}).items())


def _row(kind: str, name: str, entry: dict[str, Any]) -> Row:
    exercise = {**entry.get("exercise", {})}
    exercise["files"] = [list(each) for each in exercise.get("files", {}).items()]
    entry = {**entry, "name": name, "kind": kind, "exercise": _with_defaults(Exercise, exercise)}
    try:
        row: Row = converted(_with_defaults(Row, entry), Row)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return row


def _with_defaults(kind: type, entry: dict[str, Any]) -> dict[str, Any]:
    defaults = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    return {**{name: list(value) if value == () else value for name, value in defaults.items()}, **entry}
