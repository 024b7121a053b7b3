"""Which of the libraries that a loader would load call a function."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

from recipes.elf.dynamic import Dynamic
from recipes.loader.objects import objects_of
from recipes.model import Library
from recipes.rootfs.root import RootFs

# What a language's own library calls for its users says nothing of a program: all have it.
_RUN_TIMES = ("libc.", "libstdc++.", "libc++.")


class _Loaded(NamedTuple):
    name: str
    imports: set[str]
    exports: frozenset[str]
    direct: bool
    """whether the program itself calls something of it"""


class Callers:
    """The libraries of one program. Their symbols are looked at when they are first asked for."""

    def __init__(self, root: RootFs, program: Dynamic, libraries: tuple[Library, ...]) -> None:
        self._root = root
        self._program = program
        self._libraries = libraries

    def first(self, *names: str, direct: bool = False) -> tuple[str, str]:
        """The first library that calls one of `names`, and which; "" and "" where none does.

        A library that offers one of them itself does not count: that it calls another is how it works. `direct`: only
        those that the program itself calls, since what a library's library can do is seldom reached.
        """
        for library in self._loaded:
            call = next((name for name in names if name in library.imports), "")
            if call and (library.direct or not direct) and library.exports.isdisjoint(names):
                return library.name, call
        return "", ""

    @functools.cached_property
    def _loaded(self) -> tuple[_Loaded, ...]:
        return tuple(self._read())

    def _read(self) -> Iterator[_Loaded]:
        """The loader's rules have read the symbols already."""
        objects = objects_of(self._root)
        called = {symbol.name for symbol in self._program.imports}
        for library in self._libraries:
            found = objects.load(library.path) if library.path and self._root.is_file(library.path) else ""
            if not isinstance(found, str):
                dynamic = objects.symbols(found)
                imports = {symbol.name for symbol in dynamic.imports}
                direct = not library.name.startswith(_RUN_TIMES) and not called.isdisjoint(dynamic.exports)
                yield _Loaded(library.name, imports, dynamic.exports, direct)
