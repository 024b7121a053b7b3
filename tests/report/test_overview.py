"""Tests of recipes/report/overview.py and fit.py: the answer stands first, and all of it fits the terminal."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from recipes.model import Comparison, SizeRow, Status, Unavailable, Verdict
from recipes.report.fit import Column, fields, fit, listing
from recipes.report.overview import long, overview
from recipes.support.printable import Line, Span, painted, width
from tests.report.rows import AMD64, FAILS, NOT_RUN, NOT_STARTED, RUNS, row

FAILING = row(recipe="gcc-dynamic", size=100, verdict=FAILS, run=NOT_STARTED)
ROWS = (
    FAILING,
    row(recipe="gcc-dynamic", base="deb-cc", size=100, base_size=9000),
    row(size=2000),
    row(base="deb-cc", size=2000, base_size=9000),
    row(recipe="zig-static-small", size=1000),
    row("other", run=NOT_STARTED, verdict=FAILS),
)


def text(lines: list[Line]) -> list[str]:
    return painted(lines, colours=False).splitlines()


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def of_recipe(name: str, lines: list[str]) -> list[str]:
    """What the matrix says of one recipe."""
    (line,) = [line for line in lines[5:] if line.startswith(f"{name} ")]
    return cells(line)[1:]


def test_the_answer_stands_first() -> None:
    """One line a sample: what to take, and by how much it beats the next choice; or that nothing runs."""
    lines = text(overview(Comparison(ROWS)))
    assert cells(lines[0]) == ["sample", "recipe", "base", "image", "download", "smaller", "than"]
    assert cells(lines[2]) == [
        "hello", "zig-static-small", "scratch", "1.00 kB", "1.30 kB", "2.00×", "gcc-static on scratch",
    ]  # fmt: skip
    assert cells(lines[3])[:2] == ["other", "none runs"]
    assert lines[4] == ""


def test_the_matrix_has_a_size_or_fails_for_each_pair() -> None:
    """Recipes and bases of the smallest images come first; a pair that there is not has a dash."""
    lines = text(overview(Comparison(ROWS)))
    assert cells(lines[6]) == ["recipe", "scratch", "deb-cc"]
    assert of_recipe("zig-static-small", lines) == ["* 1.00 kB", "–"]
    assert of_recipe("gcc-static", lines[:12]) == ["2.00 kB", "11.0 kB"]
    assert of_recipe("gcc-dynamic", lines) == ["fails", "9.10 kB"]
    assert "6 images: 4 run, 2 do not (local engine)" in lines
    assert lines[-2:] == ["* the smallest image that runs", "fails: --format long says why"]


@pytest.mark.parametrize(
    ("given", "mark"),
    [
        (row(recipe="b", size=3000, run=NOT_RUN), "? 3.00 kB"),
        (row(recipe="b", size=3000, run=NOT_RUN, verdict=Verdict(Status.UNKNOWN)), "? 3.00 kB"),
        (row(recipe="b", size=3000, verdict=FAILS), "! 3.00 kB"),
        (row(recipe="b", size=3000, run=NOT_STARTED), "! fails"),
    ],
)
def test_what_was_not_seen_or_wrongly_foreseen_is_marked(given: SizeRow, mark: str) -> None:
    """A size without a mark was seen to run; each mark is explained below."""
    lines = text(overview(Comparison((row(), given))))
    assert of_recipe("b", lines) == [mark]
    assert {"?": "? not run", "!": "! wrongly predicted"}[mark[0]] in lines
    assert mark[0] not in "".join(text(overview(Comparison((row(),)))))


def test_where_nothing_was_run_that_is_said_once() -> None:
    """No cell is marked for it."""
    lines = text(overview(Comparison((row(run=None), row(recipe="b", size=3000, run=None)))))
    assert of_recipe("b", lines) == ["3.00 kB"]
    assert "2 images: 2 run, 0 do not (predicted; nothing was run)" in lines


@pytest.mark.parametrize("default", ["a", "b"])
def test_of_two_images_of_one_size_that_of_the_default_recipe_is_taken(default: str) -> None:
    """In the summary, in the matrix and on top of the long table."""
    rows = (row(recipe="a"), row(recipe="b"))
    comparison = Comparison(rows, defaults=frozenset({("hello", AMD64, default)}))
    assert cells(text(overview(comparison))[2])[1] == default
    assert of_recipe(default, text(overview(comparison))) == ["* 1.00 kB"]
    assert cells(text(long(comparison))[6])[:2] == [default, "static"]


@pytest.mark.parametrize("sort", ["image", "recipe", "base", "binary"])
def test_what_fails_stands_below_all_that_runs(sort: str) -> None:
    """Whatever the rows are sorted by."""
    lines = text(long(Comparison(ROWS[:-1]), sort))
    answers = [answer for line in lines for answer in re.findall("  (yes|no: )", line)]
    assert answers == ["yes"] * 4 + ["no: "]


@pytest.mark.parametrize("room", [60, 80, 100, 120])
def test_it_fits(room: int) -> None:
    """No line of a table is wider than the terminal, however many bases there are and whatever they are called."""
    many = [
        row(recipe="zig-static-small", base=f"docker://a.example/{n}", base_size=n, size=10**6) for n in range(1, 9)
    ]
    wide = [row(base="基" * 60, size=10**9), row("a long name " * 9, run=NOT_STARTED)]
    comparison = Comparison((*ROWS, *many, *wide))
    for lines in (text(overview(comparison, room=room)), text(long(comparison, room=room))):
        assert max(map(width, lines)) <= room
        assert any("1.00 kB" in line for line in lines)
    assert any(line.startswith("no room for ") for line in text(overview(comparison, room=room)))


def test_columns_go_in_their_order_before_a_text_is_cut() -> None:
    """The long table keeps recipe, base, answer and image to the last; the sample is in it where there are several."""
    comparison = Comparison(ROWS)
    headings = [cells(text(long(comparison, room=room))[5]) for room in (160, 110, 80, 50)]
    assert headings[0] == [
        "sample", "recipe", "linkage", "base", "predicted", "runs?", "binary", "image", "download", "overhead", "ratio",
    ]  # fmt: skip
    assert headings[1] == ["sample", "recipe", "base", "predicted", "runs?", "image", "download", "ratio"]
    assert headings[2] == ["sample", "recipe", "base", "runs?", "image"]
    assert headings[3] == ["recipe", "base", "runs?", "image"]
    assert "sample" not in text(long(Comparison(ROWS[:-1]), room=160))[4]


def test_a_text_is_cut_where_nothing_can_be_left_out() -> None:
    """The longest first, down to a few letters; numbers stay whole."""
    columns = (Column("name", least=20), Column("size", right=True))
    table = fit(columns, [[Span("n" * 30), Span("123456789")]], 20)
    assert text(list(table.lines))[-1] == "nnnnnnnn…  123456789"
    assert text(list(fit(columns, [[Span("n" * 30), Span("123456789")]], 5).lines))[-1].endswith("  123456789")


WORDS = "it asks for `libz.so.1 and more` in /a/very/long/folder/of/a/library, which is nowhere to be found"


@pytest.mark.parametrize("room", range(24, 60))
def test_a_listing_has_every_word_and_fits(room: int) -> None:
    """Texts go on in the next line, below themselves: nothing is cut off, and what can be narrower than a word is."""
    rows: list[list[str | Span]] = [["one", Span("fails", "bad"), WORDS], ["基" * 20, "", ""]]
    lines = text(listing(("base", "verdict", "reason"), rows, room))
    assert max(map(width, lines)) <= room
    shown = "".join("".join(line[lines[1].rindex(" ") + 1 :] for line in lines[2:]).split())
    assert shown == "".join(WORDS.split())


def test_words_are_folded_before_names_are_taken_apart() -> None:
    """A reference can be copied as long as there is prose that takes less room."""
    name = "docker://registry.example/distroless/static:latest"
    rows = [("static", name, "no libc, but users and time zones")]
    lines = text(listing(("base", "reference", "what it is"), rows, 86))
    assert lines[2:] == [f"static  {name}  no libc, but users and", f"{'':60}time zones"]
    assert text(listing(("a", "b"), [("one", "docker://a/b:c")], 13))[2:] == ["one  docker:/", "     /a/b:c"]


def test_a_listing_without_rows_has_its_headings() -> None:
    assert text(listing(("base", "verdict"), [], 80)) == ["base  verdict", "----  -------"]


def test_fields_go_on_below_themselves() -> None:
    """What is to be copied stays whole, also where it is wider than the terminal."""
    lines = text([*fields([("why ", "it needs `two words`"), ("where", "/a" * 9), ("fix ", "")], 18, indent=2)])
    assert lines == ["  why  it needs", "       `two words`", f"  where {'/a' * 9}", "  fix"]


def test_colours_are_put_around_what_was_made_safe() -> None:
    """A value's own escape sequence is written out, with colours and without them."""
    comparison = Comparison((row(sample="\x1b[31mred"),))
    coloured = painted(overview(comparison), colours=True)
    assert "\x1b[1m\\x1b[31mred\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9]*m", "", coloured) == painted(overview(comparison), colours=False)


def test_what_was_left_out_stands_below() -> None:
    gone = (Unavailable("x", "a.example cannot be reached"),)
    for lines in (overview(Comparison((row(),), gone)), long(Comparison((row(),), gone))):
        assert text(lines)[-1] == "not compared: x (a.example cannot be reached)"


def test_reasons_are_whole_where_it_is_asked_for() -> None:
    """`--verbose` has no limit of width."""
    why = replace(NOT_STARTED, reason="because " * 40)
    one = Comparison((row(verdict=RUNS, run=why),))
    assert why.reason.strip() in painted(long(one, verbose=True), colours=False)
    assert "…" in painted(long(one, room=100), colours=False)


def test_an_empty_comparison_has_headings_and_nothing_else() -> None:
    """No count, no mark."""
    assert [line for line in text(overview(Comparison(()))) if line][:1][0].startswith("sample")
    assert not any(text(overview(Comparison(())))[2:])
