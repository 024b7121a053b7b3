"""Images that were made before, by their names in the store; and those of files, as they are."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from recipes import errors
from recipes.model import BaseImage, Descriptor, Platform, RunStatus, Status
from recipes.oci import reference as references
from recipes.pipeline import Project
from recipes.run.engine import EngineName

_FILES = ("docker-archive", "oci", "oci-archive")


def descriptor(project: Project, name: str) -> Descriptor:
    """What `name` stands for: a manifest, or an index of several. Without a tag it is `latest`.

    Raises: BadInput for a name that the store does not have, with the nearest that it has.
    """
    tags = project.store.tags()
    found = tags.get(name) or tags.get(f"{name}:latest")
    if found is not None:
        return found
    if not tags:
        raise errors.BadInput(f"unknown image {name!r}", hint="none has been made yet: `invoke build-static` makes one")
    of_it = sorted(tag for tag in tags if tag.partition(":")[0] == name.partition(":")[0])
    if of_it:
        raise errors.BadInput(f"unknown image {name!r}", hint=f"images of that name: {', '.join(of_it)}")
    latest = {tag.removesuffix(":latest") for tag in tags}
    raise errors.unknown("image", name.removesuffix(":latest"), latest if ":" not in name else tags)


def find(project: Project, target: str, platform: Platform) -> BaseImage:
    """The image of the store that is called `target`, or that of a file: `oci:…`, `oci-archive:…`, `docker-archive:…`.

    Raises: BadInput, Unavailable, BadArchive.
    """
    from recipes.bases.resolve import resolve

    if not references.has_transport(target):
        # By its digest: of a name whose index has several, resolving would ask for a platform twice.
        start = descriptor(project, target)
        reference = f"oci:{project.store.root}:{start.digest}"
    elif references.parse(target).transport in _FILES:
        reference = target
    else:
        raise errors.BadInput(
            f"{target} is not an image that is run from here",
            hint=f"name one of the store, or a file as {':…, '.join(_FILES)}:…",
        )
    return replace(resolve(reference, platform, project.workspace, project.store, retry=True), name=target)


def refuse_failing(project: Project, name: str, start: Descriptor) -> None:
    """Raises: GateFailed where one of the images that `start` stands for is certain not to start."""
    from recipes.oci.contents import images_of
    from recipes.workflows.verify import verify_image

    for image in images_of(project.store, start):
        reference = f"oci:{project.store.root}:{start.digest}"
        verdict = verify_image(project, reference, image.platform).verdict
        if verdict.status is Status.FAILS:
            raise errors.GateFailed(f"{name} would not start: {verdict.reason}", hint="--force pushes it anyway")


def attach(
    project: Project,
    image: BaseImage,
    engine: EngineName,
    *,
    args: tuple[str, ...] = (),
    stdin: bytes | None = None,
    terminal: bool = False,
    network: str = "none",
    memory: int = 0,
) -> int:
    """Run the image with the caller's streams, as long as it takes; returns its exit code, 128+n after signal n.

    Raises: GateFailed where it does not start or goes past the limit of its memory, Unavailable where nothing runs it.
    """
    from recipes.model import Limits
    from recipes.run import emulation
    from recipes.run.engine import choose
    from recipes.run.local import LocalEngine

    if emulation.runs_by_itself(image.platform):
        start = choose(engine, project.workspace, project.store, project.roots).attach
    else:
        emulator = emulation.emulator(image.platform)
        if emulator is None:
            raise errors.Unavailable(
                f"this machine cannot run programs for {image.platform}", hint="QEMU's static user mode is missing"
            )
        start = partial(LocalEngine(project.workspace, project.roots).attach, emulator=emulator)
    outcome = start(
        image,
        args=args,
        stdin=stdin,
        terminal=terminal,
        network=network,
        memory=memory or Limits().memory_bytes,
    )
    if outcome.status is RunStatus.NOT_RUN:
        raise errors.Unavailable(f"{image.name} was not run: {outcome.reason}")
    if outcome.exit_code is None:
        more = "" if outcome.status is RunStatus.NOT_STARTED else "; --memory raises it"
        raise errors.GateFailed(f"{image.name} {'does not start' if not more else 'was ended'}: {outcome.reason}{more}")
    return outcome.exit_code
