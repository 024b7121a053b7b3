"""`bases --update`: what the tags of registry bases stand for today, written into bases.lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from recipes.bases import lock
from recipes.bases.lock import Pin
from recipes.bases.specs import find, known
from recipes.errors import BadInput, RecipeError
from recipes.oci.reference import Reference, image_name, parse
from recipes.registry.host_status import reaching
from recipes.support.work import Work
from recipes.support.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an update found of one base. `old` and `new` are digests, "" for none.

    `error` says why it could not be looked at; its pin then stays as it is.
    """

    base: str
    reference: str
    old: str
    new: str
    error: RecipeError | None = None

    @property
    def what(self) -> str:
        if self.error:
            return f"kept: {self.error.message}" if self.old else f"not pinned: {self.error.message}"
        if self.old == self.new:
            return "unchanged"
        return "changed" if self.old and self.new else "new" if self.new else "removed: no base has this reference"


def update(workspace: Workspace, names: Sequence[str] = (), jobs: int = 1) -> tuple[Change, ...]:
    """Look at every registry base (or those of `names`: names and docker:// references), and write the lock.

    Without `names`, an entry whose base is no longer known is removed; one that was pinned by its reference stays.
    Raises: BadInput for an unknown name, for a base that has no tag, and for a damaged lock.
    """
    pins = lock.read(workspace)
    wanted = _named(workspace, names) if names else _all(workspace, pins)
    gone = () if names else tuple(reference for reference, pin in pins.items() if pin.base and reference not in wanted)
    with Work(max(1, jobs)) as work:
        for reference, base in wanted.items():
            work.start((reference, base), _ask, workspace, parse(reference))
        found = dict(work.results())
    changes, fresh = [], {}
    for reference, base in wanted.items():
        result: Pin | RecipeError = found[reference, base]
        old = pins.get(reference)
        digest = old.digest if old else ""
        if isinstance(result, RecipeError):
            changes.append(Change(base=base or reference, reference=reference, old=digest, new=digest, error=result))
            continue
        changes.append(Change(base=base or reference, reference=reference, old=digest, new=result.digest))
        # When it was first seen: a lock that says the same as before is the same file as before.
        fresh[reference] = replace(
            result, base=base, since=old.since if old and digest == result.digest else result.since
        )
    lock.write(workspace, fresh, remove=gone)
    changes += [
        Change(base=pins[reference].base, reference=reference, old=pins[reference].digest, new="") for reference in gone
    ]
    return tuple(changes)


def _all(workspace: Workspace, pins: lock.Pins) -> dict[str, str]:
    """Reference → name of every registry base, and of what was pinned without a name."""
    specs = [spec for spec in known(workspace).values() if spec.kind == "docker"]
    wanted = {spec.reference: spec.name for spec in specs if lock.is_lockable(parse(spec.reference))}
    return {reference: "" for reference, pin in pins.items() if not pin.base} | wanted


def _named(workspace: Workspace, names: Sequence[str]) -> dict[str, str]:
    wanted = {}
    for name in names:
        if name == "scratch" or not lock.is_lockable(reference := find(name, workspace)[0]):
            raise BadInput(f"{name} is not a registry tag, and only those are locked", hint="remove it from --bases")
        wanted[str(reference)] = name if name in known(workspace) else ""
    return wanted


def _ask(workspace: Workspace, reference: Reference) -> Pin:
    from recipes.registry import pull

    image = image_name(reference.target)
    with reaching(image.host, workspace, retry=True):
        remote = pull.find(image)
    lock.remember_observation(workspace, reference, remote.start.digest)
    return Pin(remote.start.digest, lock.now(), platforms=lock.platforms_of(remote.manifest(remote.start)))
