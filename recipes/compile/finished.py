"""The one way from a finished file to a `Program`, and where its file is kept."""

from __future__ import annotations

from pathlib import Path

from recipes.compile.files import sha256
from recipes.errors import BadInput
from recipes.model import Build, ElfFacts, Platform, Program, Sample
from recipes.support.disk_cache import cached
from recipes.support.workspace import Workspace, replacing


def finished(
    path: Path,
    digest: str,
    sample: Sample,
    platform: Platform,
    workspace: Workspace,
    build: Build | None = None,
    *,
    original: Path | None = None,
) -> Program:
    """The program in the file `path`, whose SHA-256 is `digest`; what it is, is remembered by its content.

    Raises: NotElf, TruncatedElf, BadInput; they name the file `original` where `path` is a copy of it.
    """

    def ask() -> ElfFacts:
        from recipes.elf.facts import read_copy

        return read_copy(path, original or path)

    facts = cached(workspace.cache / "facts", digest, ask, ElfFacts)
    return Program(path=path, sha256=digest, platform=platform, sample=sample, facts=facts, build=build or Build())


def has_cgo_stub(program: Program, workspace: Workspace) -> bool:
    """Whether a package of a Go program was built without the cgo that it needs. Remembered by its content."""

    def ask() -> bool:
        from recipes.elf.markers import examine

        go = examine(program.path).go
        return go is not None and go.has_cgo_stub

    return cached(workspace.cache / "facts", ["cgo", program.sha256], ask, bool)


def take_prebuilt(sample: Sample, platform: Platform, workspace: Workspace, *, keep: bool = True) -> Program:
    """The program that `sample` consists of, as it is now.

    `keep` copies it to where it never changes, for an image; else it is looked at where it is.
    Raises: NotElf, TruncatedElf, BadInput.
    """
    path = sample.folder / sample.sources[0]
    try:
        digest, size = sha256(path), path.stat().st_size
    except OSError as error:
        raise BadInput(f"cannot read {str(path)!r}: {error.strerror}") from error
    if not keep:
        return finished(path, digest, sample, platform, workspace)
    place = kept_program(workspace, digest)
    if not is_there(place, size):
        copy(path, place, 0o755)
        if sha256(place) != digest:
            place.unlink(missing_ok=True)
            raise BadInput(f"{str(path)!r} changed while it was being copied", hint="try again")
    return finished(place, digest, sample, platform, workspace, original=path)


def kept_program(workspace: Workspace, digest: str) -> Path:
    """Where the program with this SHA-256 is kept."""
    return workspace.cache / "binaries" / digest / "app"


def is_there(path: Path, size: int) -> bool:
    """Whether a file of this size is there to be read."""
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def copy(source: Path, target: Path, mode: int) -> None:
    """Whole or not at all."""
    with open(source, "rb") as file, replacing(target, mode) as out:
        while data := file.read(1 << 20):
            out.write(data)
