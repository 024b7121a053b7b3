"""Tasks that list what there is: recipes, samples, bases, and what this machine has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context

from recipes import errors
from recipes.support import console
from recipes.support.printable import shell_word
from recipes.tasks.ending import ending_well
from recipes.tasks.options import open_project, platform_of, split
from recipes.tasks.output import paint, screen
from recipes.tasks.place import cache_folder
from recipes.tasks.selection import choose_recipe, load_each
from recipes.tasks.task import task

if TYPE_CHECKING:
    from recipes.bases.lock import Pin
    from recipes.pipeline import Project


@task()
@ending_well
def recipes(c: Context) -> None:
    """List the recipes, and which of them this machine can run.

    Examples:
        recipes
    """
    from recipes.compile.availability import available
    from recipes.compile.recipe import RECIPES
    from recipes.report.fit import listing

    project, here = open_project(c), platform_of("")
    rows = []
    for recipe in RECIPES.values():
        missing = available(recipe, here, project.workspace)
        answer = f"{missing.message}; {missing.hint}" if missing else "yes"
        rows.append((recipe.name, recipe.language, recipe.summary, answer))
    paint(listing(("recipe", "for", "what it does", "available"), rows, screen().width))


@task()
@ending_well
def samples(c: Context) -> None:
    """List the samples.

    Examples:
        samples
    """
    from recipes.report.fit import listing, note, said
    from recipes.report.table import by_reason

    project, here = open_project(c), platform_of("")
    found, broken = load_each(project)
    rows = []
    for sample in found:
        sources = ", ".join(str(source) for source in sample.sources[:4]) + (", …" if len(sample.sources) > 4 else "")
        sources = sources or sample.module or f"built by {sample.build}"
        rows.append((sample.name, sample.language, choose_recipe(project, sample, here, "").name, sources))
    room = screen().width
    paint(listing(("sample", "language", "default recipe", "sources"), rows, room))
    if broken:
        paint([*said(""), *note(f"skipped: {by_reason(broken)}", room)])
    elif not found:
        console.hint("each folder below samples/ is a sample; `invoke build-static DIR` takes any other folder")


@task(
    help={
        "update": "look up what the tags point to now, and write it into bases.lock",
        "bases": "with --update: names or docker://… references, separated by commas (default: all)",
    },
)
@ending_well
def bases(c: Context, update: bool = False, bases: str = "") -> int:
    """List the base images that have a name, and what they are locked to; or update the lock.

    Examples:
        bases
        bases --update --bases docker://debian:13
    """
    from recipes.bases import lock
    from recipes.bases.specs import known
    from recipes.report.fit import listing

    project = open_project(c)
    if update and project.workspace.root == cache_folder().resolve():
        raise errors.BadInput(
            "bases.lock belongs to a project, and this folder is in none",
            hint="a pyproject.toml with the table [tool.fromscratch] makes one",
        )
    if update:
        return _update_lock(project, split(bases))
    if bases:
        raise errors.BadInput("--bases requires --update", hint=f"`invoke bases --update --bases {shell_word(bases)}`")
    pins = lock.read(project.workspace)
    rows = []
    for spec in known(project.workspace).values():
        pin = pins.pop(spec.reference, None)
        rows.append((spec.name, spec.reference, _locked_to(project, spec.reference, pin), spec.summary))
    rows += [("", reference, _locked_to(project, reference, pin), "") for reference, pin in pins.items()]
    paint(listing(("base", "reference", "locked to", "what it is"), rows, screen().width))
    return 0


def _update_lock(project: Project, names: tuple[str, ...]) -> int:
    from recipes.bases.refresh import update
    from recipes.report.fit import listing

    changes = update(project.workspace, names, project.jobs)
    rows = [(change.base, _short(change.old), _short(change.new), change.what) for change in changes]
    paint(listing(("base", "was", "is", ""), rows, screen().width))
    failed = [change.error for change in changes if change.error]
    if not failed or (len(failed) < len(changes) and not names):
        return 0
    console.error(f"not looked up: {len(failed)} of {len(changes)}", hint=failed[0].hint)
    return failed[0].exit_code


def _locked_to(project: Project, reference: str, pin: Pin | None) -> str:
    from recipes.bases import lock
    from recipes.oci.reference import parse

    if pin is None:
        return ""
    stale = lock.is_stale(pin, lock.last_observation(project.workspace, parse(reference)))
    return _short(pin.digest) + (" (stale)" if stale else "")


def _short(digest: str) -> str:
    """Enough of a digest to tell it from another one."""
    return digest[:19]


@task()
@ending_well
def doctor(c: Context) -> None:
    """List what was found on this machine, in which version, and what does not work without the rest.

    Examples:
        doctor
    """
    from recipes.compile.availability import doctor as compilers
    from recipes.compile.systems import buildtools
    from recipes.report.fit import listing
    from recipes.support import system

    project = open_project(c)
    rows = [*compilers(project.workspace), *buildtools.doctor(), *system.doctor()]
    lines = [(row.what, row.version or "missing", str(row.path or ""), "" if row.version else row.lost) for row in rows]
    paint(listing(("what", "version", "where", "without it"), lines, screen().width))
