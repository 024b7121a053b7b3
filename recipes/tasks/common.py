"""What the tasks share: their common options, and how these become the values that the pipeline takes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from invoke.context import Context

from recipes import errors
from recipes.support import console, printable, sizes

if TYPE_CHECKING:
    from recipes.compile.recipe import Recipe
    from recipes.model import BaseImage, Descriptor, Expect, Image, Platform, Sample, Unavailable
    from recipes.pipeline import Project
    from recipes.report.html import Made
    from recipes.support.terminal import Screen

COMMON = {
    "engine": "where to run: auto, docker, podman or local",
    "run": "run the image, to see that it works; --no-run makes and judges it only",
    "platform": "os/architecture, for example linux/arm64 (default: this machine's)",
    "platforms": "os/architecture, or several with commas between, which become one index (default: this machine's)",
    "compression": "compression of the layer: gzip, zstd or none",
    "jobs": "how many jobs to run at once (default: one per processor)",
    "format": "text or json",
    "max_blob": "the largest layer that is fetched, for example 500MB (default: 16GiB)",
    "recipe": "how to build; `invoke recipes` lists them (default: a small static one for the language)",
    "set_": "a setting of the image, as in [image] of sample.toml: user=0:0, env.LANG=C, needs=none; may be repeated",
    "folder": "a name under samples/ or a path; it is built first, by its own build system where it has one",
    "target": "which program, where the sample's build system makes several",
    "build": "what builds it: cmake, meson, autotools, make, sources or go (default: what its files say)",
    "option": "a word for cmake, meson, configure, make or go build, as in --option=-DWITH_TLS=OFF; may be repeated",
    "package": "Go: which main package, for example ./cmd/server",
    "base": "the base image; `invoke bases` lists them, or `bundle`, docker://…, docker-daemon:…, oci:…, rootfs:…",
}

BUILDING = ("build", "option")
"""The options of every task that may build a project."""

RUNNING = ("engine", "compression", "jobs", "format", "max_blob")
"""The options of every task that runs what it makes."""

TRIAL = {
    "args": "arguments for the trial run, quoted as in a shell, in place of the sample's own",
    "stdin": "stdin for the trial run, in place of the sample's own",
    "expect": "text that its stdout has to contain; it has to exit with 0, or as --expect-exit says",
    "expect_exit": "the exit code with which it has to end (default: it has to start, no more)",
    "serves": "it has to go on running for that many seconds (2 where none are given)",
}
"""The options for the trial run, which never change the image."""

ENGINES = ("auto", "docker", "podman", "local")

MANY: Sequence[str] = []
"""The default of an option that may be repeated. A list: with a tuple, Invoke would take one value's letters apart."""


def open_project(c: Context, compression: str = "gzip", *, jobs: str = "", max_blob: str = "") -> Project:
    from recipes.pipeline import Project

    return Project.at(
        Path(c.fromscratch.root), compression, jobs=_number(jobs), max_blob=parse_bytes("max-blob", max_blob)
    )


def platform_of(text: str) -> Platform:
    """Of `--platform` where it takes one; this machine's where it is not given. Raises: BadInput."""
    from recipes.model import Platform

    return _known(Platform.parse(text)) if text else Platform.host()


def platforms_of(text: str) -> tuple[Platform, ...]:
    """Those between the commas of `--platform`; this machine's where it is not given. Raises: BadInput."""
    from recipes.model import Platform

    return tuple(map(_known, Platform.parse_list(text)))


def _known(platform: Platform) -> Platform:
    """Raises: BadInput for a CPU that is most likely mistyped. One that is merely unknown here can be judged."""
    from difflib import get_close_matches

    from recipes.architecture import ARCHITECTURES

    if platform.architecture not in ARCHITECTURES and get_close_matches(platform.architecture, ARCHITECTURES, 1, 0.7):
        raise errors.unknown("architecture", platform.architecture, ARCHITECTURES)
    return platform


def _number(jobs: str) -> int:
    """Of `--jobs`; 0 where it is not given. A text for Invoke, which has a traceback for what is not a number."""
    if jobs and not re.fullmatch("0*[1-9][0-9]{0,5}", jobs):
        raise errors.BadInput(
            f"--jobs must be a positive integer, not {jobs}",
            hint="for example --jobs 4; left out, there is one per processor",
        )
    return int(jobs or 0)


def parse_bytes(option: str, text: str) -> int:
    """The size that an option takes; 0 where it is not given. Raises: BadInput."""
    if not text:
        return 0
    size = sizes.parse(text)
    if not size:
        raise errors.BadInput(f"not a size: --{option} {text}", hint="write it as 500MB or 16GiB")
    return size


class Selection(NamedTuple):
    """What the options of a task name: a sample (which of its programs, built how), its settings, recipe and base; and
    for a file the root that it belongs to.
    """

    sample: str
    target: str = ""
    package: str = ""
    changes: Sequence[str] = ()
    recipe: str = ""
    base: str = "scratch"
    source: str = ""
    build: str = ""
    options: Sequence[str] = ()


_NOTHING_ELSE = Selection("")


class Trial(NamedTuple):
    """What the options of `TRIAL` say; None where one is not given. `serves` is True where it has no value."""

    args: str | None = None
    stdin: str | None = None
    expect: str | None = None
    expect_exit: str | None = None
    serves: str | bool | None = None

    def of(self, sample: Sample) -> Sample:
        """`sample`, tried like this. What it expects by itself is about its own arguments and input, not about others.

        Raises: BadInput.
        """
        args = sample.args if self.args is None else words(self.args)
        stdin = sample.stdin if self.stdin is None else self.stdin
        changed = (args, stdin) != (sample.args, sample.stdin)
        return replace(sample, args=args, stdin=stdin, expect=self._expect() or (None if changed else sample.expect))

    def _expect(self) -> Expect | None:
        from recipes.model import Expect
        from recipes.samples.reader import is_code, is_seconds

        if self.serves and self.expect_exit is not None:
            raise errors.BadInput(
                "--serves and --expect-exit exclude each other",
                hint="one that ends has an exit code, one that serves none",
            )
        if self.serves:
            seconds = 2.0 if self.serves is True else _seconds(self.serves)
            if not is_seconds(seconds):
                raise errors.BadInput(
                    f"--serves must be a number of seconds up to 600, not {self.serves}", hint="for example --serves=5"
                )
            return Expect(serves=seconds, contains=self.expect)
        if self.expect is None and self.expect_exit is None:
            return None
        text = "0" if self.expect_exit is None else self.expect_exit
        if not re.fullmatch("[0-9]{1,6}", text) or not is_code(int(text)):
            raise errors.BadInput(
                f"--expect-exit must be a number from 0 to 255, not {text}", hint="128+n is how signal n shows"
            )
        return Expect(exit_code=int(text), contains=self.expect)


def _seconds(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) else None


def load(project: Project, selection: Selection) -> Sample:
    """The sample that is meant, with what `--set` changes of its image."""
    from recipes.samples.reader import load

    sample = load(
        selection.sample,
        project.workspace,
        target=selection.target,
        package=selection.package,
        build=selection.build,
        options=tuple(selection.options),
    )
    return changed(sample, selection.changes) if selection.changes else sample


def load_each(
    project: Project, selection: Selection = _NOTHING_ELSE
) -> tuple[tuple[Sample, ...], tuple[Unavailable, ...]]:
    """All samples of the project, and the folders below samples/ that are not samples, with the reason."""
    from recipes.model import Unavailable
    from recipes.samples.reader import names

    found, broken = [], []
    for name in names(project.workspace):
        try:
            found.append(load(project, selection._replace(sample=name)))
        except errors.RecipeError as error:
            broken.append(Unavailable(name, error.message, error.exit_code))
    return tuple(found), tuple(broken)


def load_any(project: Project, selection: Selection) -> Sample:
    """A sample, or a file as one. Raises: BadInput for options that only a sample has."""
    name = selection.sample
    if is_file(project, name):
        from recipes.samples.reader import prebuilt
        from recipes.workflows.bundle import folder_of

        if selection.recipe or selection.target or selection.package or selection.build or selection.options:
            raise errors.BadInput(
                f"{name!r} is a file: there is nothing to build", hint="leave out what says how it is built"
            )
        root = folder_of(project, selection.source) or Path("/")
        return changed(prebuilt(name, root=root), selection.changes)
    return load(project, selection)


def changed(sample: Sample, changes: Sequence[str]) -> Sample:
    from recipes.samples.image_settings import from_command_line

    return replace(sample, image=from_command_line(changes, sample.image))


def named_recipe(sample: Sample, name: str) -> Recipe | None:
    """None for "". Raises: BadInput for one that does not exist, or not for the sample."""
    from recipes.compile.recipe import check_language, find

    if not name:
        return None
    recipe = find(name)
    check_language(recipe, sample)
    return recipe


def choose_recipe(project: Project, sample: Sample, platform: Platform, name: str) -> Recipe:
    """The one that is named; else the one that is tried first."""
    from recipes.compile.availability import default

    return named_recipe(sample, name) or default(sample, platform, project.workspace)


def find_base_image(project: Project, platform: Platform, name: str) -> BaseImage:
    from recipes.bases.resolve import resolve

    if name.startswith("deb-"):
        ensure_assembler()
    return resolve(name, platform, project.workspace, project.store, retry=True)


def make_images(
    project: Project, platforms: Sequence[Platform], selection: Selection, *, gate: bool = False
) -> tuple[tuple[Image, ...], Descriptor]:
    """The image for each platform, and what stands for them all: a manifest, or an index of several.

    With `gate` one that is certain not to start is a GateFailed.
    """
    from recipes import pipeline

    images = tuple(make_image(project, platform, selection, gate=gate) for platform in platforms)
    return images, pipeline.join(project, images)


def make_image(project: Project, platform: Platform, selection: Selection, *, gate: bool = False) -> Image:
    """The image of a sample or a file on a base: built as far as needed, with the data that it will ask for."""
    from recipes import pipeline
    from recipes.oci.reference import BUNDLE
    from recipes.workflows import bundle

    sample = load_any(project, selection)
    if sample.language == "binary":
        program = pipeline.take_program(project, sample, platform)
    else:
        dynamic = selection.base == BUNDLE and not selection.recipe
        recipe = bundle.dynamic_recipe(sample.language) if dynamic else named_recipe(sample, selection.recipe)
        program = pipeline.build_program(project, sample, recipe, platform)
    if selection.base == BUNDLE:
        base = bundle.make(project, program)
    else:
        base = find_base_image(project, platform, selection.base)
    image, verdict = pipeline.package(project, program, base)
    if gate:
        pipeline.refuse_failing(verdict, image)
    return image


def ensure_assembler() -> None:
    from recipes.support import system

    system.ensure("bases")


def choose_engine(name: str, project: Project, *, run: bool) -> Any:
    from recipes.run.engine import choose

    one_of("engine", name, ENGINES)
    if name == "local" and not run:
        return None  # it would have nothing to do
    return choose(name, project.workspace, project.store, project.roots)  # type: ignore[arg-type]  # checked just above


def is_file(project: Project, target: str) -> bool:
    from recipes.samples.reader import names

    return target not in names(project.workspace) and not Path(target).is_dir() and os.path.lexists(target)


def is_stored(project: Project, target: str) -> bool:
    """Whether `target` is the name of an image that the store has, and not that of a sample or a file."""
    from recipes.samples.reader import names

    if ":" not in target or os.path.lexists(target) or target in names(project.workspace):
        return False
    return target in project.store.tags()


def show(text: str) -> None:
    """Results on stdout, at once. It has no other door: what would steer a terminal is written out."""
    _print(printable.text(text))


def made() -> Made:
    """What a page says of itself: the day of SOURCE_DATE_EPOCH, else today; and this version."""
    from datetime import UTC, datetime

    import recipes
    from recipes.oci.config import source_date_epoch
    from recipes.report.html import Made

    moment = source_date_epoch()
    day = datetime.fromtimestamp(moment, UTC) if moment else datetime.now(UTC)
    return Made(day.date().isoformat(), recipes.__version__)


def screen(output: str) -> Screen:
    """What stdout is; or the file `output`, where one is named."""
    from recipes.support.terminal import Screen, screen_of

    return Screen() if output else screen_of(sys.stdout)


def paint(output: str, lines: Iterable[printable.Line]) -> None:
    """The lines of a report in the file `output`, or on stdout with the colours that it takes."""
    if output:
        write(output, printable.painted(lines, colours=False))
    else:
        _print(printable.painted(lines, colours=screen(output).colours))


def _print(text: str) -> None:
    """Where a runner reads along, with nothing in it that it would take for a command."""
    sys.stdout.write(printable.inert(text) if console.is_github() else text)
    sys.stdout.flush()


def check_output(output: str) -> None:
    """Before hours of work: whether a file can be made at `output`. Raises: CannotWrite."""
    if not output:
        return
    path = Path(output)
    parent = next(each for each in path.absolute().parents if each.exists())
    if path.is_dir() or not parent.is_dir():
        raise errors.CannotWrite(f"cannot write {output!r}: it is not a file", hint="name a file in a folder")
    if not os.access(path if path.exists() else parent, os.W_OK):
        raise errors.CannotWrite(f"cannot write {output!r}: no permission", hint="name a place that you may write to")


def write(output: str, text: str) -> None:
    """Results in the file `output`, as they would be shown; "" shows them."""
    if not output:
        show(text)
        return
    from recipes.support import workspace

    with workspace.output(Path(output)) as file:
        file.write(printable.text(text).encode())
    console.note(f"written: {output}")


def split(text: str) -> tuple[str, ...]:
    """Those between commas, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def words(text: str) -> tuple[str, ...]:
    """Arguments as a shell would split them. Raises: BadInput for a quote that does not end."""
    import shlex

    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise errors.BadInput(f"cannot be split into words: {text!r}", hint=str(error)) from error


def one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise errors.unknown(what, value, known)
