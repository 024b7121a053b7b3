"""Whatever text a value holds, no report of it steers a terminal or has a line that the value began."""

from __future__ import annotations

import dataclasses
import json
import re
import unicodedata
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from recipes.model import Command, Comparison, ElfFacts, Linkage, RunOutcome, RunStatus, Unavailable
from recipes.report import (
    document,
    gates,
    html,
    job_summary,
    overview,
    pushed,
    smallest,
    summary,
    table,
    verdict,
    walkthrough,
    workflow_commands,
)
from recipes.results import Candidate, Pushed, Verification, WalkStep
from recipes.support.printable import painted
from tests.report.gate_rows import CHECK
from tests.report.rows import AMD64, EVERYTHING, NOT_RUN, NOT_STARTED, RAN, full, row

EVIL = "error: a\r\nerror: forged\n\x1b]0;t\x07\x1b[2J\x1b[31m\x9b1m\x7f\t\u202e\u2028\u200b\ufeff\udc9b\ud800`<b>|"

Value = TypeVar("Value")


def poisoned(value: Value) -> Value:
    """`value` with EVIL for every text in it, however deep."""
    found: Any = value
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        found = EVIL
    elif isinstance(value, Path):
        found = Path(f"/{EVIL}")
    elif isinstance(value, tuple):
        found = tuple(map(poisoned, value))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: poisoned(getattr(value, field.name)) for field in dataclasses.fields(value)}
        found = dataclasses.replace(value, **fields)
    return found  # type: ignore[no-any-return]  # of the type of `value`


WROTE = RunOutcome("local", RunStatus.EXITED, exit_code=1, stdout="out", stderr="err", seconds=0.1)


ROWS = tuple(poisoned(full(run)) for run in (None, RAN, NOT_STARTED, NOT_RUN, WROTE))
GONE = poisoned((Unavailable("a", "b"),))
COMPARISON = Comparison(ROWS, GONE, (Unavailable("another", EVIL),))
VERIFICATION = poisoned(Verification("target", "base", AMD64, EVERYTHING))
FACTS = poisoned(
    ElfFacts(
        size=1,
        bits=64,
        little_endian=True,
        os_abi=0,
        type="DYN",
        machine="amd64",
        entry=0,
        linkage=Linkage.DYNAMIC,
        interpreter="ld",
        needed=("a",),
        soname="b",
        rpath=("c",),
        runpath=("d",),
        build_id="e",
    )
)
STEP = dataclasses.replace(
    poisoned(
        WalkStep(
            number=1,
            title="",
            explanation="",
            did="c",
            predicted="d",
            observed="e",
            agrees=False,
            commands=(Command(("f",)),),
            table=(("g",), ("h",)),
        )
    ),
    title="these are ours",
    explanation="as is this",
    listing="FROM scratch\n",
)
PUSHED = poisoned(Pushed("a", "b", "c", mounted=((row().image.manifest, "d"),), manifests_sent=1))

shown = partial(painted, colours=False)

REPORTS: dict[str, Callable[[], str]] = {
    **{f"row-{number}": lambda each=each: shown(summary.render(each)) for number, each in enumerate(ROWS)},  # type: ignore[misc]
    "twin": lambda: shown(summary.render_twin(ROWS[0].image, ROWS[1].image, poisoned(WROTE))),
    "facts": lambda: shown(summary.render_facts(EVIL, FACTS)),
    "verdict": lambda: shown(verdict.render(VERIFICATION, verbose=True)),
    "verdicts": lambda: shown(verdict.render_all((VERIFICATION,), GONE)),
    "smallest": lambda: shown(smallest.render(poisoned((Candidate("a", "b"), Candidate("c", "", ROWS[1]))))),
    "step": lambda: shown(walkthrough.render_step(STEP)),
    "steps": lambda: shown(walkthrough.render_summary((STEP,))),
    "walkthrough": lambda: walkthrough.render_markdown((STEP,)),
    "overview": lambda: shown(overview.overview(COMPARISON, room=100)),
    "long": lambda: shown(overview.long(COMPARISON, verbose=True)),
    "gates": lambda: shown(gates.render(poisoned(CHECK))),
    "job-summary": lambda: job_summary.render(poisoned(CHECK)),
    "annotations": lambda: "\n".join(workflow_commands.render(poisoned(CHECK), Path("/"))),
    "page": lambda: html.render_page(COMPARISON),
    "csv": lambda: document.render_csv(COMPARISON),
    **{
        style: lambda style=style: table.render(COMPARISON, style, verbose=True)  # type: ignore[misc]
        for style in table.formats()
        if style not in ("overview", "long", "json", "csv")
    },
}


@pytest.mark.parametrize("name", REPORTS)
def test_no_value_steers_or_forges(name: str) -> None:
    """All that a report prints can be seen, but for its own newlines (and tabs, where they part columns)."""
    shown = REPORTS[name]()
    structure = "\n\t" if name == "tsv" else "\n"
    hidden = {each for each in shown if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {*structure}
    assert not hidden
    # A name that begins so may stand at the start of its line; what follows a newline in it may not.
    assert not re.search("^error: forged", shown, re.MULTILINE)


def test_the_lines_below_a_table_are_lines() -> None:
    """As many as there are things to say."""
    assert len(table.not_compared(COMPARISON)) == 2


@pytest.mark.parametrize("name", ["walkthrough", "github", "pipe"])
def test_no_value_is_markup(name: str) -> None:
    """Outside its blocks of code Markdown has no tag that a value brought along."""
    text = re.sub(r"^(`{3,})\w+\n.*?^\1$", "", REPORTS[name](), flags=re.MULTILINE | re.DOTALL)
    assert "<b>" not in text
    assert "&lt;b>" in text


def test_json_has_the_raw_text() -> None:
    """What is read back is what was there, to the last surrogate; the document itself is printable ASCII."""
    documents = [document.comparison_document(COMPARISON), verdict.document(VERIFICATION), pushed.document(PUSHED)]
    text = document.dumps({"documents": documents})
    assert text.replace("\n", "").isprintable()
    assert text.isascii()
    read = json.loads(text)["documents"]
    assert read[0]["rows"][0]["sample"] == EVIL
    assert read[1]["findings"][0]["message"] == EVIL
    assert read[2]["mounted"][0]["from"] == EVIL
