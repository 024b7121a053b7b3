"""glibc's dynamic loader: which objects it loads for a program, and what it finds wrong with them.

Source: glibc 2.31 to 2.41, `elf/dl-load.c`, `elf/dl-deps.c`, `elf/dl-version.c`, `elf/rtld.c`; ld.so(8).
"""

from __future__ import annotations

import errno
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, repeat

from recipes.architecture import Kind, of_elf_machine
from recipes.elf.dynamic import Dynamic, Import, NeededVersion
from recipes.loader.glibcpaths import (
    HWCAPS_SINCE,
    LinkMap,
    absolute,
    machine_of,
    own_paths,
    release_number,
    runpath,
    system_folders,
)
from recipes.loader.loading import MOST_OPENED_LATER, Loading, Problem, ProblemCode, opened_later_missing
from recipes.loader.objects import LoadAttempt, Object, Objects, cut_within_a_page
from recipes.loader.preload import PRELOAD_FILE, preloads
from recipes.loader.refusal import Refusal, refusal_of
from recipes.model import Library, Searched

_LEVEL_BITS = {2: 2, 4: 3, 8: 4}
_MOST_MAPS = 4096
_CACHE = "/etc/ld.so.cache"
_RELR = "GLIBC_ABI_DT_RELR"
_BARE_LIBRARIES_SERVE = (2, 41)
_EARLY_INIT = "__libc_early_init"


class GlibcLoader:
    """One program's start. Use `run`."""

    def __init__(
        self,
        objects: Objects,
        program: Dynamic,
        loader: Object,
        *,
        path: str,
        argv0: str,
        kind: Kind,
        env: Mapping[str, str],
        workdir: str,
        secure: bool = False,
    ) -> None:
        self._objects = objects
        self._workdir = workdir
        self._argv0 = argv0
        self._env = env
        folders = system_folders(objects.content(loader.path))
        self._release = release_number(objects.release(loader))
        self._machine = machine_of(folders, kind, program.machine, self._release, secure)
        origin = posixpath.dirname(objects.root.resolve(path) or path) or "/"
        self._program = LinkMap("", {""}, program, None, origin, path)
        interpreter = program.interpreter or loader.path
        names = {interpreter, loader.dynamic.soname or interpreter}
        self._loader = LinkMap(interpreter, names, loader.dynamic, loader, posixpath.dirname(interpreter), interpreter)
        self._maps = [self._program, self._loader]
        self._env_folders = self._machine.split(env.get("LD_LIBRARY_PATH", ""), origin, ":;")
        self._libraries: dict[tuple[str, str | None], Library] = {}
        self._problems: list[Problem] = []
        self._missed: set[str] = set()
        self._later: list[Problem] = []
        self._doubts: list[Problem] = []
        self._cache_asked = False
        self._warnings: list[str] = []
        self._bare: dict[tuple[LinkMap, str, LinkMap], None] = {}

    def run(self, *, checks: bool = True) -> Loading:
        """Without `checks` only which libraries are loaded, and from where, whatever is told of them."""
        queue = [self._program, *self._preloaded()]
        seen = set(map(id, queue))
        for asking in queue:
            for found in self._wanted_by(asking):
                if id(found) not in seen and len(queue) < _MOST_MAPS:
                    seen.add(id(found))
                    queue.append(found)
        self._check_opened_later()
        levels: tuple[Problem, ...] = ()
        if checks:
            lost, warned = bool(self._problems), len(self._warnings)
            self._check_versions()
            if lost:  # it gives up before it looks at versions
                del self._warnings[warned:]
            self._check_relocations()
            levels = tuple(self._levels()) if self._release >= HWCAPS_SINCE else ()
            if not self._problems and not self._doubts:  # it gives up before it looks for symbols
                self._check_symbols()
                self._check_bare_libraries()
            if not self._problems:
                self._check_releases()
        printing = self._told_to_print() if checks else None
        if printing is not None:  # what it finds missing is then a line of its list, not an error
            return Loading("glibc", tuple(self._libraries.values()), (printing,))
        problems = (*self._problems, *levels)
        later = () if self._problems else tuple(self._later)
        libraries, warnings = tuple(self._libraries.values()), tuple(self._warnings)
        return Loading("glibc", libraries, problems, warnings, later, tuple(self._doubts), self._uses_platform())

    def _uses_platform(self) -> bool:
        """Whether a name or a path has $PLATFORM in it."""
        texts = [self._env.get("LD_LIBRARY_PATH"), self._env.get("LD_PRELOAD")]
        for known in self._maps:
            texts += (known.dynamic.rpath, known.dynamic.runpath, *known.dynamic.needed)
        return any("PLATFORM" in text for text in texts if text)

    def _told_to_print(self) -> Problem | None:
        """The variables with which it prints and ends. Source: glibc, `elf/rtld.c`, `process_envvars`."""
        told = "LD_TRACE_LOADED_OBJECTS" if "LD_TRACE_LOADED_OBJECTS" in self._env else ""
        message = "no error: the loader lists the libraries, and the program never starts (exit code 0)"
        if "help" in re.split("[ ,:]", self._env.get("LD_DEBUG", "")):
            told, message = "LD_DEBUG", "Valid options for the LD_DEBUG environment variable are:"
        if not told:
            return None
        evidence = f"the image's environment has {told}={self._env[told]}, with which glibc's loader only prints"
        return Problem("told-to-print", message, evidence, self._loader.name, self._argv0)

    # ── which objects ────────────────────────────────────────────────────────────────────────────────────────────────

    def _preloaded(self) -> Iterator[LinkMap]:
        """What LD_PRELOAD and /etc/ld.so.preload name; one that cannot be loaded is passed over with a warning."""
        for where, name in preloads(self._env.get("LD_PRELOAD", ""), self._objects.settings(PRELOAD_FILE)):
            path = self._machine.expand(name, self._program.origin) if "/" in name else name
            found = self._find(path, self._program)
            if isinstance(found, Refusal) and found.death:
                self._miss(found)
            elif isinstance(found, Refusal):
                message = f"ERROR: ld.so: object '{name}' from {where} cannot be preloaded ({found.text}): ignored."
                self._warnings.append(message)
            elif found not in (self._program, self._loader):
                yield found

    def _wanted_by(self, asking: LinkMap) -> Iterator[LinkMap]:
        """The libraries that an object needs, and those that stand in for it."""
        for name, optional in (*((name, False) for name in asking.dynamic.needed), *asking.dynamic.filters):
            path = self._machine.expand(name, asking.origin)
            if path != name and self._machine.secure:
                self._forbid(name, asking)
                continue
            if name and not path:
                continue  # the loader passes over a name with a token that has no value
            found = self._find(path, asking)
            if isinstance(found, LinkMap):
                yield found
            elif not optional or found.death:
                self._miss(found)

    def _forbid(self, name: str, asking: LinkMap) -> None:
        text = f"{name}: DST not allowed in SUID/SGID programs"
        message = f"{self._argv0}: error while loading shared libraries: {text}"
        evidence = f"{asking.shown} needs {name}, and runs with the rights of another user or group"
        self._problems.append(Problem("library-missing", message, evidence, name, asking.shown))

    def _find(self, name: str, asking: LinkMap) -> LinkMap | Refusal:
        for known in self._maps:
            if known.answers_to(name):
                known.names.add(name)
                if known is self._loader:
                    self._add(
                        Library(name, known.name, asking.shown, (Searched(known.name, "the loader itself", "found"),))
                    )
                return known
        opened, path, searched = self._search(name, asking)
        if opened.object is None:
            return refusal_of(opened, path, Library(name, None, asking.shown, searched), asking.dynamic.bits)
        self._add(Library(name, path, asking.shown, searched))
        for known in self._maps:
            if known.object is not None and known.object.inode == opened.object.inode:
                known.names.add(name)
                return known
        origin = posixpath.dirname(self._at(path))
        found = LinkMap(path, {name}, opened.object.dynamic, opened.object, origin, path, asking)
        self._maps.append(found)
        if opened.object.cut:
            self._doubts.append(cut_within_a_page(opened.object, name, asking.shown))
        return found

    def _add(self, library: Library) -> None:
        self._libraries.setdefault((library.name, library.path), library)

    def _miss(self, refused: Refusal) -> None:
        """A library that is needed: the loader ends with the first, here each is told once."""
        library = refused.library
        self._add(library)
        if library.name not in self._missed:
            self._missed.add(library.name)
            message = refused.death or f"{self._argv0}: error while loading shared libraries: {refused.sentence}"
            told = self._doubts if refused.doubtful else self._problems
            told.append(Problem(refused.code, message, refused.evidence, library.name, library.needed_by))

    def _at(self, path: str) -> str:
        return absolute(path, self._workdir)

    # ── where they are ───────────────────────────────────────────────────────────────────────────────────────────────

    def _search(self, name: str, asking: LinkMap) -> tuple[LoadAttempt, str, tuple[Searched, ...]]:
        if "/" in name:
            opened = self._objects.open(self._at(name), self._loader.dynamic)
            if opened.errno == errno.ENOENT:
                opened = opened._replace(errno=self._objects.error_of(self._at(name)) or errno.ENOENT)
            return opened, self._at(name), (Searched(self._at(name), "its name is a path", opened.found),)
        folders = tuple(self._folders(asking))
        sparing = asking.dynamic.no_default_lib
        loader = self._loader.dynamic
        asked = sparing and self._cache_asked
        key = (name, folders, sparing, asked, self._machine, loader.machine, loader.bits, loader.flags, self._workdir)
        known = self._objects.searches.get(key)
        if known is None:
            known = self._objects.searches[key] = self._look(name, folders, sparing)
        self._cache_asked = self._cache_asked or any(step.why == "ld.so.cache" for step in known[2])
        return known

    def _folders(self, asking: LinkMap) -> Iterator[tuple[str, tuple[str, ...]]]:
        yield from own_paths(self._machine, asking, self._program)
        yield "LD_LIBRARY_PATH", self._env_folders
        own = runpath(self._machine, asking)
        if own:
            yield f"RUNPATH of {asking.shown}", own

    def _look(
        self, name: str, folders: tuple[tuple[str, tuple[str, ...]], ...], sparing: bool
    ) -> tuple[LoadAttempt, str, tuple[Searched, ...]]:
        searched: list[Searched] = []
        other_class, number, ended, last = False, errno.ENOENT, "", ""
        for path, why in self._candidates(name, folders, sparing, searched):
            if why == ended:
                continue
            opened = self._objects.open(self._at(path), self._loader.dynamic)
            searched.append(Searched(path, why, opened.found))
            if opened.object is not None or opened.error:
                return opened, path, tuple(searched)
            other_class |= opened.other_class
            number, last = opened.errno, path  # the message has that of the last try
            if number == errno.ELOOP and self._ends_list(path):
                ended = why
        number = self._objects.error_of(self._at(last)) or number
        if sparing:  # what failed last may be the cache's own open, which is tried once; or none has failed
            failed_to_open = 0 if self._cache_asked else self._objects.error_of(_CACHE)
            number = failed_to_open or (number if last else 0)
        failed = LoadAttempt(None, "no such file", other_class=other_class, errno=number)
        return failed, "", tuple(searched)

    def _ends_list(self, path: str) -> bool:
        """Whether a loop of links at a path ends the search in this list of folders, and no other list's: it does not
        where the folder itself is not there. Source: glibc, `open_path`.
        """
        return not path.startswith("/") or self._objects.root.is_folder(posixpath.dirname(path))

    def _candidates(
        self, name: str, folders: tuple[tuple[str, tuple[str, ...]], ...], sparing: bool, searched: list[Searched]
    ) -> Iterator[tuple[str, str]]:
        for why, places in folders:
            if not places:
                searched.append(Searched("", why, "not set"))
            yield from self._in_folders(name, places, why)
        yield from self._cached(name, sparing, searched)
        if sparing:
            searched.append(Searched("", "built-in folders", "not used: it was linked with -z nodefaultlib"))
        else:
            yield from self._in_folders(name, self._machine.system_folders, "built-in folder")

    def _in_folders(self, name: str, folders: tuple[str, ...], why: str) -> Iterator[tuple[str, str]]:
        for folder in folders:
            for below in self._subfolders(self._at(folder)):
                yield f"{folder}{below}{name}", why
            yield folder + name, why

    def _subfolders(self, folder: str) -> tuple[str, ...]:
        """Those for some CPUs alone, which come before the folder itself, as far as they can hold anything."""
        key = (folder, self._machine)
        known = self._objects.subfolders.get(key)
        if known is None:
            root, hwcaps = self._objects.root, self._machine.hwcaps
            better = [f"glibc-hwcaps/{hwcap}/" for hwcap in hwcaps if root.exists(folder + "glibc-hwcaps")]
            older = [below for below in self._machine.legacy if root.is_folder(folder + below)]
            known = self._objects.subfolders[key] = (*better, *older)
        return known

    def _cached(self, name: str, sparing: bool, searched: list[Searched]) -> Iterator[tuple[str, str]]:
        where = _CACHE
        cache = self._objects.ldcache(self._program.dynamic.little_endian)
        if cache is None:
            searched.append(Searched(where, "ld.so.cache", "no such file, and without it ld.so.conf is not read"))
            return
        loader = self._loader.dynamic
        row = of_elf_machine(loader.machine)
        machine = self._machine
        path = cache.find(
            name,
            row.name,
            loader.bits,
            machine.hwcaps,
            e_flags=loader.flags,
            hardware=machine.cache_hardware,
            level=machine.level,
        )
        if path is None:
            searched.append(Searched(where, "ld.so.cache", f"names no {name}"))
        elif sparing and path.startswith(self._machine.system_folders):
            searched.append(Searched(path, "ld.so.cache", "not used: it was linked with -z nodefaultlib"))
        else:
            yield path, "ld.so.cache"

    # ── whether they fit ─────────────────────────────────────────────────────────────────────────────────────────────

    def _check_versions(self) -> None:
        for asking in self._in_link_order():
            for need in asking.dynamic.versions_needed:
                offering = next((known for known in self._maps if self._is_called(known, need.file)), None)
                if offering is None:
                    self._lacks_file(asking, need)
                elif need.name not in offering.dynamic.versions_defined:
                    self._lacks_version(asking, need, offering)

    def _in_link_order(self) -> list[LinkMap]:
        return [known for known in self._maps if known is not self._loader]

    def _called(self, known: LinkMap) -> str:
        """What messages call an object. Source: glibc, `DSO_FILENAME`."""
        return known.name or self._argv0

    def _is_called(self, known: LinkMap, name: str) -> bool:
        return name in known.names or name == known.name

    def _lacks_file(self, asking: LinkMap, need: NeededVersion) -> None:
        """A version of a library that is not loaded, as a removed DT_NEEDED leaves it."""
        if need.file not in self._missed:
            self._missed.add(need.file)
            message = "Inconsistency detected by ld.so: dl-version.c: _dl_check_map_versions: "
            message += "Assertion `needed != NULL' failed!"
            evidence = (
                f"{asking.shown} wants the version {need.name} of {need.file}, which is not among the loaded libraries"
            )
            self._problems.append(Problem("library-missing", message, evidence, need.file, asking.shown))

    def _check_opened_later(self) -> None:
        """What an object names in its dlopen note is looked up as its own dlopen does it."""
        entries = ((asking, later) for asking in self._in_link_order() for later in asking.dynamic.opened_later)
        for asking, later in islice(entries, MOST_OPENED_LATER):
            if not any(self._would_find(name, asking) for name in later.sonames):
                message = f"{later.sonames[0]}: cannot open shared object file: No such file or directory"
                self._later.append(opened_later_missing(later, asking.shown, message))

    def _would_find(self, name: str, asking: LinkMap) -> bool:
        loaded = any(known.answers_to(name) for known in self._maps)
        return loaded or self._search(name, asking)[0].object is not None

    def _check_relocations(self) -> None:
        """Packed relative relocations, which glibc 2.36 learned, are not even looked at by an older one."""
        libc = next((known for known in self._maps if self._is_called(known, "libc.so.6")), None)
        if self._problems or libc is None or _RELR in libc.dynamic.versions_defined:
            return
        for asking in self._in_link_order():
            if asking.dynamic.packed_relocations:
                evidence = f"{asking.shown} has packed relative relocations (DT_RELR), and {libc.shown} lacks {_RELR}"
                message = "Segmentation fault (exit code 139)"
                self._problems.append(Problem("relocations-unknown", message, evidence, asking.shown, asking.shown))

    def _lacks_version(self, asking: LinkMap, need: NeededVersion, offering: LinkMap) -> None:
        start = f"{self._argv0}: {offering.shown}: "
        if not offering.dynamic.has_version_definitions:
            self._warnings.append(f"{start}no version information available (required by {self._called(asking)})")
            if not offering.dynamic.has_symbol_versions:
                self._bare[asking, need.file, offering] = None
            return
        message = f"version `{need.name}' not found (required by {self._called(asking)})"
        if need.weak:
            self._warnings.append(f"{start}weak {message}")
            return
        symbols = self._symbols_of(asking)
        forcing = sorted(
            {symbol.name for symbol in symbols.imports if symbol.version == need.name and symbol.file == need.file}
        )
        evidence = f"{asking.shown} needs the version {need.name} of {need.file}"
        if forcing:
            more = f" and {len(forcing) - 3} more" if len(forcing) > 3 else ""
            evidence += f" for {', '.join(forcing[:3])}{more}"
        elif need.name == _RELR:
            evidence += " for its packed relative relocations"
        evidence += f"; {offering.shown} does not provide it"
        self._problems.append(Problem("version-missing", start + message, evidence, need.file, asking.shown))

    def _check_symbols(self) -> None:
        """What no object defines: variables are looked up at once, functions when they are called, or as told.

        An object whose symbols cannot be read may define any. Source: glibc, `elf/dl-reloc.c`, `elf/dl-lookup.c`.
        """
        every = {id(known): self._symbols_of(known) for known in self._maps}
        if any(known.object is not None and every[id(known)] is known.object.dynamic for known in self._maps):
            return
        program = every[id(self._program)]
        libraries = tuple(known for known in self._maps if known is not self._program)
        offered = [every[id(known)] for known in libraries]
        together = tuple(known.object.inode for known in libraries if known.object is not None)
        now = bool(self._env.get("LD_BIND_NOW"))
        for asking in reversed(self._in_link_order()):  # what others need is relocated before them
            if asking.object is None:
                # What the program holds a copy of has to come from somewhere else.
                lacking = _lacking(program, offered)
            else:
                # The same libraries come together for many programs, and most often need nothing of them.
                key = (asking.object.inode, together)
                known = self._objects.lacking.get(key)
                if known is None:
                    known = self._objects.lacking[key] = _lacking(every[id(asking)], offered)
                lacking = [symbol for symbol in known if not program.answers(symbol)]
            bound = now or asking.dynamic.bind_now
            at_once = [symbol for symbol in lacking if bound or not symbol.lazy]
            when_called = [symbol for symbol in lacking if symbol not in at_once]
            if at_once:
                problem = self._lacks_symbols("symbol-undefined", asking, sorted(at_once, key=lambda each: each.lazy))
                self._problems.append(problem)
            if when_called:
                self._later.append(self._lacks_symbols("symbol-undefined-later", asking, when_called))

    def _check_bare_libraries(self) -> None:
        """Symbols that are wanted in a version, of a library in which no symbol has one.

        Up to glibc 2.40 the loader takes that for an inconsistency. Source: glibc, `check_match`.
        """
        if self._release >= _BARE_LIBRARIES_SERVE:
            return
        for asking, file, bare in self._bare:
            places = [known for known in self._maps if known is not asking or asking is not self._program]
            refused = [
                symbol
                for symbol in self._symbols_of(asking).imports
                if symbol.file == file and self._first_answer(symbol, places) is bare
            ]
            if refused:
                first = min(refused, key=lambda symbol: symbol.lazy)
                message = "Inconsistency detected by ld.so: dl-lookup.c: check_match: Assertion "
                message += "`version->filename == NULL || ! _dl_name_match_p (version->filename, map)' failed!"
                evidence = f"{asking.shown} needs {first.name} in a version, and {bare.shown} has it without any"
                problem = Problem("symbol-undefined", message, evidence, first.name, asking.shown)
                later = first.lazy and not asking.dynamic.bind_now and not self._env.get("LD_BIND_NOW")
                (self._later if later else self._problems).append(problem)

    def _first_answer(self, symbol: Import, places: Sequence[LinkMap]) -> LinkMap | None:
        return next((known for known in places if self._symbols_of(known).answers(symbol)), None)

    def _check_releases(self) -> None:
        """Loader and libc share structures that no version guards: both have to be of one release.

        The last thing that the loader does is to call libc. Source: glibc, `elf/dl-call-libc-early-init.c`.
        """
        libc = next((known for known in self._maps if known.object and known.dynamic.soname == "libc.so.6"), None)
        if libc is None or libc.object is None or self._loader.object is None:
            return
        symbols = self._symbols_of(libc)
        calls = f"{_EARLY_INIT}\0".encode() in self._objects.content(self._loader.object.path)
        answers = symbols is libc.dynamic or f"{_EARLY_INIT}@GLIBC_PRIVATE" in symbols.offers
        mine, theirs = (self._objects.release(each) for each in (self._loader.object, libc.object))
        mine = mine or ("2.32" if calls else "")  # the last one that calls libc and does not name its release
        evidence = f"{self._loader.shown} is of glibc {mine or 'before 2.32'}, {libc.shown} of {theirs or 'another'}"
        if calls and not answers:
            message = "Inconsistency detected by ld.so: dl-call-libc-early-init.c: 37: _dl_call_libc_early_init: "
            message += "Assertion `sym != NULL' failed!"
            evidence += f", which lacks {_EARLY_INIT}"
            self._problems.append(Problem("libc-foreign", message, evidence, libc.shown, self._argv0))
        elif calls != answers or (theirs and mine and mine != theirs):
            message = (
                "*** stack smashing detected ***: terminated (exit code 134), Segmentation fault (139), or nothing"
            )
            self._doubts.append(Problem("libc-foreign", message, evidence, libc.shown, self._argv0))

    def _lacks_symbols(self, code: ProblemCode, asking: LinkMap, lacking: list[Import]) -> Problem:
        first = lacking[0]
        version = f", version {first.version}" if first.version else ""
        message = f"{self._argv0}: symbol lookup error: {self._called(asking)}: undefined symbol: {first.name}{version}"
        names = ", ".join(symbol.name for symbol in lacking[:3])
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        evidence = f"{asking.shown} needs {names}{more}, which no library that is loaded defines"
        return Problem(code, message, evidence, first.name, asking.shown)

    def _symbols_of(self, asking: LinkMap) -> Dynamic:
        return asking.dynamic if asking.object is None else self._objects.symbols(asking.object)

    def _levels(self) -> Iterator[Problem]:
        """What the program's own note asks for does not depend on the root: only libraries are looked at here."""
        for known in self._maps:
            if known.object is None or known is self._loader or known.dynamic.machine != 62:
                continue
            level = max((level for bit, level in _LEVEL_BITS.items() if known.dynamic.isa_needed & bit), default=1)
            if level > self._machine.level:
                message = f"{known.name}: CPU ISA level is lower than required"
                evidence = f"the note GNU_PROPERTY_X86_ISA_1_NEEDED of {known.name} asks for x86-64-v{level}"
                yield Problem("cpu-level", message, evidence, known.name, known.shown, level)


def _lacking(asking: Dynamic, offered: Sequence[Dynamic]) -> list[Import]:
    """The symbols that `asking` must have, at once or when it calls them, and that none of `offered` defines."""
    offers = [each.offers for each in offered]
    return [
        symbol
        for symbol in asking.imports
        if not symbol.weak and all(map(frozenset.isdisjoint, offers, repeat(symbol.answered_by)))
    ]
