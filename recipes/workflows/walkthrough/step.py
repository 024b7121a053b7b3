"""From a function that does something and says what it found to a step that can be told."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from recipes.errors import RecipeError
from recipes.model import Command
from recipes.results import WalkStep
from recipes.workflows.walkthrough.stage import Stage


@dataclass(frozen=True, slots=True)
class Found:
    """What a step did, what was predicted, what came of it. `table` starts with its headings."""

    did: str
    predicted: str
    observed: str
    agrees: bool | None
    commands: tuple[Command, ...] = ()
    table: Sequence[tuple[str, ...]] = ()
    listing: str = ""


Play = Callable[[Stage], Found]
Teller = Callable[[Stage, int], WalkStep]


def told(title: str) -> Callable[[Play], Teller]:
    """Make a step of a function whose docstring is its explanation. What cannot be done here becomes "not done"."""

    def decorate(play: Play) -> Teller:
        explanation = " ".join((inspect.getdoc(play) or "").split())

        def tell(stage: Stage, number: int) -> WalkStep:
            try:
                found = play(stage)
            except RecipeError as error:
                return WalkStep(
                    number=number,
                    title=title,
                    explanation=explanation,
                    did="nothing",
                    predicted="",
                    observed=f"not done: {error.message}",
                    agrees=None,
                )
            return WalkStep(
                number=number,
                title=title,
                explanation=explanation,
                did=found.did,
                predicted=found.predicted,
                observed=found.observed,
                agrees=found.agrees,
                commands=found.commands,
                table=tuple(found.table),
                listing=found.listing,
            )

        return tell

    return decorate


def agree(answers: Iterable[bool | None]) -> bool | None:
    """False where one is; None where one is not known; else True."""
    known = list(answers)
    if False in known:
        return False
    return None if None in known else True
