"""What comes of one task alone: a push, a verdict, the search for the smallest image, the walkthrough.

These values are beside the model, as all other tasks would make their classes for nothing.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from recipes.model import Command, Descriptor, Platform, SizeRow, Verdict


@dataclass(frozen=True, slots=True)
class Pushed:
    """An image, or an index of several, that a registry now has. `repository` is complete: `host/name`.

    Every blob is in one of `sent`, `present` (it was there before) and `mounted`, which also names the repository of
    the same registry that it came from. `bytes_moved` is what was uploaded, counted again where it was sent again.
    """

    repository: str
    tag: str
    digest: str
    _: KW_ONLY
    sent: tuple[Descriptor, ...] = ()
    present: tuple[Descriptor, ...] = ()
    mounted: tuple[tuple[Descriptor, str], ...] = ()
    manifests_sent: int = 0
    bytes_moved: int = 0

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"


@dataclass(frozen=True, slots=True)
class Verification:
    """A verdict, and about what it is: `target` as the user named it, in the root of `base`."""

    target: str
    base: str
    platform: Platform
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate for the smallest image that runs. `rejected_because` is "" for the one that passed.

    `row` None: there was no image to judge.
    """

    name: str
    rejected_because: str
    row: SizeRow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkStep:
    """One step of the walkthrough: what was done, what should come of it, and what came of it.

    `agrees` None: it could not be done on this machine, and `observed` says why. `table` starts with its headings;
    `listing` is a file that the step is about.
    """

    number: int
    title: str
    explanation: str
    did: str
    predicted: str
    observed: str
    agrees: bool | None
    commands: tuple[Command, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    listing: str = ""
