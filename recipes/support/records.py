"""Values that are kept as JSON, and come back as the types that they were written from."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import SimpleNamespace, UnionType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from recipes.support.workspace import keep, kept, sealed, write_atomically

Value = TypeVar("Value")
Reader = Callable[[Any], Any]


def keep_value(path: Path, value: Any) -> None:
    """Keep a dataclass or scalar at `path`, as far as that can be."""
    keep(path, _document(value))


def write_value(path: Path, value: Any) -> None:
    """The same, for what has to be there afterwards. Raises: CannotWrite."""
    write_atomically(path, sealed(_document(value)))


def kept_value(path: Path, kind: type[Value]) -> Value | None:
    """The value that was kept at `path`; None where there is none, or it is damaged or of another shape."""
    try:
        value: Value = converted(json.loads(kept(path)), kind)
    except (OSError, ValueError, RecursionError):
        return None
    return value


def _document(value: Any) -> bytes:
    return json.dumps(value, default=asdict).encode()


def converted(value: Any, kind: Any) -> Any:
    """What json.loads gave, as a `kind`: a dataclass, enum, scalar or Literal; a tuple, dict or `X | None` of them.

    Nothing is made to fit. Raises: ValueError for a value of another type, or for a key too many or too few.
    """
    return _reader(kind)(value)


@cache
def _reader(kind: Any) -> Reader:
    """`converted` for one kind: what its type says is asked once, however many values there are."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _dataclass(kind)
    if origin is tuple:
        return _sequence(_reader(inner[0])) if inner[1:] == (...,) else _record([_reader(each) for each in inner])
    if origin is dict:
        of = _reader(inner[1])
        return lambda value: {key: of(each) for key, each in _checked(value, dict).items()}
    if origin is UnionType:
        known = _reader(inner[0])
        return lambda value: None if value is None else known(value)
    if origin is Literal:
        return lambda value: inner[inner.index(value)]
    if issubclass(kind, Enum):
        return cast(Reader, kind)
    return lambda value: _checked(value, kind)


def _sequence(reader: Reader) -> Reader:
    return lambda value: tuple([reader(each) for each in _checked(value, list)])


def _record(readers: list[Reader]) -> Reader:
    return lambda value: tuple([reader(each) for reader, each in zip(readers, _checked(value, list), strict=True)])


def _dataclass(kind: Any) -> Reader:
    readers = {field.name: _reader(_meant(cast(str, field.type), kind.__module__)) for field in fields(kind)}

    def read(value: Any) -> Any:
        if _checked(value, dict).keys() != readers.keys():
            raise ValueError(f"not the fields of {kind.__name__}")
        return kind(**{name: reader(value[name]) for name, reader in readers.items()})

    return read


@cache
def _meant(annotation: str, module: str) -> Any:
    """What an annotation stands for in a module: evaluated once, though every other field is a `str`."""
    return get_type_hints(SimpleNamespace(__annotations__={"it": annotation}), vars(sys.modules[module]))["it"]


def _checked(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"not {kind}: {value!r}")
    return value
