"""Tasks that hand images on: as a Dockerfile, an archive or a layout."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from recipes import notes
from recipes.tasks.common import COMMON, make_image, open_project
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
    set_: Sequence[str] = (),
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
    set_: Sequence[str] = (),
) -> None:
    """Write an image to a file or layout that Docker, podman and skopeo read."""
    from recipes.package import archive

    project = open_project(c, platform, compression)
    image = make_image(project, sample, recipe, base, set_)
    archive.export(image, project.store, to)
    sys.stdout.write(f"{image.digest}\n")
