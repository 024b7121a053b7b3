"""Which of the files that a build system made is the program."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.errors import BadInput, unknown

_NO_PRODUCTS = frozenset({"CMakeFiles", "meson-private", "meson-info", "_deps", "autom4te.cache", ".deps", ".git"})
"""Folders where build systems try their compilers out, keep books, or build what they have downloaded."""


@dataclass(frozen=True, slots=True)
class Product:
    """The program wanted from the folder `tree`: the one called `target`, or lying there; "" is the only one.

    `machine` is its e_machine: tools that a build makes for its own use run on another CPU. `alone` says that nothing
    but `target` was built, so that the only program is it, whatever it is called.
    """

    tree: Path
    target: str
    machine: int
    alone: bool = False


def find(product: Product, name: str) -> Path:
    """The program, relative to the tree. Raises: BadInput that lists the programs of the sample `name`."""
    found = programs(product.tree, product.machine)
    if not product.target:
        if len(found) == 1:
            return found[0]
        if not found:
            raise BadInput(
                f"the build of {name} made no program for this platform", hint="does it build only a library?"
            )
        raise BadInput(f"{name} makes {len(found)} programs: {_listed(found)}", hint="choose one with --target")
    if Path(product.target) in found:
        return Path(product.target)
    named = [path for path in found if path.name == product.target]
    if len(named) == 1:
        return named[0]
    if named:
        raise BadInput(f"{name} makes several {product.target}: {_listed(named)}", hint="give the path with --target")
    if product.alone and len(found) == 1:
        return found[0]
    raise no_such(name, product.target, [str(path) for path in found])


def no_such(name: str, target: str, known: Sequence[str]) -> BadInput:
    near = unknown("target", target, known).hint
    return BadInput(f"{name} makes no program {target!r}; it makes {', '.join(known) or 'none'}", near)


def programs(tree: Path, machine: int) -> tuple[Path, ...]:
    """The programs below `tree`, sorted; one that has several names (hard links) under the first of them."""
    from recipes.elf.kind import kind_of

    found: dict[tuple[int, int], Path] = {}
    for path in sorted(_files(tree)):
        status = path.stat()
        if status.st_mode & 0o111 and kind_of(path) == ("program", machine):
            found.setdefault((status.st_dev, status.st_ino), path.relative_to(tree))
    return tuple(found.values())


def _files(tree: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(tree):
        folders[:] = sorted(name for name in folders if name not in _NO_PRODUCTS)
        for name in files:
            path = Path(parent, name)
            if not name.startswith("conftest") and not name.endswith((".o", ".so")) and not path.is_symlink():
                yield path


def _listed(paths: Sequence[Path]) -> str:
    shown = ", ".join(str(path) for path in paths[:40])
    return f"{shown} and {len(paths) - 40} more" if len(paths) > 40 else shown
