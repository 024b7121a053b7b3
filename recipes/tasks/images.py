"""Tasks that hand images on: as a Dockerfile, an archive or a layout."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from recipes import notes
from recipes.tasks.common import COMMON, Wanted, make_image, make_images, open_project, open_projects
from recipes.tasks.ending import ending_well

_WANTED = ("recipe", "base", "target", "package", "set_")


@task(
    auto_shortflags=False,
    help={
        "context": "a new folder for all that `docker build` needs: Dockerfile, program and data",
        **{name: COMMON[name] for name in ("platform", *_WANTED)},
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
    target: str = "",
    package: str = "",
    set_: Sequence[str] = (),
) -> None:
    """Print the Dockerfile that builds the same image."""
    from recipes.package.dockerfile import render, write_context

    project = open_project(c, platform)
    image = make_image(project, Wanted(sample, target, package, set_, recipe, base))
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
        "platform": COMMON["platforms"],
        **{name: COMMON[name] for name in ("compression", *_WANTED)},
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
    target: str = "",
    package: str = "",
    set_: Sequence[str] = (),
) -> None:
    """Write an image to a file or layout that Docker, podman and skopeo read."""
    from recipes.package import archive

    projects = open_projects(c, platform, compression)
    wanted = Wanted(sample, target, package, set_, recipe, base)
    archive.check_target(to, several=len(projects) > 1)  # before anything is built
    images, start = make_images(projects, wanted)
    archive.export(images, start, projects[0].store, to)
    sys.stdout.write(f"{start.digest}\n")
