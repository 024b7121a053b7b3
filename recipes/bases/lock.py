"""bases.lock: which image each registry base is, by the digest of its index, so that all builds use the same one.

It stands beside the project's tasks.py and belongs under version control. What a tag stood for when it was last looked
at is kept below `build/` instead: a lock that this observation contradicts, if it is later, is stale.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recipes.errors import BadInput
from recipes.oci.manifests import parse_json
from recipes.oci.media_types import INDEXES
from recipes.oci.reference import Reference, image_name, parse
from recipes.support.digest import is_digest
from recipes.support.records import keep_value, kept_value
from recipes.support.workspace import Workspace, locked, write_atomically

VERSION = 1
_KEYS = {"base", "digest", "platforms", "since"}
_HEAD = """\
# What the tags of registry bases stand for. Written by `invoke bases --update`; keep it under version control.
version = 1
"""


@dataclass(frozen=True, slots=True)
class Pin:
    """What a reference is locked to. `since` is when that digest was first seen, `base` its name here ("" for none)."""

    digest: str
    since: datetime
    base: str = ""
    platforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """What a tag stood for at a time."""

    digest: str
    time: datetime


_PLATFORM = re.compile(r"[\w.-]+(?:/[\w.-]+){1,2}", re.ASCII)
"""What is written into the lock: a stranger's index may call a platform anything, also what TOML cannot hold."""

Pins = dict[str, Pin]
"""Reference (`docker://docker.io/library/alpine:3.23`) → Pin."""


def path_of(workspace: Workspace) -> Path:
    return workspace.root / "bases.lock"


def read(workspace: Workspace) -> Pins:
    """All pins; none where there is no lock. Raises: BadInput for a lock that is damaged."""
    path = path_of(workspace)
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise BadInput(f"cannot read {str(path)!r}: {error.strerror}") from error
    try:
        table = tomllib.loads(data.decode())
        if table.pop("version", None) != VERSION:
            raise ValueError(f"its version is not {VERSION}")
        return {reference: _pin(reference, entry) for reference, entry in table.items()}
    except (ValueError, TypeError, RecursionError) as error:
        raise BadInput(
            f"{str(path)!r} is damaged: {error}",
            hint="take it from version control, or remove it and run `invoke bases --update`",
        ) from error


def write(workspace: Workspace, changes: Pins, *, remove: Iterable[str] = ()) -> None:
    """Put these pins into the lock, in place of what it says of the same references, and remove others."""
    with locked(workspace.bases / "bases.lock.lock"):
        before = read(workspace)
        after = {reference: pin for reference, pin in (before | changes).items() if reference not in set(remove)}
        if after != before or not path_of(workspace).exists():
            write_atomically(path_of(workspace), render(after).encode())


def render(pins: Pins) -> str:
    """The lock as text: sorted, one table per reference."""
    parts = [_HEAD]
    for reference, pin in sorted(pins.items()):
        lines = [f'\n["{reference}"]']
        base = json.dumps(pin.base, ensure_ascii=False).replace("\x7f", r"\u007f")  # TOML escapes one more than JSON
        lines += [f"base = {base}"] if pin.base else []
        lines.append(f'digest = "{pin.digest}"')
        lines += [f"platforms = {json.dumps(pin.platforms)}"] if pin.platforms else []
        lines.append(f"since = {pin.since:%Y-%m-%dT%H:%M:%SZ}\n")
        parts.append("\n".join(lines))
    return "".join(parts)


def is_lockable(reference: Reference) -> bool:
    """Whether what a reference stands for can change: the tag of a registry, not a digest and no file."""
    return reference.transport == "docker" and not image_name(reference.target).digest


def pinned(reference: Reference, pin: Pin) -> Reference:
    """The same image by its digest."""
    name = image_name(reference.target)._replace(tag="", digest=pin.digest)
    return reference._replace(target=str(name))


def platforms_of(index: bytes) -> tuple[str, ...]:
    """The platforms of an index, sorted; none for a single manifest, which does not name its own."""
    document = parse_json(index, "an index")
    if document.get("mediaType") not in INDEXES and "manifests" not in document:
        return ()
    found = set()
    for entry in document["manifests"] if isinstance(document.get("manifests"), list) else ():
        about = entry.get("platform") if isinstance(entry, dict) else None
        if isinstance(about, dict) and about.get("os") != "unknown":
            found.add("/".join(str(about[key]) for key in ("os", "architecture", "variant") if about.get(key)))
    return tuple(sorted(filter(_PLATFORM.fullmatch, found)))


# ── the last observation ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _ObservationRecord:
    reference: str
    digest: str
    time: str


def remember_observation(workspace: Workspace, reference: Reference, digest: str) -> None:
    """The tag stands for `digest` now."""
    keep_value(_look(workspace, reference), _ObservationRecord(str(reference), digest, now().isoformat()))


def last_observation(workspace: Workspace, reference: Reference) -> Observation | None:
    """None where it was not looked up from here, or the record is damaged."""
    saved = kept_value(_look(workspace, reference), _ObservationRecord)
    if saved is None or saved.reference != str(reference) or not is_digest(saved.digest):
        return None
    try:
        return Observation(saved.digest, datetime.fromisoformat(saved.time).astimezone(UTC))
    except ValueError:
        return None


def is_stale(pin: Pin, observed: Observation | None) -> bool:
    """Whether the tag was seen to stand for something else since it was pinned."""
    return observed is not None and observed.digest != pin.digest and observed.time >= pin.since


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _look(workspace: Workspace, reference: Reference) -> Path:
    key = hashlib.sha256(str(reference).encode()).hexdigest()[:16]
    slug = re.sub(r"[^A-Za-z0-9.-]+", "_", str(reference))[-60:].strip("_.")
    return workspace.bases / "looks" / f"{slug}-{key}.json"


def _pin(reference: str, entry: Any) -> Pin:
    """Raises: ValueError, TypeError."""
    try:
        canonical = parse(reference)
    except BadInput as error:
        raise ValueError(error.message) from error
    if not is_lockable(canonical) or str(canonical) != reference:
        raise ValueError(
            f"{reference!r} is not a complete reference to a tag, such as {'docker://docker.io/library/a:1'!r}"
        )
    if not isinstance(entry, dict) or not {"digest", "since"} <= set(entry) <= _KEYS:
        raise ValueError(f"the entry of {reference!r} must have these keys and no others: {', '.join(sorted(_KEYS))}")
    base, platforms, since = entry.get("base", ""), entry.get("platforms", []), entry["since"]
    if not is_digest(entry["digest"]):
        raise ValueError(f"invalid digest of {reference!r}: {entry['digest']!r}")
    if not isinstance(since, datetime) or since.tzinfo is None:
        raise ValueError(f"the time of {reference!r} is not a timestamp with a zone")
    if not isinstance(base, str) or not isinstance(platforms, list) or not all(isinstance(p, str) for p in platforms):
        raise ValueError(f"the entry of {reference!r} has values of the wrong type")
    return Pin(entry["digest"], since.astimezone(UTC), base, tuple(platforms))
