"""The options that tasks have in common, and how each becomes a value that the pipeline takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from recipes import errors
from recipes.support import sizes

if TYPE_CHECKING:
    from recipes.model import Platform
    from recipes.pipeline import Project

PLATFORMS = "os/architecture, or several with commas between, {} (default: this machine's)"
COMMON = {
    "engine": "where to run: auto, docker, podman or local",
    "run": "run the image, to see that it works; --no-run makes and judges it only",
    "reference": "compare the run with one on this machine: of a file always done, of sources by a dynamic build",
    "platform": "os/architecture, for example linux/arm64 (default: this machine's)",
    "platforms": PLATFORMS.format("which become one index"),
    "compression": "compression of the layer: gzip, zstd or none",
    "jobs": "how many jobs to run at once (default: one per processor)",
    "format": "text or json",
    "max_blob": "the largest layer that is fetched, for example 500MB (default: 16GiB)",
    "recipe": "how to build; `invoke recipes` lists them (default: a small static one for the language)",
    "set_": "a setting of the image, as in [image] of sample.toml: user=0:0, env.LANG=C, needs=none; may be repeated",
    "folder": "a name under samples/ or a path; it is built first, by its own build system where it has one",
    "base": "the base image; `invoke bases` lists them, or `bundle`, docker://…, docker-daemon:…, oci:…, rootfs:…",
}

RUNNING = ("engine", "compression", "jobs", "format", "max_blob")
"""The options of every task that runs what it makes."""

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


def ensure_assembler(*bases: str) -> None:
    """Have what assembles Debian's packages, where one of the `bases` is made of them."""
    if any(name.startswith("deb-") for name in bases):
        from recipes.support import system

        system.ensure("bases")


def choose_engine(name: str, project: Project, *, run: bool) -> Any:
    from recipes.run.engine import choose

    one_of("engine", name, ENGINES)
    if name == "local" and not run:
        return None  # it would have nothing to do
    return choose(name, project.workspace, project.store, project.roots)  # type: ignore[arg-type]  # checked just above


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
