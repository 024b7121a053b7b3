"""Images that were made before, by their names in the store; and those of files, as they are."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes import errors
from recipes.model import Additions, BaseImage, Descriptor, Image, Platform, RunStatus, Sample, Status
from recipes.oci import reference as references
from recipes.oci.config import layers_of_base, settings_of
from recipes.oci.manifests import parse_json
from recipes.pipeline import Project
from recipes.run.engine import EngineName

if TYPE_CHECKING:
    from recipes.package.dockerfile import Layered

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


def image(project: Project, name: str, platform: Platform) -> Image:
    """The image of the store that is called `name`, with its program taken out of it. Raises: BadInput, NotElf."""
    from recipes.pipeline import take_program

    found, manifest, config = _documents(project, name, platform)
    root, (entry, *_) = project.roots.of(found.layers), found.start or ("",)
    if not root.is_file(entry):
        raise errors.BadInput(f"{name} has no program {entry!r}")
    with project.workspace.temporary("entry") as folder:
        file = folder / "app"
        with open(file, "wb") as out:
            root.copy_file(entry, out)
        program = take_program(project, Sample(name.partition(":")[0], folder, "binary", (Path("app"),)), platform)
    return Image(
        name=name,
        manifest=manifest,
        config=found.config or manifest,
        layers=found.layers,
        platform=platform,
        base=found,
        program=program,
        entrypoint=found.entrypoint,
        additions=Additions(settings_of(config)),
    )


def layered(project: Project, name: str, platform: Platform) -> Layered:
    """The image of the store that is called `name`, on its base where that has a name in a registry."""
    from recipes.package.dockerfile import Layered

    found, manifest, config = _documents(project, name, platform)
    annotations = parse_json(project.store.read(manifest.digest), name).get("annotations", {})
    base, digest = (annotations.get(f"org.opencontainers.image.base.{key}") for key in ("name", "digest"))
    below = layers_of_base(config) if base and digest else 0
    start = f"{base.partition('@')[0]}@{digest}" if below else "scratch"
    return Layered(start, found.layers[below:], settings_of(config), found.entrypoint)


def _documents(project: Project, name: str, platform: Platform) -> tuple[BaseImage, Descriptor, dict[str, Any]]:
    """The image, its manifest's descriptor and its config."""
    from recipes.oci.contents import images_of

    found, each = find(project, name, platform), images_of(project.store, descriptor(project, name))
    stored = next(one for one in each if found.config is not None and one.config.digest == found.config.digest)
    return found, stored.manifest, parse_json(project.store.read(stored.config.digest), f"the config of {name}")


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
