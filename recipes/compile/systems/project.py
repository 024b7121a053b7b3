"""Projects with a build system of their own: what is the same whichever it is.

The files are copied, the copy is configured and built with the recipe's compiler, and the product is picked. Nothing is
ever written to the project's own folder, and every build starts afresh: what comes out is what these files give, not
what an older build left. `cmake`, `meson`, `autotools` and `make` beside this file say how each system is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from recipes.architecture import architecture
from recipes.compile import wrapper
from recipes.compile.cpp import cache_folders
from recipes.compile.files import NO_INPUTS, listed, walk
from recipes.compile.plan import Step, built_in, source_date, write_step
from recipes.compile.product import Product
from recipes.compile.recipe import Recipe
from recipes.compile.targets import zig_target
from recipes.compile.toolchain import Toolchain, which
from recipes.elf.kind import kind_of
from recipes.errors import BadInput
from recipes.model import Command, Platform, Sample
from recipes.support.workspace import Workspace

_KEPT = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "ZIG_GLOBAL_CACHE_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_LEFT_OVER = ("*.o", "*.lo", "*.la", "*.gch", "config.status", "config.cache", "CMakeCache.txt", "CMakeFiles")
_NAMED = 5
"""So many of the files that are left out are named."""

_SAME_TIME = 1_000_000_000
"""Seconds since 1970: old enough, and none of the first ones, which `make` and Ninja have another meaning for."""

_UNUSABLE = frozenset(":;\"'`\\$#%&|<>*?\n\r\t")
"""PATH cannot hold a colon; CMake, gcc's LTO and make's rules read quotes and the like in a path as syntax."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where one project is built, with what, for what: all that a build system's planner has to know.

    `source` is the copy, `build` a folder for what is built outside of it, `tools` has the recipe's compilers.
    """

    sample: Sample
    recipe: Recipe
    platform: Platform
    toolchain: Toolchain
    work: Path
    before: tuple[str, ...]
    """The words before each argv that give it an environment."""
    jobs: int
    """How many things its build system does at once."""

    @property
    def source(self) -> Path:
        return self.work / "source"

    @property
    def build(self) -> Path:
        return self.work / "build"

    @property
    def tools(self) -> Path:
        return self.work / "tools"

    @property
    def closed(self) -> bool:
        """Whether this machine's own libraries are none for the program: they belong to another libc or CPU."""
        return self.recipe.toolchain == "zig"

    @property
    def foreign(self) -> bool:
        """Whether what is built cannot be run here."""
        return self.platform != Platform.host()

    def run(self, title: str, cwd: Path, *argv: str, output: Path, inputs: tuple[str, ...] = ()) -> Step:
        """A step of the build system; `inputs` are its own programs.

        The recipe's compilers are found on PATH: so their names have no blanks, and no place that could get into a
        program. What else a project calls is found there too, so PATH is part of what decides the result.
        """
        folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(folder)]
        path = os.pathsep.join(dict.fromkeys((str(self.tools), *folders)))
        quiet = ("PKG_CONFIG_LIBDIR=", "PKG_CONFIG_PATH=") if self.closed else ()
        command = Command((*self.before, f"PATH={path}", "LC_ALL=C", "=".join(source_date()), *quiet, *argv), cwd)
        return Step(title, command, output, inputs=tuple(Path(path) for path in inputs), links=True)

    def ninja(self, program: str) -> Step:
        """Build what was configured. Ninja takes how much it does at once from its command line alone."""
        target, pace = self.sample.target, f"-j{self.jobs}"
        argv = (program, pace, *([target] if target else []))
        return replace(self.run("build", self.build, *argv, output=self.build / "build.ninja"), pace=pace)

    def write(self, name: str, text: str) -> Step:
        return write_step(self.work / name, text)

    def product(self, tree: Path, *, alone: bool = False) -> Product:
        return Product(tree, self.sample.target, architecture(self.platform.architecture).elf_machine, alone)


def environment(toolchain: Toolchain, workspace: Workspace, jobs: int) -> tuple[str, ...]:
    """`env -i …`: a Makefile takes any variable of the caller's for a setting of its own, so it gets none.

    None of those that are here changes what is made.
    """
    kept = {name: os.environ[name] for name in _KEPT if os.environ.get(name)}
    kept |= {name: os.environ[name] for name in _PROXIES if "@" not in os.environ.get(name, "@")}  # no passwords
    kept |= dict(cache_folders(toolchain, workspace))
    kept["MAKEFLAGS"] = f"-j{jobs}"
    return ("env", "-i", *(f"{name}={value}" for name, value in kept.items()))


def steps(
    sample: Sample,
    recipe: Recipe,
    platform: Platform,
    toolchain: Toolchain,
    work: Path,
    before: tuple[str, ...],
    jobs: int,
) -> tuple[Step, ...]:
    """Copy, configure and build, pick: each stage after the one before, none by itself.

    Raises: ToolMissing; BadInput for a name that a build system cannot cope with.
    """
    from recipes.compile import autotools, cmake, make, meson

    odd = sorted(set(str(work)) & _UNUSABLE)
    if odd:
        raise BadInput(
            f"{str(work)!r} has {odd[0]!r} in its name, and {sample.build} projects cannot be built there",
            hint="move the project to a folder with a plainer name",
        )
    site = Site(sample, recipe, platform, toolchain, work, before, jobs)
    planner = {"cmake": cmake, "meson": meson, "autotools": autotools, "make": make}[sample.build]
    its_own, product = planner.steps(site)
    picked = f"{os.path.relpath(product.tree, work)}/{product.target or 'PROGRAM'}"
    copy = Command(("cp", "--", picked, "app"), work)
    pick = Step("pick the program", copy, work / "app", product=product, linker_map=work / "app.map")
    everything = (*_copy(site), *_tools(site), *its_own, pick)
    return tuple(replace(step, stage=stage) for stage, step in enumerate(everything))


def _copy(site: Site) -> Iterator[Step]:
    """Modification times are made the same: `make` then takes no generated file for older than what it came from.

    For the same reason what an older build left must not come along: it would be taken for up to date.
    """
    folder, work = site.sample.folder, site.work
    archive = work / "source.tar"
    built = built_in(work)
    ours = folder / "sample.toml"  # what is in it that concerns the build is in the commands
    found = [path for path in _found(folder, built) if path != ours]
    by_name = {path for path in found if _is_left_over(path.name)}
    by_content = {path for path in found if path not in by_name and path.is_file() and kind_of(path)[0]}
    left_over = by_name | by_content
    copied = [path for path in found if path not in left_over]
    left_out = [path.relative_to(folder) for path in (ours, built, *by_content) if path.is_relative_to(folder)]
    patterns = [f"--exclude={name}" for name in (*sorted(NO_INPUTS), *_LEFT_OVER)]
    exact = ["--no-wildcards", "--anchored", *(f"--exclude=./{name}" for name in sorted(left_out))]
    clear = ("rm", "-rf", "--", "source", "build", "tools", archive.name)
    yield Step("clear", Command(clear, work), work)
    yield Step("make folders", Command(("mkdir", "--", "source", "build", "tools"), work), work)
    own = (("TAR_OPTIONS", ""),)  # the caller's are read before ours
    tar = ("tar", "--create", f"--file={archive}", f"--mtime=@{_SAME_TIME}", *patterns, *exact, "./")
    inputs = tuple(path for path in copied if path.is_file())
    names = tuple(listed(path) for path in copied)
    remark = _remark([str(path.relative_to(folder)) for path in sorted(left_over)])
    yield Step("copy the files", Command(tar, folder, own), archive, inputs=inputs, names=names, remark=remark)
    unpack = ("tar", "--extract", f"--file={archive.name}", "--directory=source", "--no-same-owner")
    yield Step("unpack the copy", Command(unpack, work, own), work)


def _found(folder: Path, built: Path) -> Iterator[Path]:
    """Every file, folder and link, but for what is in folders that an older build left."""
    for parent, folders, files in walk(folder, built):
        yield from (Path(parent, name) for name in (*folders, *files) if name not in NO_INPUTS)
        folders[:] = [name for name in folders if not _is_left_over(name)]


def _is_left_over(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _LEFT_OVER)


def _remark(left_over: list[str]) -> str:
    if not left_over:
        return ""
    more = f" and {len(left_over) - _NAMED} more" if len(left_over) > _NAMED else ""
    return f"not copied, as an older build may have left it: {', '.join(left_over[:_NAMED])}{more}"


def _tools(site: Site) -> Iterator[Step]:
    toolchain = site.toolchain
    target = zig_target(site.platform) if site.recipe.toolchain == "zig" else ()
    archiver, ranlib, fat = (*toolchain.archiver,), (*toolchain.archiver[:-1], "ranlib"), False
    if site.recipe.toolchain == "gcc":
        # gcc's own ar and ranlib know its LTO objects; the plain ones may not.
        folder = os.path.dirname(toolchain.c[0])
        found = [which(os.path.join(folder, f"gcc-{tool}")) or which(f"gcc-{tool}") for tool in ("ar", "ranlib")]
        fat = None in found
        archiver = toolchain.archiver if found[0] is None else (found[0],)
        ranlib = (which("ranlib") or "ranlib",) if found[1] is None else (found[1],)
    yield site.write(f"tools/{wrapper.CC}", wrapper.compiler(site.recipe, (*toolchain.c, *target), site.work, fat))
    yield site.write(f"tools/{wrapper.CXX}", wrapper.compiler(site.recipe, (*toolchain.argv, *target), site.work, fat))
    for prefix in ("", "gcc-"):
        yield site.write(f"tools/{prefix}{wrapper.AR}", wrapper.forward(archiver))
        yield site.write(f"tools/{prefix}{wrapper.RANLIB}", wrapper.forward(ranlib))
