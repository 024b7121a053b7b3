"""C and C++ sources: an object for each, static libraries of the sample's own, then one link."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from recipes.compile.context import BuildContext
from recipes.compile.environment import source_date, unset
from recipes.compile.files import walk
from recipes.compile.paths import built_in, slug
from recipes.compile.step import Step
from recipes.compile.systems.protocol import PlannedSteps
from recipes.languages import C_SUFFIXES, HEADER_SUFFIXES
from recipes.model import Command, Sample

CommandOf = Callable[..., Command]


def steps(context: BuildContext) -> PlannedSteps:
    """Compilers run in the sample's folder, archiver and linker where the objects are, and both name files from there.

    So the folders' own places leave no trace, and whatever is in their names (GNU ld expands a `%` in the name of the
    map, LTO writes a makefile that a newline breaks) never reaches the linker.
    """
    sample, before = context.sample, unset()
    caches = context.compiler.caches(context.workspace)
    # LC_ALL: messages are the same everywhere, and can be read by `linker_warnings`.
    env = (("LC_ALL", "C"), source_date(), *caches)

    def command(cwd: Path, *argv: str) -> Command:
        return Command((*before, *argv), cwd, env)

    for_compiler, for_linker = _libraries(context)
    objects = _Objects(context, command, for_compiler)
    # By output: a source that two libraries share is compiled once.
    members: dict[Path, Step] = {}
    archives: list[Step] = []
    for library, sources in sample.libraries:
        made = [objects.compile(source, *context.compiler.member_flags(context.recipe)) for source in sources]
        members.update((step.output, step) for step in made)
        archives.append(_archive(context, library, made, command))
    own = [objects.compile(source) for source in sample.sources]
    everything = (*sample.sources, *(source for _, sources in sample.libraries for source in sources))
    link = _link(context, _driver(context, everything), own, archives, for_linker, command)
    return PlannedSteps(
        steps=(*members.values(), *own, *archives, link),
        unset=before,
        environment_only=frozenset(name for name, _ in caches),
    )


def _libraries(context: BuildContext) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words for compiler and linker that the sample's `libs` take."""
    if not context.sample.libs:
        return (), ()
    from recipes.compile.systems import pkgconfig

    return pkgconfig.flags(context)


def _driver(context: BuildContext, sources: tuple[Path, ...]) -> tuple[str, ...]:
    """The C driver for C alone, so that no C++ library gets in; with the options that choose the platform."""
    only_c = all(source.suffix in C_SUFFIXES for source in sources)
    driver = context.toolchain.c if only_c else context.toolchain.argv
    return (*driver, *context.compiler.target(context.platform))


class _Objects:
    """Makes the steps that compile one source each; what they have in common is looked up once."""

    def __init__(self, context: BuildContext, command: CommandOf, more: tuple[str, ...]) -> None:
        self._context, self._command = context, command
        self._headers = tuple(sorted(set(_headers(context.sample, built_in(context.work)))))
        include = tuple(word for folder in context.sample.include for word in ("-I", _here(folder)))
        self._include = (*include, *more)

    def compile(self, source: Path, *more: str) -> Step:
        context, name = self._context, slug(str(source))
        output, depfile = context.work / f"{name}.o", context.work / f"{name}.d"
        flags = (*context.recipe.compile_flags, *more, *context.compiler.object_flags(context.recipe, name))
        argv = (*_driver(context, (source,)), *flags, *self._include)
        written = ("-MD", "-MT", "object", "-MF", str(depfile))
        return Step(
            title=f"compile {source}",
            command=self._command(context.sample.folder, *argv, *written, "-c", _here(source), "-o", str(output)),
            output=output,
            inputs=(context.sample.folder / source,),
            names=self._headers,
            depfile=depfile,
        )


def _archive(context: BuildContext, library: str, members: list[Step], command: CommandOf) -> Step:
    objects = tuple(step.output for step in members)
    archive = context.work / f"lib{slug(library)}.a"
    argv = (*context.toolchain.archiver, "rcsD", archive.name, *(path.name for path in objects))
    return Step(title=f"archive {library}", command=command(context.work, *argv), output=archive, stage=1, made=objects)


def _link(
    context: BuildContext,
    driver: tuple[str, ...],
    own: list[Step],
    archives: list[Step],
    more: tuple[str, ...],
    command: CommandOf,
) -> Step:
    program, linker_map = context.work / "app", context.work / "app.map"
    printed = context.compiler.prints_linker_map
    mapping = "-Wl,--print-map" if printed else f"-Wl,-Map={linker_map.name}"
    names, libraries = [step.output.name for step in own], [step.output.name for step in archives]
    if len(libraries) > 1:  # they may need each other
        libraries = ["-Wl,--start-group", *libraries, "-Wl,--end-group"]
    argv = (*driver, *context.recipe.link_flags, mapping, "-o", program.name, *names, *libraries, *more)
    return Step(
        title="link",
        command=command(context.work, *argv),
        output=program,
        stage=2,
        made=tuple(step.output for step in (*own, *archives)),
        linker_map=linker_map,
        map_on_stdout=printed,
        links=True,
        loads=bool(more),
    )


def _here(path: Path) -> str:
    """With ./ in front, so that a name that starts with a dash is not taken for an option."""
    return f"./{path}"


def _headers(sample: Sample, built: Path) -> Iterator[str]:
    """What may be a header, by name: a new one may come before another in the search without any other change.

    In a folder that is searched any file may be one, such as `#include <vector>`; elsewhere the suffix decides.
    """
    for path in _visible(sample.folder, built):
        if path.endswith(HEADER_SUFFIXES):
            yield os.path.relpath(path, sample.folder)
    for folder in sample.include:
        for path in _visible(sample.folder / folder, built):
            yield os.path.relpath(path, sample.folder)


def _visible(top: Path, built: Path) -> Iterator[str]:
    """The files below `top`, but for those in hidden folders; `top` itself may be one."""
    for parent, folders, files in walk(top, built):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(parent, file) for file in files)
