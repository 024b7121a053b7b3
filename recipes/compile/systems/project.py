"""Projects with a build system of their own: what is the same whichever it is.

The files are copied, the copy is configured and built with the recipe's compiler, and the product is picked. Nothing is
ever written to the project's own folder, and every build starts afresh: what comes out is what these files give, not
what an older build left. `cmake`, `meson`, `autotools` and `make` beside this file say how each system is told.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from recipes.architecture import architecture
from recipes.compile.context import BuildContext
from recipes.compile.environment import source_date
from recipes.compile.files import NO_INPUTS, listed, walk
from recipes.compile.naming import given_names
from recipes.compile.paths import built_in
from recipes.compile.product import Product
from recipes.compile.step import Step, write_step
from recipes.compile.systems import confined as confine
from recipes.compile.systems import patches, wrapper
from recipes.compile.systems.protocol import PlannedSteps
from recipes.errors import BadInput
from recipes.model import Command, Platform
from recipes.support.shell import which

_KEPT = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "ZIG_GLOBAL_CACHE_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_LEFT_OVER = ("*.o", "*.lo", "*.la", "*.gch", "config.status", "config.cache", "CMakeCache.txt", "CMakeFiles")
_NAMED = 5
"""So many of the files that are left out are named."""

_SAME_TIME = 1_000_000_000
"""Seconds since 1970: old enough, and none of the first ones, which `make` and Ninja have another meaning for."""

_FOLDERS = ("source", "build", "tools", "install", "home")

_UNUSABLE = frozenset(":;\"'`\\$#%&|<>*?\n\r\t")
"""PATH cannot hold a colon; CMake, gcc's LTO and make's rules read quotes and the like in a path as syntax."""


def planned(
    context: BuildContext, its_own: Sequence[Step], tree: Path, target_step: Step | None = None
) -> PlannedSteps:
    """Copy, configure and build, install, pick: each stage after the one before, none by itself.

    `its_own` are the steps of the build system, after which the programs are in `tree`; the one that is asked for by
    name is made by `target_step` where it is not among them. Nothing before the last step depends on which that is.
    Raises: BadInput for a name that a build system cannot cope with.
    """
    work = context.work
    odd = sorted(set(str(work)) & _UNUSABLE)
    if odd:
        raise BadInput(
            f"{str(work)!r} has {odd[0]!r} in its name, and {context.sample.build} projects cannot be built there",
            hint="move the project to a folder with a plainer name",
        )
    product = Product(
        tree,
        context.sample.target,
        architecture(context.platform.architecture).elf_machine,
        context.installed,
        given_names(context.sample.folder),
        str(context.sample.folder),
    )
    picked = f"{os.path.relpath(product.tree, work)}/{product.target or 'PROGRAM'}"
    pick = Step(
        title="pick the program",
        command=Command(("cp", "--", picked, "app"), work),
        output=work / "app",
        product=product,
        target_step=target_step,
        linker_map=work / "app.map",
    )
    everything = (*_copy(context), *_patches(context), *_tools(context), *its_own, pick)
    return PlannedSteps(
        steps=tuple(step._replace(stage=stage) for stage, step in enumerate(everything)),
        unset=_environment(context),
        atomic=True,
        runs_build_files=True,
    )


def run(
    context: BuildContext,
    title: str,
    cwd: Path,
    *argv: str,
    output: Path,
    inputs: Sequence[str] = (),
    jobs: str = "",
    makes_all: bool = False,
    optional: bool = False,
) -> Step:
    """A step of the build system; `inputs` are its own programs, `jobs` is the word that says how many it runs at once.

    The recipe's compilers are found on PATH: so their names have no blanks, and no place that could get into a
    program. What else a project calls is found there too, so PATH is part of what decides the result.
    """
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(folder)]
    path = os.pathsep.join(dict.fromkeys((str(context.tools), *folders)))
    quiet = ("PKG_CONFIG_LIBDIR=", "PKG_CONFIG_PATH=") if context.compiler.brings_its_own_libc else ()
    # A repository around this project is not that of what is built: its commit would get into the program.
    apart = f"GIT_CEILING_DIRECTORIES={context.work}"
    settings = (f"PATH={path}", "LC_ALL=C", "=".join(source_date()), apart, *quiet)
    return Step(
        title=title,
        command=Command((*_environment(context), *settings, *argv), cwd),
        output=output,
        inputs=tuple(Path(path) for path in inputs),
        links=True,
        jobs_flag=jobs,
        makes_all=makes_all,
        optional=optional,
    )


def install(context: BuildContext, cwd: Path, *argv: str) -> Step:
    """The project's own `install`, into a folder that stands for /: it tells which programs there are for users, where
    they are to be, and what belongs to them.

    It is kept from writing anywhere else, as not every Makefile knows DESTDIR. Source: GNU Coding Standards, 7.2.4.
    """
    confined = (sys.executable, "-I", "-S", confine.__file__, str(context.work), "--")
    home = context.work / "home"
    settings = (f"HOME={home}", f"TMPDIR={home}", "MAKEFLAGS=-j1", f"DESTDIR={context.installed}")
    return run(context, "install", cwd, *settings, *confined, *argv, output=context.installed, optional=True)


def ninja(context: BuildContext, program: str) -> tuple[Step, Step | None]:
    """Build what was configured; and what else is asked for by name.

    Ninja takes how much it does at once from its command line alone.
    """
    jobs, target = f"-j{context.jobs}", context.sample.target
    output = context.build / "build.ninja"
    everything = run(context, "build", context.build, program, jobs, output=output, jobs=jobs, makes_all=True)
    if not target:
        return everything, None
    return everything, run(context, f"build {target}", context.build, program, jobs, target, output=output, jobs=jobs)


def write(context: BuildContext, name: str, text: str) -> Step:
    return write_step(context.work / name, text)


def processor(platform: Platform) -> tuple[str, str, str]:
    """What `uname -m` says there, the CPU family in Meson's words, and its byte order.

    Raises: BadInput for a CPU whose names are not known.
    """
    row = architecture(platform.architecture)
    if not row.machines or not row.meson_family:
        raise BadInput(f"build systems have no known name for {platform}")
    return row.machines[0], row.meson_family, "little" if row.little_endian else "big"


def _environment(context: BuildContext) -> tuple[str, ...]:
    """`env -i …`: a Makefile takes any variable of the caller's for a setting of its own, so it gets none.

    None of those that are here changes what is made.
    """
    kept = {name: os.environ[name] for name in _KEPT if os.environ.get(name)}
    kept |= {name: os.environ[name] for name in _PROXIES if "@" not in os.environ.get(name, "@")}  # no passwords
    kept |= dict(context.compiler.caches(context.workspace))
    kept["MAKEFLAGS"] = f"-j{context.jobs}"
    return ("env", "-i", *(f"{name}={value}" for name, value in kept.items()))


def _copy(context: BuildContext) -> Iterator[Step]:
    """Modification times are made the same: `make` then takes no generated file for older than what it came from.

    For the same reason what an older build left must not come along: it would be taken for up to date.
    """
    from recipes.elf.kind import kind_of

    folder, work = context.sample.folder, context.work
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
    clear = ("rm", "-rf", "--", *_FOLDERS, archive.name)
    yield Step(title="clear", command=Command(clear, work), output=work)
    made = Command(("mkdir", "--", *_FOLDERS), work)
    yield Step(title="make folders", command=made, output=work)
    own = (("TAR_OPTIONS", ""),)  # the caller's are read before ours
    tar = ("tar", "--create", f"--file={archive}", f"--mtime=@{_SAME_TIME}", *patterns, *exact, "./")
    yield Step(
        title="copy the files",
        command=Command(tar, folder, own),
        output=archive,
        inputs=tuple(path for path in copied if path.is_file()),
        names=tuple(listed(path) for path in copied),
        remark=_remark([str(path.relative_to(folder)) for path in sorted(left_over)]),
    )
    unpack = ("tar", "--extract", f"--file={archive.name}", "--directory=source", "--no-same-owner")
    yield Step(title="unpack the copy", command=Command(unpack, work, own), output=work)


def _patches(context: BuildContext) -> Iterator[Step]:
    if context.sample.without_patches:
        argv = patches.out(context.sample.folder, _SAME_TIME)
        yield run(context, "take Debian's patches out", context.source, *argv, output=context.source)


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


def _tools(context: BuildContext) -> Iterator[Step]:
    toolchain, compiler = context.toolchain, context.compiler
    archivers = compiler.archivers(toolchain)
    for names, driver in ((wrapper.C_NAMES, toolchain.c), (wrapper.CXX_NAMES, toolchain.argv)):
        script = wrapper.script(
            context.recipe,
            compiler,
            (*driver, *compiler.target(context.platform)),
            context.work,
            archivers_know_lto=archivers.know_lto,
        )
        first, *usual = names
        yield write(context, f"tools/{first}", script)
        # What a project compiles for its own use is called by the usual names, and has to run here.
        for name in usual if not context.foreign else ():
            yield write(context, f"tools/{name}", wrapper.alias(context.tools / first))
    for prefix in ("", "gcc-"):
        yield write(context, f"tools/{prefix}{wrapper.AR}", wrapper.forward(archivers.archiver))
        yield write(context, f"tools/{prefix}{wrapper.RANLIB}", wrapper.forward(archivers.ranlib))
    for name in wrapper.DOCUMENTERS:
        if which(name) is None:
            yield write(context, f"tools/{name}", wrapper.NO_MANUAL)
    if context.foreign:
        yield write(context, "tools/strip", wrapper.STRIP)
    pkg_config = which("pkg-config")
    if pkg_config and context.recipe.static and not compiler.brings_its_own_libc:
        yield write(context, "tools/pkg-config", wrapper.forward((pkg_config, "--static")))
