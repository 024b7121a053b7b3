"""Tasks that list what there is: recipes, samples, bases, and what this machine has."""

from __future__ import annotations

import sys

from invoke.context import Context
from invoke.tasks import task

from recipes.tasks.common import choose_recipe, open_project
from recipes.tasks.ending import ending_well


@task(auto_shortflags=False)
@ending_well
def recipes(c: Context) -> None:
    """List the recipes, and which of them this machine can run."""
    from recipes import compile as compiling
    from recipes.compile.recipe import RECIPES
    from recipes.report.table import list_table

    project = open_project(c)
    rows = []
    for recipe in RECIPES.values():
        missing = compiling.available(recipe, project.platform, project.workspace)
        rows.append((recipe.name, recipe.language, recipe.summary, missing or "yes"))
    sys.stdout.write(list_table(("recipe", "for", "what it does", "available"), rows) + "\n")


@task(auto_shortflags=False)
@ending_well
def samples(c: Context) -> None:
    """List the samples."""
    from recipes import samples as sample_folder
    from recipes.report.table import list_table

    project = open_project(c)
    rows = []
    for name in sample_folder.names(project.workspace):
        sample = sample_folder.load(name, project.workspace)
        sources = ", ".join(str(source) for source in sample.sources[:4]) + (", …" if len(sample.sources) > 4 else "")
        sources = sources or sample.module or f"built by {sample.build}"
        rows.append((sample.name, sample.language, choose_recipe(project, sample, "").name, sources))
    sys.stdout.write(list_table(("sample", "language", "default recipe", "sources"), rows) + "\n")


@task(auto_shortflags=False)
@ending_well
def bases(c: Context) -> None:
    """List the base images that have a name."""
    from recipes.package.bases import known
    from recipes.report.table import list_table

    project = open_project(c)
    rows = [(spec.name, spec.reference, spec.summary) for spec in known(project.workspace).values()]
    sys.stdout.write(list_table(("base", "reference", "what it is"), rows) + "\n")


@task(auto_shortflags=False)
@ending_well
def doctor(c: Context) -> None:
    """Say what was found on this machine, which version, and what is missing for what."""
    from recipes import compile as compiling
    from recipes import system
    from recipes.compile import buildtools
    from recipes.report.table import list_table

    project = open_project(c)
    rows = [*compiling.doctor(project.workspace), *buildtools.doctor(), *system.doctor()]
    lines = [(row.what, row.version or "missing", str(row.path or ""), "" if row.version else row.lost) for row in rows]
    sys.stdout.write(list_table(("what", "version", "where", "without it"), lines) + "\n")
