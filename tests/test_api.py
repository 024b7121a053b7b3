"""The public API: what `import recipes` offers to another project."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import recipes
from recipes.model import Command
from recipes.support import shell

ROOT = Path(__file__).resolve().parent.parent


def for_types() -> Iterator[tuple[str, object]]:
    """(name, value) for all that a type checker sees imported in recipes/__init__.py."""
    tree = ast.parse((ROOT / "recipes/__init__.py").read_bytes())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            yield alias.asname or alias.name, getattr(import_module(str(node.module)), alias.name)


def test_types_and_values_agree() -> None:
    """Each name of `__all__` is what a type checker takes it for, and there are no others."""
    seen = dict(for_types())
    assert sorted(seen) == sorted(recipes.__all__)
    for name, value in seen.items():
        assert getattr(recipes, name) is value, name


def test_importing_it_loads_nothing_else() -> None:
    """`import recipes` brings one module, and a name of the API the rest."""
    code = (
        "import sys; before = set(sys.modules); import recipes; print(*set(sys.modules) - before)\n"
        "recipes.Platform; print('recipes.model' in sys.modules)"
    )
    done = shell.check(Command((sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}")))
    assert done.stdout.decode().split() == ["recipes", "True"]


def test_no_room_hides_a_name() -> None:
    """A module of the package replaces an attribute of its name when it is loaded, so none has a name of the API."""
    modules = {path.stem for path in (ROOT / "recipes").iterdir()}
    assert not modules & set(recipes.__all__)


def test_an_unknown_name() -> None:
    """It is an AttributeError, as for every module, and no name that is only in the table is missing in dir()."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        getattr(recipes, "nothing")  # noqa: B009  # mypy knows that it is not there
    assert set(recipes.__all__) <= set(dir(recipes))


def test_the_version_is_the_packages() -> None:
    """`__version__` is what pyproject.toml says: a clone is not installed, so the metadata could not be asked."""
    assert recipes.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
