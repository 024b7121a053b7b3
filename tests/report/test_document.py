"""Tests of recipes/report/document.py and summary.py: the same rows for machines, and one build."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from recipes.model import Comparison, RunOutcome, RunStatus, SizeRow, Unavailable
from recipes.report import table
from recipes.report.document import comparison_document, dumps, render_csv
from recipes.report.summary import render
from recipes.support.printable import painted
from tests.report.rows import FAILS, NOT_STARTED, RAN, row

SERVING = RunOutcome("local", RunStatus.STOPPED, seconds=2.0, reason="its time is over", timed_out=True)
COMPARISON = Comparison(
    (row(size=1234567), row(recipe="gcc-dynamic", base="other", base_size=99, verdict=FAILS, run=NOT_STARTED)),
    (Unavailable("alpine", "docker.io cannot be reached"),),
)


def test_the_document_has_exact_bytes_and_whole_reasons() -> None:
    """`{"rows": […], "unavailable": [{"name", "reason"}]}`, as documented."""
    document = json.loads(dumps(comparison_document(COMPARISON)))
    small, big = document["rows"]
    assert (small["recipe"], small["runs"], small["reason"]) == (
        "gcc-dynamic",
        False,
        "exec /app: no such file or directory",
    )
    assert (big["binary_bytes"], big["image_bytes"], big["overhead_bytes"]) == (1234567, 1234567, 0)
    assert big["run"] == {
        "engine": "local",
        "status": "exited",
        "exit_code": 0,
        "stdout": "hello\n",
        "stderr": "",
        "seconds": 0.003,
        "reason": "",
        "timed_out": False,
        "listens": [],
    }
    assert small["verdict"]["findings"][0]["code"] == "interpreter-missing"
    assert document["unavailable"] == [{"name": "alpine", "reason": "docker.io cannot be reached"}]


def test_names_that_are_no_unicode_survive_json() -> None:
    """A file name's stray bytes come out as escapes, and the document is still JSON."""
    text = dumps(comparison_document(Comparison((row(sample="a\udcff"),))))
    assert json.loads(text.encode())["rows"][0]["sample"] == "a\udcff"


def test_csv_reads_back() -> None:
    """Commas, quotes and newlines in names do not move a column; what is invisible is written out."""
    odd = 'a "b", c\nd'
    lines = list(csv.DictReader(io.StringIO(render_csv(Comparison((row(sample=odd),))))))
    assert [line["sample"] for line in lines] == ['a "b", c\\nd']
    assert lines[0]["image_bytes"] == "1000"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r="])
def test_no_cell_of_a_spreadsheet_is_a_formula(start: str) -> None:
    """A text that would be computed is none; numbers of ours stay numbers, also below zero."""
    given = row(sample=f'{start}HYPERLINK("http://a.example")', size=1000)
    given = replace(
        given, image=replace(given.image, program=replace(given.program, facts=replace(given.program.facts, size=1500)))
    )
    (line,) = csv.DictReader(io.StringIO(render_csv(Comparison((given,)))))
    assert line["sample"].startswith(("'", "\\"))
    assert line["sample"].endswith('HYPERLINK("http://a.example")')
    assert line["overhead_bytes"] == "-500"


def text(row: SizeRow) -> str:
    return painted(render(row), colours=False)


def test_one_build_in_a_few_lines() -> None:
    """Exact bytes, the verdict with its reason, what the run showed, and every finding."""
    failing = text(COMPARISON.rows[1])
    assert "verdict  fails: exec /app: no such file or directory" in failing
    assert "certain (interpreter-missing): it asks for a loader; fix: -static" in failing
    assert "run      as expected (local engine, 0.003 s)" in text(COMPARISON.rows[0])


def unexpecting(run: RunOutcome) -> SizeRow:
    """A row whose sample expects nothing but that the program starts."""
    one = row(run=run)
    program = replace(one.program, sample=replace(one.program.sample, expect=None))
    return replace(one, image=replace(one.image, program=program))


@pytest.mark.parametrize(
    ("run", "line", "cell"),
    [
        (replace(RAN, exit_code=1), "started, exit code 1 (local engine", "yes, exit code 1"),
        (replace(RAN, exit_code=139), "does not run (local engine", "no: exit code 139 (SIGSEGV)"),
        (replace(SERVING, listens=("53/udp", "80/tcp")), "started, listens on 53/udp, 80/tcp (local engine",
         "yes, listens on 53/udp, 80/tcp"),
        (SERVING, "started, still running (local engine", "yes, still running"),
        (RAN, "started, exit code 0 (local engine", "yes"),
    ],
)  # fmt: skip
def test_a_run_of_which_nothing_was_expected(run: RunOutcome, line: str, cell: str) -> None:
    """It says how the program ended, also in the table."""
    one = unexpecting(run)
    assert f"run      {line}" in text(one)
    assert f" {cell} " in table.render(Comparison((one,)))


def test_what_it_wrote_is_shown_shortly() -> None:
    """The first three lines of either stream, cut where they are long, without what would steer a terminal."""
    stderr = f"\x1b[31mred\x1b[0m\r\n{'x' * 999}\n\x07"
    one = unexpecting(replace(RAN, exit_code=1, stdout="1\n2\n3\n4\n", stderr=stderr))
    lines = text(one).splitlines()
    shown = lines[next(number for number, each in enumerate(lines) if each.startswith("run")) + 1 :]
    assert shown == ["  1", "  2", "  3", "  …", "  red", f"  {'x' * 157}…", r"  \x07"]
    assert text(row(run=RAN)).splitlines()[-1].startswith("run ")  # what was expected need not be shown
