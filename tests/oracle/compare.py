"""Ask the real loader of a root, ask our rules, and say where they differ."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from recipes.elf.dynamic import Dynamic, read_dynamic
from recipes.elf.segments import FileReader, Reader
from recipes.errors import BadInput
from recipes.loader.explain import explain, loader_kind
from recipes.loader.loading import Loading
from recipes.loader.musl import MuslLoader
from recipes.loader.objects import objects_of
from recipes.model import Command, Platform
from recipes.rootfs.foldertree import FolderTree
from recipes.rootfs.root import RootFs
from recipes.rootfs.tree import Entry
from recipes.support import shell
from tests.need import need, need_tool

_LINE = re.compile(r"\t(?:(?P<name>.+) => )?(?P<path>.+?)(?: \(0x[0-9a-f]+\))?$")
_SYMBOL = re.compile(r"(?:undefined symbol: |symbol .* not defined in file ).*\t\((?P<object>.*)\)$")
_VERSION = re.compile(r".*version `.*' not found \(required by .*\)$")
_NOT_LISTED = ("cpu-level", "relocations-unknown", "libc-foreign")
"""What shows when a program is started, not when its libraries are listed."""
_LISTED_APART = ("library-missing", "symbol-undefined")
"""What glibc's list has lines of its own for."""
MUSL = "/lib/ld-musl-x86_64.so.1"
_INSIDE = Path(__file__).with_name("inside.py")


@dataclass(frozen=True)
class Answer:
    """What a loader says: found paths by name, missing names, and its complaints line by line.

    `lacking`: the objects of which glibc's loader says that nobody defines a symbol that they need.
    """

    found: Mapping[str, str]
    missing: frozenset[str]
    complaints: tuple[str, ...]
    lacking: frozenset[str] = frozenset()


class Answered(NamedTuple):
    """What came of running something in a root. `mapped` are the files of a program that stopped itself."""

    code: int
    text: str
    mapped: list[str] | None


@dataclass(frozen=True)
class Question:
    program: Path
    """on this machine"""
    path: str
    """in the root"""
    dynamic: Dynamic


class WithMounts:
    """A root as a process inside sees it: folders of this machine stand beneath /mnt."""

    skipped = ()

    def __init__(self, root: Path, folders: Iterable[Path]) -> None:
        self._root = FolderTree(root)
        self._host = FolderTree(Path("/"))
        self._mounts = tuple(f"/mnt{folder}" for folder in folders)

    def _where(self, path: str) -> tuple[FolderTree, str]:
        if any(path == mount or path.startswith(f"{mount}/") for mount in self._mounts):
            return self._host, path.removeprefix("/mnt")
        return self._root, path

    def entry(self, path: str) -> Entry | None:
        tree, there = self._where(path)
        return tree.entry(there)

    def children(self, path: str) -> tuple[str, ...]:
        tree, there = self._where(path)
        return tree.children(there)

    def reader(self, path: str) -> Reader:
        tree, there = self._where(path)
        return tree.reader(there)


def programs(folders: Iterable[Path]) -> Iterator[Path]:
    """Every dynamic ELF program beneath the folders, once."""
    seen = set()
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in sorted(names):
                path = Path(parent, name)
                if path.is_symlink() or not path.is_file() or not os.access(path, os.R_OK | os.X_OK):
                    continue
                status = path.stat()
                with path.open("rb") as file:
                    if file.read(4) == b"\x7fELF" and (status.st_dev, status.st_ino) not in seen:
                        seen.add((status.st_dev, status.st_ino))
                        yield path


def questions(paths: Iterable[Path], root: Path) -> Iterator[Question]:
    """Those of the files that have a loader of this machine; static ones would run their own code."""
    for path in paths:
        with FileReader(path) as reader:
            try:
                dynamic = read_dynamic(reader)
            except BadInput:
                continue
        if dynamic.interpreter is None or dynamic.machine != 62 or dynamic.bits != 64:
            continue
        yield Question(path, str(path) if str(root) == "/" else f"/mnt{path}", dynamic)


def make_mount_points(root: Path, folders: Sequence[Path]) -> None:
    for there in ("/proc", *(f"/mnt{folder}" for folder in folders)) if str(root) != "/" else ():
        Path(f"{root}{there}").mkdir(parents=True, exist_ok=True)


def ask(
    root: Path, folders: Sequence[Path], requests: Sequence[tuple[tuple[str, ...], dict[str, str], str]]
) -> list[Answered]:
    """What comes of running the root's own programs inside the root: each with this argv, environment and folder."""
    make_mount_points(root, folders)
    enter = (need_tool("unshare"), "--mount", "--map-root-user", "--net", sys.executable, "-IS", str(_INSIDE))
    command = Command((*enter, str(root), *map(str, folders)))
    done = shell.run(command, stdin=json.dumps(requests).encode(), timeout=1200)
    if done.exit_code != 0:
        message = done.stderr.decode(errors="replace")
        need("unshare" not in message, "user namespaces")
        raise AssertionError(message)
    return [Answered(*answer) for answer in json.loads(done.stdout)]


def differences(
    root: Path, folders: Sequence[Path], paths: Iterable[Path], *, env: Mapping[str, str] | None = None
) -> tuple[int, list[str]]:
    """How many programs of this machine were compared in `root`, and every difference in words."""
    closed = RootFs.from_directory(root) if str(root) == "/" else RootFs(WithMounts(root, folders))
    asked = list(questions(paths, root))
    if loader_kind(closed, MUSL) == "musl":
        # musl's loader has nothing to say of glibc's own libc, which has an interpreter too.
        asked = [question for question in asked if not question.dynamic.soname]
    return len(asked), list(disagreements(root, closed, asked, folders, env or {}))


def disagreements(
    root: Path, closed: RootFs, asked: Sequence[Question], folders: Sequence[Path], env: Mapping[str, str]
) -> Iterator[str]:
    """What the loader of `root` and we say differently about these programs."""
    musl = loader_kind(closed, MUSL) == "musl"
    for question in asked:
        kind = loader_kind(closed, question.dynamic.interpreter or "")
        assert musl or kind in ("glibc", "none"), "a loader that may run the program's own code"
    settings = dict(env)
    if not musl:
        settings["LD_BIND_NOW"] = "1"
    tracing = settings if musl else {**settings, "LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "1"}
    argvs = [((MUSL, "--list") if musl else ()) + (question.path,) for question in asked]
    platform = host_platform()
    answers = ask(root, folders, [(argv, tracing, "/") for argv in argvs])
    for question, (code, text, _) in zip(asked, answers, strict=True):
        if musl:
            loading = _as_musl(closed, question, settings)
        else:
            loading = explain(question.dynamic, closed, env=settings, platform=platform, path=question.path)
        real = _real_musl(text) if musl else _real_glibc(code, text)
        for difference in _compare(closed, loading, real, question.dynamic.interpreter):
            yield f"{root.name}: {question.path}: {difference}"


def _as_musl(root: RootFs, question: Question, env: Mapping[str, str]) -> Loading:
    """What musl's loader does with a program that it is told to list, whatever loader the program itself asks for."""
    objects = objects_of(root)
    found = objects.load(MUSL)
    assert not isinstance(found, str)
    return MuslLoader(objects, question.dynamic, found, path=question.path, env=env, workdir="/").run()


def _compare(root: RootFs, loading: Loading, real: Answer, loader: str | None) -> Iterator[str]:
    # The loader lists itself always, and under one name only.
    found = {library.name: library.path for library in loading.libraries if library.path not in (None, loader)}
    missing = {library.name for library in loading.libraries if library.path is None}
    complaints = tuple(
        problem.message
        for problem in loading.problems
        if problem.code not in _NOT_LISTED and (loading.loader == "musl" or problem.code not in _LISTED_APART)
    )
    lacking = {problem.needed_by for problem in loading.problems if problem.code == "symbol-undefined"}
    if not missing and not complaints and lacking != real.lacking:
        yield f"the loader misses symbols of {sorted(real.lacking)}, we those of {sorted(lacking)}"
    theirs_found = {name: path for name, path in real.found.items() if path != loader}
    for name, path in theirs_found.items():
        if found.get(name) != path:
            yield f"{name}: the loader finds {path}, we find {found.get(name)}"
    inodes = {_inode(root, path) for path in theirs_found.values()}
    for name, path in found.items():
        assert path is not None
        # A second name for a file that is loaded already is no line of its own.
        if name not in theirs_found and _inode(root, path) not in inodes:
            yield f"{name}: we find {path}, the loader does not ask for it"
    if missing != real.missing:
        yield f"the loader misses {sorted(real.missing)}, we miss {sorted(missing)}"
    if _ordered(complaints) != _ordered(real.complaints):
        ours, theirs = set(complaints), set(real.complaints)
        what = f"only we: {sorted(ours - theirs)}, only the loader: {sorted(theirs - ours)}"
        yield f"complaints differ: {what if ours != theirs else 'in their order'}"


def _ordered(complaints: Iterable[str]) -> list[str]:
    """musl complains of a symbol that is copied only where it is copied, not where it is first named."""
    return sorted(complaints, key=lambda line: line if line.startswith("Error relocating") else "")


def _inode(root: RootFs, path: str) -> int:
    entry = root.stat(path)
    return -1 if entry is None else entry.inode


def _real_glibc(code: int, text: str) -> Answer:
    if code == -1:
        return Answer({}, frozenset(), (f"exec: {text}",))
    found, missing, complaints, lacking = {}, set(), [], set()
    for line in text.splitlines():
        match = _LINE.match(line)
        if symbol := _SYMBOL.match(line):
            lacking.add(symbol["object"])
        elif _VERSION.match(line) and "weak version" not in line:
            complaints.append(line)
        elif match and match["path"] == "not found":
            missing.add(match["name"])
        elif match and "linux-vdso" not in line and line != "\tstatically linked":
            found[match["name"] or match["path"]] = match["path"]
    return Answer(found, frozenset(missing), tuple(complaints), frozenset(lacking))


def _real_musl(text: str) -> Answer:
    found, missing, complaints = {}, set(), []
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and match["name"]:
            found[match["name"]] = match["path"]
        elif not match:
            complaints.append(line)
            if lost := re.match(r"Error loading shared library (.*?): ", line):
                missing.add(lost[1])
    return Answer(found, frozenset(missing), tuple(dict.fromkeys(complaints)))


def host_platform() -> Platform:
    """This machine, with its CPU's x86-64 level as the loader takes it."""
    return Platform("linux", "amd64", _level())


def _level() -> str:
    flags = set(re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[1].split())  # type: ignore[index]
    if {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx2"} <= flags:
        return "v4"
    if {"avx2", "bmi1", "bmi2", "fma", "movbe", "f16c"} <= flags:
        return "v3"
    return "v2" if {"sse4_2", "ssse3", "popcnt"} <= flags else ""
