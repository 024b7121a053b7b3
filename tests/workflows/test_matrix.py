"""Tests of recipes/workflows/matrix.py: what becomes of each cell, whatever builds, bases and runs do.

The programs and verdicts are real ones. The engine is one that says what the test wants it to have seen.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from recipes.compile.recipe import RECIPES
from recipes.errors import CommandFailed, ToolMissing, Unavailable
from recipes.model import BaseImage, Comparison, Expect, Image, Limits, Platform, RunOutcome, RunStatus, Sample, Status
from recipes.pipeline import Project
from recipes.samples.reader import load
from recipes.workflows.matrix import compare, compare_platforms
from tests.need import need_tool
from tests.sharing import interruptible, know_compilers

HOST = Platform.host()
BOTH = ("gcc-static", "gcc-dynamic")
ENDED = RunOutcome("told", RunStatus.EXITED, exit_code=0)
Answer = RunOutcome | Callable[[], RunOutcome]


class Told:
    """An engine that answers for each image what it was told to, and that a program ended well where it was told
    nothing.
    """

    name = "told"

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        self._answers = answers or {}
        self.prepared: list[str] = []
        self.ran: list[str] = []
        self.stopped = threading.Event()

    def prepare(self, base: BaseImage) -> None:
        self.prepared.append(base.name)

    def load(self, image: Image) -> None: ...

    def run(
        self, image: Image, *, args: tuple[str, ...] = (), stdin: bytes = b"", limits: Limits | None = None
    ) -> RunOutcome:
        self.ran.append(image.name)
        answer = self._answers.get(image.name, ENDED)
        return answer if isinstance(answer, RunOutcome) else answer()

    def stop(self) -> None:
        self.stopped.set()


def raising(error: BaseException) -> Callable[[], RunOutcome]:
    def answer() -> RunOutcome:
        raise error

    return answer


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, probed: Path) -> Project:
    """A project with a program, and one that no compiler takes; what one test has built, the next one has."""
    need_tool("gcc")
    root = tmp_path_factory.mktemp("matrix")
    know_compilers(root, probed)
    for name, code in (("it", "int main(void) { return 0; }\n"), ("broken", "int main(void) { return nothing; }\n")):
        folder = root / "samples" / name
        folder.mkdir(parents=True)
        (folder / "main.c").write_text(code)
    return replace(Project.at(root), jobs=2)


def compared(
    project: Project,
    engine: Told | None,
    *,
    samples: Sequence[str] = ("it",),
    recipes: Sequence[str] = BOTH,
    bases: Sequence[str] = ("scratch",),
    named: Sequence[str] = (),
    expect: Expect | None = None,
) -> Comparison:
    chosen: list[Sample] = [load(name, project.workspace) for name in samples]
    if expect is not None:
        chosen = [replace(sample, expect=expect) for sample in chosen]
    how = [RECIPES[name] for name in recipes]
    return compare(project, HOST, chosen, how, bases, engine, named=frozenset(named))


def cells(comparison: Comparison) -> dict[tuple[str | None, str], bool | None]:
    """Whether each cell runs, by recipe and base."""
    return {(row.program.build.recipe, row.image.base.name): row.runs for row in comparison.rows}


# ── what was seen, and what was predicted ────────────────────────────────────────────────────────────────────────────


def test_each_program_on_each_base_that_it_fits(project: Project, tmp_path: Path) -> None:
    """A row for each; a bundle for the one that loads something alone. A base that is shared is prepared once."""
    there = f"rootfs:{tmp_path}"
    engine = Told()
    found = compared(project, engine, bases=("scratch", there, "bundle"))
    assert {(recipe, base) for recipe, base in cells(found)} == {
        *((recipe, base) for recipe in BOTH for base in ("scratch", there)),
        ("gcc-dynamic", "bundle"),
    }
    assert sorted(engine.prepared) == sorted(["scratch", there])
    assert sorted(engine.ran) == sorted(row.image.name for row in found.rows)
    assert (found.unavailable, found.failed, engine.stopped.is_set()) == ((), (), False)


def test_without_an_engine_verdicts_are_all_there_is(project: Project) -> None:
    """Nothing was run, so what is predicted counts, and nothing can disagree with it."""
    found = compared(project, None)
    assert cells(found) == {("gcc-static", "scratch"): True, ("gcc-dynamic", "scratch"): False}
    assert {(row.run, row.observed, row.disagrees) for row in found.rows} == {(None, None, False)}


NOT_STARTED = RunOutcome("told", RunStatus.NOT_STARTED, reason="exec /app: no such file or directory")
NOT_RUN = RunOutcome("told", RunStatus.NOT_RUN, reason="namespaces are not allowed here")
MISSES_LIBRARY = replace(ENDED, exit_code=127, stderr="/app: error while loading shared libraries: libx.so.1: no")


@pytest.mark.parametrize(
    ("recipe", "outcome", "predicted", "runs", "disagrees"),
    [
        ("gcc-static", ENDED, Status.RUNS, True, False),
        ("gcc-static", NOT_STARTED, Status.RUNS, False, True),  # predicted wrongly
        ("gcc-static", MISSES_LIBRARY, Status.RUNS, False, True),
        ("gcc-static", replace(ENDED, exit_code=3), Status.RUNS, False, False),  # it ran, and did something else
        ("gcc-static", NOT_RUN, Status.RUNS, True, False),  # nothing is known but the verdict
        ("gcc-dynamic", NOT_STARTED, Status.FAILS, False, False),
        ("gcc-dynamic", ENDED, Status.FAILS, True, True),  # fails, but ran
        ("gcc-dynamic", NOT_RUN, Status.FAILS, False, False),
    ],
)
def test_a_run_is_held_against_the_verdict(
    project: Project, recipe: str, outcome: RunOutcome, predicted: Status, runs: bool, disagrees: bool
) -> None:
    """What was seen decides whether it runs. None of it is a failure of the comparison: each has its row."""
    found = compared(project, Told({f"it:{recipe}-scratch": outcome}), recipes=(recipe,), expect=Expect())
    (row,) = found.rows
    assert (row.verdict.status, row.run, row.runs, row.disagrees) == (predicted, outcome, runs, disagrees)
    assert found.failed == ()


def test_what_the_sample_expects_is_asked_of_each_cell(project: Project, tmp_path: Path) -> None:
    """The output of one cell is not that of another."""
    engine, there = Told({"it:gcc-static-scratch": replace(ENDED, stdout="yes")}), f"rootfs:{tmp_path}"
    found = compared(project, engine, recipes=("gcc-static",), bases=("scratch", there), expect=Expect("yes"))
    assert cells(found) == {("gcc-static", "scratch"): True, ("gcc-static", there): False}


@pytest.mark.parametrize("own", [None, "gcc-static"])
def test_which_recipe_is_built_where_none_is_named(project: Project, own: str | None) -> None:
    """The sample's own, else the usual one of its language, whether or not it was compared: a tie goes to it."""
    sample = replace(load("it", project.workspace), default_recipe=own)
    found = compare(project, HOST, [sample], [RECIPES["gcc-dynamic"]], ("scratch",), None)
    assert found.defaults == {("it", HOST, own or "gcc-static-small")}


# ── what fails ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cell_that_fails_stops_no_other(project: Project) -> None:
    """It is named with its program, recipe and base, with all that another program said, and its own exit code."""
    error = CommandFailed("the engine broke", output="line one\nline two\n")
    found = compared(project, Told({"it:gcc-static-scratch": raising(error)}), bases=("scratch", "bundle"))
    assert cells(found) == {("gcc-dynamic", "scratch"): True, ("gcc-dynamic", "bundle"): True}
    (failed,) = found.failed
    assert (failed.name, failed.exit_code) == ("it with gcc-static on scratch", 5)
    assert failed.reason == "the engine broke\nline one\nline two"


def test_a_program_that_is_not_built_has_no_cells(project: Project) -> None:
    """It is one failure, not one for each base, with the compiler's words; the other program has its rows."""
    found = compared(project, Told(), samples=("broken", "it"), recipes=("gcc-static",), bases=("scratch", "bundle"))
    assert [row.program.name for row in found.rows] == ["it"]
    (failed,) = found.failed
    assert (failed.name, failed.exit_code) == ("broken with gcc-static", 5)
    assert "nothing" in failed.reason.partition("\n")[2]


def test_failures_are_in_the_order_of_their_names(project: Project) -> None:
    """Whichever was first."""
    late = threading.Event()

    def second() -> RunOutcome:
        late.set()
        raise Unavailable("two")

    def first() -> RunOutcome:
        assert late.wait(60)
        raise Unavailable("one")

    found = compared(project, Told({"it:gcc-dynamic-scratch": first, "it:gcc-static-scratch": second}))
    assert [failed.reason for failed in found.failed] == ["one", "two"]


@pytest.mark.parametrize("named", [True, False])
def test_a_base_that_is_unavailable(project: Project, named: bool) -> None:
    """It is listed; it is a failure where it was asked for by name. The other bases have their rows."""
    found = compared(
        project, Told(), bases=("rootfs:/no/such/root", "scratch"), named=("rootfs:/no/such/root",) * named
    )
    assert {base for _, base in cells(found)} == {"scratch"}
    (missing,) = found.unavailable
    assert (missing.name, missing.exit_code) == ("rootfs:/no/such/root", Unavailable.exit_code)
    assert found.failed == (missing,) * named


@pytest.mark.parametrize("named", [True, False])
def test_a_recipe_without_its_compiler(project: Project, named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a recipe that this machine cannot carry out; nothing of it is tried."""
    monkeypatch.setenv("PATH", "/no/such/folder")
    found = compared(project, Told(), recipes=("gcc-static",), named=("gcc-static",) * named)
    assert found.rows == ()
    (missing,) = found.unavailable
    assert (missing.name, missing.exit_code) == ("gcc-static", ToolMissing.exit_code)
    assert found.failed == (missing,) * named


@pytest.mark.parametrize("named", [True, False])
def test_a_recipe_for_another_language(project: Project, named: bool) -> None:
    """All recipes are those that fit; by name it is bad input that it fits none of the samples."""
    found = compared(project, Told(), recipes=("go-static", "gcc-static"), named=("go-static",) * named)
    assert cells(found) == {("gcc-static", "scratch"): True}
    told = [(missing.name, missing.reason, missing.exit_code) for missing in found.unavailable]
    assert told == [("go-static", "builds go, and no go sample was selected", 2)] * named
    assert found.failed == found.unavailable


@pytest.mark.parametrize(
    ("samples", "named", "told"),
    [
        (("it",), ("bundle",), ["bundle"]),
        (("it",), (), []),
        (("broken", "it"), ("bundle",), []),  # it may be what the program that is not there would have been put on
        (("broken",), ("bundle",), []),
        ((), ("bundle",), []),
    ],
)
def test_a_bundle_that_fits_nothing(
    project: Project, samples: Sequence[str], named: Sequence[str], told: Sequence[str]
) -> None:
    """It is told of where it was asked for by name, and all programs are there and load nothing."""
    found = compared(project, None, samples=samples, recipes=("gcc-static",), bases=("scratch", "bundle"), named=named)
    assert [missing.name for missing in found.unavailable] == told
    assert all(missing.reason == "no selected program loads a library" for missing in found.unavailable)


def test_no_programs_prepare_no_base(project: Project) -> None:
    """An engine has no work with bases on which nothing will be run."""
    engine = Told()
    assert compared(project, engine, samples=()) == Comparison(())
    assert engine.prepared == []


# ── being stopped ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_bug_is_not_a_cell(project: Project) -> None:
    """What is no error of ours ends the comparison, and what runs is stopped."""
    engine = Told({"it:gcc-static-scratch": raising(ZeroDivisionError())})
    with pytest.raises(ZeroDivisionError):
        compared(project, engine, recipes=("gcc-static",))
    assert engine.stopped.is_set()


def test_an_interruption_stops_the_engine(project: Project) -> None:
    """^C ends what the engine runs at that moment, and no further cell is begun."""

    def interrupted() -> RunOutcome:
        os.kill(os.getpid(), signal.SIGINT)
        assert engine.stopped.wait(60)
        return ENDED

    engine = Told({f"it:{recipe}-scratch": interrupted for recipe in BOTH})
    with interruptible(), pytest.raises(KeyboardInterrupt):
        compared(replace(project, jobs=1), engine)
    assert len(engine.ran) == 1


# ── platforms ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_platforms_share_one_comparison(project: Project) -> None:
    """The rows of all, and what failed with the name of the platform that it failed for; a single one needs no name."""
    other = Platform.parse("linux/s390x" if HOST.architecture != "s390x" else "linux/amd64")
    samples, recipes = [load("it", project.workspace)], [RECIPES["gcc-static"]]
    bases, named = ("scratch", "rootfs:/none"), frozenset({"rootfs:/none"})
    one = compare_platforms(project, [HOST], samples, recipes, bases, None, named=named)
    assert [missing.name for missing in one.unavailable] == ["rootfs:/none"]
    both = compare_platforms(project, [HOST, other], [], [], bases, None, named=named)
    assert [missing.name for missing in both.unavailable] == [f"rootfs:/none for {HOST}", f"rootfs:/none for {other}"]
    assert both.failed == both.unavailable
    twice = compare_platforms(project, [HOST, HOST], samples, recipes, bases, None, named=named)
    assert twice.rows == one.rows * 2
