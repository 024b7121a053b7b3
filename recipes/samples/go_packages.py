"""Go's main packages, found by reading package clauses; `go` itself is not needed for that.

Source: `go help packages` (which folders count), `go help buildconstraint`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from recipes.errors import BadInput, unknown

_HEAD = 64 << 10
"""Bytes read for the package clause: it comes before all code, but licences and constraints may come before it."""

_CLAUSE = re.compile(rb"(?:\xef\xbb\xbf)?((?>\s|//[^\n]*|/\*.*?\*/)*+)package\s+(\w+)", re.DOTALL)
_IGNORED = re.compile(rb"^//(?:go:build|\s*\+build)\s+ignore\s*$", re.MULTILINE)


def find_main(folder: Path, wanted: str, name: str) -> str:
    """The package to build, relative to `folder`: `.` or `./cmd/x`.

    `wanted` "" means the folder itself where it has a main package (or no module), else the only one below it. Beside a
    go.work, those of other modules come after those of the folder's own.
    Raises: BadInput that lists the main packages.
    """
    if wanted:
        path = os.path.normpath(wanted)
        if os.path.isabs(path) or path.split(os.sep)[0] == "..":
            raise BadInput(f"package {wanted!r} is not inside {str(folder)!r}")
        chosen = "." if path == "." else f"./{path}"
        if not _is_main(folder / path):
            known = tuple(_mains(folder, others=_has_workspace(folder)))
            raise BadInput(f"{wanted!r} is not a main package of {name}", unknown("package", chosen, known).hint)
        return chosen
    if _is_main(folder):
        return "."
    found = tuple(_mains(folder))
    if len(found) != 1 and _has_workspace(folder):
        found = tuple(_mains(folder, others=True))
    if len(found) == 1:
        return found[0]
    if not found:
        what = "has no main package" if go_files(folder) else "has no sources"
        raise BadInput(f"sample {name!r} {what}", hint="a program is a folder of .go files that say `package main`")
    raise BadInput(f"{name} has {len(found)} main packages: {', '.join(found)}", hint="choose one with --package")


def go_files(folder: Path) -> tuple[str, ...]:
    """The files of the package in `folder`, sorted: no tests, and none that `go` would not look at."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return ()
    return tuple(
        name
        for name in names
        if name.endswith(".go") and not name.endswith("_test.go") and not name.startswith((".", "_"))
    )


def _has_workspace(folder: Path) -> bool:
    return (folder / "go.work").is_file()


def _mains(folder: Path, *, others: bool = False) -> Iterator[str]:
    """The main packages; with `others` also those of other modules below the folder."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in ("vendor", "testdata", "node_modules")
            and not name.startswith((".", "_"))
            and (others or not os.path.isfile(os.path.join(parent, name, "go.mod")))
        )
        if any(name.endswith(".go") for name in files) and _is_main(Path(parent)):
            relative = os.path.relpath(parent, folder)
            yield "." if relative == "." else f"./{relative}"


def _is_main(folder: Path) -> bool:
    """Whether a file that is not ignored says so. Another may say otherwise: one for `//go:build tools`, say."""
    return any(_says_main(folder / name) for name in go_files(folder))


def _says_main(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    clause = _CLAUSE.match(head)
    return clause is not None and clause[2] == b"main" and not _IGNORED.search(clause[1])
