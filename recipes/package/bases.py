"""Bases by name or reference: which there are, and how to have one in the store.

What a reference stood for is kept per platform as one JSON file in `build/bases/`; the blobs are in the store. A tag of
a registry is what bases.lock says; where that says nothing, it keeps what it stood for until it is refreshed. Files and
engine images are looked at again each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes import errors, notes
from recipes.errors import BadInput
from recipes.model import BaseImage, Descriptor, Layer, Platform
from recipes.package import reference as references
from recipes.package.reference import BUNDLE, Reference
from recipes.workspace import Workspace, locked, write_atomically

if TYPE_CHECKING:
    from recipes.package.store import Store

RECORD_VERSION = 3
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
    import tomllib

    try:
        text = project.read_text(encoding="utf-8")
        # Most projects add none: then their whole file need not be understood.
        table: Any = tomllib.loads(text) if "fromscratch" in text else {}
    except ValueError as error:
        raise BadInput(f"cannot read {str(project)!r}: {error}") from error
    for key in ("tool", "fromscratch", "bases"):
        table = table.get(key, {})
        if not isinstance(table, dict):
            raise BadInput(f"{project}: {key!r} is not a table")
    return _read_specs(table, project, project.parent)


def resolve(
    name_or_reference: str,
    platform: Platform,
    workspace: Workspace,
    store: Store,
    *,
    refresh: bool = False,
    retry: bool = False,
    by_lock: bool = True,
) -> BaseImage:
    """The base, with all its layers in the store: from the last time if it is still there, else from its source.

    `refresh` asks the source in any case; `retry` asks a host even if it was silent a moment ago.
    Without `by_lock` a tag is what its registry says, as for an image that nothing is built on.
    Raises: BadInput for an unknown name, Unavailable where it cannot be had, BadArchive for what cannot be trusted.
    """
    if name_or_reference == "scratch":
        return BaseImage("scratch", "scratch", platform)
    reference, folder = find(name_or_reference, workspace)
    if reference.transport == "mmdebstrap":
        from recipes.package.suites import complete

        reference = complete(reference)
    meant, note = _locked(reference, name_or_reference, workspace, ask=refresh) if by_lock else (reference, "")
    here = meant.beneath(folder)
    key = hashlib.sha256(f"{here}\n{platform}".encode(errors="surrogateescape")).hexdigest()[:16]
    slug = re.sub(r"[^A-Za-z0-9.-]+", "_", str(reference))[-60:].strip("_.")
    record = workspace.bases / f"{slug}-{key}.json"
    stamp = _stamp(here, name_or_reference)
    base = None if refresh else _recall(record, stamp, store)
    if base is None:
        before = _identity(record)
        with locked(record.with_suffix(".lock")):
            # Somebody else may have fetched it while we waited: then that is fresh enough, even for a refresh.
            changed = _identity(record) != before
            base = _recall(record, stamp, store) if changed or not refresh else None
            if base is None:
                with _naming_the_lock(is_locked=meant != reference):
                    base = _fetch(here, name_or_reference, platform, workspace, store, retry=retry or refresh)
                saved = {"version": RECORD_VERSION, "stamp": stamp, "base": asdict(base)}
                write_atomically(record, json.dumps(saved, indent=1).encode())
    if note:
        _say_once(workspace, note)  # now that there is a base that it is about
    return replace(base, name=name_or_reference, reference=str(reference), platform=platform)


def find(text: str, workspace: Workspace) -> tuple[Reference, Path]:
    """The reference that is meant, and the folder that its path is relative to. Raises: BadInput for a wrong name."""
    if references.has_transport(text):
        return references.parse(text), Path.cwd()
    if text == BUNDLE:
        raise BadInput("the base 'bundle' is made for each program by itself", hint="use `invoke bundle`")
    specs = known(workspace)
    if text in specs:
        return references.parse(specs[text].reference, workspace.root), workspace.root
    unknown = errors.unknown("base", text, specs)
    if ":" in text or "/" in text:
        unknown = BadInput(unknown.message, hint=f"an image is docker://{text}, a folder or a tar is rootfs:{text}")
    raise unknown


def _locked(reference: Reference, name: str, workspace: Workspace, *, ask: bool) -> tuple[Reference, str]:
    """The tag of a registry by the digest that bases.lock gives for it; all else, and what is not locked, as it is.

    Also what a user should know of the lock, "" for nothing. With `ask`, the tag is looked at first.
    """
    if reference.transport != "docker":
        return reference, ""
    from recipes.package import lock

    if not lock.is_lockable(reference):
        return reference, ""
    pin = lock.read(workspace).get(str(reference))
    if pin is None and not lock.path_of(workspace).exists():
        return reference, (
            "note: there is no bases.lock: registry bases are what their tags stood for when they were fetched; "
            "`invoke bases --update` pins them"
        )
    if pin is None:
        update = f"`invoke bases --update --bases {name}`"
        return (
            reference,
            f"note: {name} is not in bases.lock: it is what its tag stood for when it was fetched; {update}",
        )
    if ask:
        _look_at(reference, workspace)
    look = lock.last_look(workspace, reference)
    if look is None or not lock.is_stale(pin, look):
        return lock.pinned(reference, pin), ""
    return lock.pinned(reference, pin), (
        f"note: bases.lock is stale: the tag of {name} was {look.digest[:19]} on {look.time:%Y-%m-%d}, and "
        f"{pin.digest[:19]} is used, as it is locked; `invoke bases --update` follows the tag"
    )


@contextlib.contextmanager
def _naming_the_lock(*, is_locked: bool) -> Iterator[None]:
    from recipes.package.refusals import Absent

    try:
        yield
    except Absent as error:
        if not is_locked:
            raise
        raise Absent(error.message, hint="bases.lock says so; `invoke bases --update` takes what is there") from error


def _look_at(reference: Reference, workspace: Workspace) -> None:
    from recipes.package import lock, registry
    from recipes.package.reach import reaching

    image = references.image_name(reference.target)
    with reaching(image.host, workspace, retry=True):
        remote = registry.find(image)
    lock.remember_look(workspace, reference, remote.start.digest)


_said: set[tuple[Path, str]] = set()


def _say_once(workspace: Workspace, text: str) -> None:
    if (workspace.root, text) not in _said:
        _said.add((workspace.root, text))
        notes.note(text)


def takes_long(name: str, workspace: Workspace) -> bool:
    """Whether a base, if it is not had yet, takes longer than any build: a system that has to be set up."""
    if name in MADE_HERE:
        return False
    reference, _ = find(name, workspace)
    return reference.transport == "mmdebstrap" and reference.target.partition("@")[0] == "minbase"


def _fetch(
    reference: Reference, name: str, platform: Platform, workspace: Workspace, store: Store, *, retry: bool
) -> BaseImage:
    path = Path(reference.target)
    match reference.transport:
        case "docker":
            from recipes.package import holdings, lock
            from recipes.package.reach import reaching

            image = references.image_name(reference.target)
            with reaching(image.host, workspace, retry=retry):
                from recipes.package import registry

                remote = registry.find(image)
            base = registry.pull(remote, name, platform, store)
            if not image.digest:
                lock.remember_look(workspace, reference, remote.start.digest)
            # An image on this base can take its layers over from there.
            holdings.remember(workspace, image, [layer.descriptor.digest for layer in base.layers])
            return base
        case "mmdebstrap":
            from recipes.package import debian

            return debian.assemble(reference, name, platform, workspace, store, retry=retry)
        case "docker-daemon":
            from recipes.package.sources import read_docker_archive
            from recipes.run import docker

            with workspace.temporary("save") as folder:
                archive = folder / "image.tar"
                with open(archive, "wb") as out:
                    out.writelines(docker.save_archive(reference.target))
                return read_docker_archive(archive, "", name, platform, store)
        case "docker-archive":
            from recipes.package.sources import read_docker_archive

            return read_docker_archive(path, reference.selector, name, platform, store)
        case "oci":
            from recipes.package.sources import read_layout

            return read_layout(path, reference.selector, name, platform, store)
        case "rootfs":
            from recipes.package.sources import read_rootfs

            return read_rootfs(path, name, platform, store)


def _stamp(reference: Reference, name: str) -> str:
    """What tells that the source is as it was; "" for sources that are asked only when the user wants it."""
    path = Path(reference.target)
    match reference.transport:
        case "oci":
            from recipes.package.sources import find_in_layout

            return find_in_layout(path, reference.selector, name).digest
        case "docker-archive" | "rootfs":
            from recipes.package.sources import fingerprint

            return fingerprint(path, name)
        case "docker-daemon":
            from recipes.run import docker

            return docker.image_id(reference.target)
        case _:
            return ""


def _identity(record: Path) -> tuple[int, int] | None:
    try:
        status = record.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _recall(record: Path, stamp: str, store: Store) -> BaseImage | None:
    """What is known from the last time, if the source is the same and every blob is still there with its size."""
    try:
        saved = json.loads(record.read_bytes())
        if saved["version"] != RECORD_VERSION or saved["stamp"] != stamp:
            return None
        base = _from_json(saved["base"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never had, no longer there, or not ours: have it again
    whole = all(store.has(layer.descriptor.digest, layer.descriptor.size) for layer in base.layers)
    return base if whole else None


def _from_json(value: dict[str, Any]) -> BaseImage:
    return BaseImage(
        value["name"],
        value["reference"],
        Platform(**value["platform"]),
        value["digest"],
        tuple(Layer(**(layer | {"descriptor": Descriptor(**layer["descriptor"])})) for layer in value["layers"]),
        tuple((name, text) for name, text in value["env"]),
        tuple(value["start"]),
        value["user"],
        value["workdir"],
    )


def _read_specs(table: dict[str, Any], file: Path, folder: Path) -> dict[str, BaseSpec]:
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
                raise BadInput(f"{file}: {key} of base {name!r} is not a text")
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
