"""A project's budget: its own table, tables of samples, and what the command line says instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import BadInput
from recipes.gate import budget
from recipes.gate.budget import Budgets
from recipes.gate.values import Budget

TABLE = """\
[tool.fromscratch.budget]
max_image = "2MB"
warn_growth = "1%"

[tool.fromscratch.budget.hello]
max_image = "400kB"
"""

NONE = Budget()


def read(folder: Path, text: str, samples: tuple[str, ...] = ("hello", "clock"), asked: Budget = NONE) -> Budgets:
    (folder / "pyproject.toml").write_text(text)
    return budget.read(folder / "pyproject.toml", samples, asked)


def test_the_nearest_limit_counts(tmp_path: Path) -> None:
    """A sample's own before everybody's, and the command line's before both: limit by limit."""
    budgets = read(tmp_path, TABLE)
    hello, clock = budgets.of("hello"), budgets.of("clock")
    assert hello.max_image is not None
    assert clock.max_image is not None
    assert (hello.max_image.text, clock.max_image.text) == ("400kB", "2MB")
    assert hello.warn_growth == clock.warn_growth is not None
    asked = read(tmp_path, TABLE, asked=budget.from_options({"max_image": "1MB", "warn_image": ""})).of("hello")
    assert asked.max_image is not None
    assert (asked.max_image.text, asked.warn_growth) == ("1MB", hello.warn_growth)


@pytest.mark.parametrize("text", ["", '[project]\nname = "x"\n', "not TOML at all", None])
def test_no_budget_is_none(tmp_path: Path, text: str | None) -> None:
    """Without the file or the table there are no limits; a file that says nothing of us need not even be TOML."""
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    assert budget.read(tmp_path / "pyproject.toml", (), Budget()).of("hello") == Budget()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            '[tool.fromscratch.budget]\nmax_imag = "2MB"',
            "unknown key 'tool.fromscratch.budget.max_imag'",
            "'max_image'",
        ),
        ('[tool.fromscratch.budget]\nmax-image = "2MB"', "unknown key", "'max_image'"),
        ('[tool.fromscratch.budget.helo]\nmax_image = "2MB"', "unknown sample 'helo'", "'hello'"),
        ('[tool.fromscratch.budget.hello]\nmax_growht = "2%"', "budget.hello.max_growht", "'max_growth'"),
        ("[tool.fromscratch.budget]\nmax_image = 2", "has to be a string", ""),
        ('[tool.fromscratch.budget]\nmax_image = "2"', "not a limit", "no unit"),
        ('[tool.fromscratch.budget.hello]\nmax_image = "2%"', "budget.hello.max_image", "for growth"),
        ('[tool.fromscratch]\nbudget = "2MB"', "has to be a table", ""),
        ("[tool.fromscratch", "is not valid TOML", ""),
        ("fromscratch = " + "[" * 5000, "is not valid TOML", ""),
    ],
)
def test_what_is_not_as_it_should_be_is_named(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(BadInput) as error:
        read(tmp_path, text)
    assert message in error.value.message
    assert "pyproject.toml" in error.value.message
    assert hint in error.value.hint


def test_any_name_will_do_where_there_are_no_samples(tmp_path: Path) -> None:
    """A project without samples/ checks folders and files, whose names cannot be known."""
    assert read(tmp_path, TABLE, ()).of("hello").max_image is not None
