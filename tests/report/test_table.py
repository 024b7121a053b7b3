"""Tests of recipes/report/table.py and units.py: what the table shows, in which order, and what is said below it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from recipes.errors import BadInput
from recipes.model import Comparison, SizeRow, Unavailable
from recipes.report import table
from recipes.report.units import exact, human, ratio
from tests.report.rows import FAILS, NOT_RUN, NOT_STARTED, RAN, RUNS, row


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (9994, "9.99 kB"),
        (9996, "10.0 kB"),
        (99_949, "99.9 kB"),
        (99_951, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (2_180_000, "2.18 MB"),
        (10**12, "1.00 TB"),
        (12_345 * 10**12, "12345 TB"),
    ],
)
def test_sizes_have_three_digits(size: int, text: str) -> None:
    """Rounding never shows 1000 of a unit, and units are decimal."""
    assert human(size) == text


def test_exact_sizes_and_ratios() -> None:
    assert (exact(1), exact(1_234_567)) == ("1 byte", "1,234,567 bytes")
    assert (ratio(3, 2), ratio(3, 0)) == ("1.50×", "")


def cells(rows: list[SizeRow], **options: str) -> list[list[str]]:
    text = table.render(Comparison(tuple(rows)), **options)  # type: ignore[arg-type]
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()[2:]]


def test_grouped_by_sample_smallest_first() -> None:
    """Each sample's rows stand together, by image size; an empty line stands between two samples."""
    lines = cells(
        [
            row("b", size=10),
            row("a", "gcc-static", base="big", size=10, base_size=500),
            row("a", "zig-static-small", size=5),
        ]
    )
    assert [line[0] for line in lines] == ["a", "a", "", "b"]
    assert [line[3] for line in lines if line[0] == "a"] == ["scratch *", "big"]


def test_the_smallest_that_runs_is_marked() -> None:
    """A smaller image that does not run is not marked and stands below; ratios are against the one that does."""
    lines = cells(
        [row(recipe="gcc-dynamic", size=100, verdict=FAILS, run=NOT_STARTED), row(size=1000), row(base="b", size=2000)]
    )
    assert [line[3] for line in lines] == ["scratch *", "b", "scratch"]
    assert [line[-1] for line in lines] == ["1.00×", "2.00×", "0.10×"]


def test_where_nothing_runs_nothing_is_marked() -> None:
    lines = cells([row(verdict=FAILS, run=NOT_STARTED)])
    assert "*" not in lines[0][3]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (row(), "yes"),
        (row(verdict=FAILS, run=NOT_STARTED), "no: exec /app: no such file or directory"),
        (row(run=NOT_RUN), "not run: user namespaces are not allowed here"),
        (row(run=None), "not tried"),
        (row(verdict=FAILS, run=None), "not tried: exec /app: no such file or directory"),
        (row(verdict=FAILS), "yes (WRONGLY PREDICTED)"),
        (row(run=NOT_STARTED), "no: exec /app: no such file or directory (WRONGLY PREDICTED)"),
    ],
)
def test_what_runs_says(given: SizeRow, text: str) -> None:
    """What was observed, with the reason; never a `yes` for what was not run; our own errors loudly."""
    assert f"  {text}  " in table.render(Comparison((given,)))


def test_long_reasons_are_shortened() -> None:
    """In the table to one short line; `verbose` has them whole."""
    why = "a very long reason " * 10 + "\nwith a second line"
    long = replace(row(verdict=FAILS), run=replace(NOT_STARTED, reason=why))
    assert "second line" not in table.render(Comparison((long,)))
    assert "…" in table.render(Comparison((long,)))
    assert "second line" in table.render(Comparison((long,)), verbose=True)


def test_what_was_left_out_is_named_below() -> None:
    """Bases that are out of reach for the same reason share it; what failed has a line of its own."""
    gone, broken = "a.example cannot be reached\nin detail", Unavailable("hello with gcc-static", "it broke\nbadly", 5)
    comparison = Comparison(
        (row(),), (Unavailable("x", gone), Unavailable("y", gone), Unavailable("z", "else")), (broken,)
    )
    assert table.not_compared(comparison) == [
        "not compared: x, y (a.example cannot be reached); z (else)",
        "failed: hello with gcc-static: it broke",
    ]
    assert "in detail" in table.not_compared(comparison, verbose=True)[0]
    assert table.not_compared(Comparison((row(),))) == []


def test_texts_that_look_like_numbers_stay_texts() -> None:
    """`3.20` and `1e3` are names."""
    text = table.render(Comparison((row(sample="1e3", base="3.20", verdict=RUNS),)))
    assert "1e3" in text
    assert "3.20 *" in text


def test_sort_keys() -> None:
    """Another key than the image's size orders the rows of each sample."""
    rows = [row(recipe="b", base="y", size=1), row(recipe="a", base="z", size=2)]
    assert [line[1] for line in cells(rows)] == ["b", "a"]
    assert [line[1] for line in cells(rows, sort="recipe")] == ["a", "b"]
    with pytest.raises(BadInput):
        table.check_sort("colour")
    with pytest.raises(BadInput, match="unknown format"):
        table.check_format("papyrus")
    for name in table.formats():
        table.check_format(name)


def test_an_empty_comparison_is_an_empty_table() -> None:
    assert table.render(Comparison(())).splitlines()[0].split()[0] == "sample"


@pytest.mark.parametrize("style", ["github", "pipe", "jira", "asciidoc"])
def test_bars_in_names_do_not_become_columns(style: str) -> None:
    """Where a bar separates columns, one in a cell is escaped; elsewhere it is itself."""
    given = Comparison((row(sample="a|b"),))
    assert "a\\|b" in table.render(given, style)
    assert "a|b" in table.render(given, "simple")


def test_reasons_of_several_lines_stay_in_their_cell() -> None:
    """A row is one line in every format that has a line for each."""
    broken = replace(row(), run=replace(RAN, exit_code=1, stderr="first | line\nsecond"))
    for style in ("simple", "github", "tsv"):
        lines = table.render(Comparison((broken,)), style, verbose=True).splitlines()
        assert len(lines) == (2 if style == "tsv" else 3)
        assert "line\\nsecond" in lines[-1].replace("\\\\", "\\")


def test_what_would_steer_a_terminal_is_written_out() -> None:
    """A program's stderr may hold anything; only its colours are left out."""
    steering = replace(row(), run=replace(RAN, exit_code=1, stderr="\x1b[2J\x1b[31mred\r\x9b1m\a"))
    text = table.render(Comparison((steering,)), verbose=True)
    assert r"no: \x1b[2Jred\r\x07" in text


MARKUP = "<img src=x onerror=a> &amp; [a](b) ![c](d) `e` \\| f|g\\"


@pytest.mark.parametrize("style", ["github", "pipe"])
def test_a_cell_of_markdown_is_text(style: str) -> None:
    """No HTML, no entity, no link, picture or code comes of a name, and no bar or backslash ends its cell."""
    text = table.render(Comparison((row(sample=MARKUP),)), style)
    escaped = r"&lt;img src=x onerror=a> &amp;amp; \[a\](b) !\[c\](d) \`e\` \\\| f\|g\\"
    assert f"| {escaped} |" in text.replace("  ", "")


@pytest.mark.parametrize(
    ("style", "raw"), [("html", "<img"), ("unsafehtml", "<img"), ("latex", r"\input"), ("latex_raw", r"\input")]
)
def test_no_format_takes_a_name_for_markup(style: str, raw: str) -> None:
    """Also those of tabulate's formats that would let it through."""
    assert raw not in table.render(Comparison((row(sample=r"<img> \input{x}"),)), style)


def test_a_cell_of_tabs_is_no_formula() -> None:
    """`tsv` is for spreadsheets, as csv is."""
    assert table.render(Comparison((row(sample="=1+1"),)), "tsv").splitlines()[-1].startswith("'=1+1")
