"""Tests of `invoke smallest`: the first candidate that runs is taken; why others were not is said."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from recipes.bases import specs
from recipes.compile.recipe import RECIPES, by_rank
from recipes.errors import CannotWrite
from recipes.model import Platform, RunStatus
from recipes.pipeline import Project
from recipes.run.local import LocalEngine
from recipes.samples.reader import load, prebuilt
from recipes.support.workspace import Workspace
from recipes.workflows.bundle import Wanted
from recipes.workflows.home import home_of
from recipes.workflows.smallest import Search, telling_line
from tests.cli import add, call, error
from tests.need import need, need_tool
from tests.schemas import read
from tests.workflows.test_bundle import compile_to

BACKTRACE = """
#include <execinfo.h>
#include <cstdio>
int main() { void *frames[4]; std::puts(backtrace(frames, 4) >= 0 ? "traced" : "no"); }
"""
HOST_LIBRARY = """
#include <dlfcn.h>
#include <cstdio>
int main() {
    void *library = dlopen("libm.so.6", RTLD_NOW);
    auto *root = library ? reinterpret_cast<double (*)(double)>(dlsym(library, "sqrt")) : nullptr;
    if (root == nullptr) { std::puts("no libm"); return 0; }
    std::printf("%.0f\\n", root(49));
}
"""


def searched(project: Path, target: str, *words: str) -> tuple[int, list[tuple[str, str | None]], dict[str, Any]]:
    done = call(project, "smallest", target, "--engine=local", "--format=json", *words)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    document = read("smallest", done.stdout)
    return done.exit_code, [(candidate["name"], candidate["left"]) for candidate in document["rungs"]], document


def test_where_nothing_can_be_written_the_search_ends(tmp_path: Path) -> None:
    """A full disk rejects no candidate: it is the error, before any base is fetched in vain."""
    (tmp_path / "build/cache").mkdir(parents=True)
    (tmp_path / "build/cache/libraries").write_text("")
    done = call(tmp_path, "smallest", sys.executable, "--engine=local", "--args=-V")
    assert done.exit_code == CannotWrite.exit_code
    assert "error: cannot write " in error(done)


def test_static_recipes_rank_first() -> None:
    """Every language has candidates, static ones before dynamic ones, and each recipe is one candidate at most."""
    for language in {recipe.language for recipe in RECIPES.values()}:
        static = [recipe.static for recipe in by_rank(language)]
        assert static == sorted(static, reverse=True)
        assert {True, False} == {*static}


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("In file included from a.cpp:1:\na.cpp:2:10: fatal error: 'x.h' file not found\n  2 | #include\n",
         "a.cpp:2:10: fatal error: 'x.h' file not found"),
        ("ld: main.o: in function `main':\nmain.cpp:(.text+0x9): undefined reference to `f'\n",
         "main.cpp:(.text+0x9): undefined reference to `f'"),
        ("something else\nmore\n", "something else"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_telling_line(output: str, line: str) -> None:
    """Of all that a compiler says, the line that names the reason."""
    assert telling_line(output) == line


@pytest.mark.slow
def test_the_first_candidate(shared_project: Path) -> None:
    """A plain program is static musl on scratch, and nothing more is tried."""
    code, candidates, document = searched(shared_project, "hi")
    assert (code, candidates) == (0, [("zig-static-small on scratch", None)])
    (row,) = document["rows"]
    assert (row["base"], row["runs"], row["run"]["stdout"]) == ("scratch", True, "hello\n")


@pytest.mark.slow
def test_what_only_glibc_has(project: Path) -> None:
    """A header that musl lacks: zig's own message says why, and static glibc is taken."""
    need_tool("g++")
    add(project, "traced", BACKTRACE, 'expect = "traced\\n"\n')
    code, candidates, document = searched(project, "traced")
    assert code == 0
    assert [name for name, _ in candidates] == ["zig-static-small", "gcc-static-small on scratch"]
    assert "does not build" in str(candidates[0][1])
    assert "execinfo.h" in str(candidates[0][1])
    assert document["rows"][0]["run"]["stdout"] == "traced\n"


@pytest.mark.slow
def test_what_needs_a_library_of_the_host(project: Path) -> None:
    """Static programs start and do not find what they open; the bundle that was told of it does."""
    need_tool("g++")
    add(project, "opener", HOST_LIBRARY, 'expect = "7\\n"\n')
    code, candidates, document = searched(project, "opener", "--dlopen=libm.so.6")
    assert code == 0
    assert [name for name, _ in candidates] == [
        "zig-static-small on scratch", "gcc-static-small on scratch", "gcc-dynamic on bundle",
    ]  # fmt: skip
    assert all("does not run as expected" in str(left) for _, left in candidates[:2])
    (row,) = document["rows"]
    assert (row["base"], row["runs"]) == ("bundle", True)


@pytest.mark.slow
def test_bases_come_last_and_by_size(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the bundle cannot do is tried on the bases, smallest first; those that fail or are unavailable are named."""
    need_tool("g++")
    for name, extra in (("small", b""), ("large", bytes(1 << 20)), ("middle", bytes(1 << 10))):
        root = tmp_path / name
        root.mkdir()
        (root / "data").write_bytes(b"data" + extra)
    lines = [f'{name} = "rootfs:{tmp_path / name}"' for name in ("large", "middle", "small", "gone")]
    (workspace.root / "pyproject.toml").write_text("[tool.fromscratch.bases]\n" + "\n".join(lines) + "\n")
    monkeypatch.setattr(specs, "_built_in", dict)
    program = compile_to(tmp_path / "program", "int main(void) { return 0; }")
    (tmp_path / "empty").mkdir()
    search = Search(
        Project.at(workspace.root), Platform.host(), None, wanted=Wanted(source=f"rootfs:{tmp_path / 'empty'}")
    )
    candidates = list(search.candidates(prebuilt(str(program))))
    assert [each.name.rpartition(" ")[2] for each in candidates] == [
        "bundle",
        "gone",
        "small",
        "middle",
        "large",
    ]
    assert "not available" in candidates[1].rejected_because
    assert all(
        "judged: fails: exec /app: no such file or directory" in each.rejected_because
        for each in (candidates[0], *candidates[2:])
    )


@pytest.mark.slow
def test_nothing_runs(project: Path) -> None:
    """Where no candidate passes the exit code is 3, every candidate is named, and no image is shown."""
    need_tool("g++")
    add(project, "wrong", "int main() { return 4; }\n", "expect = { exit_code = 0 }\n")
    (project / "pyproject.toml").write_text("")
    code, candidates, document = searched(project, "wrong")
    assert code == 3
    assert document["rows"] == []
    names = [name for name, _ in candidates]
    assert names[:3] == ["zig-static-small on scratch", "gcc-static-small on scratch", "gcc-dynamic on bundle"]
    assert any(name.endswith("on alpine") for name in names)
    assert all(left for _, left in candidates)


@pytest.mark.slow
def test_without_a_run_the_verdict_is_said_to_decide(shared_project: Path) -> None:
    """`--no-run` takes what is judged to run, and says loudly that nothing was run."""
    done = call(shared_project, "smallest", "hi", "--engine=local", "--no-run")
    assert done.exit_code == 0
    assert b"nothing is run" in done.stderr
    assert b"run      not tried" in done.stdout


@pytest.mark.slow
def test_not_run_is_not_a_pass(workspace: Workspace) -> None:
    """A program for a CPU that cannot be run here is not the smallest image that runs: the search ends there."""
    from recipes.model import BaseImage, Image, Limits, RunOutcome, RunStatus

    class Refusing:
        """An engine on a machine whose kernel allows no namespaces."""

        name = "local"

        def prepare(self, base: BaseImage) -> None: ...
        def load(self, image: Image) -> None: ...
        def stop(self) -> None: ...
        def run(
            self, image: Image, *, args: tuple[str, ...] = (), stdin: bytes = b"", limits: Limits | None = None
        ) -> RunOutcome:
            return RunOutcome("local", RunStatus.NOT_RUN, reason="unshare: not permitted")

    folder = add(workspace.root, "hi", "int main() {}\n")
    project = Project.at(workspace.root)
    candidates = list(Search(project, Platform.host(), Refusing()).candidates(load(str(folder), workspace)))
    assert [each.rejected_because for each in candidates] == ["judged to run, but not run: unshare: not permitted"]


@pytest.mark.slow
def test_files(shared_project: Path, tmp_path: Path) -> None:
    """A static file belongs on scratch, a dynamic one on its bundle."""
    static = compile_to(tmp_path / "static", "int main(void) { return 0; }", "-static")
    dynamic = compile_to(tmp_path / "dynamic", "int main(void) { return 0; }")
    assert searched(shared_project, str(static))[:2] == (0, [("as it is on scratch", None)])
    assert searched(shared_project, str(dynamic), "--from=rootfs:/")[:2] == (0, [("as it is on bundle", None)])


@pytest.mark.slow
def test_what_came_with_a_program_is_tried_before_any_base(workspace: Workspace) -> None:
    """A program that lacks its own modules ends otherwise than at home: with its package's folders it does not."""
    need(Path("/usr/bin/perl").exists() and Path("/var/lib/dpkg/status").exists(), "Debian's perl")
    here = Project.at(workspace.root)
    sample = prebuilt("/usr/bin/perl", ("-e", "use List::Util; print 1"))
    search = Search(
        here,
        Platform.host(),
        LocalEngine(here.workspace, here.roots),
        home=home_of(here, sample, asked=False),
    )
    first, second = search.candidates(sample)
    if first.row is None or first.row.run is None or first.row.run.status is RunStatus.NOT_RUN:
        need(False, "namespaces")
    assert "not as at home" in first.rejected_because
    assert second.name.startswith("as it is on bundle with /usr/lib/")
    assert not second.rejected_because
    assert second.row is not None
    assert second.row.run is not None
    assert second.row.run.stdout == "1"
