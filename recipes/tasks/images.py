"""Tasks that hand images on: as a Dockerfile, an archive or a layout."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from recipes import errors, notes
from recipes.tasks.common import COMMON, MANY, choose_engine, ensure_assembler, make_image, open_project
from recipes.tasks.ending import ending_well


@task(
    auto_shortflags=False,
    help={
        "context": "a new folder for all that `docker build` needs: Dockerfile, program and data",
        **{name: COMMON[name] for name in ("recipe", "base", "platform", "set_")},
    },
    iterable=["set_"],
)
@ending_well
def dockerfile(
    c: Context,
    sample: str,
    recipe: str = "",
    base: str = "scratch",
    platform: str = "",
    context: str = "",
    set_: Sequence[str] = MANY,
) -> None:
    """Print the Dockerfile that builds the same image."""
    from recipes.package.dockerfile import render, write_context

    project = open_project(c, platform)
    image = make_image(project, sample, recipe, base, set_)
    if context:
        write_context(image, project.store, Path(context))
        notes.note(f"written: {context}; to build it: docker build {shlex.quote(context)}")
    sys.stdout.write(render(image))
    if not context:
        more = " and its data (--context writes all of it)" if image.outfit.layers else ""
        notes.note(f"# the binary to copy is {image.binary.path}{more}")


@task(
    auto_shortflags=False,
    help={name: COMMON[name] for name in ("recipe", "base", "platform", "engine", "compression", "set_")},
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
) -> int:
    """Make a twin of an image with a shell and tools to look around in it; the image itself stays as it is."""
    from recipes import debug as debugging
    from recipes.model import RunStatus
    from recipes.report.summary import render_twin

    project = open_project(c, platform, compression)
    image = make_image(project, sample, recipe, base, set_)
    ensure_assembler()
    twin = debugging.make_twin(project, image)
    running = choose_engine(engine, project, run=True)
    running.load(twin)
    outcome = debugging.check(twin, running)
    sys.stdout.write(render_twin(twin, image, outcome))
    for line in debugging.how_to_start(project, twin, running.name):
        notes.note(line)
    if outcome.status is RunStatus.NOT_RUN:
        return errors.Unavailable.exit_code if engine != "auto" else errors.GateFailed.exit_code
    return 0 if debugging.works(outcome) else errors.GateFailed.exit_code


@task(
    auto_shortflags=False,
    help={
        "to": "FILE.tar, or oci:DIR[:tag] for an OCI layout",
        **{name: COMMON[name] for name in ("recipe", "base", "platform", "compression", "set_")},
    },
    iterable=["set_"],
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
    set_: Sequence[str] = MANY,
) -> None:
    """Write an image to a file or layout that Docker, podman and skopeo read."""
    from recipes.package import archive

    project = open_project(c, platform, compression)
    image = make_image(project, sample, recipe, base, set_)
    archive.export(image, project.store, to)
    sys.stdout.write(f"{image.digest}\n")
