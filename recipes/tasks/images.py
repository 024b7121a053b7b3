"""Tasks that hand images on: as a Dockerfile, an archive or a layout, or to a registry."""

from __future__ import annotations

import sys

from invoke.context import Context
from invoke.tasks import task

from recipes import notes
from recipes.tasks.common import COMMON, choose_recipe, find_base_image, load, one_of, open_project
from recipes.tasks.ending import ending_well


@task(auto_shortflags=False, help={name: COMMON[name] for name in ("recipe", "base", "platform")})
@ending_well
def dockerfile(c: Context, sample: str, recipe: str = "", base: str = "scratch", platform: str = "") -> None:
    """Print the Dockerfile that builds the same image."""
    from recipes import pipeline
    from recipes.package.dockerfile import render

    project = open_project(c, platform)
    program = load(project, sample)
    binary, _ = pipeline.build_binary(project, program, choose_recipe(project, program, recipe))
    sys.stdout.write(render(pipeline.make_image(project, binary, find_base_image(project, base))))
    notes.note(f"# the binary to copy is {binary.path}")


@task(
    auto_shortflags=False,
    help={
        "to": "FILE.tar, or oci:DIR[:tag] for an OCI layout",
        **{name: COMMON[name] for name in ("recipe", "base", "platform", "compression")},
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
) -> None:
    """Write an image to a file or layout that Docker, podman and skopeo read."""
    from recipes import pipeline
    from recipes.package import archive

    project = open_project(c, platform, compression)
    program = load(project, sample)
    binary, _ = pipeline.build_binary(project, program, choose_recipe(project, program, recipe))
    image = pipeline.make_image(project, binary, find_base_image(project, base))
    archive.export(image, project.store, to)
    sys.stdout.write(f"{image.digest}\n")


@task(
    auto_shortflags=False,
    help={
        "to": "HOST/REPOSITORY[:TAG]",
        "insecure": "accept any certificate of a registry on this machine (plain HTTP there needs no option)",
        "force": "push even an image that will not start",
        **{name: COMMON[name] for name in ("recipe", "base", "platform", "compression", "jobs", "format")},
    },
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
    jobs: int = 0,
    format: str = "text",  # noqa: A002  # the option's name
) -> None:
    """Build an image and push it to a registry, without a daemon: only what the registry lacks is sent."""
    from recipes import pipeline
    from recipes.package.push import check_target
    from recipes.package.push import push as push_image
    from recipes.package.reference import image_name
    from recipes.report import pushed as report
    from recipes.report.document import dumps

    one_of("format", format, ("text", "json"))
    project = open_project(c, platform, compression, jobs)
    target = image_name(to.removeprefix("docker://"))
    check_target(target, insecure=insecure)  # before anything is built
    program = load(project, sample)
    binary, facts = pipeline.build_binary(project, program, choose_recipe(project, program, recipe))
    image = pipeline.make_image(project, binary, find_base_image(project, base))
    if not force:
        pipeline.refuse_failing(pipeline.judge_on(project, binary, facts, image.base), image)
    pushed = push_image(
        project.store, image.manifest, target, workspace=project.workspace, jobs=project.jobs, insecure=insecure
    )
    notes.note(report.summary(pushed))
    sys.stdout.write(dumps(report.document(pushed)) if format == "json" else f"{pushed}\n")
