"""The gallery: its rows, what of a run is kept, what its page says, and programs that are used in their images."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from recipes.errors import RecipeError
from recipes.model import Command
from recipes.pipeline import Project
from recipes.support.shell import Completed
from recipes.support.workspace import Workspace
from tests.cli import ROOT, add
from tests.gallery import byhand, kept
from tests.gallery.attempt import Attempt, attempt, cause
from tests.gallery.byhand import ByHand
from tests.gallery.debian import Shipped
from tests.gallery.exercise import Exercised, exercise
from tests.gallery.measure import Gallery, Measured, Try, each, this_machine
from tests.gallery.page import render
from tests.gallery.public import public
from tests.gallery.results import Results
from tests.gallery.rows import Exercise, Row, read_rows
from tests.need import need_tool

ROW = Row("calc", "c", "calc", Exercise("calculates", says="42"), ships=("calc", "/usr/bin/calc"))
WORKS = Attempt("1.0", (), True, "", 12.34, 0.5, "gcc-static-small", "scratch", 1000, 1200, "sha256:0")
FAILED = Attempt("1.0", (), False, "calc: no compiler | no build", 3.0)


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_rows_are_read() -> None:
    """Each has a name of its own and says what its program has to show."""
    rows = read_rows()
    assert len({row.name for row in rows}) == len(rows)
    assert all(row.exercise.says or row.exercise.talk for row in rows)
    assert sum(row.kind == "new" for row in rows) == 10


@pytest.mark.parametrize(
    "text",
    [
        '[c.x]\nsource = "x"\nsauce = "y"\nexercise = { shows = "a" }\n',
        '[c.x]\nsource = "x"\nexercise = { shows = "a", say = "b" }\n',
        '[c.x]\nsource = "x"\nexercise = { shows = "a", args = "b" }\n',
        '[c.x]\nexercise = { shows = "a" }\n',
        '[d.x]\nsource = "x"\nexercise = { shows = "a" }\n',
    ],
)
def test_a_wrong_row_is_an_error(tmp_path: Path, text: str) -> None:
    """An unknown key, a missing one, a value of another type: none is passed over."""
    file = tmp_path / "programs.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"x|kind of row"):
        read_rows(file)


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    """What was measured before ^C is kept; the row at which it came, and those after it, are measured next time."""
    done: list[str] = []

    def run(*, interrupted_at: str = "", again: bool = False) -> list[str]:
        results = Results(tmp_path, again=again)
        done.clear()

        def make(name: str) -> ByHand:
            done.append(name)
            if name == interrupted_at:
                raise KeyboardInterrupt
            return ByHand(len(name), "")

        for name in ("a", "bb", "ccc"):
            assert results.have(ByHand, name, ROW, make=partial(make, name)) == ByHand(len(name), "")
        return list(done)

    with pytest.raises(KeyboardInterrupt):
        run(interrupted_at="bb")
    assert run() == ["bb", "ccc"]
    assert run() == []
    assert run(again=True) == ["a", "bb", "ccc"]


def test_a_row_that_changed_is_measured_again(tmp_path: Path) -> None:
    """A result is found by what it depends on; one that is damaged counts as none."""
    results = Results(tmp_path)
    results.have(ByHand, "calc", ROW, make=lambda: ByHand(1, ""))
    assert results.get(ByHand, "calc", ROW) == ByHand(1, "")
    assert results.get(ByHand, "calc", replace(ROW, then=(("--target", "calc"),))) is None
    assert results.get(Exercised, "calc", ROW) is None
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    assert results.get(ByHand, "calc", ROW) is None


def test_one_that_cannot_be_measured_stops_no_other() -> None:
    """It is named with the reason; what is interrupted is another matter."""
    seen = []

    def do(row: Row) -> None:
        seen.append(row.name)
        if row.name == "calc":
            raise RecipeError("no such package")

    assert each((ROW, replace(ROW, name="other")), do) == ["calc: no such package"]
    assert seen == ["calc", "other"]


# ── the page ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_says_what_was_measured() -> None:
    """The first try is told apart from a later one, each failure has its line, and what was not run is named."""
    page = render(
        [
            Measured(ROW, (Try(WORKS, Exercised("")),), Shipped(3, 4_000_000), ByHand(2_000_000, "")),
            Measured(
                replace(ROW, name="two"),
                (Try(FAILED), Try(replace(WORKS, options=("--target", "two")), Exercised("exit code 1: no terminal"))),
                by_hand=ByHand(None, "ld: cannot find -lx"),
            ),
            Measured(replace(ROW, name="three"), (Try(FAILED),)),
            Measured(
                replace(ROW, name="five"),
                (
                    Try(WORKS, Exercised("no data")),
                    Try(replace(WORKS, options=("--with", "/data")), Exercised("")),
                ),
            ),
            Measured(replace(ROW, name="four")),
        ]
    )
    assert (
        "Of 4, the plain command made an image of 2 at the first try, and 1 of these images did what they are for. "
        "With options 1 more did."
    ) in " ".join(page.split())
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    by_name = {row[0]: row[1:] for row in cells}
    assert by_name["calc"][:5] == ["1.0", "yes", "gcc-static-small", "12.3 s", "0.5 s"]
    assert by_name["calc"][7:] == ["4.00 MB in 3 files", "2.00 MB", "calculates"]
    assert (by_name["two"][1], by_name["two"][8:]) == ("no", ["no", "**no**"])
    assert (by_name["three"][1], by_name["three"][6]) == ("no", "none")
    assert "- five, used for “calculates”: no data\n- five with --with /data: works\n" in page
    assert "- two with --target two, used for “calculates”: exit code 1: no terminal" in page
    assert "- two by hand: ld: cannot find -lx" in page
    assert "- three: calc: no compiler" in page
    assert "Not run: four." in page


def test_rows_of_another_day_stay_on_the_page(tmp_path: Path) -> None:
    """What was measured is kept in a file; a new result takes its place, and a row that changed has none."""
    file = tmp_path / "gallery.json"
    assert kept.read(file) == {}
    first = Measured(ROW, (Try(WORKS, Exercised("")),), Shipped(3, 4_000_000), ByHand(None, "no way"), "here")
    kept.write(file, (first, Measured(replace(ROW, name="other"))))
    before = kept.read(file)
    assert list(before) == ["calc"]
    assert kept.merged(Measured(ROW), before["calc"]) == first
    now = Measured(ROW, (Try(FAILED),), machine="there")
    assert kept.merged(now, before["calc"]) == replace(first, tries=now.tries, machine="there")
    changed = Measured(replace(ROW, source="calc2"))
    assert kept.merged(changed, before["calc"]) == changed
    assert kept.merged(changed, before.get("other")) == changed


def test_the_page_of_this_project_is_written_from_its_data() -> None:
    """docs/gallery.md is what docs/gallery.json says, which speaks of rows as they are."""
    before = kept.read(ROOT / "docs/gallery.json")
    rows = read_rows()
    assert {row.name for row in rows if row.name in before and before[row.name].row != kept.digest(row)} == set()
    page = (ROOT / "docs/gallery.md").read_text(encoding="utf-8")
    assert render([kept.merged(Measured(row), before.get(row.name)) for row in rows]) == page


def test_the_page_of_this_project_is_about_all_rows() -> None:
    """docs/gallery.md has each row, measured or not, and says nothing of the machine where it was made."""
    page = (ROOT / "docs/gallery.md").read_text(encoding="utf-8")
    assert [row.name for row in read_rows() if row.name not in page] == []
    assert public(page.replace("\n", " "), ROOT, longest=len(page)) == " ".join(page.split())


def test_what_is_shown_names_neither_folders_nor_hosts(tmp_path: Path) -> None:
    """The system's own paths say something; where a project lies, and who was asked for it, does not."""
    said = f"{tmp_path}/a b/x.c: cannot open /usr/lib/y.so of https://proxy.example.org/z"
    assert public(said, tmp_path) == "…/a b/x.c: cannot open /usr/lib/y.so of a URL"
    assert public(f"on {socket.gethostname()}: no, {socket.gethostname()}s") == (
        f"on this machine: no, {socket.gethostname()}s"
    )
    assert public("two\nlines") == "two lines"


@pytest.mark.parametrize(
    ("stdout", "stderr", "line"),
    [
        ("", "note\nerror: no g++\n\nhint: install it\n", "no g++"),
        ('{"rows": [{"reason": "exit code 1\\nmore"}]}', "g++ -O2\n", "exit code 1"),
        ('{"rows": []}', "none of the candidates runs\n", "none of the candidates runs"),
        ("", "", "exit code 3"),
    ],
)
def test_the_cause_is_one_line(stdout: str, stderr: str, line: str) -> None:
    """The error of the tool; else the reason in its report; else the last that it said."""
    assert cause(Completed(Command(("invoke",)), 3, stdout.encode(), stderr.encode(), 1.0)) == line


# ── programs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

ECHO = """
#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>
int main(int count, char **words) {
    if (count < 2) return std::puts("no port"), 3;
    sockaddr_in where{};
    where.sin_family = AF_INET, where.sin_port = htons(std::atoi(words[1]));
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int server = socket(AF_INET, SOCK_STREAM, 0), seen;
    if (bind(server, (sockaddr *)&where, sizeof where) || listen(server, 1)) return 4;
    for (char text[99]; (seen = accept(server, nullptr, nullptr)) >= 0; close(seen))
        for (ssize_t n; (n = read(seen, text, sizeof text)) > 0;) if (write(seen, text, n) < 0) return 5;
}
"""
TALK = (("to\n", "to\n"), ("fro\n", "fro\n"))


@pytest.mark.slow
def test_a_program_is_made_and_used(project: Path, tmp_path: Path) -> None:
    """The command is typed as a user would, and its image used: a server is talked to, others end by themselves."""
    need_tool("unshare")
    folder = add(project, "echo", ECHO)
    row = replace(ROW, name="echo", source=str(folder), exercise=Exercise("echoes", args=("{port}",), talk=TALK))
    tried = attempt(row, "1.0", (str(folder),), (), project)
    assert (tried.works, tried.cause) == (True, "")
    assert 0 < tried.binary_bytes <= tried.image_bytes
    before = threading.active_count()

    def used(wanted: Exercise) -> str:
        return exercise(Project.at(project), tried.digest, wanted, tmp_path / "root").said

    assert used(row.exercise) == ""
    assert used(replace(row.exercise, talk=(("to\n", "fro\n"),))) == "answers 'to\\n', not 'fro\\n'"
    assert used(replace(row.exercise, args=())).startswith("exit code 3")
    assert used(Exercise("ends", says="no port", code=3)) == ""
    assert used(Exercise("ends", says="no port")) == "exit code 3: no port"
    assert used(Exercise("ends", says="a port", code=3)) == "did not write 'a port': no port"
    assert used(Exercise("draws", says="no port", terminal=True)) == ""
    assert threading.active_count() == before


@pytest.mark.slow
def test_a_program_that_is_not_made(project: Path) -> None:
    """What the tool said is the cause, without the folder in which the sources are."""
    folder = add(project, "broken", "int main() { return nothing; }\n")
    tried = attempt(ROW, "1.0", (str(folder),), (), project)
    assert not tried.works
    assert "broken" in tried.cause
    assert str(folder) not in tried.cause


@pytest.mark.slow
def test_by_hand(workspace: Workspace, tmp_path: Path) -> None:
    """The project's own build makes a static program of a copy; where it makes none, the compiler says why."""
    need_tool("make")
    source = tmp_path / "calc"
    source.mkdir()
    (source / "calc.c").write_text("int main(void) { return 0; }\n")
    (source / "Makefile").write_text("calc: calc.c\n\t$(CC) $(CFLAGS) $(LDFLAGS) -o $@ calc.c\n")
    made = byhand.build("calc", source, "make", workspace)
    assert made.said == ""
    assert made.size is not None
    assert made.size > 10_000
    assert not (source / "calc").exists()
    (source / "calc.c").write_text("int main(void) { return nothing; }\n")
    assert "nothing" in byhand.build("calc", source, "make", workspace).said
    assert byhand.build("other", source, "make", workspace).size is None


def test_known_results_ask_nothing(tmp_path: Path) -> None:
    """The page can be written from what is kept, and a measured row is not measured again."""
    gallery = Gallery(tmp_path)
    assert gallery.known(ROW) == Measured(ROW)
    row = replace(ROW, ships=None)
    gallery.results.have(Attempt, row.name, row.task, row.source, row.unpack, (), make=lambda: FAILED)
    gallery.measure(row)  # would fetch a source package that there is not
    assert gallery.known(row) == Measured(row, (Try(FAILED),), machine=this_machine())
