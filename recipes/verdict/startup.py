"""Rules for exec and the loader: what keeps a program from starting at all.

The messages are those of Docker 20.10 and later, glibc and musl, word by word.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace

from recipes.architecture import Kind, architecture, kinds_of
from recipes.loader.explain import checks_cpu_level, explain
from recipes.loader.glibcpaths import absolute, folders_for_some
from recipes.loader.loading import Loading as Loaded
from recipes.loader.loading import Problem
from recipes.loader.objects import objects_of
from recipes.model import Finding, Level, Library, Linkage
from recipes.rootfs.accounts import Account, UnknownAccount, look_up
from recipes.rootfs.root import RootFs
from recipes.verdict.subject import Root, Subject, read_text

_ACCOUNTS = ("/etc/passwd", "/etc/group")
_LEVELS = {1: "v1", 2: "v2", 4: "v3", 8: "v4"}
_LINUX_GO = ("linux", "android")
_OTHER_SYSTEMS = {2: "NetBSD", 6: "Solaris", 9: "FreeBSD", 12: "OpenBSD"}
"""By ELF OS ABI."""

LOADER_CODES = {
    "interpreter-missing": ("interpreter-missing", "link it statically, or take a base that has that loader"),
    "interpreter-broken": ("interpreter-broken", "take a base whose loader is intact and for the same CPU"),
    "told-to-print": ("loader-only-prints", "take the variable out of the image's environment"),
    "library-missing": ("library-missing", "add the library to the image, or link it statically"),
    "library-broken": ("library-broken", "take a base whose libraries are intact and for the same CPU"),
    "relocations-unknown": (
        "relr-unsupported",
        "link without -z pack-relative-relocs, or take a base with glibc 2.36, musl 1.2.4 or newer",
    ),
    "libc-foreign": ("glibc-mixed", "take the loader and libc.so.6 from one release of glibc, or link it statically"),
    "version-missing": ("glibc-too-old", "build on an older system, take a newer base, or link it statically"),
    "symbol-undefined": (
        "symbol-missing",
        "take the version of the library that it was linked with, or link it statically",
    ),
    "symbol-undefined-later": (
        "symbol-missing-later",
        "take the version of the library that it was linked with, or link with -z now to know at once",
    ),
    "opened-later-missing": (
        "library-missing-later",
        "add the library to the image, for a bundle with --dlopen, if the program uses what it is for",
    ),
    "cpu-level": ("cpu-level", "take a base whose libraries are built for the baseline"),
    "symbol-missing": ("musl-symbol-missing", "build it for musl, or take a base with glibc"),
}
"""The loader's problem → the finding's code, and the fix."""


@dataclass(frozen=True, slots=True)
class Loading:
    """The loader's part. `known` False: something decisive could not be read."""

    findings: tuple[Finding, ...] = ()
    libraries: tuple[Library, ...] = ()
    known: bool = True


def account_of(root: Root, user: str) -> Account | Finding:
    """Whom the engine starts the program as; it gives up where that is a name that the image's own lists do not have.

    The engine reads them as root: `root` is not yet one user's view.
    """
    try:
        return look_up(user, *(read_text(root, path).encode(errors="surrogateescape") for path in _ACCOUNTS))
    except UnknownAccount as unknown:
        fix = "use numbers, such as 65532:65532, or add /etc/passwd and /etc/group"
        return Finding(
            level=Level.CERTAIN,
            code="unknown-user",
            evidence=f"the image's user is {user!r}",
            message=str(unknown),
            fix=fix,
        )


def out_of_reach(subject: Subject) -> Finding | None:
    """A folder on the way to the program that the image's user may not pass. The program itself may be executed."""
    barrier = subject.root.barrier(posixpath.join(posixpath.dirname(subject.entry), "."))
    if not barrier:
        return None
    evidence = f"{barrier} has mode {subject.root.mode(barrier):04o}, and keeps the image's user from {subject.entry}"
    message = f"exec {subject.entry}: permission denied"
    return Finding(
        level=Level.CERTAIN, code="not-executable", evidence=evidence, message=message, fix="give the folder mode 0755"
    )


def closed_top(subject: Subject) -> Finding | None:
    """A root whose own mode keeps the image's user out, in engines that keep to it."""
    if subject.root.may_pass_top():
        return None
    evidence = f"the layers give / mode {subject.root.mode('/'):04o}; Docker does not keep to that, podman does"
    message = f"exec {subject.entry}: permission denied"
    return Finding(
        level=Level.POSSIBLE, code="root-closed", evidence=evidence, message=message, fix="give the base's ./ mode 0755"
    )


def refused_by_kernel(subject: Subject) -> Finding | None:
    """What is wrong with the file whatever the root holds."""
    facts, offered = subject.facts, subject.platform.architecture
    if facts.machine != offered and facts.machine not in architecture(offered).also_runs:
        certain = facts.machine not in architecture(offered).may_run
        return Finding(
            level=Level.CERTAIN if certain else Level.POSSIBLE,
            code="wrong-cpu",
            evidence=f"the file is for {facts.machine}, the image for {subject.platform}",
            message=f"exec {subject.entry}: exec format error",
            fix=f"build it for {subject.platform}, or choose --platform linux/{facts.machine}",
        )
    if facts.interpreter is None and (found := _other_system(subject)):
        return found
    if facts.linkage is Linkage.SHARED_LIBRARY or (facts.type == "DYN" and facts.entry == 0):
        return Finding(
            level=Level.CERTAIN if facts.entry == 0 else Level.POSSIBLE,
            code="shared-library-as-program",
            evidence="ET_DYN without an interpreter, without DF_1_PIE"
            + (", and with entry point 0" if facts.entry == 0 else ""),
            message="Segmentation fault (exit code 139)",
            fix="link a program: without -shared, or with -static-pie",
        )
    return None


def _other_system(subject: Subject) -> Finding | None:
    """A static program for another system than Linux: the kernel starts it, and its first system call is another's."""
    go = subject.traits.go
    if go is not None:
        system = go.settings.get("GOOS", "linux")
        evidence = f"Go build information: GOOS={system}"
        foreign = system not in _LINUX_GO
    else:
        system = _OTHER_SYSTEMS.get(subject.facts.os_abi, "")
        evidence = f"its ELF header names {system}"
        foreign = bool(system)
    if not foreign:
        return None
    # Linux does not look at the header's mark, and tools for one emulator or another set it on its own programs.
    level = Level.CERTAIN if go is not None else Level.POSSIBLE
    return Finding(
        level=level,
        code="wrong-system",
        evidence=evidence,
        message="Segmentation fault (exit code 139)",
        fix="build it for Linux",
    )


def load(subject: Subject) -> Loading:
    """What happens between exec and the program's own code."""
    if subject.facts.interpreter is None:
        return Loading()
    interpreter = absolute(subject.facts.interpreter, subject.workdir)
    root = subject.root
    if not (root.exists(interpreter) or root.is_loop(interpreter) or root.barrier(interpreter)):
        return Loading((_interpreter_missing(subject, subject.facts.interpreter),))
    if not isinstance(root, RootFs):
        return Loading(known=False)
    found = _explain(subject, _kinds(subject)[0])
    better = _on_other_machines(subject, found)
    # linux/amd64 without a variant says nothing of the machine that it will run on.
    doubtful = () if subject.platform.variant else ("cpu-level",)
    failing = [each for each in (found, *better) if any(problem.code not in doubtful for problem in each.problems)]
    depends = 0 < len(failing) <= len(better)
    met = (found, *better) if depends else (found,)
    problems = dict.fromkeys(problem for each in met for problem in each.problems)
    findings = tuple(
        replace(_finding(problem), level=Level.POSSIBLE) if depends or problem.code in doubtful else _finding(problem)
        for problem in problems
    )
    findings += tuple(replace(_finding(problem), level=Level.POSSIBLE) for problem in (*found.later, *found.doubts))
    known = found.loader != "unknown" and not depends and not found.doubts
    return Loading(findings, found.libraries, known=known)


def _explain(subject: Subject, kind: Kind) -> Loaded:
    assert isinstance(subject.root, RootFs)
    return explain(
        subject.traits.dynamic,
        subject.root,
        env=subject.env,
        platform=subject.platform,
        kind=kind,
        path=subject.entry,
        argv0=subject.argv0,
        workdir=subject.workdir,
    )


def _kinds(subject: Subject) -> tuple[Kind, ...]:
    """The kinds of machines that the platform may mean. Without a variant it says nothing of the machine."""
    return kinds_of(subject.traits.dynamic.machine, subject.platform.variant)


def _on_other_machines(subject: Subject, found: Loaded) -> tuple[Loaded, ...]:
    """What the loader does on the other kinds of machines that the platform may mean, if that may be something else."""
    root = subject.root
    kinds = _kinds(subject)
    if len(kinds) == 1 or found.loader != "glibc" or not isinstance(root, RootFs):
        return ()
    objects = objects_of(root)
    cache = objects.ldcache(subject.traits.dynamic.little_endian)
    cached = [entry for library in found.libraries for entry in (cache.entries.get(library.name, ()) if cache else ())]
    places = {posixpath.dirname(step.path) for library in found.libraries for step in library.searched if step.path}
    folders = [absolute(place, subject.workdir) for place in places]
    names = folders_for_some(kinds)
    by_name = any(entry.hardware for entry in cached) or any(objects.has_any(folder, names) for folder in folders)
    if by_name or found.uses_platform:
        return tuple(_explain(subject, kind) for kind in kinds[1:])
    if any(entry.hwcap for entry in cached) or any(objects.has_any(folder, ("glibc-hwcaps",)) for folder in folders):
        levels = {kind.level: kind for kind in reversed(kinds) if kind.level != kinds[0].level}
        return tuple(_explain(subject, levels[level]) for level in sorted(levels))
    return ()


def _finding(problem: Problem) -> Finding:
    """What the loader reports, in the words of docs/hazards.md."""
    code, fix = LOADER_CODES["relocations-unknown" if "GLIBC_ABI_DT_RELR" in problem.message else problem.code]
    return Finding(level=Level.CERTAIN, code=code, evidence=problem.evidence, message=problem.message, fix=fix)


def _interpreter_missing(subject: Subject, interpreter: str) -> Finding:
    program, facts = subject.traits, subject.facts
    code, fix = "interpreter-missing", "link it statically, or take a base that has that loader"
    evidence = f"it asks for the loader {interpreter}, which the image lacks"
    if program.go and facts.linkage is Linkage.LOADER_ONLY:
        code, fix = "go-pie-interpreter", "build with -buildmode=exe, or link externally with -extldflags=-static-pie"
        evidence += ", and for no library: Go with -buildmode=pie does this"
    elif not any(name.startswith(("libstdc++.", "libc++.")) for name in facts.needed) and program.imports(
        "__newlocale"
    ):
        # libstdc++ calls this name of glibc, and C programs do not: so libstdc++ is inside, and libc is not.
        code, fix = "partly-static", "-static-libstdc++ leaves libc dynamic: link with -static"
        evidence += "; libstdc++ is linked in, libc is not"
    return Finding(
        level=Level.CERTAIN,
        code=code,
        evidence=evidence,
        message=f"exec {subject.entry}: no such file or directory",
        fix=fix,
    )


def cpu_level(subject: Subject) -> Finding | None:
    """The CPU that it asks for when it starts; that of a static C program is never checked."""
    if subject.platform.architecture == "arm":
        return _arm_level(subject)
    if subject.platform.architecture != "amd64":
        return None
    program, entry = subject.traits, subject.entry
    level = program.go.settings.get("GOAMD64", "v1") if program.go else "v1"
    evidence = f"Go build information: GOAMD64={level}"
    message = f"This program can only be run on AMD64 processors with {level} microarchitecture support."
    fix, checked = "build with GOAMD64=v1", True
    if level == "v1" and subject.facts.interpreter is not None:
        asked = [name for bit, name in _LEVELS.items() if program.dynamic.isa_needed & bit]
        level = asked[-1] if asked else "v1"
        evidence = f"the note GNU_PROPERTY_X86_ISA_1_NEEDED asks for x86-64-{level}"
        message = f"{entry}: CPU ISA level is lower than required"
        fix = "link without -z x86-64-v…, compile for the baseline"
        if asked and isinstance(subject.root, RootFs):
            checked = checks_cpu_level(subject.root, absolute(subject.facts.interpreter, subject.workdir))
        if not checked:
            message, fix = "Illegal instruction (exit code 132)", "compile for the baseline"
    if level == "v1" or (subject.platform.variant and subject.platform.variant >= level):
        return None
    # linux/amd64 without a variant says nothing of the machine that it will run on.
    certain = checked and bool(subject.platform.variant)
    return Finding(
        level=Level.CERTAIN if certain else Level.POSSIBLE,
        code="cpu-level",
        evidence=evidence,
        message=message,
        fix=fix,
    )


def _arm_level(subject: Subject) -> Finding | None:
    """A Go program for a newer ARM than the platform's: it meets an instruction of that before it can check."""
    go = subject.traits.go
    setting = go.settings.get("GOARM", "") if go else ""
    asked = f"v{setting.partition(',')[0]}" if setting else ""
    offered = subject.platform.variant or architecture("arm").default_variant
    if asked <= offered:
        return None
    evidence = f"Go build information: GOARM={setting}"
    fix = f"build with GOARM={offered.removeprefix('v')}, or choose --platform linux/arm/{asked}"
    return Finding(
        level=Level.CERTAIN, code="cpu-level", evidence=evidence, message="Illegal instruction (exit code 132)", fix=fix
    )
