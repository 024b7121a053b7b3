"""Bases by name: those that come with the project, and those that a project's own pyproject.toml adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from recipes import errors
from recipes.errors import BadInput
from recipes.oci import reference as references
from recipes.oci.reference import BUNDLE, Reference
from recipes.support.settings import Table
from recipes.support.workspace import Workspace

MADE_HERE = ("scratch", BUNDLE)
"""Bases that are found nowhere: nothing at all, and what is made for each program."""

_KEYS = ("reference", "summary")


@dataclass(frozen=True, slots=True)
class BaseSpec:
    """A base that is known by name. `kind` is "scratch" or the transport of its reference."""

    name: str
    reference: str
    summary: str
    kind: str


def known(workspace: Workspace) -> dict[str, BaseSpec]:
    """The bases of bases.toml, then those of `[tool.fromscratch.bases]` in the project's pyproject.toml.

    Raises: BadInput for a table that is not as it should be, with the nearest key that would be right.
    """
    specs = dict(_built_in())
    project = workspace.root / "pyproject.toml"
    try:
        # A matrix asks for every base in turn: the file is read again only when it is another one.
        status = project.stat()
        specs |= _projects_own(project, (status.st_mtime_ns, status.st_size, status.st_ino))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise BadInput(f"cannot read {str(project)!r}: {error.strerror}") from error
    return specs


@lru_cache(maxsize=1)
def _built_in() -> dict[str, BaseSpec]:
    import tomllib

    own = Path(__file__).with_name("bases.toml")
    return _read_specs(tomllib.loads(own.read_text(encoding="utf-8")), own, own.parent)


@lru_cache(maxsize=8)
def _projects_own(project: Path, identity: tuple[int, int, int]) -> dict[str, BaseSpec]:
    table = Table.read(project, mark="fromscratch").table("tool").table("fromscratch").table("bases")
    return _read_specs(table.values, project, project.parent)


def find(text: str, workspace: Workspace) -> tuple[Reference, Path]:
    """The reference that is meant, and the folder that its path is relative to. Raises: BadInput for a wrong name."""
    if references.has_transport(text):
        return references.parse(text), Path.cwd()
    if text == BUNDLE:
        raise BadInput("the base 'bundle' is made separately for each program", hint="use `invoke bundle`")
    specs = known(workspace)
    if text in specs:
        return references.parse(specs[text].reference, workspace.root), workspace.root
    unknown = errors.unknown("base", text, specs)
    if ":" in text or "/" in text:
        unknown = BadInput(
            unknown.message, hint=f"for an image write docker://{text}, for a folder or a tar rootfs:{text}"
        )
    raise unknown


def takes_long(name: str, workspace: Workspace) -> bool:
    """Whether a base, if it is not in the store yet, takes longer than any build: a system that has to be set up."""
    if name in MADE_HERE:
        return False
    reference, _ = find(name, workspace)
    return reference.transport == "mmdebstrap" and reference.target.partition("@")[0] == "minbase"


def _read_specs(table: Mapping[str, Any], file: Path, folder: Path) -> dict[str, BaseSpec]:
    specs = {}
    for name, entry in table.items():
        values = {"reference": entry} if isinstance(entry, str) else entry
        if not isinstance(values, dict):
            raise BadInput(f"{file}: base {name!r} is neither a reference nor a table")
        for key, value in values.items():
            if key not in _KEYS:
                near = errors.unknown("key", key, _KEYS)
                raise BadInput(f"{file}: base {name!r} has an unknown key {key!r}", near.hint)
            if not isinstance(value, str):
                raise BadInput(f"{file}: {key} of base {name!r} is not a string")
        if "reference" not in values:
            raise BadInput(f"{file}: base {name!r} has no reference", hint='for example "docker://alpine:3.23"')
        if references.has_transport(name) or not name.strip() or "," in name or name == BUNDLE:
            raise BadInput(f"{file}: {name!r} cannot be the name of a base")
        text = values["reference"]
        if text == "scratch":
            specs[name] = BaseSpec(name, text, values.get("summary", ""), "scratch")
            continue
        try:
            reference = references.parse(text, folder)
        except BadInput as error:
            raise BadInput(f"{file}: base {name!r}: {error.message}", error.hint) from error
        specs[name] = BaseSpec(name, str(reference), values.get("summary", ""), reference.transport)
    return specs
