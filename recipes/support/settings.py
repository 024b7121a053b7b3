"""A table of settings, asked key by key for values of a certain type: what is not as it should be is named.

`Table` is one table of a TOML file, or what the command line says in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from recipes.errors import BadInput, unknown

Fits = Callable[[Any], bool]


class Table(NamedTuple):
    """`where` is how errors call the file, `prefix` the way to this table in it: "" or `image.`."""

    where: str
    values: Mapping[str, Any]
    prefix: str = ""

    @classmethod
    def read(cls, file: Path, mark: str = "") -> Self:
        """The whole of `file`; empty where there is none, or where `mark` is nowhere in it: then it is about others.

        Raises: BadInput.
        """
        import tomllib

        try:
            text = file.read_text(encoding="utf-8")
            values = tomllib.loads(text) if mark in text else {}
        except (FileNotFoundError, NotADirectoryError):
            values = {}
        except OSError as error:
            raise BadInput(f"cannot read {str(file)!r}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{str(file)!r} is not valid TOML: {error}") from error
        return cls(repr(str(file)), values)

    def only(self, *known: str) -> None:
        """Raises: BadInput for any other key, with the nearest known one."""
        for key in self.values:
            if key not in known:
                raise BadInput(f"{self.where}: unknown key {self.prefix + key!r}", unknown("key", key, known).hint)

    def wrong(self, key: str, what: str, hint: str = "") -> BadInput:
        return BadInput(f"{self.where}: {self.prefix + key!r} {what}", hint)

    def get(self, key: str, fits: Fits, wanted: str, default: Any) -> Any:
        """The value, or `default` where there is none. Raises: BadInput where it is not what is `wanted`."""
        if key not in self.values:
            return default
        if not fits(self.values[key]):
            raise self.wrong(key, f"has to be {wanted}")
        return self.values[key]

    def text(self, key: str, default: str = "") -> str:
        return str(self.get(key, is_text, "a string", default))

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        return tuple(self._without_nul(key, self.get(key, is_texts, "a list of strings", default)))

    def pairs(self, key: str) -> dict[str, str]:
        pairs: dict[str, str] = self.get(key, is_pairs, "a table of strings", {})
        self._without_nul(key, (*pairs, *pairs.values()))
        return dict(pairs)

    def _without_nul(self, key: str, texts: Sequence[str]) -> Sequence[str]:
        """`texts`, which become arguments and variables. Raises: BadInput for a NUL, as it would end them."""
        if any("\0" in text for text in texts):
            raise self.wrong(key, "has a string with a NUL")
        return texts

    def table(self, key: str) -> Table:
        return Table(self.where, self.get(key, is_table, "a table", {}), f"{self.prefix}{key}.")


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def is_table(value: Any) -> bool:
    return isinstance(value, dict)


def is_pairs(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


def is_absolute(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("/") and "\0" not in value
