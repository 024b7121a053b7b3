"""Tasks that hand images on: as a Dockerfile, an archive or a layout, or to a registry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context

from recipes import errors
from recipes.support import console
from recipes.support.printable import shell_word
from recipes.tasks.ending import ending_well
from recipes.tasks.options import (
    COMMON,
    MANY,
    choose_engine,
    ensure_assembler,
    one_of,
    open_project,
    platform_of,
    platforms_of,
)
from recipes.tasks.output import paint, screen, show
from recipes.tasks.selection import BUILDING, Building, Selection, is_stored, load_any, named_recipe
from recipes.tasks.task import task

if TYPE_CHECKING:
    from recipes.model import Descriptor, Image, Platform
    from recipes.pipeline import Project

_OR_STORED = f"{COMMON['folder']}; or an image that the store has, as the tasks print it (hello:gcc-static-scratch)"
_WANTED = ("recipe", "base", "set_", "max_blob")


@task(
    help={
        "sample": f"{_OR_STORED}; or a file that is built already",
        "context": "a new folder for all that `docker build` needs: Dockerfile, program and data",
        **BUILDING,
        **{name: COMMON[name] for name in ("platform", *_WANTED)},
    },
    iterable=["set_", "option"],
)
@ending_well
def dockerfile(
    c: Context,
    sample: str,
    recipe: str = "",
    base: str = "scratch",
    platform: str = "",
    context: str = "",
    building: Building = Building(),
    set_: Sequence[str] = MANY,
    max_blob: str = "",
) -> None:
    """Print the Dockerfile that makes the same image of a sample, which is built first, of a file or a stored image.

    Examples:
        dockerfile ./mybin --context ./for-docker
    """
    from recipes.package.dockerfile import render, render_layers, write_context, write_layers
    from recipes.workflows import stored

    project, where = open_project(c, max_blob=max_blob), platform_of(platform)
    selection = Selection(sample, building, set_, recipe, base)
    if _stored(project, selection) is not None:
        layered = stored.layered(project, sample, where)
        if context:
            write_layers(layered, project.store, Path(context))
        text, note = render_layers(layered), "# --context writes the layers that it adds"
    else:
        image = _make_image(project, where, selection)
        if context:
            write_context(image, project.store, Path(context))
        text = render(image)
        more = " and its data (--context writes all of it)" if "\nADD " in text else ""
        note = f"# the binary to copy is {image.program.path}{more}"
    show(text)
    console.note(f"written: {context}; to build it: docker build {shell_word(context)}" if context else note)


@task(
    help={"sample": f"{_OR_STORED}; or a file that is built already"}
    | {name: COMMON[name] for name in ("recipe", "base", "platform", "engine", "compression", "max_blob", "set_")},
    iterable=["set_"],
)
@ending_well
def debug(
    c: Context,
    sample: str,
    recipe: str = "",
    base: str = "scratch",
    platform: str = "",
    engine: str = "auto",
    compression: str = "gzip",
    set_: Sequence[str] = MANY,
    max_blob: str = "",
) -> int:
    """Make a debug twin of an image: the same layers, plus a shell and tools; the image itself stays as it is.

    Examples:
        debug hello
    """
    from recipes.model import RunStatus
    from recipes.report.summary import render_twin
    from recipes.workflows import debug as debugging
    from recipes.workflows import stored

    project, where = open_project(c, compression, max_blob=max_blob), platform_of(platform)
    selection = Selection(sample, changes=set_, recipe=recipe, base=base)
    is_made = _stored(project, selection) is not None
    image = stored.image(project, sample, where) if is_made else _make_image(project, where, selection)
    ensure_assembler(debugging.TOOLS)
    twin = debugging.make_twin(project, image)
    running = choose_engine(engine, project, run=True)
    running.load(twin)
    outcome = debugging.check(twin, running)
    paint(render_twin(twin, image, outcome, screen().width))
    for line in debugging.how_to_start(project, twin, running.name):
        console.note(line)
    if outcome.status is RunStatus.NOT_RUN:
        return errors.Unavailable.exit_code if engine != "auto" else errors.GateFailed.exit_code
    return 0 if debugging.works(outcome) else errors.GateFailed.exit_code


@task(
    help={
        "sample": _OR_STORED,
        "to": "FILE.tar, or oci:DIR[:tag] for an OCI layout",
        "platform": COMMON["platforms"],
        **BUILDING,
        **{name: COMMON[name] for name in ("compression", *_WANTED)},
    },
    iterable=["set_", "option"],
)
@ending_well
def export(
    c: Context,
    sample: str,
    to: str,
    recipe: str = "",
    base: str = "scratch",
    platform: str = "",
    compression: str = "gzip",
    building: Building = Building(),
    set_: Sequence[str] = MANY,
    max_blob: str = "",
) -> None:
    """Write an image to a file or layout that Docker, podman and skopeo read.

    Examples:
        export hello --to hello.tar
        export ./mybin --base bundle --to oci:images:mybin
    """
    from recipes.oci import archive

    project, wanted = open_project(c, compression, max_blob=max_blob), platforms_of(platform)
    selection = Selection(sample, building, set_, recipe, base)
    archive.check_target(to, several=len(wanted) > 1)  # before anything is built
    start = _stored(project, selection, platform)
    if start is not None:
        with console.activity(f"writing {to}"):
            archive.export_stored(sample, start, project.store, to)
    else:
        images, start = _make_images(project, wanted, selection)
        with console.activity(f"writing {to}"):
            archive.export(images, start, project.store, to)
    show(f"{start.digest}\n")


@task(
    help={
        "sample": _OR_STORED,
        "to": "HOST/REPOSITORY[:TAG]",
        "insecure": "accept any certificate of a registry on this machine (plain HTTP there needs no option)",
        "force": "push even an image that will not start",
        "platform": COMMON["platforms"],
        **BUILDING,
        **{name: COMMON[name] for name in ("compression", "jobs", "format", *_WANTED)},
    },
    iterable=["set_", "option"],
)
@ending_well
def push(
    c: Context,
    sample: str,
    to: str,
    recipe: str = "",
    base: str = "scratch",
    platform: str = "",
    compression: str = "gzip",
    insecure: bool = False,
    force: bool = False,
    jobs: str = "",
    format: str = "text",  # noqa: A002  # the option's name
    building: Building = Building(),
    set_: Sequence[str] = MANY,
    max_blob: str = "",
) -> None:
    """Build an image and push it to a registry, without a daemon: only what the registry lacks is sent.

    Examples:
        push hello --to localhost:5000/team/hello:1.0
    """
    from recipes.oci.reference import image_name
    from recipes.registry.push import check_target
    from recipes.registry.push import push as push_image
    from recipes.report import pushed as report
    from recipes.report.document import dumps
    from recipes.workflows import stored

    one_of("format", format, ("text", "json"))
    project, wanted = open_project(c, compression, jobs=jobs, max_blob=max_blob), platforms_of(platform)
    where = image_name(to.removeprefix("docker://"))
    check_target(where, insecure=insecure)  # before anything is built
    selection = Selection(sample, building, set_, recipe, base)
    start = _stored(project, selection, platform)
    if start is None:
        _, start = _make_images(project, wanted, selection, gate=not force)
    elif not force:
        stored.refuse_failing(project, sample, start)
    pushed = push_image(project.store, start, where, workspace=project.workspace, jobs=project.jobs, insecure=insecure)
    console.note(report.summary(pushed))
    show(dumps(report.document(pushed)) if format == "json" else f"{pushed}\n")


def _stored(project: Project, selection: Selection, platform: str = "") -> Descriptor | None:
    """What the store has under the name that is meant; None for what is a sample or a file, or in no store.

    Raises: BadInput where options say how it should be made.
    """
    from recipes.workflows import stored

    if not is_stored(project, selection.sample):
        return None
    if platform or selection != Selection(selection.sample):
        raise errors.BadInput(
            f"{selection.sample} is in the store as it is", hint="leave out what says how an image is made"
        )
    return stored.descriptor(project, selection.sample)


def _make_images(
    project: Project, platforms: Sequence[Platform], selection: Selection, *, gate: bool = False
) -> tuple[tuple[Image, ...], Descriptor]:
    """The image for each platform, and what stands for them all: a manifest, or an index of several.

    With `gate` one that is certain not to start is a GateFailed.
    """
    from recipes import pipeline

    images = tuple(_make_image(project, platform, selection, gate=gate) for platform in platforms)
    return images, pipeline.join(project, images)


def _make_image(project: Project, platform: Platform, selection: Selection, *, gate: bool = False) -> Image:
    """The image of a sample or a file on a base: built as far as needed, with the data that it will ask for."""
    from recipes import pipeline
    from recipes.workflows.bundle import program_and_base

    sample = load_any(project, selection)
    ensure_assembler(selection.base)
    recipe = named_recipe(sample, selection.recipe)
    image, verdict = pipeline.package(project, *program_and_base(project, sample, recipe, selection.base, platform))
    if gate:
        pipeline.refuse_failing(verdict, image)
    return image
