"""C++: an object for each source, static libraries of the sample's own, then one link."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from recipes.compile.files import walk
from recipes.compile.plan import Step, built_in, slug, source_date, usable
from recipes.compile.recipe import Recipe
from recipes.compile.targets import zig_target
from recipes.compile.toolchain import Toolchain
from recipes.model import Command, Environment, Platform, Sample
from recipes.samples.reader import C_SUFFIXES
from recipes.support.workspace import Workspace

_HEADERS = (".h", ".hh", ".hpp", ".hxx", ".h++", ".H", ".inc", ".inl", ".ipp", ".tpp", ".def")

CommandOf = Callable[..., Command]


def environment(recipe: Recipe, platform: Platform, toolchain: Toolchain) -> Environment:
    """LC_ALL: messages are the same everywhere, and can be read by `linker_warnings`."""
    return (("LC_ALL", "C"), source_date())


def cache_folders(toolchain: Toolchain, workspace: Workspace) -> Environment:
    """Zig's own cache stays where zig wants it, if that can be written."""
    if toolchain.name != "zig" or os.environ.get("ZIG_GLOBAL_CACHE_DIR"):
        return ()
    home = os.environ.get("HOME")
    folder = os.environ.get("XDG_CACHE_HOME") or (home and os.path.join(home, ".cache"))
    if folder and usable(os.path.join(folder, "zig")):
        return ()
    return (("ZIG_GLOBAL_CACHE_DIR", str(workspace.cache / "zig")),)


def steps(
    sample: Sample,
    recipe: Recipe,
    platform: Platform,
    toolchain: Toolchain,
    work: Path,
    unset: tuple[str, ...],
    env: Environment,
) -> tuple[Step, ...]:
    """Compilers run in the sample's folder, archiver and linker where the objects are, and both name files from there.

    So the folders' own places leave no trace, and whatever is in their names (GNU ld expands a `%` in the name of the
    map, LTO writes a makefile that a newline breaks) never reaches the linker.
    """
    target = zig_target(platform) if recipe.toolchain == "zig" else ()
    headers = tuple(sorted(set(_headers(sample, built_in(work)))))
    include = tuple(word for folder in sample.include for word in ("-I", _here(folder)))

    def command(cwd: Path, *argv: str) -> Command:
        return Command((*unset, *argv), cwd, env)

    def driver(*sources: Path) -> tuple[str, ...]:
        only_c = all(source.suffix in C_SUFFIXES for source in sources)
        return toolchain.c if only_c else toolchain.argv

    def compile_step(source: Path, *more: str) -> Step:
        name = slug(str(source))
        output, depfile = work / f"{name}.o", work / f"{name}.d"
        # The seed: gcc names what LTO makes after a random number, unless it is given one.
        seed = (f"-frandom-seed={name}",) if recipe.lto and recipe.toolchain == "gcc" else ()
        argv = (*driver(source), *target, *recipe.compile_flags, *more, *seed, *include)
        written = ("-MD", "-MT", "object", "-MF", str(depfile))
        return Step(
            f"compile {source}",
            command(sample.folder, *argv, *written, "-c", _here(source), "-o", str(output)),
            output,
            inputs=(sample.folder / source,),
            names=headers,
            depfile=depfile,
        )

    # By output: a source that two libraries share is compiled once.
    members: dict[Path, Step] = {}
    archives: list[Step] = []
    for library, sources in sample.libraries:
        # Objects for LTO alone would need an archiver that knows gcc's plugin.
        fat = ("-ffat-lto-objects",) if recipe.lto and recipe.toolchain == "gcc" else ()
        steps = [compile_step(source, *fat) for source in sources]
        members.update((step.output, step) for step in steps)
        objects = tuple(step.output for step in steps)
        archive = work / f"lib{slug(library)}.a"
        argv = (*toolchain.archiver, "rcsD", archive.name, *(path.name for path in objects))
        archives.append(Step(f"archive {library}", command(work, *argv), archive, stage=1, made=objects))
    own = [compile_step(source) for source in sample.sources]
    everything = driver(*sample.sources, *(source for _, sources in sample.libraries for source in sources))
    link = _link(recipe, (*everything, *target), work, own, archives, command)
    return (*members.values(), *own, *archives, link)


def _link(
    recipe: Recipe, driver: tuple[str, ...], work: Path, own: list[Step], archives: list[Step], command: CommandOf
) -> Step:
    program, linker_map = work / "app", work / "app.map"
    zig = recipe.toolchain == "zig"
    mapping = "-Wl,--print-map" if zig else f"-Wl,-Map={linker_map.name}"
    objects = tuple(step.output for step in (*own, *archives))
    names, libraries = [step.output.name for step in own], [step.output.name for step in archives]
    if len(libraries) > 1:  # they may need each other
        libraries = ["-Wl,--start-group", *libraries, "-Wl,--end-group"]
    argv = (*driver, *recipe.link_flags, mapping, "-o", program.name, *names, *libraries)
    return Step(
        "link",
        command(work, *argv),
        program,
        stage=2,
        made=objects,
        linker_map=linker_map,
        map_on_stdout=zig,
        links=True,
    )


def linker_warnings(output: str) -> tuple[str, ...]:
    """What the linker warned of, one string each, without the place: `main.o: in function …: (.text+0x1a): `."""
    found: dict[str, None] = {}
    for line in output.splitlines():
        _, marker, text = line.partition("warning: ")
        if marker and text.strip() and not line.startswith("lto-wrapper:"):
            found[text.strip()] = None
    return tuple(found)


def _here(path: Path) -> str:
    """With ./ in front, so that a name that starts with a dash is not taken for an option."""
    return f"./{path}"


def _headers(sample: Sample, built: Path) -> Iterator[str]:
    """What may be a header, by name: a new one may come before another in the search without any other change.

    In a folder that is searched any file may be one, such as `#include <vector>`; elsewhere the suffix decides.
    """
    for path in _visible(sample.folder, built):
        if path.endswith(_HEADERS):
            yield os.path.relpath(path, sample.folder)
    for folder in sample.include:
        for path in _visible(sample.folder / folder, built):
            yield os.path.relpath(path, sample.folder)


def _visible(top: Path, built: Path) -> Iterator[str]:
    """The files below `top`, but for those in hidden folders; `top` itself may be one."""
    for parent, folders, files in walk(top, built):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(parent, file) for file in files)
