"""What a shell offers for the word under the cursor: tasks, options, and their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from invoke.parser.context import ParserContext, to_flag

from recipes import errors
from recipes.tasks.options import ENGINES

if TYPE_CHECKING:
    from recipes.pipeline import Project

_SHELLS = Path(__file__).with_name("shells")

_FIXED = {
    "engine": ENGINES,
    "network": ("none", "host"),
}
_SEVERAL = frozenset({"samples", "recipes", "bases", "base", "platform"})
"""Options that take several values with commas between."""

_STORED = frozenset({"run", "export", "push"})
"""Tasks that take an image of the store."""


def script(shell: str) -> str:
    """What makes `shell` complete. Raises: BadInput."""
    known = sorted(path.suffix[1:] for path in _SHELLS.iterdir())
    if shell not in known:
        raise errors.unknown("shell", shell, known)
    return (_SHELLS / f"fromscratch.{shell}").read_text()


def candidates(
    words: Sequence[str], core: ParserContext, tasks: Mapping[str, ParserContext], project: Project
) -> list[str]:
    """What the last of `words` may become; none where the shell's own file names are the best that there is."""
    *before, current = words
    context = next((tasks[word] for word in before if word in tasks), None)
    option, equals, begun = current.partition("=")
    if context is None:
        found: Iterable[str] = core.flags if current.startswith("-") else tasks
    elif equals and option in context.flags:
        return [f"{option}={value}" for value in _values(option, begun, context, project)]
    elif _takes_value(before[-1], context):
        return _values(before[-1], current, context, project)
    elif current.startswith("-"):
        shared = (name for name in core.flags if name.lstrip("-") in ("help", "quiet", "verbose"))
        found = dict.fromkeys((*context.flags, *context.inverse_flags, *shared))
    else:
        words = [each.names[0] for each in context.positional_args]
        return _values(to_flag(words[0]), current, context, project) if words else []
    return sorted(name for name in found if name.startswith(current))


def _takes_value(word: str, context: ParserContext) -> bool:
    return word in context.flags and context.flags[word].takes_value and not context.flags[word].optional


def _values(option: str, begun: str, context: ParserContext, project: Project) -> list[str]:
    """The values of an option that begin like this; behind a comma those of the last one."""
    name = option.lstrip("-")
    first, comma, last = begun.rpartition(",") if name in _SEVERAL else ("", "", begun)
    try:
        known = _known(name, str(context.name), project)
    except errors.RecipeError:  # such as a damaged lock: the task will say so
        known = ()
    return sorted({f"{first}{comma}{value}" for value in known if value.startswith(last)})


def _known(name: str, task: str, project: Project) -> Iterable[str]:
    if name in ("sample", "samples", "image"):
        return _samples(project, stored=task in _STORED)
    if name in ("recipe", "recipes"):
        from recipes.compile.recipe import RECIPES

        return RECIPES
    if name in ("base", "bases", "from"):
        from recipes.bases.specs import known
        from recipes.oci.reference import BUNDLE

        return (*known(project.workspace), *([] if name == "from" else [BUNDLE]))
    if name in ("build", "compression"):
        from recipes.model import BuildSystem, Compression

        return get_args(BuildSystem if name == "build" else Compression)
    if name == "platform":
        from recipes.architecture import ARCHITECTURES

        return (f"linux/{architecture}" for architecture in ARCHITECTURES)
    if name == "sort":
        from recipes.report.table import SORT_KEYS

        return SORT_KEYS
    if name == "format":
        return _formats(task)
    return _FIXED.get(name, ())


def _formats(task: str) -> Iterable[str]:
    if task == "compare-sizes":
        from recipes.report.table import formats

        return formats()
    return ("text", "markdown", "html") if task == "walkthrough" else ("text", "json")


def _samples(project: Project, *, stored: bool) -> Iterable[str]:
    from recipes.samples.reader import names

    return (*names(project.workspace), *(project.store.tags() if stored else ()))
