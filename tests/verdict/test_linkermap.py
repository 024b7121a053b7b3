"""What the linker's map knows and the file does not: who asked for a member of the C library."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes import pipeline
from recipes.bases.resolve import resolve
from recipes.compile.recipe import RECIPES
from recipes.model import Platform
from recipes.pipeline import Project
from recipes.samples.reader import load
from recipes.support.workspace import Workspace
from recipes.verdict.linkermap import asked_for
from tests.cli import ROOT, add

CLOCK = (
    "#include <iostream>\n#include <ctime>\n"
    "int main() { std::time_t t = 0; std::cout << std::localtime(&t)->tm_hour << '\\n'; }\n"
)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["gcc-static", "gcc-static-small"])
def test_an_iostream_program_that_asks_for_local_time(recipe: str, workspace: Workspace) -> None:
    """Every iostream program holds the zones' path; only one whose own object called for local time gets zones."""
    project = Project.at(workspace.root)
    scratch = resolve("scratch", Platform.host(), workspace, project.store)
    add(workspace.root, "clock", CLOCK)
    for sample, expected in ((load("clock", workspace), ["time-zones"]), (load("hello", Workspace(ROOT)), [])):
        program = pipeline.build_program(project, sample, RECIPES[recipe], Platform.host(), echo=False)
        image, _ = pipeline.package(project, program, scratch)
        assert [added.need for added in image.additions.runtime_data] == expected
        assert program.build.linker_map
        assert ("localtime.o" in asked_for(program.build.linker_map)) is bool(expected)


def test_an_archive_of_the_programs_own(tmp_path: Path) -> None:
    """A member that the sample's own library asked for counts, one that libstdc++ or libc asked for does not."""
    text = (
        "Archive member included to satisfy reference by file (symbol)\n\n"
        "/usr/lib/libc.a(localtime.o)  libclock.a(face.o) (localtime)\n"
        "/usr/lib/a folder/libc.a(iconv_open.o)\n"
        "                              /usr/lib/libstdc++.a(codecvt.o) (iconv_open)\n"
        "/usr/lib/libc.a(tzset.o)      /usr/lib/libc.a(localtime.o) (__tz_convert)\n"
        "libclock.a(face.o)            main.o (show)\n\n"
        "Discarded input sections\n"
        "/usr/lib/libc.a(mktime.o)     main.o (mktime)\n"
    )
    path = tmp_path / "app.map"
    path.write_text(text)
    assert asked_for(path) == {"localtime.o": "libclock.a(face.o)"}


def test_how_the_asker_of_a_member_is_written(tmp_path: Path) -> None:
    """Behind the member or on the next line, indented; by the name of its file alone; the rest of a map counts not."""
    text = (
        "                              early.o (nothing)\n"
        "/usr/lib/libc.a(localtime.o)  /tmp/a folder/main.o (localtime)\n"
        "/usr/lib/libc.a(iconv_open.o)\n"
        "                              /tmp/libown.a(text.o) (iconv_open)\n"
        "/usr/lib/libc.a(mktime.o)\n"
        "next.o (mktime)\n"
        "                              late.o (mktime)\n"
        "/usr/lib/libm.a(sin.o)        main.o (sin)\n"
        "/usr/lib/libc.a(tzset.o)\n"
        "\n"
        "                              blank.o (tzset)\n"
        "                              second.o (tzset)\n"
        "Memory Configuration\n"
        "/usr/lib/libc.a(time.o)       main.o (time)\n"
    )
    path = tmp_path / "app.map"
    path.write_text(text)
    assert asked_for(path) == {
        "localtime.o": "main.o",
        "iconv_open.o": "libown.a(text.o)",
        "mktime.o": "late.o",
        "tzset.o": "blank.o",
    }


def test_a_map_that_is_none(tmp_path: Path) -> None:
    """Another linker's map, garbage or no file at all: nothing is known."""
    path = tmp_path / "app.map"
    assert asked_for(path) == {}
    path.write_bytes(bytes(range(256)) * 100)
    assert asked_for(path) == {}
