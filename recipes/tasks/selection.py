"""What a task is about: the sample or file that its options name, with its recipe and its base."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from recipes import errors
from recipes.tasks.options import MANY, ensure_assembler

if TYPE_CHECKING:
    from recipes.compile.recipe import Recipe
    from recipes.model import BaseImage, Platform, Sample, Unavailable
    from recipes.pipeline import Project

BUILDING = {
    "target": "which program, where the sample's build system makes several",
    "package": "Go: which main package, for example ./cmd/server",
    "build": "what builds it: cmake, meson, autotools, make, sources or go (default: what its files say)",
    "option": "a word for cmake, meson, configure, make or go build, as in --option=-DWITH_TLS=OFF; may be repeated",
}
"""The options of every task that may build a project."""


class Building(NamedTuple):
    """What the options of `BUILDING` say: which of a project's programs, and how its build system is called."""

    target: str = ""
    package: str = ""
    build: str = ""
    option: Sequence[str] = MANY


class Selection(NamedTuple):
    """What the options of a task name: a sample, how it is built, its settings, recipe and base; and for a file the
    root that it belongs to.
    """

    sample: str
    building: Building = Building()
    changes: Sequence[str] = MANY
    recipe: str = ""
    base: str = "scratch"
    source: str = ""


def load(project: Project, selection: Selection) -> Sample:
    """The sample that is meant, with what `--set` changes of its image."""
    from recipes.samples.reader import load

    target, package, build, options = selection.building
    sample = load(
        selection.sample, project.workspace, target=target, package=package, build=build, options=tuple(options)
    )
    return changed(sample, selection.changes) if selection.changes else sample


def load_each(project: Project, building: Building = Building()) -> tuple[tuple[Sample, ...], tuple[Unavailable, ...]]:
    """All samples of the project, and the folders below samples/ that are not samples, with the reason."""
    from recipes.model import Unavailable
    from recipes.samples.reader import names

    found, broken = [], []
    for name in names(project.workspace):
        try:
            found.append(load(project, Selection(name, building)))
        except errors.RecipeError as error:
            broken.append(Unavailable(name, error.message, error.exit_code))
    return tuple(found), tuple(broken)


def load_any(project: Project, selection: Selection) -> Sample:
    """A sample, or a file as one. Raises: BadInput for options that only a sample has."""
    name = selection.sample
    if is_file(project, name):
        from recipes.samples.reader import prebuilt
        from recipes.workflows.bundle import folder_of

        if selection.recipe or selection.building != Building():
            raise errors.BadInput(
                f"{name!r} is a file: there is nothing to build", hint="leave out what says how it is built"
            )
        root = folder_of(project, selection.source) or Path("/")
        return changed(prebuilt(name, root=root), selection.changes)
    return load(project, selection)


def one_name_each(samples: Sequence[Sample], hint: str) -> tuple[Sample, ...]:
    """`samples` without repetitions. Raises: BadInput for two of one name, whose images would have one tag."""
    by_name: dict[str, Sample] = {}
    for sample in samples:
        if by_name.setdefault(sample.name, sample) != sample:
            raise errors.BadInput(f"two samples are called {sample.name!r}, so their images would have one name", hint)
    return tuple(by_name.values())


def changed(sample: Sample, changes: Sequence[str]) -> Sample:
    from recipes.samples.image_settings import from_command_line

    return replace(sample, image=from_command_line(changes, sample.image))


def named_recipe(sample: Sample, name: str) -> Recipe | None:
    """None for "". Raises: BadInput for one that does not exist, or not for the sample."""
    from recipes.compile.recipe import check_language, find

    if not name:
        return None
    recipe = find(name)
    check_language(recipe, sample)
    return recipe


def choose_recipe(project: Project, sample: Sample, platform: Platform, name: str) -> Recipe:
    """The one that is named; else the one that is tried first."""
    from recipes.compile.availability import default

    return named_recipe(sample, name) or default(sample, platform, project.workspace)


def find_base_image(project: Project, platform: Platform, name: str) -> BaseImage:
    from recipes.bases.resolve import resolve

    ensure_assembler(name)
    return resolve(name, platform, project.workspace, project.store, retry=True)


def is_file(project: Project, target: str) -> bool:
    from recipes.samples.reader import names

    return target not in names(project.workspace) and not Path(target).is_dir() and os.path.lexists(target)


def is_stored(project: Project, target: str) -> bool:
    """Whether `target` is the name of an image that the store has, and not that of a sample or a file."""
    from recipes.samples.reader import names

    if ":" not in target or os.path.lexists(target) or target in names(project.workspace):
        return False
    return target in project.store.tags()
