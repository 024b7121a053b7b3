"""The walkthrough as text and as a document: each step with what it found, one table at the end."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator, Sequence

from recipes.model import Command
from recipes.report.fit import Column, fields, fit, listing, said
from recipes.report.table import markdown, markdown_table
from recipes.results import WalkStep
from recipes.support.printable import Line, Span, folded, page, shell_word

_INDENT = 3
_ANSWERS = {True: "yes", False: "NO", None: "not done"}
_HEADINGS = ("step", "what we did", "predicted", "observed", "agree")
_COLUMNS = (*(Column(heading, least=20) for heading in _HEADINGS[:-1]), Column(_HEADINGS[-1]))


def render_step(step: WalkStep, room: int | None = None) -> list[Line]:
    """One step as text, and an empty line."""
    inner = None if room is None else room - _INDENT
    outcome = (("predicted ", step.predicted), ("observed  ", step.observed))
    parts: tuple[list[Line], ...] = (
        said(*folded(step.explanation, inner)),
        said(*(f"$ {shown(command)}" for command in step.commands)),
        listing(step.table[0], step.table[1:], inner) if step.table else [],
        said(*step.listing.rstrip("\n").split("\n")) if step.listing else [],
        [*fields([(name, text) for name, text in outcome if text], inner)],
    )
    body = [each for part in parts if part for each in (*said(""), *part)]
    return [*said(f"{step.number}. {step.title}"), *([Span(" " * _INDENT), *each] for each in body), *said("")]


def render_summary(steps: Sequence[WalkStep], room: int | None = None) -> list[Line]:
    """The table at the end: a line for each step, whose texts stand whole above it."""
    return [*fit(_COLUMNS, [[Span(text) for text in _summary(step)] for step in steps], room).lines]


def render_markdown(steps: Sequence[WalkStep]) -> str:
    """All of it as a document. Names of this machine's folders are left out."""
    lines = [
        "# The story of static binaries",
        "",
        "Written by `invoke walkthrough --format markdown`: each step was carried out, and its outcome is compared",
        "with what was predicted from the files alone.",
        "",
    ]
    for step in steps:
        lines += _section(step)
    lines += ["## All steps", "", *markdown_table(_HEADINGS, [_summary(step) for step in steps]).split("\n")]
    return page(lines)


def shown(command: Command) -> str:
    """A command as one would type it: programs by their names, without the environment that makes builds repeatable."""
    program, *words = command.argv
    return " ".join(map(shell_word, (os.path.basename(program), *(_short(word) for word in words))))


def _section(step: WalkStep) -> Iterator[str]:
    yield f"## {step.number}. {step.title[0].upper()}{step.title[1:]}"
    yield ""
    yield from textwrap.wrap(step.explanation, 120, break_long_words=False, break_on_hyphens=False)
    yield ""
    if step.commands:
        yield from _fenced("sh", [shown(command) for command in step.commands])
    if step.table:
        yield from (*markdown_table(step.table[0], step.table[1:]).split("\n"), "")
    if step.listing:
        yield from _fenced("dockerfile", step.listing.rstrip("\n").split("\n"))
    if step.predicted:
        yield f"- Predicted: {markdown(step.predicted)}"
    yield f"- Observed: {markdown(step.observed)}"
    yield ""


def _fenced(language: str, lines: Sequence[str]) -> Iterator[str]:
    """A block of code; a longer fence where a line has one. Source: CommonMark, "Fenced code blocks"."""
    fence = "`" * max(3, 1 + max(len(run) for each in lines for run in re.findall("^ *(`*)", each)))
    yield from (f"{fence}{language}", *lines, fence, "")


def _summary(step: WalkStep) -> tuple[str, ...]:
    return f"{step.number}. {step.title}", step.did, step.predicted, step.observed, _ANSWERS[step.agrees]


def _short(word: str) -> str:
    return os.path.basename(word) if word.startswith("/") else word
