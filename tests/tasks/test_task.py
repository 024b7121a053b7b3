"""Tests of recipes/tasks/task.py: what every task has."""

from __future__ import annotations

from typing import NamedTuple

from invoke.context import Context

from recipes.tasks.task import task


class Lamp(NamedTuple):
    colour: str = "white"
    watts: str = ""


LAMP = Lamp()


@task(help={"colour": "of its light"})
def light(c: Context, room: str, lamp: Lamp = LAMP, dim: bool = False) -> tuple[str, Lamp, bool]:
    """Light a room."""
    return room, lamp, dim


def test_options_that_belong_together_reach_a_task_as_one_value() -> None:
    """On the command line they are options like any other, with their own defaults."""
    assert [each.name for each in light.get_arguments()] == ["room", "colour", "watts", "dim"]
    assert light(Context(), room="hall", colour="red", watts="", dim=True) == ("hall", Lamp("red"), True)
    assert light(Context(), room="hall") == ("hall", Lamp(), False)
    assert light(Context(), room="hall", lamp=Lamp(watts="5")) == ("hall", Lamp("white", "5"), False)
