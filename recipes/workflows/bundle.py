"""A dynamic program with exactly what it loads, as a base that is made for it alone."""

from __future__ import annotations

from pathlib import Path

from recipes import errors
from recipes.compile.recipe import RECIPES, Recipe, by_rank
from recipes.compile.toolchains import TOOLCHAINS
from recipes.model import BaseImage, Environment, Language, Platform, Program
from recipes.pipeline import Project, open_root
from recipes.rootfs.root import RootFs
from recipes.support import console

MACHINE = "rootfs:/"


def make(project: Project, program: Program, source: str = "", named: tuple[str, ...] = ()) -> BaseImage:
    """The base of a dynamic program: its files come from the base or root `source`, with what is `named` for dlopen.

    Libraries that `source` lacks are left out, and the verdict on the result says so. Raises: BadInput for a static
    program, an unknown name, or where no source is named and none is obvious; GateFailed where what is named lacks a
    library.
    """
    from recipes.elf.dynamic import read_dynamic
    from recipes.elf.segments import FileReader
    from recipes.loader.closure import close_over
    from recipes.package.bundle import make_base

    if program.facts.interpreter is None:
        raise errors.BadInput(
            f"{program.name} is {program.facts.linkage}: it loads nothing, so there is nothing to bundle",
            hint="invoke build-static, or invoke package for a file",
        )
    source = source or machine_root(program)
    root, env, path = _open(project, source, program)
    with FileReader(program.path) as reader:
        dynamic = read_dynamic(reader)
    closure = close_over(
        dynamic,
        root,
        program.platform,
        path=path,
        env=(*env, *program.sample.image.env),
        new_env=program.sample.image.env,
        named=named,
    )
    for library in closure.missing:
        raise errors.GateFailed(
            f"{source} has no {library.name}, which {library.needed_by} needs",
            hint="take another root with --from, or drop the --dlopen that needs it",
        )
    for text in closure.later:
        console.note(f"note: {text}")
    return make_base(closure, root, source, program.platform, project.store, project.compression)


def dynamic_recipe(language: Language) -> Recipe:
    """The usual recipe for the language that does not promise a static program."""
    return next(recipe for recipe in by_rank(language) if not recipe.static)


def machine_root(program: Program) -> str:
    """This machine's own root, where a compiler of this machine linked the program against it. Raises: BadInput."""
    recipe = RECIPES.get(program.build.recipe or "")
    # A cross compiler takes the libraries of another root.
    its_own = recipe is None or TOOLCHAINS[recipe.toolchain].brings_its_own_libc
    if its_own or program.platform != Platform.host():
        raise errors.BadInput(
            f"cannot tell which root {program.name}'s libraries come from",
            hint=f"name a root: --from deb-cc, --from docker://…, or --from {MACHINE} for this machine's own",
        )
    return MACHINE


def _open(project: Project, source: str, program: Program) -> tuple[RootFs, Environment, str]:
    """The root, the environment in it, and where the program stands there. A folder is read as it is, never packed."""
    from recipes.bases.resolve import resolve
    from recipes.bases.specs import find

    if source != "scratch":
        reference, beside = find(source, project.workspace)
        folder = Path(reference.beneath(beside).target)
        if reference.transport == "rootfs" and folder.is_dir():
            return project.roots.of_folder(folder), (), _place(program, folder)
    base = resolve(source, program.platform, project.workspace, project.store, retry=True)
    return open_root(project, base), base.env, "/app"


def _place(program: Program, folder: Path) -> str:
    """Where a file that is built already stands in the root: its $ORIGIN."""
    sample = program.sample
    if sample.language != "binary":
        return "/app"
    file = (sample.folder / sample.sources[0]).resolve()
    top = folder.resolve()
    return f"/{file.relative_to(top)}" if file.is_relative_to(top) else "/app"
