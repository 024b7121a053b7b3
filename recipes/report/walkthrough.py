"""The walkthrough as text and as a document: each step with what it found, one table at the end."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator, Sequence

from recipes.model import Command
from recipes.report.table import list_table, markdown, markdown_table
from recipes.results import WalkStep
from recipes.support.printable import page, shell_word

_WIDTH = 100
_ANSWERS = {True: "yes", False: "NO", None: "not done"}
_HEADINGS = ("step", "what we did", "predicted", "observed", "agree")


def render_step(step: WalkStep) -> str:
    """One step as text."""
    lines = [f"{step.number}. {step.title}", ""]
    lines += textwrap.wrap(step.explanation, _WIDTH, initial_indent="   ", subsequent_indent="   ")
    if step.commands:
        lines += ["", *(f"   $ {shown(command)}" for command in step.commands)]
    for part in (list_table(step.table[0], step.table[1:]) if step.table else "", step.listing.rstrip("\n")):
        if part:
            lines += ["", *(f"   {row}" if row else "" for row in part.split("\n"))]
    lines += ["", *([f"   predicted  {step.predicted}"] if step.predicted else []), f"   observed   {step.observed}"]
    return page(lines)


def render_summary(steps: Sequence[WalkStep]) -> str:
    """The table at the end."""
    rows = [[_cell(text) for text in _summary(step)] for step in steps]
    return list_table(_HEADINGS, rows) + "\n"


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


def _cell(text: str) -> str:
    return textwrap.shorten(text, 60, placeholder=" …") if len(text) > 60 else text


def _short(word: str) -> str:
    return os.path.basename(word) if word.startswith("/") else word
