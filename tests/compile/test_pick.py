"""Tests of recipes/compile/pick.py: the program is copied out of the build of a project, with what its linker said."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from recipes.compile.pick import made, pick, wrong_target
from recipes.compile.plan import Plan, plan
from recipes.compile.recipe import RECIPES
from recipes.compile.record import BuildRecord, StepResult
from recipes.compile.step import Step
from recipes.compile.systems.buildtools import find
from recipes.compile.systems.wrapper import MAP, MESSAGES
from recipes.errors import BadInput
from recipes.model import Platform
from recipes.samples.reader import load
from recipes.support.workspace import Workspace
from tests.compile.programs import write
from tests.compilers import Compilers
from tests.need import need, need_tool

GETADDRINFO = "Using 'getaddrinfo' in statically linked applications requires at runtime the shared libraries"
SAID = f"main.c:3:9: warning: unused [-Wunused]\n/usr/bin/ld: main.o: (.text+0x1): warning: {GETADDRINFO}\n"
NOTHING = StepResult(key="", checked=0, output=("", "", (0, 0, 0, 0)), seconds=0.0)


@pytest.fixture
def built(workspace: Workspace, compilers: Compilers) -> Plan:
    """The plan of a project, at the moment when its own build has ended: the program is there, and was linked."""
    for tool in ("make", "gcc"):
        need_tool(tool)
    sample = write(workspace, {"Makefile": "app:\n", "main.c": "int main(void) { return 0; }\n"})
    planned = plan(sample, RECIPES["gcc-static"], Platform.host(), workspace)
    folder = last(planned)[1].parent
    folder.mkdir(parents=True)
    shutil.copy(compilers.c("int main(void) { return 0; }"), folder / "app")
    (folder / f"app{MAP}").write_text("the map")
    (folder / f"app{MESSAGES}").write_text(SAID)
    return planned


def last(planned: Plan) -> tuple[Step, Path]:
    """The step that picks, and the place of the program in the build."""
    step = planned.steps[-1]
    assert step.product is not None
    return step, step.product.tree / "app"


def picked(planned: Plan, earlier: Sequence[StepResult] = ()) -> StepResult:
    step, _ = last(planned)
    assert step.product is not None
    record = BuildRecord({each.title: made for each, made in zip(planned.steps, earlier, strict=False)})
    record.programs = tuple((path, "", (0, 0, 0, 0)) for path in made(step.product))
    return pick(planned, step, step.product, record, lambda step: None, echo=False)


def test_the_program_its_map_and_its_warnings(built: Plan) -> None:
    """What is copied is what was found, and the command says so; of the messages the linker's own are kept."""
    step, program = last(built)
    result = picked(built, [NOTHING])
    assert step.output.read_bytes() == program.read_bytes()
    assert step.output.stat().st_mode & 0o111
    assert step.linker_map is not None
    assert step.linker_map.read_text() == "the map"
    assert result.warnings == (GETADDRINFO,)
    assert result.argv[-2:] == ("source/app", "app")
    assert result.output[0] == str(step.output)
    assert result.output[2][0] == program.stat().st_size


def test_nothing_of_an_earlier_program_is_left(built: Plan) -> None:
    """The copy is another file than the one before, and where there is no map, the old one is gone too."""
    step, program = last(built)
    assert step.linker_map is not None
    elsewhere = step.output.with_name("elsewhere")
    elsewhere.write_text("of somebody else")
    step.output.symlink_to(elsewhere)
    step.linker_map.write_text("of another program")
    program.with_name(f"app{MAP}").unlink()
    picked(built)
    assert not step.output.is_symlink()
    assert elsewhere.read_text() == "of somebody else"
    assert not step.linker_map.exists()


def test_a_program_without_messages_has_those_of_the_build(built: Plan) -> None:
    """It was not linked by the recipe's compiler, or was moved: each warning of the steps before, once."""
    _, program = last(built)
    program.with_name(f"app{MESSAGES}").unlink()
    earlier = [replace(NOTHING, warnings=tuple(each)) for each in ("", "ba", "ac")]
    assert picked(built, earlier).warnings == ("b", "a", "c")


def test_no_program_is_an_error_with_the_name_of_the_sample(built: Plan) -> None:
    """Before anything is copied."""
    step, program = last(built)
    program.unlink()
    with pytest.raises(BadInput, match="the build of app made no program"):
        picked(built)
    assert not step.output.exists()


NINJA = """\
rule CXX_EXECUTABLE_LINKER__server_
  command = true
rule CXX_SHARED_LIBRARY_LINKER__lib_
  command = true
rule cpp_LINKER
  command = true
rule CUSTOM
  command = true
build tool: cpp_LINKER
build server: CXX_EXECUTABLE_LINKER__server_
build libit.so: CXX_SHARED_LIBRARY_LINKER__lib_
build libit.so.1: cpp_LINKER
build data: CUSTOM
"""


@pytest.mark.parametrize(
    ("target", "message", "told"),
    [
        ("sever", "ninja: error: unknown target 'sever'", True),
        ("sever", "ninja: error: unknown target 'another'", False),
        ("sever", "main.cpp:1: error", False),
        ("", "ninja: error: unknown target ''", False),
    ],
)
def test_a_target_that_ninja_does_not_know(workspace: Workspace, target: str, message: str, told: bool) -> None:
    """The programs among what Ninja knows, and the nearest; whatever else went wrong is not about the target."""
    for tool in ("cmake", "ninja"):
        need(find(tool), tool)
    write(workspace, {"CMakeLists.txt": ""})
    planned = plan(load("app", workspace, target=target), RECIPES["gcc-static"], Platform.host(), workspace)
    (planned.work / "build").mkdir(parents=True)
    (planned.work / "build/build.ninja").write_text(NINJA)
    error = wrong_target(planned, planned.steps[-1].target_step or planned.steps[-2], message)
    assert (error is not None) is told
    if error is not None:
        assert "no program 'sever'; it makes server, tool" in error.message
        assert error.hint == "did you mean 'server'?"
