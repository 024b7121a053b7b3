"""Which of the files that a build system made is the program."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recipes.compile.files import sha256
from recipes.compile.naming import declared_names
from recipes.errors import BadInput, unknown
from recipes.support.printable import shell_word

_NO_PRODUCTS = frozenset({"CMakeFiles", "meson-private", "meson-info", "_deps", "autom4te.cache", ".deps", ".git"})
"""Folders where build systems try their compilers out, keep books, or build what they have downloaded."""

_ASIDE = ("test", "example", "sample", "demo", "bench", "conf", "helper", "contrib", "fuzz")
_FROM_OTHERS = ("deps", "third_party", "thirdparty", "3rdparty", "vendor", "external", "subprojects")
"""How the names of folders begin whose programs are not what a project is about: its own, and other projects'."""

_ON_PATH = ("bin", "sbin")
_SERVERS = ("{}-server", "{}d")
_USUAL = "usr/bin"


class NoProgram(BadInput):
    """A build that ended well, and made no program."""


@dataclass(frozen=True, slots=True)
class Product:
    """The program wanted from the folder `tree`: the one called `target`, or lying there; "" is the project's own.

    `machine` is its e_machine: tools that a build makes for its own use run on another CPU. `installed` is the folder
    that stands for / where the project has installed itself, `names` what it may be called, the best first. `project`
    is the folder that a user names.
    """

    tree: Path
    target: str
    machine: int
    installed: Path | None = None
    names: tuple[str, ...] = ()
    project: str = "PATH"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One program, under all its names: equal files are one.

    `paths` are relative to the tree, the first of them counts; `installed` are absolute paths, as on a machine where
    the project is installed.
    """

    paths: tuple[Path, ...]
    installed: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return self.paths[0]

    def under(self, name: str) -> Candidate:
        """The same, with the path first that has this name."""
        return replace(self, paths=tuple(sorted(self.paths, key=lambda path: path.name != name)))

    def is_called(self, name: str) -> bool:
        return any(path.name == name for path in (*self.paths, *map(Path, self.installed)))

    def lies_at(self, target: str) -> bool:
        return Path(target) in self.paths or target in self.installed

    def place(self, name: str) -> str:
        """Where it is installed, under this name if it has it there; else where programs of this name mostly are."""
        named = [path for path in self.installed if os.path.basename(path) == name]
        return next(iter((*named, *self.installed)), f"/{_USUAL}/{name}")

    @property
    def is_on_path(self) -> bool:
        return any(Path(path).parent.name in _ON_PATH for path in self.installed)

    @property
    def is_aside(self) -> bool:
        """Whether it is a test, an example or the like: it is not installed for users, and lies in such a folder."""
        return not self.is_on_path and all(
            any(part.lower().startswith((*_ASIDE, *_FROM_OTHERS)) for part in path.parts[:-1]) for path in self.paths
        )


def find(product: Product, name: str, among: Iterable[Candidate] | None = None) -> Candidate:
    """The program. Raises: BadInput that lists the programs of the sample `name`."""
    found = tuple(candidates(product) if among is None else among)
    return _named(product.target, found, name) if product.target else _own(product, found, name)


def named(target: str, found: Sequence[Candidate]) -> list[Candidate]:
    """Those that lie at the path `target`; else those that are called so."""
    return [each for each in found if each.lies_at(target)] or [each for each in found if each.is_called(target)]


def _named(target: str, found: Sequence[Candidate], name: str) -> Candidate:
    fitting = named(target, found)
    if len(fitting) > 1:
        raise BadInput(f"{name} makes several {target}: {_listed(fitting, found)}", hint="give the path with --target")
    if not fitting:
        raise no_such(name, target, [str(each.path) for each in found])
    return fitting[0].under(Path(target).name)


def _own(product: Product, found: Sequence[Candidate], name: str) -> Candidate:
    """The program that the project is about: each rule in turn, until one leaves exactly one."""
    if not found:
        raise NoProgram(f"the build of {name} made no program for this platform", hint="does it build only a library?")
    wanted = [each for each in found if not each.is_aside] or list(found)
    like_it = _namesake(product, wanted)
    if like_it is not None:
        return like_it
    on_path = [each for each in wanted if each.is_on_path]
    for left in (wanted, on_path):
        if len(left) == 1:
            return left[0]
    listed = on_path or wanted
    example = shell_word(_word_for(listed[0], found))
    raise BadInput(
        f"{name} makes {len(listed)} programs: {_listed(listed, found)}",
        hint=f"choose one: `invoke build-static {shell_word(product.project)} --target {example}` builds nothing again",
    )


def _namesake(product: Product, found: Sequence[Candidate]) -> Candidate | None:
    """The only program with the first of the project's names that any has; else the server of that name."""
    names = (*product.names, *declared_names(product.tree))
    for called in dict.fromkeys((*names, *(form.format(name) for name in names for form in _SERVERS))):
        fitting = [each for each in found if each.is_called(called)]
        fitting = [each for each in fitting if each.is_on_path] or fitting
        if len(fitting) == 1:
            return fitting[0].under(called)
    return None


def namesake(product: Product) -> str:
    """Where the program lies that is called like the project, as far as it is built; "" while there is none."""
    found = _namesake(product, [each for each in candidates(product) if not each.is_aside])
    return str(found.path) if found else ""


def no_such(name: str, target: str, known: Sequence[str]) -> BadInput:
    near = unknown("target", target, known).hint
    return BadInput(f"{name} makes no program {target!r}; it makes {', '.join(known) or 'none'}", near)


def candidates(product: Product) -> tuple[Candidate, ...]:
    """The programs of the tree, sorted; and those that are only where they were installed."""
    found = _merged(product.tree, programs(product.tree, product.machine))
    if product.installed is None:
        return tuple(found.values())
    for path in programs(product.installed, product.machine):
        places = tuple(f"/{each}" for each in (path, *_links(product.installed, path)))
        content = sha256(product.installed / path)
        # Installing may change a file: it is stripped, or its RUNPATH is taken out.
        same = content if content in found else _only_one_called(path.name, found)
        if same is None:
            found[content] = Candidate((Path(os.path.relpath(product.installed / path, product.tree)),), places)
        else:
            found[same] = replace(found[same], installed=(*found[same].installed, *places))
    return tuple(found.values())


def programs(tree: Path, machine: int) -> tuple[Path, ...]:
    """The programs below `tree`, sorted, each name of each."""
    from recipes.elf.kind import kind_of

    found = (path for path in sorted(_files(tree)) if path.stat().st_mode & 0o111)
    return tuple(path.relative_to(tree) for path in found if kind_of(path) == ("program", machine))


def by_file(tree: Path, paths: Iterable[Path]) -> tuple[list[Path], ...]:
    """The paths of each file: git's has a hundred."""
    found: dict[tuple[int, int], list[Path]] = {}
    for path in paths:
        status = (tree / path).stat()
        found.setdefault((status.st_dev, status.st_ino), []).append(path)
    return tuple(found.values())


def _merged(tree: Path, paths: Iterable[Path]) -> dict[str, Candidate]:
    """By content. What lies nearest to the top comes first: a build system's own folders are deeper."""
    found: dict[str, list[Path]] = {}
    for names in by_file(tree, paths):
        found.setdefault(sha256(tree / names[0]), []).extend(names)
    return {
        content: Candidate(tuple(sorted(same, key=lambda path: (len(path.parts), path))))
        for content, same in found.items()
    }


def _only_one_called(name: str, found: dict[str, Candidate]) -> str | None:
    fitting = [content for content, each in found.items() if each.is_called(name)]
    return fitting[0] if len(fitting) == 1 else None


def _links(root: Path, program: Path) -> Iterator[Path]:
    """The symbolic links of the same folder that lead to `program`."""
    with os.scandir((root / program).parent) as entries:
        names = sorted(entry.name for entry in entries if entry.is_symlink())
    for name in names:
        if os.readlink((root / program).with_name(name)) in (program.name, f"./{program.name}", f"/{program}"):
            yield program.with_name(name)


def _files(tree: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(tree):
        folders[:] = sorted(name for name in folders if name not in _NO_PRODUCTS)
        for name in files:
            path = Path(parent, name)
            if not name.startswith("conftest") and not name.endswith((".o", ".so")) and not path.is_symlink():
                yield path


def _word_for(candidate: Candidate, found: Sequence[Candidate]) -> str:
    """What --target takes for it: its name where it is installed, if it is the only one called so; else its path."""
    installed = [os.path.basename(path) for path in candidate.installed]
    name = candidate.path.name if candidate.path.name in installed else next(iter(installed), "")
    return name if name and len(named(name, found)) == 1 else str(candidate.path)


def _with_names(candidate: Candidate, found: Sequence[Candidate]) -> str:
    others = list(dict.fromkeys(path.name for path in candidate.paths if path.name != candidate.path.name))
    word = _word_for(candidate, found)
    if not others:
        return word
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return f"{word} (also {', '.join(others[:3])}{more})"


def _listed(some: Sequence[Candidate], found: Sequence[Candidate]) -> str:
    shown = ", ".join(_with_names(each, found) for each in some[:40])
    return f"{shown} and {len(some) - 40} more" if len(some) > 40 else shown
