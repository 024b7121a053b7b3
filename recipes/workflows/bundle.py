"""A dynamic program with exactly what it loads, as a base that is made for it alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recipes import errors, pipeline
from recipes.compile.recipe import RECIPES, Recipe, by_rank
from recipes.compile.toolchains import TOOLCHAINS
from recipes.model import BaseImage, Environment, Language, Platform, Program, Sample
from recipes.oci.reference import BUNDLE
from recipes.pipeline import Project, open_root
from recipes.rootfs.root import RootFs
from recipes.support import console

MACHINE = "rootfs:/"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a bundle is asked for: the base or root `source` of its files ("": the obvious one), what is `named` for
    dlopen, and the files and folders that are taken `along` as they are.
    """

    source: str = ""
    named: tuple[str, ...] = ()
    along: tuple[str, ...] = ()


def make(project: Project, program: Program, wanted: Wanted | None = None) -> BaseImage:
    """The base of a dynamic program.

    Libraries that `source` lacks are left out, and the verdict on the result says so. Raises: BadInput for a static
    program, an unknown name, or where no source is named and none is obvious; GateFailed where what is named lacks a
    library.
    """
    from recipes.elf.dynamic import read_dynamic
    from recipes.elf.segments import FileReader
    from recipes.loader.closure import close_over
    from recipes.package.bundle import make_base, taken_along

    wanted = wanted or Wanted()

    if program.facts.interpreter is None:
        raise errors.BadInput(
            f"{program.name} is {program.facts.linkage}: it loads nothing, so there is nothing to bundle",
            hint="`invoke build-static`, or `invoke package` for a file",
        )
    source = wanted.source or machine_root(program)
    if not wanted.source and program.sample.language == "binary":
        console.note(f"its libraries are taken from this machine's root ({MACHINE})")
    root, env, path = _open(project, source, program)
    with FileReader(program.path) as reader:
        dynamic = read_dynamic(reader)
    along = taken_along(root, wanted.along)
    closure = close_over(
        dynamic,
        root,
        program.platform,
        path=path,
        new_path=program.place,
        env=(*env, *program.sample.image.env),
        new_env=program.sample.image.env,
        named=wanted.named,
        beside=tuple(path for path, entry in along.items() if entry.kind == "file"),
    )
    for library in closure.missing:
        raise errors.GateFailed(
            f"{source} has no {library.name}, which {library.needed_by} needs",
            hint="take another root with --from, or drop the --dlopen that needs it",
        )
    for text in closure.later:
        console.note(f"note: {text}")
    return make_base(closure, along, root, source, program.platform, project.store, project.compression)


def own_folders(project: Project, program: Program, wanted: Wanted) -> tuple[str, ...]:
    """Folders that came with a program that somebody else has built, as far as the root's packages tell: where it may
    have modules, plugins and helpers that no list of libraries names.
    """
    from recipes.rootfs.packages import folders_beside

    if program.sample.language != "binary":
        return ()
    root, _, path = _open(project, wanted.source or machine_root(program), program)
    return tuple(folder for folder in folders_beside(root, path) if root.is_folder(folder))


def program_and_base(
    project: Project, sample: Sample, recipe: Recipe | None, base: str, platform: Platform
) -> tuple[Program, BaseImage]:
    """The program of a sample, and the base called `base`, which for `bundle` is made for the program."""
    from recipes.bases.resolve import resolve

    if base == BUNDLE:
        program = program_of(project, sample, recipe, platform)
        return program, make(project, program)
    program = pipeline.program_of(project, sample, recipe, platform)
    return program, resolve(base, platform, project.workspace, project.store, retry=True)


def program_of(project: Project, sample: Sample, recipe: Recipe | None, platform: Platform) -> Program:
    """The program that a bundle is made for; of sources without a recipe, one that is usually dynamic."""
    if recipe is None and sample.language != "binary":
        recipe = dynamic_recipe(sample.language)
    return pipeline.program_of(project, sample, recipe, platform)


def dynamic_recipe(language: Language) -> Recipe:
    """The usual recipe for the language that does not promise a static program."""
    return next(recipe for recipe in by_rank(language) if not recipe.static)


def machine_root(program: Program) -> str:
    """This machine's own root: a file of this machine, or what its compiler made, finds its libraries there.

    Raises: BadInput for a program of another CPU, or of a toolchain with a libc of its own.
    """
    recipe = RECIPES.get(program.build.recipe or "")
    # A cross compiler takes the libraries of another root.
    built_for_another = recipe is not None and TOOLCHAINS[recipe.toolchain].brings_its_own_libc
    if built_for_another or program.platform != Platform.host():
        raise errors.BadInput(
            f"cannot tell which root {program.name}'s libraries come from",
            hint=f"name a root: --from deb-cc, --from docker://…, or --from {MACHINE} for this machine's own",
        )
    return MACHINE


def folder_of(project: Project, source: str) -> Path | None:
    """The folder of this machine that `source` names as a root; None where it names a base. Raises: BadInput."""
    from recipes.bases.specs import find

    if source in ("", "scratch"):
        return None
    reference, beside = find(source, project.workspace)
    folder = Path(reference.beneath(beside).target)
    return folder if reference.transport == "rootfs" and folder.is_dir() else None


def _open(project: Project, source: str, program: Program) -> tuple[RootFs, Environment, str]:
    """The root, the environment in it, and where the program stands there. A folder is read as it is, never packed."""
    from recipes.bases.resolve import resolve

    folder = folder_of(project, source)
    if folder is not None:
        return project.roots.of_folder(folder), (), _place(program, folder.resolve())
    base = resolve(source, program.platform, project.workspace, project.store, retry=True)
    return open_root(project, base), base.env, program.place


def _place(program: Program, top: Path) -> str:
    """Where a file that is built already stands in the root at `top`; elsewhere, as what is built here, it is new."""
    sample = program.sample
    if sample.language == "binary":
        file = (sample.folder / sample.sources[0]).resolve()
        if file.is_relative_to(top):
            return f"/{file.relative_to(top)}"
    return program.place
