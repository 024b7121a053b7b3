"""Values that are kept as JSON, and come back as the types that they were written from."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from recipes.support.workspace import keep, kept

Value = TypeVar("Value")


def keep_value(path: Path, value: Any) -> None:
    """Keep a dataclass at `path`, as far as that can be."""
    keep(path, json.dumps(asdict(value)).encode())


def kept_value(path: Path, kind: type[Value]) -> Value | None:
    """The dataclass that was kept at `path`; None where there is none, or it is damaged or of another shape."""
    try:
        value: Value = converted(json.loads(kept(path)), kind)
    except (OSError, ValueError, RecursionError):
        return None
    return value


def converted(value: Any, kind: Any) -> Any:
    """What json.loads gave, as a `kind`: a dataclass, enum, scalar or Literal; a tuple, dict or `X | None` of them.

    Nothing is made to fit. Raises: ValueError for a value of another type, or for a key too many or too few.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _dataclass(value, kind)
    if origin is tuple and isinstance(value, list):
        kinds = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return tuple(converted(each, of) for each, of in zip(value, kinds, strict=True))
    if origin is dict and isinstance(value, dict):
        return {key: converted(each, inner[1]) for key, each in value.items()}
    if origin is UnionType:
        return None if value is None else converted(value, inner[0])
    if origin is Literal and value in inner:
        return value
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if type(value) is kind:
        return value
    raise ValueError(f"not {kind}: {value!r}")


def _dataclass(value: Any, kind: Any) -> Any:
    kinds = _kinds(kind)
    if not isinstance(value, dict) or value.keys() != kinds.keys():
        raise ValueError(f"not the fields of {kind.__name__}")
    return kind(**{name: converted(value[name], of) for name, of in kinds.items()})


@cache
def _kinds(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
