"""What a dynamic program needs of a root, and where it has to lie in a new root that holds nothing else.

The loader's own rules decide both: they are asked what is loaded from the given root, and then, of the new one, whether
it is found there. A new root has no ld.so.cache and the program stands at another place, so what was found through
either is put into a folder that is built into the loader. Nothing is executed.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from recipes.elf.dynamic import Dynamic, read_dynamic
from recipes.elf.kind import kind_in
from recipes.elf.segments import Reader
from recipes.errors import BadInput
from recipes.loader.explain import explain
from recipes.loader.glibcpaths import absolute, system_folders
from recipes.loader.loading import Loading
from recipes.loader.objects import objects_of
from recipes.model import Environment, Library, Platform
from recipes.rootfs.root import RootFs
from recipes.rootfs.tree import Entry, Skipped

_MUSL_FOLDER = "/lib"


@dataclass(frozen=True, slots=True)
class Later:
    """What a program that imports one of `symbols` may load without having it in its list."""

    symbols: tuple[str, ...]
    text: str
    answered_by: tuple[str, ...] = ()


LOADED_LATER = (
    Later(("dlopen",), "it calls dlopen: what it opens at run time cannot be detected; name it with --dlopen"),
    Later(("iconv_open",), "it calls iconv_open, for which glibc loads converters: add --dlopen …/gconv"),
    Later(
        ("pthread_cancel", "pthread_exit"),
        "it cancels or exits threads, for which glibc loads libgcc_s.so.1: add --dlopen libgcc_s.so.1",
        ("libgcc_s.so.1",),
    ),
)


@dataclass(frozen=True, slots=True)
class Closure:
    """`places` are (path in the new root, path in the given one), sorted; the second has no links.

    `missing` are the libraries that what is named needs and the given root lacks: no verdict on the program has them.
    `later` says what may be loaded that no list names.
    """

    places: tuple[tuple[str, str], ...]
    missing: tuple[Library, ...] = ()
    later: tuple[str, ...] = ()


def close_over(
    program: Dynamic,
    root: RootFs,
    platform: Platform,
    *,
    path: str = "/app",
    new_path: str = "/app",
    env: Environment = (),
    new_env: Environment = (),
    named: tuple[str, ...] = (),
    beside: tuple[str, ...] = (),
) -> Closure:
    """The files of `root` that `program` loads, which stands there as `path` and in the new root as `new_path`; those
    that are `named` for dlopen; and what the files load that stand `beside` it in both roots, shared objects and
    programs.

    A name is looked up as the program's own dlopen does it; one with a slash is a file, or a folder: all of it, as
    plugins have data, but for other programs. `env` is the environment in `root`, `new_env` that in the new root.
    Raises: BadInput for a name that leads to nothing.
    """
    kinds = {file: kind_in(root.reader(file))[0] for file in beside}
    own = _closure_of(
        program,
        root,
        platform,
        path=path,
        new_path=new_path,
        env=env,
        new_env=new_env,
        named=named,
        beside=tuple(file for file, kind in kinds.items() if kind == "library"),
    )
    for file in (file for file, kind in kinds.items() if kind == "program"):
        dynamic = read_dynamic(root.reader(file))
        if dynamic.interpreter is not None:
            own = _both(own, _closure_of(dynamic, root, platform, path=file, new_path=file, env=env, new_env=new_env))
    return own


def _both(first: Closure, second: Closure) -> Closure:
    """Raises: BadInput where two files would be at one place."""
    places = dict(first.places)
    for place, real in second.places:
        if places.setdefault(place, real) != real:
            raise BadInput(
                f"{places[place]} and {real} would both be {place} in the new root",
                hint="two programs of a bundle find different libraries under one name: bundle them apart",
            )
    return replace(first, places=tuple(sorted(places.items())))


def _closure_of(
    program: Dynamic,
    root: RootFs,
    platform: Platform,
    *,
    path: str,
    new_path: str,
    env: Environment,
    new_env: Environment,
    named: tuple[str, ...] = (),
    beside: tuple[str, ...] = (),
) -> Closure:
    data = tuple(file for name in named if "/" in name for file in _files(root, absolute(name)))
    kinds = {file: kind_in(root.reader(file))[0] for file in data}
    # A program in a folder of plugins is not loaded, and an object file is for the linker.
    data = tuple(file for file in (*data, *beside) if kinds.get(file) not in ("program", "object"))
    plugins = (*(file for file, kind in kinds.items() if kind == "library"), *beside)
    extended = replace(program, needed=(*program.needed, *plugins, *(name for name in named if "/" not in name)))
    found = explain(extended, root, env=env, platform=platform, path=path, checks=False)
    _check_named(found, named, path)
    interpreter = program.interpreter or ""
    wanted = {interpreter} | {_place(root, library.path) for library in found.libraries if library.path}
    places = {place: real for place in wanted if (real := root.resolve(place)) is not None}
    fixed = {file: root.resolve(file) or file for file in data}
    loading, places = _settle(extended, root, platform, new_path, new_env, {**places, **fixed}, found)
    used = {interpreter} | {_place(root, library.path) for library in loading.libraries if library.path}
    kept = {place: real for place, real in places.items() if place in used} | fixed
    own = found if not named else explain(program, root, env=env, platform=platform, path=path, checks=False)
    told = {library.name for library in own.libraries if library.path is None}
    missing = tuple(each for each in found.libraries if each.path is None and each.name not in told)
    later = () if named or found.loader != "glibc" else _loaded_later(program, found)
    return Closure(tuple(sorted(kept.items())), missing, (*later, *_named_in_notes(found, loading)))


def _settle(
    program: Dynamic,
    root: RootFs,
    platform: Platform,
    path: str,
    env: Environment,
    places: dict[str, str],
    found: Loading,
) -> tuple[Loading, dict[str, str]]:
    """What is loaded in the new root, once all that is not found at its old place there has got another one."""
    real = {library.name: places[_place(root, library.path)] for library in found.libraries
            if library.path and _place(root, library.path) in places}  # fmt: skip
    folder = _built_in_folder(program, root, found)
    while True:
        new = RootFs(_NewTree(root, places, path))
        loading = explain(program, new, env=env, platform=platform, path=path, checks=False)
        lost = {library.name for library in loading.libraries if library.path is None} & real.keys()
        moved = {posixpath.join(folder, name): real[name] for name in lost if "/" not in name}
        if moved.items() <= places.items():
            return loading, places  # what is still lost cannot be found anywhere: the verdict will say so
        places = {**places, **moved}


def _place(root: RootFs, path: str) -> str:
    """Where a library stands that the loader found as `path`: without the `..` that $ORIGIN brings."""
    path = absolute(path)
    plain = posixpath.normpath(path)
    return plain if plain == path or root.resolve(plain) == root.resolve(path) else root.standing(path)


def _built_in_folder(program: Dynamic, root: RootFs, found: Loading) -> str:
    if found.loader != "glibc":
        return _MUSL_FOLDER
    return system_folders(objects_of(root).content(program.interpreter or ""))[0]


def _check_named(found: Loading, named: tuple[str, ...], path: str) -> None:
    for library in found.libraries:
        if library.path is None and library.name in named and library.needed_by == path:
            looked = ", ".join(dict.fromkeys(step.path for step in library.searched if step.path))
            raise BadInput(f"the root has no {library.name}", hint=f"the loader looked for it at {looked}")


def _files(root: RootFs, path: str) -> Iterator[str]:
    """The file at `path`, or all files beneath the folder. Raises: BadInput where there is neither."""
    if root.is_file(path):
        yield path
    elif root.is_folder(path):
        for name in root.names(path):
            below = f"{path.rstrip('/')}/{name}"
            if root.is_folder(below) or root.is_file(below):
                yield from _files(root, below)
    else:
        raise BadInput(
            f"the root has no {path}", hint="give a library's name as the program does, or the path of a file or folder"
        )


def _loaded_later(program: Dynamic, found: Loading) -> tuple[str, ...]:
    imported = {symbol.name for symbol in program.imports}
    present = {library.name for library in found.libraries}
    return tuple(
        later.text for later in LOADED_LATER if imported & {*later.symbols} and not present & {*later.answered_by}
    )


def _named_in_notes(found: Loading, loading: Loading) -> Iterator[str]:
    """What the given root has and the new one lacks of the libraries that dlopen notes name."""
    absent = {problem.library for problem in found.later}
    for problem in loading.later:
        if problem.code == "opened-later-missing" and problem.library not in absent:
            yield f"{problem.evidence}: add --dlopen {problem.library}"


class _NewTree:
    """The new root as a tree whose contents are still in the old one. Files of equal content are one file.

    The program's folder is there too: $ORIGIN may lead through it.
    """

    skipped: tuple[Skipped, ...] = ()

    def __init__(self, root: RootFs, places: Mapping[str, str], program: str) -> None:
        self._root = root
        self._places = places
        self._folders: dict[str, set[str]] = {"": set(), "/": set()}
        for place in (*places, program):
            below = place
            while below not in ("", "/"):
                above, _, name = below.rpartition("/")
                self._folders.setdefault(above or "/", set()).add(name)
                below = above

    def entry(self, path: str) -> Entry | None:
        if path in self._places:
            real = self._root.stat(self._places[path])
            return replace(real, mode=0o755) if real is not None else None
        return Entry("dir", 0o755) if path in self._folders else None

    def children(self, path: str) -> tuple[str, ...]:
        return tuple(sorted(self._folders.get(path, ())))

    def reader(self, path: str) -> Reader:
        return self._root.reader(self._places[path])
