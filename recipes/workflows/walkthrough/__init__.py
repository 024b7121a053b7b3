"""The story of static binaries in twelve steps, each really done on this machine and its outcome checked."""

from __future__ import annotations

from collections.abc import Iterator

from recipes.pipeline import Project
from recipes.results import WalkStep
from recipes.run.engine import Engine

STEPS = 12


def walk(project: Project, engine: Engine) -> Iterator[WalkStep]:
    """The steps in their order, each as soon as it is done."""
    from recipes.workflows.walkthrough import golang, images, linking, shrinking
    from recipes.workflows.walkthrough.stage import Stage

    stage = Stage(project, engine)
    story = (
        linking.compile_and_link,
        linking.needed_libraries,
        linking.library_taken_away,
        linking.another_libc,
        linking.base_with_libraries,
        linking.static,
        images.from_scratch,
        images.interpreted,
        images.looking_inside,
        golang.go,
        images.another_cpu,
        shrinking.smaller,
    )
    for number, tell in enumerate(story, 1):
        yield tell(stage, number)
