"""The Invoke tasks: parse, call one function, print, choose the exit code. The only importers of invoke.

Another project's tasks.py gets them with `namespace = collection(__file__)`.
"""

from __future__ import annotations

from pathlib import Path

from invoke.collection import Collection

from recipes.tasks.build import build_static, compare_sizes, package
from recipes.tasks.check import check
from recipes.tasks.images import debug, dockerfile, export, push
from recipes.tasks.lists import bases, doctor, recipes, samples
from recipes.tasks.run import run
from recipes.tasks.smallest import bundle, smallest
from recipes.tasks.verify import inspect, verify
from recipes.tasks.walkthrough import walkthrough

GROUPS = {
    "Make an image": (smallest, build_static, bundle, package, debug),
    "Find out": (verify, inspect, compare_sizes, check, walkthrough),
    "Use an image": (run, export, push, dockerfile),
    "What there is": (doctor, recipes, samples, bases),
}
"""All tasks, in the order and under the headings in which `fromscratch --help` has them."""


def collection(root: str | Path = ".") -> Collection:
    """All tasks, for the project at `root`: its folder, or its tasks.py (`__file__`)."""
    folder = Path(root).resolve()
    if folder.is_file():
        folder = folder.parent
    tasks = Collection()
    for group in GROUPS.values():
        for each in group:
            tasks.add_task(each)
    tasks.configure({"fromscratch": {"root": str(folder)}})
    return tasks
