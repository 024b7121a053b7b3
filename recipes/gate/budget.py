"""The budget: what a project allows its images, from `[tool.fromscratch.budget]` and from the command line.

    [tool.fromscratch.budget]
    max_image = "2MB"               # for each sample
    warn_growth = "1%"

    [tool.fromscratch.budget.hello] # for this one, in place of the same above
    max_image = "400kB"

Keys are checked strictly, as those of sample.toml are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from recipes.errors import BadInput, unknown
from recipes.gate import limits
from recipes.gate.values import Budget, Limit
from recipes.support.settings import Table

KEYS = tuple(field.name for field in fields(Budget))


@dataclass(frozen=True, slots=True)
class Budgets:
    """Of each sample: its `own` limits before those of `all`, and what the command line says before both."""

    all: Budget
    own: Mapping[str, Budget]
    asked: Budget

    def of(self, sample: str) -> Budget:
        return _over(_over(self.all, self.own.get(sample, Budget())), self.asked)


def from_options(texts: Mapping[str, str]) -> Budget:
    """What `--max-image` and its like say; "" stands for one that is not given. Raises: BadInput."""
    return _budget({key: (texts[key], f"--{key.replace('_', '-')}") for key in KEYS if texts.get(key)})


def read(file: Path, samples: Collection[str], asked: Budget) -> Budgets:
    """The budget of the project whose pyproject.toml `file` is; none where there is no such file or table in it.

    `samples` are the names that a table may have, any where there are none.
    Raises: BadInput for a key or a name that is not known, with the nearest one, and for what is not a limit.
    """
    table = Table.read(file, mark="fromscratch").table("tool").table("fromscratch").table("budget")
    own = {key: table.table(key) for key, value in table.values.items() if isinstance(value, dict)}
    table.only(*KEYS, *own)
    for name, each in own.items():
        if samples and name not in samples:
            near = unknown("sample", name, (*samples, *KEYS))
            raise BadInput(f"{each.where}: [tool.fromscratch.budget.{name}]: {near.message}", near.hint)
        each.only(*KEYS)
    return Budgets(_read_budget(table), {name: _read_budget(each) for name, each in own.items()}, asked)


def _read_budget(table: Table) -> Budget:
    written = {key: table.text(key) for key in KEYS if key in table.values}
    return _budget({key: (text, f"{table.where}: {table.prefix}{key} =") for key, text in written.items()})


def _budget(texts: Mapping[str, tuple[str, str]]) -> Budget:
    """Of `{key: (text, how it is called)}`."""
    found: dict[str, Limit] = {
        key: limits.parse(text, what, growth=key.endswith("growth")) for key, (text, what) in texts.items()
    }
    return Budget(**found)


def _over(below: Budget, above: Budget) -> Budget:
    return replace(below, **{key: limit for key in KEYS if (limit := getattr(above, key)) is not None})
