"""Will it run there: a program on bases, or a whole image in its own root, judged before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from recipes import errors, pipeline
from recipes.model import BaseImage, ImageSettings, Platform, Program, Unavailable
from recipes.oci import reference as references
from recipes.pipeline import Project
from recipes.results import Verification
from recipes.support import console
from recipes.support.work import Work

Outcome = tuple[tuple[Verification, ...], tuple[Unavailable, ...]]
"""The verdicts, and the bases that are unavailable; both in the order in which the bases were named."""

_WITH_ENTRY = ("docker", "docker-daemon", "docker-archive", "oci", "oci-archive")


def is_image(text: str) -> bool:
    """Whether a target is meant as a whole image: `docker-daemon:…`, `oci-archive:…`, `docker://…` or the like."""
    return references.has_transport(text)


def is_script(path: str) -> bool:
    """Whether a file starts with `#!`. Raises: BadInput where it cannot be read."""
    from recipes.elf.segments import FileReader

    with FileReader(Path(path)) as reader:
        return reader.read_at(0, 2) == b"#!"


def verify_program(
    project: Project, target: str, program: Program, bases: Sequence[str], *, retry: bool = False
) -> Outcome:
    """One program on each of the bases. `retry` asks hosts that were silent a moment ago."""

    def ask(name: str) -> Verification:
        base = _resolve(project, name, program.platform, retry=retry)
        return Verification(target, name, base.platform, pipeline.judge_on(project, program, base))

    return _on_each(project, bases, ask)


def verify_script(
    project: Project, target: str, platform: Platform, bases: Sequence[str], *, retry: bool = False
) -> Outcome:
    """A file that starts with `#!`, put on each of the bases."""
    from recipes.elf.segments import FileReader
    from recipes.verdict.scripts import first_line, judge_script

    with FileReader(Path(target)) as reader:
        line = first_line(reader)

    def ask(name: str) -> Verification:
        base = _resolve(project, name, platform, retry=retry)
        root, user = pipeline.open_root(project, base), ImageSettings().user
        verdict = judge_script(root, line, "/app", platform, env=base.env, user=user)
        return Verification(target, name, platform, verdict)

    return _on_each(project, bases, ask)


def verify_image(project: Project, reference: str, platform: Platform) -> Verification:
    """An image's entry point in its own root. Raises: BadInput, Unavailable, BadArchive."""
    transport = references.parse(reference).transport
    if transport not in _WITH_ENTRY:
        raise errors.BadInput(
            f"{reference} is a root without an entry point",
            hint=f"name a program, and this as its base: `invoke verify PROGRAM --base {reference}`",
        )
    from recipes.verdict.entry import judge_entry

    image = _resolve(project, reference, platform, retry=True, by_lock=False)
    verdict = judge_entry(
        pipeline.open_root(project, image),
        image.start,
        platform,
        env=image.env,
        user=image.user,
        workdir=image.workdir,
    )
    return Verification(reference, reference, platform, verdict)


def _resolve(project: Project, name: str, platform: Platform, *, retry: bool, by_lock: bool = True) -> BaseImage:
    from recipes.bases.resolve import resolve

    return resolve(name, platform, project.workspace, project.store, retry=retry, by_lock=by_lock)


def _on_each(project: Project, bases: Sequence[str], ask: Callable[[str], Verification]) -> Outcome:
    if len(bases) == 1:
        return (ask(bases[0]),), ()  # what is wrong with the only one is an error, with its hint
    verdicts: dict[str, Verification] = {}
    missing: dict[str, errors.RecipeError] = {}
    with console.progress("verifying", len(bases)) as advance, Work(project.jobs) as work:
        for name in bases:
            work.start(("base", name), ask, name)
        for (_, name), result in work.results():
            if isinstance(result, errors.RecipeError):
                missing[name] = result
            else:
                verdicts[name] = result
            advance(1)
    return (
        tuple(verdicts[name] for name in bases if name in verdicts),
        tuple(Unavailable(name, missing[name].message, missing[name].exit_code) for name in bases if name in missing),
    )
