"""Where a baseline comes from: a file, the same file as of a commit, or an image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from recipes.errors import BadInput, shortened
from recipes.gate.baseline import MAX_BYTES, read
from recipes.gate.values import Baseline, ImageSize
from recipes.model import BaseImage, Command, Platform
from recipes.oci import reference as references
from recipes.pipeline import Project
from recipes.support import shell

FILE = "sizes.json"
"""The baseline in a repository, where `git:REF` names no other."""

_REVISION = re.compile(r"(?!-)(?!.*\.\.)[^\x00-\x20\x7f:?*\[\\]+")
"""A name of a commit: what git-check-ref-format(1) allows, and `~`, `^` and `@{…}` of gitrevisions(7)."""


def find(project: Project, text: str, samples: Sequence[str], platforms: Sequence[Platform]) -> Baseline:
    """What `--baseline` names. `samples` and `platforms` are what will be compared with it.

    Raises: BadInput, ToolMissing, Unavailable, BadArchive.
    """
    if text.startswith("git:"):
        return _of_commit(text)
    if references.has_transport(text):
        return _of_image(project, text, samples, platforms)
    return of_file(Path(text))


def of_file(path: Path) -> Baseline:
    """Raises: BadInput."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise BadInput(f"no such baseline: {str(path)!r}", hint="--write-baseline FILE writes one") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadInput(f"cannot read the baseline {str(path)!r}: {reason}") from error
    return _parsed(data, str(path))


def size_of(sample: str, image: BaseImage) -> ImageSize:
    """What an image weighs that others have made. Raises: BadInput where it has no manifest, whose size counts."""
    if image.manifest is None or image.config is None:
        raise BadInput(
            f"{image.name} has no manifest, so what a pull of it would move is not known",
            hint="name it in a registry (docker://…) or as OCI has it (oci:…, oci-archive:…)",
        )
    download = image.manifest.size + image.config.size + sum(layer.descriptor.size for layer in image.layers)
    return ImageSize(sample, image.platform, None, image.name, image.image_bytes, download)


def _of_commit(text: str) -> Baseline:
    """The file as it is in a commit, `git:REF` or `git:REF:PATH`, with PATH from the current folder, as of any file."""
    revision, _, path = text.removeprefix("git:").partition(":")
    path = path or FILE
    if not _REVISION.fullmatch(revision):
        raise BadInput(f"not the name of a commit: {shortened(revision)!r}", hint="for example git:origin/main")
    if "\0" in path or Path(path).is_absolute():
        raise BadInput(f"not a path in a repository: {shortened(path)!r}", hint=f"for example {text}:{FILE}")
    asked = ("--verify", "--end-of-options", f"{revision}^{{commit}}")
    found = shell.run(_git("rev-parse", "--quiet", *asked), timeout=60)
    commit = found.stdout.decode("ascii", "replace").strip()
    if found.exit_code != 0 or not re.fullmatch("[0-9a-f]{40,64}", commit):
        said = found.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise BadInput(
            f"git has no commit {shortened(revision)!r} here{said and f': {said}'}",
            hint="" if said else _how_to_get(revision),
        )
    # Of a blob `git show` would give what a textconv filter of the repository's attributes makes of it.
    blob = shell.run(_git("cat-file", "blob", f"{commit}:./{path}"), timeout=600, output_limit=MAX_BYTES + 1)
    if blob.exit_code != 0 and not blob.stopped:
        said = blob.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise BadInput(
            f"{revision} has no baseline {shortened(path)!r}: {said}",
            hint=f"commit there what `--write-baseline {FILE}` writes, or name another file as git:{revision}:PATH",
        )
    return _parsed(blob.stdout, text)


def _git(*words: str) -> Command:
    return Command(("git", *words), env=(("GIT_TERMINAL_PROMPT", "0"), ("LC_ALL", "C")))


def _how_to_get(revision: str) -> str:
    remote, slash, branch = revision.partition("/")
    return f"a shallow clone lacks it: git fetch --depth=1 {remote} {branch}" if slash and branch else ""


def _of_image(project: Project, text: str, samples: Sequence[str], platforms: Sequence[Platform]) -> Baseline:
    from recipes.bases.resolve import resolve

    if len(samples) != 1:
        raise BadInput(
            f"the image {text} is a baseline for one sample, and {len(samples)} are checked",
            hint="name one, or take a file with the sizes of all",
        )
    reference = references.parse(text)
    moves = reference.transport == "docker" and not references.image_name(reference.target).digest
    sizes = []
    for platform in platforms:
        image = resolve(text, platform, project.workspace, project.store, refresh=moves, retry=True, by_lock=False)
        sizes.append(size_of(samples[0], image))
    return Baseline(text, tuple(sizes))


def _parsed(data: bytes, source: str) -> Baseline:
    if len(data) > MAX_BYTES:
        raise BadInput(f"{source} is not a baseline: it has more than {MAX_BYTES >> 20} MiB")
    return read(data, source)
