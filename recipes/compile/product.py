"""Which of the files that a build system made is the program."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.errors import BadInput, unknown

_EXEC, _DYN = 2, 3
_PT_DYNAMIC, _PT_INTERP = 2, 3
_DT_NULL, _DT_FLAGS_1, _DF_1_PIE = 0, 0x6FFFFFFB, 0x08000000
_MANY = 64 << 10
"""Bytes of program headers or of a dynamic segment that are looked at: far more than any linker writes."""

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
    found: dict[tuple[int, int], Path] = {}
    for path in sorted(_files(tree)):
        status = path.stat()
        if status.st_mode & 0o111 and elf_kind(path) == ("program", machine):
            found.setdefault((status.st_dev, status.st_ino), path.relative_to(tree))
    return tuple(found.values())


def elf_kind(path: Path) -> tuple[str, int]:
    """("program" | "library" | "object", e_machine) of an ELF file; ("", 0) of any other. Never raises for content.

    Only a guess at what was meant: whether the program is sound is decided later, from the whole file.
    """
    try:
        with open(path, "rb") as file:
            ident = file.read(64)
            if ident[:4] != b"\x7fELF" or ident[4] not in (1, 2) or ident[5] not in (1, 2):
                return "", 0
            wide, order = ident[4] == 2, "<" if ident[5] == 1 else ">"
            kind, machine = struct.unpack_from(f"{order}HH", ident, 16)
            start = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", ident, 32 if wide else 28)[0]
            size, count = struct.unpack_from(f"{order}HH", ident, 54 if wide else 42)
            if kind == _EXEC:
                return "program", machine
            if kind != _DYN:
                return "object", machine
            file.seek(start)
            headers = file.read(min(size * count, _MANY))
            word = "Q" if wide else "I"
            for offset in range(0, len(headers) - size + 1, size or 1):
                (what,) = struct.unpack_from(f"{order}I", headers, offset)
                if what == _PT_INTERP:
                    return "program", machine
                if what == _PT_DYNAMIC:
                    (place,) = struct.unpack_from(order + word, headers, offset + (8 if wide else 4))
                    (length,) = struct.unpack_from(order + word, headers, offset + (32 if wide else 16))
                    file.seek(place)
                    if _is_pie(file.read(min(length, _MANY)), order + ("qQ" if wide else "iI")):
                        return "program", machine
            return "library", machine
    except (OSError, struct.error, ValueError, OverflowError):
        return "", 0


def _is_pie(dynamic: bytes, entry: str) -> bool:
    size = struct.calcsize(entry)
    for tag, value in struct.iter_unpack(entry, dynamic[: len(dynamic) // size * size]):
        if tag == _DT_NULL:
            return False
        if tag == _DT_FLAGS_1:
            return bool(value & _DF_1_PIE)
    return False


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
