"""A program in a root → what its loader would do there, without running anything.

The loader is the file that PT_INTERP leads to *in the root*; its kind decides by which rules the rest is found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from recipes.architecture import Kind, kinds_of
from recipes.elf.dynamic import Dynamic, read_dynamic
from recipes.elf.segments import Reader, TruncatedSegment, read_file_header, read_header
from recipes.errors import NotElf, TruncatedElf
from recipes.loader.glibc import GlibcLoader
from recipes.loader.glibcpaths import HWCAPS_SINCE, absolute, release_number
from recipes.loader.loading import LoaderKind, Loading, Problem
from recipes.loader.musl import MuslLoader
from recipes.loader.objects import Object, Objects, cut_within_a_page, objects_of
from recipes.model import Environment, Library, Platform, Searched
from recipes.rootfs.root import RootFs

_MUSL_PATH = re.compile(rb"/etc/ld-musl-([A-Za-z0-9_.-]{1,32})\.path\0")

_OF_THE_STARTER = ("LD_LIBRARY_PATH", "LD_PRELOAD", "LD_DEBUG", "LD_TRACE_LOADED_OBJECTS")


def explain(
    program: Reader | Dynamic,
    root: RootFs,
    *,
    env: Mapping[str, str] | Environment = (),
    platform: Platform,
    path: str = "/app",
    argv0: str = "",
    workdir: str = "/",
    checks: bool = True,
    kind: Kind | None = None,
) -> Loading:
    """What happens between exec and the program's own code when `program` stands in `root` as `path`.

    A `Dynamic` is taken as it is: with its symbols, please. `env` is the image's.
    Without `checks` it is only asked which libraries are loaded, as far as the loader's rules have these apart.
    A `platform` variant such as v3 or z14 is the CPU's level; without one it is the baseline, so that glibc-hwcaps
    folders are not looked into. `kind` says more exactly what machine it is. `workdir` is where names without a leading
    slash are looked up; `argv0` is what the program is called, if that is not `path`.

    Raises: NotElf, TruncatedElf.
    """
    dynamic = program if isinstance(program, Dynamic) else read_dynamic(program)
    if dynamic.interpreter is None:
        return Loading("none")
    objects = objects_of(root)
    loader = _open_interpreter(objects, dynamic, path, workdir)
    if isinstance(loader, Problem):
        return Loading("unknown", (Library(dynamic.interpreter, None, path, ()),), (loader,))
    secure = root.lends_rights(absolute(path, workdir))
    # Whoever starts such a program is not to choose what it loads. Source: ld.so(8), "secure-execution mode".
    settings = {name: value for name, value in dict(env).items() if not (secure and name in _OF_THE_STARTER)}
    libc = _kind(objects, loader)
    if libc == "unknown":
        where = Searched(dynamic.interpreter, "PT_INTERP", "neither glibc's loader nor musl's")
        return Loading("unknown", (Library(dynamic.interpreter, loader.path, path, (where,)),))
    if libc == "glibc":
        started = GlibcLoader(
            objects,
            dynamic,
            loader,
            path=path,
            argv0=argv0 or path,
            kind=kind or kinds_of(dynamic.machine, platform.variant)[0],
            env=settings,
            workdir=workdir,
            secure=secure,
        )
        loading = started.run(checks=checks)
    else:
        loading = MuslLoader(objects, dynamic, loader, path=path, env=settings, workdir=workdir, secure=secure).run()
    if not loader.cut:
        return loading
    return replace(loading, doubts=(cut_within_a_page(loader, dynamic.interpreter, path), *loading.doubts))


def checks_cpu_level(root: RootFs, interpreter: str) -> bool:
    """Whether the loader at a path of the root refuses what asks for a better CPU, as glibc's does since 2.33."""
    if loader_kind(root, interpreter) != "glibc":
        return False
    objects = objects_of(root)
    loader = objects.load(interpreter)
    return not isinstance(loader, str) and release_number(objects.release(loader)) >= HWCAPS_SINCE


def loader_kind(root: RootFs, interpreter: str) -> LoaderKind:
    """What the loader at a path of the root is; "none" where there is no such file."""
    if not root.is_file(interpreter):
        return "none"
    objects = objects_of(root)
    found = objects.load(interpreter)
    return "unknown" if isinstance(found, str) else _kind(objects, found)


def _kind(objects: Objects, loader: Object) -> Literal["glibc", "musl", "unknown"]:
    if "_rtld_global" in objects.symbols(loader).exports:
        return "glibc"
    return "musl" if _MUSL_PATH.search(objects.content(loader.path)) else "unknown"


def _open_interpreter(objects: Objects, program: Dynamic, path: str, workdir: str) -> Object | Problem:
    """By the kernel's rules. Source: Linux, `fs/binfmt_elf.c`, `load_elf_binary`."""
    interpreter = absolute(program.interpreter or "", workdir)
    entry = objects.root.stat(interpreter)
    barrier = objects.root.barrier(interpreter)
    if barrier:
        evidence = f"{barrier} keeps the image's user from the loader {interpreter}"
        return Problem("interpreter-broken", f"exec {path}: permission denied", evidence, interpreter, path)
    if objects.root.is_loop(interpreter):
        message, evidence = f"exec {path}: too many levels of symbolic links", f"{interpreter} is a loop of links"
        return Problem("interpreter-broken", message, evidence, interpreter, path)
    if entry is None:
        evidence = f"it asks for the loader {interpreter}, which the image lacks"
        message = f"exec {path}: no such file or directory"
        return Problem("interpreter-missing", message, evidence, interpreter, path)
    if not objects.root.may_execute(interpreter):
        evidence = f"{interpreter} is a {entry.kind} with mode {entry.mode:04o} of {entry.uid}:{entry.gid}"
        return Problem("interpreter-broken", f"exec {path}: permission denied", evidence, interpreter, path)
    opened = objects.take(interpreter, program)
    if opened.object is None:
        message = _refusal(objects.root.reader(interpreter), path, program)
        return Problem("interpreter-broken", message, f"{interpreter} is {opened.found}", interpreter, path)
    return opened.object


def _refusal(loader: Reader, path: str, program: Dynamic) -> str:
    """What comes of a loader that is not a complete ELF file for the program's machine.

    The kernel reads the loader's headers before it gives up the old program; who fails later dies of a signal.
    """
    if loader.size < (64 if program.bits == 64 else 52):
        return f"exec {path}: input/output error"
    try:
        ours = read_file_header(loader).machine == program.machine
        read_header(loader)
    except TruncatedSegment:
        if ours:
            return "Segmentation fault (exit code 139)"
    except (NotElf, TruncatedElf):
        pass
    return f"exec {path}: accessing a corrupted shared library"
