"""A twin image for looking inside: made, checked, and how to start it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from recipes import errors
from recipes.model import Image, RunOutcome, RunStatus
from recipes.package.debug import FOLDER
from recipes.pipeline import Project, open_root
from recipes.run.engine import Engine
from recipes.support import console
from recipes.support.printable import shell_word

TOOLS = "deb-busybox"
_WORD = "the shell works"


def make_twin(project: Project, image: Image) -> Image:
    """`image` with busybox, and strace where this machine has a static one. Raises: Unavailable where no busybox is."""
    from recipes.bases.resolve import resolve
    from recipes.package.debug import tools, twin

    try:
        base = resolve(TOOLS, image.platform, project.workspace, project.store, retry=True)
    except errors.RecipeError as error:
        raise errors.Unavailable(
            f"no debug twin of {image.name}: busybox is not available: {error.message}", error.hint
        ) from error
    strace, why = find_strace(image.platform.architecture)
    if strace is None:
        console.note(f"strace is left out: {why}")
    return twin(image, tools(open_root(project, base), strace), project.store, project.compression)


def find_strace(architecture: str) -> tuple[Path | None, str]:
    """A static strace for that CPU on PATH, or why there is none."""
    from recipes.elf.facts import read_elf
    from recipes.support import shell

    found = shell.which("strace")
    if found is None:
        return None, "not found on PATH"
    try:
        facts = read_elf(Path(found))
    except errors.BadInput as error:
        return None, f"{found}: {error.message}"
    if not facts.linkage.is_static:
        return None, f"{found} is {facts.linkage}, and only a static one works in every image"
    if facts.machine != architecture:
        return None, f"{found} is for {facts.machine}"
    return Path(found), ""


def check(twin: Image, engine: Engine) -> RunOutcome:
    """Start the shell in the twin, and have it find both the program and, through PATH, its own commands."""
    script = f"test -x {shlex.quote(twin.entrypoint[-1])} && busybox true && echo {shlex.quote(_WORD)}"
    return engine.run(replace(twin, entrypoint=(f"{FOLDER}/sh",)), args=("-c", script))


def works(outcome: RunOutcome) -> bool:
    return outcome.status is RunStatus.EXITED and outcome.exit_code == 0 and outcome.stdout == f"{_WORD}\n"


def how_to_start(project: Project, twin: Image, engine: str) -> Iterator[str]:
    """A command for users of Docker or podman."""
    if engine == "docker":
        from recipes.run.docker import REPOSITORY

        yield f"docker run --rm -it --entrypoint {FOLDER}/sh {REPOSITORY}{twin.name}"
    yield f"podman run --rm -it --entrypoint {FOLDER}/sh {shell_word(f'oci:{project.store.root}:{twin.name}')}"
