from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from recipes.compile.build import build
from recipes.compile.plan import plan
from recipes.compile.recipe import RECIPES
from recipes.compile.systems.buildtools import BuildTool, require
from recipes.elf.facts import read_elf
from recipes.errors import BadInput, CommandFailed, GateFailed, ToolMissing
from recipes.model import Command, Platform, Program, Sample
from recipes.pipeline import Project, build_program
from recipes.samples.reader import load
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.compile.programs import make, output, write
from tests.compile.systems import projects
from tests.need import need, need_tool

SMALL = ("gcc-static-small", "clang-static-small", "zig-static-small")
NEEDS = {"cmake": (), "meson": ("meson",), "autotools": ("autoreconf", "libtoolize", "make"), "make": ("make",)}


def project(
    workspace: Workspace, files: Mapping[str, str], build: str, *, target: str = "", name: str = "app"
) -> Sample:
    """The sample, or the test ends because its build system is not there."""
    from recipes.compile.systems import buildtools

    for tool in NEEDS[build]:
        need(buildtools.find(tool) if tool == "meson" else shutil.which(tool), tool)  # type: ignore[arg-type]
    write(workspace, files, name)
    sample = load(name, workspace, target=target)
    assert sample.build == build
    return sample


def static(binary: Program) -> bool:
    return read_elf(binary.path).linkage.is_static


def elsewhere(parent: Path, recipe: str, files: Mapping[str, str], build: str, target: str) -> str:
    """The digest of the program that the same files become in another place."""
    workspace = Workspace(parent / "another place, far away")
    return make(project(workspace, files, build, target=target), recipe, workspace).sha256


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", SMALL)
def test_cmake(recipe: str, workspace: Workspace, tmp_path: Path) -> None:
    """A CMake project with a library of its own and a generated header is built by target, outside its folder; built in
    another place, it is the same.
    """
    sample = project(workspace, projects.CMAKE, "cmake", target="server")
    before = tree(sample.folder)
    binary = make(sample, recipe, workspace)
    assert output(binary) in ("hello 1.2.3 ./src/main.cpp\n", "hello 1.2.3 src/main.cpp\n")  # gcc, clang
    assert static(binary)
    assert tree(sample.folder) == before
    assert binary.build.linker_map is not None
    # With link-time optimisation zig's linker names the program alone, and none of what it is made of.
    assert ("server.lto.o:" if "zig" in recipe else "libgreet.a(") in binary.build.linker_map.read_text()
    assert binary.build.commands[-1].argv[-2:] == ("build/server", "app")
    assert elsewhere(tmp_path, recipe, projects.CMAKE, "cmake", "server") == binary.sha256


@pytest.mark.slow
def test_cmake_targets(workspace: Workspace) -> None:
    """Two programs: it has to be said which, by the target's name or the file's; a wrong one is told the right ones."""
    both = project(workspace, projects.CMAKE, "cmake")
    with pytest.raises(BadInput, match=r"makes 2 programs: server, the-client"):
        make(both, "gcc-static", workspace)
    for target in ("client", "the-client"):
        sample = load("app", workspace, target=target)
        assert output(make(sample, "gcc-static", workspace)) == "other\n"
        assert sample.name == f"app-{target}"
    with pytest.raises(BadInput, match=r"no program 'sever'; it makes .*server") as caught:
        make(load("app", workspace, target="sever"), "gcc-static", workspace)
    assert caught.value.hint == "did you mean 'server'?"


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [*SMALL, "gcc-dynamic"])
def test_a_project_in_c_alone(recipe: str, workspace: Workspace) -> None:
    """A project without C++ is linked by the C driver: no C++ library gets in."""
    binary = make(project(workspace, projects.CMAKE_C, "cmake"), recipe, workspace)
    assert output(binary) == "only C\n"
    facts = read_elf(binary.path)
    assert facts.linkage.is_static is RECIPES[recipe].static
    assert facts.needed in ((), ("libc.so.6",))


@pytest.mark.slow
def test_cmake_and_ninja_from_this_environment(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine has neither CMake nor Ninja, the wheels' own are taken."""
    import sys

    from recipes.compile.systems import buildtools

    sample = project(workspace, projects.CMAKE_C, "cmake")
    tools = workspace.root / "bin"
    tools.mkdir()
    for name in (
        "gcc",
        "g++",
        "gcc-ar",
        "gcc-ranlib",
        "as",
        "ld",
        "ar",
        "env",
        "sh",
        "tar",
        "cat",
        "cp",
        "rm",
        "mkdir",
    ):
        (tools / name).symlink_to(need_tool(name))
    monkeypatch.setenv("PATH", str(tools))
    for name in ("cmake", "ninja"):
        found = buildtools.find(name)  # type: ignore[arg-type]
        need(found, f"{name} as a wheel")
        assert str(found).startswith((sys.prefix, *sys.path[1:]))
    assert output(make(sample, "gcc-static", workspace)) == "only C\n"


@pytest.mark.slow
@pytest.mark.parametrize("recipe", SMALL)
def test_meson(recipe: str, workspace: Workspace) -> None:
    """A Meson project: its library is linked statically though it did not ask for that."""
    binary = make(project(workspace, projects.MESON, "meson"), recipe, workspace)
    assert output(binary).startswith("hello 1.2.3 ")
    assert static(binary)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", SMALL)
def test_autotools(recipe: str, workspace: Workspace) -> None:
    """autoreconf, configure, libtool and automake: libtool does not keep -static to itself."""
    binary = make(project(workspace, projects.AUTOTOOLS, "autotools"), recipe, workspace)
    assert output(binary) == "hello\n1.2.3\n"
    assert static(binary)


@pytest.mark.slow
def test_a_configure_script_of_ones_own(workspace: Workspace) -> None:
    """A `configure` that Autoconf has not made gets the compiler in the environment and no options it may not know."""
    script = '#!/bin/sh\n[ $# = 0 ] || exit 9\necho "app: main.c\n\t$CC -o app main.c" > Makefile\n'
    files = {"main.c": projects.CMAKE_C["main.c"], "configure": script}
    sample = project(workspace, files, "autotools") if shutil.which("autoreconf") else write(workspace, files)
    (sample.folder / "configure").chmod(0o755)
    binary = make(sample, "gcc-static", workspace)
    assert output(binary) == "only C\n"
    assert static(binary)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", SMALL)
def test_make(recipe: str, workspace: Workspace, tmp_path: Path) -> None:
    """A Makefile that sets CC and flags itself and calls make again: the recipe's compiler is used, and says the last
    word about optimisation, while the project's own -I stays. Built in another place, it is the same.
    """
    binary = make(project(workspace, projects.MAKE, "make", target="app"), recipe, workspace)
    assert output(binary) == "hello\n"
    assert static(binary)
    assert read_elf(binary.path).stripped
    assert binary.build.warnings == ()  # those of the other program are none of its own
    assert elsewhere(tmp_path, recipe, projects.MAKE, "make", "app") == binary.sha256


@pytest.mark.slow
def test_linker_warnings_of_the_product_alone(workspace: Workspace) -> None:
    """What the linker says about a program is kept with it, also from the middle of a build."""
    binary = make(project(workspace, projects.MAKE, "make", target="tools/resolve"), "gcc-static", workspace)
    assert any("getaddrinfo" in warning for warning in binary.build.warnings)
    assert binary.build.linker_map is not None
    assert "getaddrinfo" in binary.build.linker_map.read_text()
    assert binary.build.commands[-1].argv[-2:] == ("source/tools/resolve", "app")


@pytest.mark.slow
def test_several_programs(workspace: Workspace) -> None:
    """More than one program and none that is called like the project: an error that lists them."""
    with pytest.raises(BadInput, match=r"makes 2 programs: app, tools/resolve"):
        make(project(workspace, projects.MAKE, "make", name="other"), "gcc-static", workspace)
    assert output(make(project(workspace, projects.MAKE, "make"), "gcc-static", workspace)) == "hello\n"
    with pytest.raises(BadInput, match=r"no program 'resolver'; it makes app, tools/resolve"):
        make(load("app", workspace, target="resolver"), "gcc-static", workspace)


@pytest.mark.slow
def test_a_makefile_that_ignores_the_compiler(workspace: Workspace) -> None:
    """A Makefile that calls gcc by path makes a dynamic program, and a static recipe says so instead of shipping it."""
    need_tool("make")
    makefile = f"app: main.c\n\t{need_tool('gcc')} -o app main.c\n"
    sample = write(workspace, {"main.c": projects.CMAKE_C["main.c"], "Makefile": makefile})
    with pytest.raises(GateFailed, match="promises a static program, but the file is dynamic") as caught:
        build_program(Project.at(workspace.root), sample, RECIPES["gcc-static"], Platform.host())
    assert "Makefile" in caught.value.hint


@pytest.mark.slow
def test_options_are_handed_on(workspace: Workspace) -> None:
    """`options` of sample.toml reach each build system as they are."""
    need_tool("make")
    files = {
        "main.c": "#include <stdio.h>\nint main(void) { puts(WORD); return 0; }\n",
        "Makefile": "app: main.c\n\t$(CC) -DWORD='\"$(WORD)\"' -o app main.c\n",
        "sample.toml": 'options = ["WORD=two words", "app"]\n',
    }
    assert output(make(write(workspace, files), "gcc-static", workspace)) == "two words\n"
    files = {
        **projects.CMAKE_C,
        "CMakeLists.txt": projects.CMAKE_C["CMakeLists.txt"] + "if(NOT WANTED)\nmessage(FATAL_ERROR no)\nendif()\n",
        "sample.toml": 'options = ["-DWANTED=ON"]\n',
    }
    assert output(make(write(workspace, files, "other"), "gcc-static", workspace)) == "only C\n"


@pytest.mark.slow
def test_a_failed_build_ends_with_the_reason(workspace: Workspace) -> None:
    """The compiler's own words, whichever stream the build system put them on; all of the output is in a file."""
    files = {**projects.CMAKE_C, "main.c": "int main(void) { return missing; }\n"}
    with pytest.raises(CommandFailed, match=r"build failed: .*main\.c:1:\d+: error: .*missing") as caught:
        make(project(workspace, files, "cmake"), "gcc-static", workspace)
    assert "missing" in caught.value.output
    log = workspace.build / "logs/app-gcc-static-linux-amd64-build.log"
    assert caught.value.hint == f"the whole output is in {str(log)!r}"
    assert "ninja: build stopped" in log.read_text()


@pytest.mark.slow
def test_nothing_is_built_twice_and_nothing_old_is_kept(workspace: Workspace) -> None:
    """Touched files change nothing; a changed one does; what a build in the folder itself left is not taken over."""
    sample = project(workspace, projects.MAKE, "make", target="app")
    assert not make(sample, "gcc-static", workspace).build.cached
    for path in sample.folder.rglob("*"):
        os.utime(path)
    assert make(sample, "gcc-static", workspace).build.cached
    shell.check(Command((need_tool("make"), "all"), sample.folder))
    assert (sample.folder / "app").is_file()
    binary = make(sample, "gcc-static", workspace)
    assert output(binary) == "hello\n"
    assert static(binary)
    (sample.folder / "lib/greet.c").write_text('const char *greet(void) { return "changed"; }\n')
    assert output(make(sample, "gcc-static", workspace)) == "changed\n"
    (sample.folder / "sample.toml").write_text('args = ["none of the program\'s business"]\n')
    assert make(sample, "gcc-static", workspace).build.cached


def generator(folder: Path, word: str) -> None:
    folder.mkdir()
    (folder / "mygen").write_text(f"#!/bin/sh\necho '#define WORD \"{word}\"'\n")
    (folder / "mygen").chmod(0o755)


@pytest.mark.slow
def test_a_program_that_comes_first_on_path_later(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a Makefile calls is found on PATH: another PATH is another build."""
    files = {
        "main.c": '#include <stdio.h>\n#include "gen.h"\nint main(void) { puts(WORD); return 0; }\n',
        "Makefile": "app: main.c\n\tmygen > gen.h\n\t$(CC) -o app main.c\n",
    }
    sample = project(workspace, files, "make")
    for word in ("first", "second"):
        generator(workspace.root / word, word)
        monkeypatch.setenv("PATH", f"{workspace.root / word}:{os.environ['PATH']}")
        assert output(make(sample, "gcc-static", workspace)) == f"{word}\n"
        assert make(sample, "gcc-static", workspace).build.cached


@pytest.mark.slow
def test_what_is_left_out_is_said(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """Objects and ELF files are not copied, as an older build may have left them: a line names them when it builds."""
    files = {
        "main.c": "#include <stdio.h>\nint main(void) { puts(WORD); return 0; }\n",
        "Makefile": "app: main.c\n\t$(CC) -DWORD='\"$(wildcard *.bin */*.o)\"' -o app main.c\n",
        **{f"old/{number}.o": "" for number in range(7)},
        "other.bin": "no ELF file",
    }
    sample = project(workspace, files, "make")
    shutil.copy(need_tool("true"), sample.folder / "firmware.bin")
    assert output(make(sample, "gcc-static", workspace)) == "other.bin\n"
    said = "not copied, as an older build may have left it: firmware.bin, old/0.o, old/1.o, old/2.o, old/3.o and 3 more"
    assert said in capsys.readouterr().err.splitlines()
    assert make(sample, "gcc-static", workspace).build.cached
    assert said not in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("system", "word"), [("cmake", "/ninja -j1"), ("make", " MAKEFLAGS=-j1 ")])
def test_jobs_reach_the_build_system(
    system: str, word: str, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """A build system does no more at once than it is told; how much that is changes no result."""
    files = projects.CMAKE_C if system == "cmake" else projects.MAKE
    sample = project(workspace, files, system, target="only" if system == "cmake" else "app")
    make(sample, "gcc-static", workspace, jobs=1)
    assert word in capsys.readouterr().err
    assert make(sample, "gcc-static", workspace, jobs=2).build.cached


@pytest.mark.slow
def test_more_than_contents_decides(workspace: Workspace) -> None:
    """A Makefile can ask whether a file is executable, a folder there, and where a link leads."""
    asked = ("$(shell [ -x flag ] && echo x)", "$(shell [ -d extra ] && echo d)", "$(shell readlink link)")
    files = {
        "main.c": "#include <stdio.h>\nint main(void) { puts(WORD); return 0; }\n",
        "Makefile": f"app: main.c\n\t$(CC) -DWORD='\"{''.join(asked)}\"' -o app main.c\n",
        "flag": "",
    }
    sample = project(workspace, files, "make")
    flag, extra, link = (sample.folder / name for name in ("flag", "extra", "link"))
    link.symlink_to("main.c")
    assert output(make(sample, "gcc-static", workspace)) == "main.c\n"
    flag.chmod(0o755)
    assert output(make(sample, "gcc-static", workspace)) == "xmain.c\n"
    extra.mkdir()
    assert output(make(sample, "gcc-static", workspace)) == "xdmain.c\n"
    link.unlink()
    link.symlink_to("./main.c")
    assert output(make(sample, "gcc-static", workspace)) == "xd./main.c\n"
    assert make(sample, "gcc-static", workspace).build.cached


@pytest.mark.slow
def test_another_target_is_another_program(workspace: Workspace) -> None:
    """`target` of sample.toml chooses anew, though make is called in the same way."""
    files = {
        "main.c": "#include <stdio.h>\nint main(void) { puts(WORD); return 0; }\n",
        "Makefile": "all: a b\na b: main.c\n\t$(CC) -DWORD='\"$@\"' -o $@ main.c\n",
    }
    for target in ("a", "b"):
        sample = project(workspace, {**files, "sample.toml": f'target = "{target}"\n'}, "make")
        assert output(make(sample, "gcc-static", workspace)) == f"{target}\n"


@pytest.mark.slow
def test_the_callers_variables_are_no_settings(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the caller's, which make takes for the Makefile's own and tar for options, do not get in."""
    for name in ("CFLAGS", "LDFLAGS", "MAKEFLAGS", "TARGET", "CC", "WORD"):
        monkeypatch.setenv(name, "-k-nonsense")
    monkeypatch.setenv("TAR_OPTIONS", "--exclude=main.c")
    need_tool("make")
    files = {
        "main.c": "#include <stdio.h>\nint main(void) { puts(WORD); return 0; }\n",
        "Makefile": "WORD ?= own\napp: main.c\n\t$(CC) -DWORD='\"$(WORD)\"' -o app main.c\n",
    }
    assert output(make(write(workspace, files), "gcc-static", workspace)) == "own\n"


@pytest.mark.slow
def test_the_project_that_is_the_workspace(workspace: Workspace) -> None:
    """The folder with tasks.py may be the project itself: what is built there is not an input of it."""
    for path, text in projects.CMAKE_C.items():
        (workspace.root / path).write_text(text)
    sample = load(str(workspace.root), workspace)
    assert output(make(sample, "gcc-static", workspace)) == "only C\n"
    assert make(sample, "gcc-static", workspace).build.cached


@pytest.mark.slow
def test_other_cpus(workspace: Workspace) -> None:
    """zig builds each kind of project for arm64, as the file says."""
    for system, files in (("cmake", projects.CMAKE_C), ("make", projects.MAKE), ("meson", projects.MESON)):
        sample = project(workspace, files, system, target="app" if system == "make" else "", name=system)
        facts = read_elf(make(sample, "zig-static-small", workspace, platform="linux/arm64").path)
        assert (facts.machine, facts.linkage.is_static) == ("arm64", True), system


@pytest.mark.slow
def test_the_plan_can_be_pasted(workspace: Workspace) -> None:
    """What --plan prints, pasted into a shell, builds the program, generated files and all."""
    sample = project(workspace, projects.CMAKE_C, "cmake", target="only")
    planned = plan(sample, RECIPES["gcc-static"], Platform.host(), workspace)
    script = "set -e\n" + "\n".join(step.pasted for step in planned.steps)
    shell.check(Command(("sh", "-c", script)))
    assert shell.check(Command((str(planned.work / "app"),))).stdout == b"only C\n"


@pytest.mark.parametrize("tool", ["cmake", "ninja", "meson"])
def test_a_build_system_that_is_absent_names_the_extra(
    tool: BuildTool, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where neither the machine nor this environment has it, the hint is the command that brings it."""
    monkeypatch.setenv("PATH", str(workspace.root))
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not path.endswith("site-packages")])
    monkeypatch.setattr(sys, "prefix", str(workspace.root))
    with pytest.raises(ToolMissing, match=rf"{tool} not found \(needed to build app\)") as caught:
        require(tool, "app")
    assert caught.value.hint.endswith("pip install 'fromscratch[build]'")


def test_without_make(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """No make: one error that says what is missing and how to get it."""
    sample = write(workspace, projects.MAKE)
    gcc = [need_tool(name) for name in ("gcc", "g++", "ar")]
    tools = workspace.root / "bin"
    tools.mkdir()
    for path in gcc:
        (tools / Path(path).name).symlink_to(path)
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(ToolMissing, match=r"make not found \(needed to build app\)"):
        build(sample, RECIPES["gcc-dynamic"], Platform.host(), workspace)


@pytest.mark.parametrize("name", ['it\'s a "place"', "a:b", "50%", "a\nb"])
def test_a_place_that_build_systems_cannot_cope_with(name: str, tmp_path: Path) -> None:
    """CMake, LTO and make take such characters in a path for syntax: one clear error before anything is built."""
    workspace = Workspace(tmp_path / name)
    sample = project(workspace, projects.MAKE, "make", target="app")
    with pytest.raises(BadInput, match="make projects cannot be built there"):
        make(sample, "gcc-static", workspace)
    assert not workspace.build.joinpath("work").exists()
