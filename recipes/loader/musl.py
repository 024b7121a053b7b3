"""musl's dynamic loader: which objects it loads for a program, and which symbols it does not find.

It knows no versions and checks no machine; it compares names. Source: musl 1.2.3 to 1.2.5, `ldso/dynlink.c`.
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from recipes.architecture import of_elf_machine
from recipes.elf.dynamic import Dynamic
from recipes.loader.glibcpaths import absolute
from recipes.loader.loading import MOST_OPENED_LATER, Loading, Problem, ProblemCode, opened_later_missing
from recipes.loader.objects import SIGBUS, Object, Objects, cut_within_a_page
from recipes.loader.words import words_of_musl
from recipes.model import Library, Searched

_RESERVED = ("c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet.")
_DEFAULT_PATH = "/lib:/usr/local/lib:/usr/lib"
_NAME_MAX = 255
_LONGEST_64 = 15
_FAILURES = {
    errno.ENOENT: "no such file",
    errno.ENOTDIR: "no such file",
    errno.EACCES: "not readable by the image's user; skipped",
    errno.ELOOP: "a loop of links",
}
_MOST_MAPS = 4096
_MOST_TYPES = 64  # as no CPU has more for a loader
_PATH_FILE = re.compile(rb"/etc/ld-musl-[A-Za-z0-9_.-]{1,32}\.path\0")
# Since 1.2.4 these are no symbols any more but names that the loader alone knows, with 64 behind them.
_LFS64_LIST = re.compile(rb"aio_cancel\0aio_error\0(?:[a-z_]+\0)+")


@dataclass(slots=True, eq=False)
class _Dso:
    name: str
    short: str | None
    inode: int
    dynamic: Dynamic
    object: Object | None
    needed_by: _Dso | None


class MuslLoader:
    """One program's start. Use `run`."""

    def __init__(
        self,
        objects: Objects,
        program: Dynamic,
        loader: Object,
        *,
        path: str,
        env: Mapping[str, str],
        workdir: str,
        secure: bool = False,
    ) -> None:
        self._objects = objects
        self._workdir = workdir
        self._env = env
        self._secure = secure
        self._interpreter = program.interpreter or loader.path
        self._program = _Dso(path, None, -1, program, None, None)
        self._loader = _Dso(self._interpreter, None, -1, loader.dynamic, loader, None)
        self._dsos = [self._program]
        self._libraries: dict[tuple[str, str | None], Library] = {}
        self._problems: list[Problem] = []
        self._doubts: list[Problem] = []
        self._dead = False
        self._errno = 0
        self._loader_path = loader.path
        self._system: tuple[str, str] | None = None

    def run(self) -> Loading:
        for name in filter(None, re.split(r"[ \t\n\r\f\v:]", self._env.get("LD_PRELOAD", ""))):
            looked: list[Searched] = []
            preloaded = self._load(name, None, looked)
            if preloaded is not None:  # one that cannot be loaded is passed over in silence
                self._add(Library(name, preloaded.name, self._program.name, tuple(looked)))
        for dso in self._dsos:  # grows while it is walked
            for name in dso.dynamic.needed:
                searched: list[Searched] = []
                found = self._load(name, dso, searched)
                if found is None and not self._dead:
                    why = words_of_musl(self._errno)  # of what failed last, which may be about another library
                    message = f"Error loading shared library {name}: {why} (needed by {dso.name})"
                    code = "library-broken" if searched and self._is_there(searched[-1]) else "library-missing"
                    self._problems.append(Problem(code, message, f"{dso.name} needs {name}", name, dso.name))  # type: ignore[arg-type]  # two of its codes
                path = None if found is None else found.name
                if searched or found is self._loader:
                    self._add(Library(name, path, dso.name, tuple(searched)))
        if not self._dead and not self._doubts:
            self._relocate()
        self._check_relocations()
        later = () if self._problems else tuple(self._missing_later())
        if not self._problems:
            self._doubt_foreign_code()
        libraries, doubts = tuple(self._libraries.values()), tuple(self._doubts)
        return Loading("musl", libraries, tuple(self._problems), later=later, doubts=doubts)

    # ── which objects ────────────────────────────────────────────────────────────────────────────────────────────────

    def _add(self, library: Library) -> None:
        self._libraries.setdefault((library.name, library.path), library)

    def _load(self, name: str, asking: _Dso | None, looked: list[Searched]) -> _Dso | None:
        if self._is_itself(name):
            return self._itself()
        if "/" in name:
            path = name
            self._look(self._at(name), "its name is a path", looked)
        else:
            known = next((dso for dso in self._dsos[1:] if dso.short == name), None)
            if known is not None or len(name) > _NAME_MAX:
                return known
            if not name:
                self._errno = errno.EINVAL
                return None
            found = self._search(name, asking, looked)
            if found is None:
                return None
            path = found
        return self._open(path, asking, looked, searched_for="/" not in name)

    def _missing_later(self) -> Iterator[Problem]:
        """What a dlopen note names and no dlopen would find: whoever calls it, musl looks where the program's does."""
        entries = ((dso, later) for dso in self._dsos for later in dso.dynamic.opened_later)
        for dso, later in islice(entries, MOST_OPENED_LATER):
            if not any(self._would_find(name) for name in later.sonames):
                message = f"Error loading shared library {later.sonames[0]}: No such file or directory"
                yield opened_later_missing(later, dso.name, message)

    def _would_find(self, name: str) -> bool:
        loaded = self._is_itself(name) or any(dso.short == name for dso in self._dsos)
        return loaded or self._search(name, self._program, []) is not None

    def _is_itself(self, name: str) -> bool:
        return name == self._interpreter or (name.startswith("lib") and name[3:].startswith(_RESERVED))

    def _itself(self) -> _Dso:
        if self._loader not in self._dsos:
            self._dsos.append(self._loader)
        return self._loader

    def _open(self, path: str, asking: _Dso | None, looked: list[Searched], *, searched_for: bool) -> _Dso | None:
        entry = self._objects.root.stat(self._at(path))
        if entry is None or not self._objects.may_open(self._at(path)):
            return None
        if entry.kind != "file":
            self._errno = errno.EISDIR if entry.kind == "dir" else errno.ENOEXEC
            return None
        known = next((dso for dso in self._dsos if dso.inode == entry.inode), None)
        if known is not None:
            if known.short is None and searched_for:
                known.short = posixpath.basename(known.name)
            return known
        loader = self._loader.dynamic
        loaded = self._objects.load_unchecked(self._at(path), loader)
        if isinstance(loaded, str) or not loaded.dynamic.has_dynamic or len(self._dsos) >= _MOST_MAPS:
            self._errno = errno.ENOEXEC
            lost, certain = self._objects.lost(self._at(path), loader) if isinstance(loaded, str) else ("", False)
            looked[-1] = Searched(looked[-1].path, looked[-1].why, lost or "not a library")
            if lost:
                self._die_of(path, lost, certain, asking or self._program)
            return None
        if {"__libc_start_main", "stdin"} <= self._objects.symbols(loaded).exports:
            return self._itself()  # a second libc is never loaded
        if loaded.cut:
            self._doubts.append(cut_within_a_page(loaded, path, (asking or self._program).name))
        short = posixpath.basename(path) if searched_for else None
        found = _Dso(path, short, loaded.inode, loaded.dynamic, loaded, asking)
        self._dsos.append(found)
        return found

    def _die_of(self, path: str, lost: str, certain: bool, asking: _Dso) -> None:
        """A library that cannot be mapped whole: who touches the rest dies, and nothing is known of what comes then."""
        self._dead = True
        evidence = f"{asking.name} needs {path}, which is {lost}"
        told = self._problems if certain else self._doubts
        told.append(Problem("library-broken", SIGBUS, evidence, path, asking.name))

    def _at(self, path: str) -> str:
        return absolute(path, self._workdir)

    def _search(self, name: str, asking: _Dso | None, looked: list[Searched]) -> str | None:
        for why, folders in self._places(asking):
            if not folders:
                looked.append(Searched("", why, "not set"))
            for folder in filter(None, re.split("[:\n]", folders)):
                path = f"{folder}/{name}"
                if self._look(path, why, looked):
                    return path
                if self._errno == errno.ELOOP:
                    return None  # unlike other errors it ends the search
        return None

    def _look(self, path: str, why: str, looked: list[Searched]) -> bool:
        """Whether anything can be opened there."""
        error = self._objects.error_of(self._at(path))
        entry = self._objects.root.stat(self._at(path))
        found = "found" if entry is None or entry.kind == "file" else f"a {entry.kind}"
        looked.append(Searched(path, why, _FAILURES.get(error, found)))
        self._errno = error or self._errno
        return not error

    def _places(self, asking: _Dso | None) -> Iterator[tuple[str, str]]:
        yield "LD_LIBRARY_PATH", self._env.get("LD_LIBRARY_PATH", "")
        while asking is not None:
            own = asking.dynamic.rpath if asking.dynamic.runpath is None else asking.dynamic.runpath
            expanded = self._expand(own, asking) if own else None
            if expanded:
                yield f"{'RPATH' if asking.dynamic.runpath is None else 'RUNPATH'} of {asking.name}", expanded
            asking = asking.needed_by
        if self._system is None:
            self._system = self._read_system_path()
        yield self._system

    def _expand(self, text: str, dso: _Dso) -> str | None:
        """The path with $ORIGIN replaced; None where it has any other token, which has musl ignore all of it."""
        if "$" not in text:
            return text
        if self._secure and (dso is self._program or not dso.name.startswith("/")):
            return None  # who starts it may have made a link to it
        path = dso.name
        if dso is self._program:
            path = self._objects.root.resolve(path) or path
        origin = path.rpartition("/")[0] if "/" in path else "."
        replaced = re.sub(r"\$(?:ORIGIN|\{ORIGIN\})", "\0", text)
        return None if "$" in replaced else replaced.replace("\0", origin)

    def _read_system_path(self) -> tuple[str, str]:
        """Why it looks there, and the folders: those of a file, read when it is first wanted.

        One that cannot be read leaves no folders, unless it is not there.
        """
        match = _PATH_FILE.search(self._objects.content(self._loader_path))
        prefix = self._interpreter.rsplit("/", 2)[0] if self._interpreter.startswith("/") else ""
        file = prefix + match[0].rstrip(b"\0").decode() if match else ""
        error = self._objects.error_of(file) if file else errno.ENOENT
        self._errno = error or self._errno
        if error == errno.ENOENT:
            return "built-in folder", _DEFAULT_PATH
        if not error and self._objects.root.is_folder(file):
            self._errno = errno.EISDIR
        return file, os.fsdecode(self._objects.settings(file).partition(b"\0")[0])

    def _is_there(self, step: Searched) -> bool:
        return step.found not in (*_FAILURES.values(), "not set")

    # ── whether they fit ─────────────────────────────────────────────────────────────────────────────────────────────

    def _relocate(self) -> None:
        """Libraries first, the program last. The program's own symbols serve the libraries, as in every ELF program."""
        others = [self._exports(dso) for dso in self._dsos[1:]]
        own = self._program.dynamic.exports
        only_loader = self._names_with_64()
        for dso in (*self._dsos[1:], self._program):
            if dso is self._loader:
                continue
            symbols = self._all_of(dso)
            # What the program holds a copy of has to come from somewhere else.
            offered = others if dso is self._program else [own, *others]
            for symbol in symbols.imports:
                # A weak symbol need not be defined, unless it is a variable that the program holds a copy of.
                optional = symbol.weak and symbol.name not in symbols.exports
                if optional or symbol.name in only_loader or any(symbol.name in names for names in offered):
                    continue
                message = f"Error relocating {dso.name}: {symbol.name}: symbol not found"
                evidence = f"{dso.name} needs {symbol.name}, which neither musl nor another library has"
                self._problems.append(Problem("symbol-missing", message, evidence, symbol.name, dso.name))
            self._check_types(dso)

    def _check_types(self, dso: _Dso) -> None:
        """It knows few types of relocations, and it is by those of another CPU that it notices a library for that."""
        known = of_elf_machine(self._loader.dynamic.machine).musl_relocations
        if dso.object is None or not known:
            return
        for kind in sorted(self._objects.relocation_types(dso.object) - known - {0})[:_MOST_TYPES]:
            message = f"Error relocating {dso.name}: unsupported relocation type {kind}"
            evidence = f"{dso.name} has relocations of type {kind}, which musl does not know"
            evidence += f"; its header says that it is {dso.object.claim}" if dso.object.claim else ""
            code: ProblemCode = "library-broken" if dso.object.claim else "symbol-missing"
            self._problems.append(Problem(code, message, evidence, dso.name, dso.name))

    def _doubt_foreign_code(self) -> None:
        """A library that is loaded although it says that it is for another CPU: a call of it shows whether it is."""
        for dso in self._dsos:
            if dso.object is not None and dso.object.claim:
                message = "no error, or Illegal instruction (exit code 132)"
                evidence = f"musl loads {dso.name} without a look at its header, which says that it is "
                evidence += dso.object.claim
                self._doubts.append(Problem("library-broken", message, evidence, dso.name, dso.name))

    def _check_relocations(self) -> None:
        """Packed relative relocations, which musl 1.2.4 learned, are not even looked at by an older one."""
        if self._problems or self._names_with_64():
            return
        for dso in self._dsos:
            if dso is not self._loader and dso.dynamic.packed_relocations:
                evidence = f"{dso.name} has packed relative relocations (DT_RELR), and musl is older than 1.2.4"
                message = "Segmentation fault (exit code 139)"
                self._problems.append(Problem("relocations-unknown", message, evidence, dso.name, dso.name))

    def _all_of(self, dso: _Dso) -> Dynamic:
        return dso.dynamic if dso.object is None else self._objects.symbols(dso.object)

    def _exports(self, dso: _Dso) -> frozenset[str]:
        return self._all_of(dso).exports

    def _names_with_64(self) -> frozenset[str]:
        """Names such as open64 that musl 1.2.4 and later answer with open, read from the loader's own list.

        Before, they were symbols, and there is no such list.
        """
        object_ = self._loader.object
        match = _LFS64_LIST.search(self._objects.content(object_.path)) if object_ else None
        if match is None:
            return frozenset()
        names = {f"{name.decode()}64" for name in match[0].split(b"\0") if name}
        return frozenset({name for name in names if len(name) <= _LONGEST_64} | {"readdir64_r"})
