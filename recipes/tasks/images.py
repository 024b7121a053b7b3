"""Tasks that hand images on: as a Dockerfile, an archive or a layout."""

from __future__ import annotations

import sys

from invoke.context import Context
from invoke.tasks import task

from recipes import notes
from recipes.tasks.common import COMMON, choose_recipe, find_base_image, load, open_project
from recipes.tasks.ending import ending_well


@task(auto_shortflags=False, help={name: COMMON[name] for name in ("recipe", "base", "platform", "target", "package")})
@ending_well
def dockerfile(
    c: Context,
    sample: str,
    recipe: str = "",
    base: str = "scratch",
    platform: str = "",
    target: str = "",
    package: str = "",
) -> None:
    """Print the Dockerfile that builds the same image."""
    from recipes import pipeline
    from recipes.package.dockerfile import render

    project = open_project(c, platform)
    program = load(project, sample, target, package)
    binary, _ = pipeline.build_binary(project, program, choose_recipe(project, program, recipe))
    sys.stdout.write(render(pipeline.make_image(project, binary, find_base_image(project, base))))
    notes.note(f"# the binary to copy is {binary.path}")


@task(
    auto_shortflags=False,
    help={
        "to": "FILE.tar, or oci:DIR[:tag] for an OCI layout",
        **{name: COMMON[name] for name in ("recipe", "base", "platform", "compression", "target", "package")},
    },
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
) -> None:
    """Write an image to a file or layout that Docker, podman and skopeo read."""
    from recipes import pipeline
    from recipes.package import archive

    project = open_project(c, platform, compression)
    program = load(project, sample, target, package)
    binary, _ = pipeline.build_binary(project, program, choose_recipe(project, program, recipe))
    image = pipeline.make_image(project, binary, find_base_image(project, base))
    archive.export(image, project.store, to)
    sys.stdout.write(f"{image.digest}\n")
