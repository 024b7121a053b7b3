"""Tests of what a project's build is asked for beside its program: installation, other targets, other systems."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recipes.compile.plan import plan
from recipes.compile.recipe import RECIPES
from recipes.compile.systems import confined as confine
from recipes.errors import BadInput, CommandFailed
from recipes.model import Command, Platform
from recipes.pipeline import Project, build_program
from recipes.samples.reader import load
from recipes.support import shell
from recipes.support.shell import Completed
from recipes.support.workspace import Workspace
from tests.compile.programs import make, output, run, write
from tests.compile.systems import projects
from tests.need import need, need_tool

WORD_C = "#include <stdio.h>\nint main(void) { puts(WORD); return 0; }\n"
COMPILE = "$(CC) -DWORD='\"$@\"' -o $@ main.c"


@pytest.fixture
def tools() -> None:
    for tool in ("make", "gcc"):
        need_tool(tool)


def commands(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("(cd ")]


@pytest.mark.slow
@pytest.mark.parametrize("system", ["make", "cmake"])
def test_another_target_builds_nothing_again(
    system: str, workspace: Workspace, tools: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which of them is wanted is asked of the tree that is there: one command copies it."""
    files = {
        "main.c": WORD_C,
        "Makefile": f"all: one two\none two: main.c\n\t{COMPILE}\n",
        "CMakeLists.txt": "cmake_minimum_required(VERSION 3.10)\nproject(some C)\n"
        "foreach(word one two)\nadd_executable(${word} main.c)\n"
        'target_compile_definitions(${word} PRIVATE "WORD=\\"${word}\\"")\nendforeach()\n',
    }
    write(workspace, {**files, "sample.toml": f'build = "{system}"\n'})
    with pytest.raises(BadInput, match="makes 2 programs: one, two") as caught:
        make(load("app", workspace), "gcc-static", workspace)
    assert "--target" in caught.value.hint
    assert len(commands(capsys)) > 3
    for word in ("one", "two", "one"):
        assert output(make(load("app", workspace, target=word), "gcc-static", workspace)) == f"{word}\n"
        (ran,) = commands(capsys)
        assert ran.endswith(f"/{word} app)")
    assert make(load("app", workspace, target="one"), "gcc-static", workspace).build.cached


@pytest.mark.slow
def test_a_tree_that_was_changed_is_built_again(workspace: Workspace, tools: None) -> None:
    """What was picked from is believed only while it is what was built."""
    write(workspace, {"main.c": WORD_C, "Makefile": f"all: one two\none two: main.c\n\t{COMPILE}\n"})
    binary = make(load("app", workspace, target="one"), "gcc-static", workspace)
    (tree,) = (workspace.build / "work").glob("app/gcc-static/*/source")
    (tree / "two").write_bytes(binary.path.read_bytes())
    assert output(make(load("app", workspace, target="two"), "gcc-static", workspace)) == "two\n"


@pytest.mark.slow
def test_what_is_not_made_by_default(workspace: Workspace, tools: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A target that the project does not make by itself is made in addition, and changes nothing for the others."""
    files = {"main.c": WORD_C, "Makefile": f"main:\none main special: main.c\n\t{COMPILE}\n"}
    write(workspace, files)
    assert output(make(load("app", workspace, target="special"), "gcc-static", workspace)) == "special\n"
    assert any(line.endswith(" special)") and "make" in line for line in commands(capsys))
    assert output(make(load("app", workspace), "gcc-static", workspace)) == "main\n"
    with pytest.raises(BadInput, match="makes no program 'spezial'; it makes main, special") as caught:
        make(load("app", workspace, target="spezial"), "gcc-static", workspace)
    assert caught.value.hint == "did you mean 'special'?"


@pytest.mark.slow
def test_a_target_in_a_project_that_does_not_build(
    workspace: Workspace, tools: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is asked for by name is made though another part of the project fails; without a name that is an error."""
    makefile = f"all: bad good\nbad:\n\t@echo bad.c: error: no; exit 1\ngood: main.c\n\t{COMPILE}\n"
    write(workspace, {"main.c": WORD_C, "Makefile": makefile})
    sample = load("app", workspace, target="good")
    for _ in range(2):
        binary = make(sample, "gcc-static", workspace)
        assert output(binary) == "good\n"
    assert binary.build.cached
    assert "build failed: bad.c: error: no; trying good alone" in capsys.readouterr().err
    with pytest.raises(CommandFailed, match=r"build failed: bad\.c: error: no"):
        make(load("app", workspace), "gcc-static", workspace)


def confined(folder: Path, *argv: str) -> Completed:
    return shell.run(Command((sys.executable, "-I", "-S", confine.__file__, str(folder), "--", *argv)))


@pytest.fixture
def confinement(tmp_path: Path) -> None:
    """The kernel can confine a process, or the test ends."""
    need(confined(tmp_path, "true").exit_code == 0, "a kernel with Landlock")


def test_a_confined_process(confinement: None, tmp_path: Path) -> None:
    """It reads everything, writes below the one folder, and can do nothing else to what is outside."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "there").write_text("as it was")
    script = f"cat {outside}/there >{inside}/a && mkdir {inside}/b && mv {inside}/a {inside}/b/c && echo >/dev/null"
    assert confined(inside, "sh", "-c", script).exit_code == 0
    assert (inside / "b/c").read_text() == "as it was"
    for words in (
        f"echo more >>{outside}/there",
        f"rm {outside}/there",
        f"mkdir {outside}/new",
        f"ln -s x {outside}/new",
        f"mv {inside}/b/c {outside}/new",
        f"ln {outside}/there {inside}/linked && rm {outside}/there",
        f"truncate -s 0 {outside}/there",
    ):
        assert confined(inside, "sh", "-c", words).exit_code != 0, words
    assert [path.name for path in outside.iterdir()] == ["there"]
    assert (outside / "there").read_text() == "as it was"
    assert confined(inside, str(tmp_path / "none")).exit_code == 127


INSTALL = "install: all\n\tmkdir -p $(DESTDIR)/usr/bin $(DESTDIR)/usr/share/app\n"


@pytest.mark.slow
def test_where_a_program_is_installed(workspace: Workspace, tools: None, confinement: None) -> None:
    """The project's own `install` says which program is meant, where it is to be, and what belongs to it."""
    makefile = f"all: one two\none two: main.c\n\t{COMPILE}\n{INSTALL}"
    makefile += "\tcp two $(DESTDIR)/usr/bin/2\n\techo data > $(DESTDIR)/usr/share/app/data\n"
    write(workspace, {"main.c": WORD_C, "Makefile": makefile})
    binary = make(load("app", workspace), "gcc-static", workspace)
    assert output(binary) == "two\n"
    installed = binary.build.installed
    assert installed is not None
    assert installed.program == "/usr/bin/2"
    assert (installed.tree / "usr/share/app/data").read_text() == "data\n"
    assert make(load("app", workspace), "gcc-static", workspace).build.installed == installed


@pytest.mark.slow
def test_an_installation_that_knows_a_prefix(workspace: Workspace, tools: None, confinement: None) -> None:
    """A Makefile without DESTDIR is told another prefix, and cannot write to its own one."""
    outside = workspace.root / "outside"
    outside.mkdir()
    makefile = f"PREFIX = {outside}\nall: one two\none two: main.c\n\t{COMPILE}\n"
    makefile += "install: all\n\tmkdir -p $(PREFIX)/bin\n\tcp two $(PREFIX)/bin/\n"
    binary = make(write(workspace, {"main.c": WORD_C, "Makefile": makefile}), "gcc-static", workspace)
    assert output(binary) == "two\n"
    assert binary.build.installed is not None
    assert binary.build.installed.program == "/usr/local/bin/two"
    assert list(outside.iterdir()) == []


@pytest.mark.slow
def test_an_installation_that_knows_no_other_place(
    workspace: Workspace, tools: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Makefile without DESTDIR writes nothing outside of the build, and that is no error."""
    outside = workspace.root / "outside"
    outside.mkdir()
    makefile = f"one: main.c\n\t{COMPILE}\ninstall: one\n\tcp one {outside}/one\n"
    binary = make(write(workspace, {"main.c": WORD_C, "Makefile": makefile}), "gcc-static", workspace)
    assert output(binary) == "one\n"
    assert binary.place == "/usr/bin/one"
    assert list(outside.iterdir()) == []
    assert "app: install failed: " in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cc", "gcc", "c99"])
def test_a_makefile_that_names_the_compiler(name: str, workspace: Workspace, tools: None) -> None:
    """The usual names are the recipe's compiler too, and pkg-config names what a static program takes."""
    files = {"main.c": projects.CMAKE_C["main.c"], "Makefile": f"app: main.c\n\t{name} -g -o app main.c\n"}
    program = build_program(Project.at(workspace.root), write(workspace, files), RECIPES["gcc-static"], Platform.host())
    assert program.facts.linkage.is_static


@pytest.mark.slow
def test_two_build_systems(workspace: Workspace, tools: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the first one fails, the other one is tried, and remembered; not where the sample says which it is."""
    script = '#!/bin/sh\nprintf "app: main.c\\n\\t$CC -o app main.c\\n" > Makefile\n'
    files = {**projects.CMAKE_C, "CMakeLists.txt": "message(FATAL_ERROR unfinished)\n", "configure": script}
    write(workspace, files)
    (workspace.samples / "app/configure").chmod(0o755)
    sample = load("app", workspace)
    assert (sample.build, sample.alternatives) == ("cmake", ("autotools",))
    assert output(make(sample, "gcc-static", workspace)) == "only C\n"
    assert "unfinished; trying autotools" in capsys.readouterr().err
    assert make(sample, "gcc-static", workspace).build.cached
    with pytest.raises(CommandFailed, match=r"configure failed: CMake Error at CMakeLists\.txt:1 .*: unfinished"):
        make(load("app", workspace, build="cmake"), "gcc-static", workspace)


@pytest.mark.slow
def test_kconfig(workspace: Workspace, tools: None) -> None:
    """A project that is configured as Linux is gets its default settings; those that are there stay."""
    makefile = f"-include .config\nall: $(PROGRAM)\n$(PROGRAM): main.c\n\t{COMPILE}\n"
    makefile += "defconfig:\n\techo PROGRAM=usual > .config\n"
    files = {"main.c": WORD_C, "Makefile": makefile, "Kconfig": "config PROGRAM\n"}
    assert output(make(write(workspace, files), "gcc-static", workspace)) == "usual\n"
    files[".config"] = "PROGRAM=mine\n"
    assert output(make(write(workspace, files, "other"), "gcc-static", workspace)) == "mine\n"


@pytest.mark.slow
def test_a_patched_source_package_of_debian(workspace: Workspace, tools: None) -> None:
    """Where a patch has changed what `configure` is made from, it is made again, as Debian's own build does."""
    for tool in ("autoreconf", "libtoolize"):
        need_tool(tool)
    files = {
        **projects.AUTOTOOLS,
        "configure": "#!/bin/sh\n# Autoconf\necho configure: error: outdated; exit 1\n",
        "debian/patches/series": "# a comment\nmore.patch\n",
        "debian/patches/more.patch": "--- a/Makefile.am\n+++ b/Makefile.am\n@@ -1 +1 @@\n-x\n+y\n",
    }
    sample = write(workspace, files)
    (sample.folder / "configure").chmod(0o755)
    assert output(make(sample, "gcc-static", workspace)) == "hello\n1.2.3\n"


@pytest.mark.slow
def test_patches_that_count_on_debians_rules(
    workspace: Workspace, tools: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A build that fails with Debian's patches is tried without them, and keeps those that fix a vulnerability."""
    need_tool("patch")
    package = {
        "main.c": '#include <stdio.h>\nint main(void) { puts("safe"); return 0; }\n',
        "Makefile": "app: main.c\n\t$(DEB_TOOLS)/cc -o app main.c\n",
        "debian/patches/series": "build.patch\nfix\n",
        "debian/patches/build.patch": "--- a/Makefile\n+++ b/Makefile\n@@ -1,2 +1,2 @@\n app: main.c\n"
        "-\t$(CC) -o app main.c\n+\t$(DEB_TOOLS)/cc -o app main.c\n",
        "debian/patches/fix": "Description: CVE-2026-0001\n--- a/main.c\n+++ b/main.c\n@@ -1,2 +1,2 @@\n"
        ' #include <stdio.h>\n-int main(void) { puts("open"); return 0; }\n'
        '+int main(void) { puts("safe"); return 0; }\n',
    }
    sample = write(workspace, package)
    assert output(make(sample, "gcc-static", workspace)) == "safe\n"
    assert "trying it without Debian's patches" in (said := capsys.readouterr().err)
    assert "but for the 1 that fix a vulnerability" in said
    assert make(sample, "gcc-static", workspace).build.cached
    (sample.folder / "main.c").write_text("#error x\n")
    with pytest.raises(CommandFailed, match=r"build failed: .*/cc"):
        make(sample, "gcc-static", workspace)


@pytest.mark.slow
def test_a_makefile_that_asks_for_a_platform(
    workspace: Workspace, tools: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that only says which platforms it knows is told ours, whether that is an error for it or not."""
    rules = f"linux macosx: app\napp: main.c\n\t{COMPILE}\n"
    for name, ending in (("app", ""), ("strict", "; exit 1")):
        files = {"main.c": WORD_C, "Makefile": f"none:\n\t@echo name a platform{ending}\n{rules}"}
        assert output(make(write(workspace, files, name), "gcc-static", workspace)) == "app\n"
        assert "; trying make linux" in capsys.readouterr().err
        assert make(load(name, workspace), "gcc-static", workspace).build.cached


@pytest.mark.slow
def test_a_makefile_that_asks_for_a_setting(
    workspace: Workspace, tools: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The platform is the value of a variable there."""
    rules = (
        "ifeq ($(TARGET),linux-musl)\nKIND = musl\nendif\nifeq ($(TARGET),linux-glibc)\nKIND = glibc\nendif\n"
        "ifdef KIND\napp: main.c\n\t$(CC) -DWORD='\"$(KIND)\"' -o $@ main.c\n"
        "else\nall:\n\t@echo 'make TARGET=...'; exit 1\nendif\n"
    )
    assert output(make(write(workspace, {"main.c": WORD_C, "Makefile": rules}), "gcc-static", workspace)) == "glibc\n"
    assert "; trying make TARGET=linux-glibc" in capsys.readouterr().err


@pytest.mark.slow
def test_a_makefile_further_down(workspace: Workspace, tools: None, capsys: pytest.CaptureFixture[str]) -> None:
    """What looks like loose sources, and has a Makefile in a folder for the platform."""
    rules = "other: main.c\n\tfalse\ngeneric: main.c\n\t$(CC) -DWORD='\"unix\"' -o app main.c\n"
    sample = write(workspace, {"main.c": WORD_C, "unix/Makefile": rules, "atari/Makefile": "all:\n"})
    assert output(make(sample, "gcc-static", workspace)) == "unix\n"
    assert "; trying make --file=unix/Makefile generic" in capsys.readouterr().err


@pytest.mark.slow
def test_build_files_in_inner_folders(workspace: Workspace, tools: None, capsys: pytest.CaptureFixture[str]) -> None:
    """The only such folder is built, and that is said; of two, none is."""
    rules = "app: main.c\n\t$(CC) -DWORD='\"inner\"' -o $@ main.c\n"
    sample = write(workspace, {"inner/main.c": WORD_C, "inner/Makefile": rules, "tests/Makefile": "all:\n"})
    assert "no other folder of app has build files" in capsys.readouterr().err
    assert output(make(sample, "gcc-static", workspace)) == "inner\n"
    with pytest.raises(BadInput, match="'app' has no sources") as caught:
        write(workspace, {"more/Makefile": "all:\n"})
    assert caught.value.hint == "there are build files in inner, more, tests: name such a folder itself"


def test_a_script_that_has_to_be_run_first(workspace: Workspace, tools: None) -> None:
    """What looks like loose sources, and has a script that makes their Makefile: the error says to run it."""
    files = {"main.c": '#include "machine.h"\n', "Setup": "#!/bin/sh\n"}
    with pytest.raises(CommandFailed, match=r"compile main\.c failed") as caught:
        make(write(workspace, files), "gcc-static", workspace)
    assert caught.value.hint.startswith("these may be no loose sources: run its ./Setup, and then this again; ")


@pytest.mark.slow
def test_a_script_of_the_projects_own(workspace: Workspace, tools: None) -> None:
    """`Configure` makes the Makefile, and is told the platform where it has a case for it."""
    script = (
        "#!/bin/sh\ncase $1 in\n  linux)\n    ;;\n  *)\n    exit 1 ;;\nesac\n"
        f"cat >Makefile <<'END'\nall: app\napp: main.c\n\t{COMPILE}\nEND\n"
    )
    sample = write(workspace, {"main.c": WORD_C, "Configure": script})
    (sample.folder / "Configure").chmod(0o755)
    assert output(make(load("app", workspace), "gcc-static", workspace)) == "app\n"


@pytest.mark.slow
def test_a_build_that_fails_behind_its_program(
    workspace: Workspace, tools: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is called like the project is there when its documentation fails; another program would be a guess."""
    files = {"main.c": WORD_C, "Makefile": f"all: app\n\tcd doc && $(MAKE)\napp: main.c\n\t{COMPILE}\n"}
    assert output(make(write(workspace, files), "gcc-static", workspace)) == "app\n"
    assert "build failed: " in (said := capsys.readouterr().err)
    assert "; taking app, which was made by then" in said
    assert make(load("app", workspace), "gcc-static", workspace).build.cached
    with pytest.raises(CommandFailed, match="build failed"):
        make(write(workspace, files, "other"), "gcc-static", workspace)


@pytest.mark.slow
def test_a_file_that_was_left_out(workspace: Workspace, tools: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Debian takes manuals out of some sources: make gives up before it has begun, and can go on without them."""
    files = {"main.c": WORD_C, "Makefile": f"all: manual app\nmanual: app.texi\napp: main.c\n\t{COMPILE}\n"}
    assert output(make(write(workspace, files), "gcc-static", workspace)) == "app\n"
    assert "; taking app, which was made by then" in capsys.readouterr().err
    assert make(load("app", workspace), "gcc-static", workspace).build.cached


@pytest.mark.slow
def test_manuals_need_no_tool(workspace: Workspace, tools: None) -> None:
    """A project whose manual is made anew builds where the tools for that are not installed."""
    manual = "\\input texinfo\n@setfilename app.info\n@settitle app\n@node Top\n@top app\n@bye\n"
    files = {
        "main.c": WORD_C,
        "app.texi": manual,
        "Makefile": f"all: app app.info app.1\napp: main.c\n\t{COMPILE}\n"
        "app.info: app.texi\n\tmakeinfo --no-split -o $@ $<\n\ttest -f $@\n"
        "app.1: app\n\thelp2man --output=$@ --no-discard-stderr --version-string=1 ./app\n\ttest -f $@\n",
    }
    assert output(make(write(workspace, files), "gcc-static", workspace)) == "app\n"


@pytest.mark.slow
def test_a_repository_around_the_project(workspace: Workspace, tools: None) -> None:
    """A Makefile that asks git for a commit gets none of the repository that the build folder happens to be in."""
    git = need_tool("git")
    shell.check(Command((git, "init", "--quiet"), workspace.root))
    word = "$(shell git rev-parse --is-inside-work-tree 2>/dev/null || echo none)"
    files = {"main.c": WORD_C, "Makefile": f"app: main.c\n\t$(CC) -DWORD='\"{word}\"' -o app main.c\n"}
    assert output(make(write(workspace, files), "gcc-static", workspace)) == "none\n"


@pytest.mark.slow
def test_a_configure_that_refuses_root(workspace: Workspace, tools: None) -> None:
    """gnulib's tests do, and are told that they may: what they make is in a folder of ours."""
    script = "#!/bin/sh\n# Autoconf\n[ $FORCE_UNSAFE_CONFIGURE ] || { echo configure: error: root; exit 1; }\n"
    script += 'printf "app: main.c\\n\\tcc -o app main.c\\n" > Makefile\n'
    files = {"main.c": projects.CMAKE_C["main.c"], "configure": script}
    (workspace.samples / "app").mkdir(parents=True)
    (workspace.samples / "app/configure").touch(0o755)
    assert output(make(write(workspace, files), "gcc-static", workspace)) == "only C\n"


@pytest.mark.slow
def test_gettext_that_is_there_already(workspace: Workspace, tools: None) -> None:
    """Where a `configure` has to be made anew, what autopoint would copy into the project is there already."""
    for tool in ("autoreconf", "libtoolize"):
        need_tool(tool)
    gettext = "AM_GNU_GETTEXT_VERSION([0.19])\nAC_CONFIG_FILES"
    files = {
        **projects.AUTOTOOLS,
        "configure.ac": projects.AUTOTOOLS["configure.ac"].replace("AC_CONFIG_FILES", gettext),
        "config.rpath": "#!/bin/sh\n",
        "m4/gettext.m4": "AC_DEFUN([AM_GNU_GETTEXT_VERSION], [])\n",
    }
    files["configure.ac"] = files["configure.ac"].replace("AM_INIT", "AC_CONFIG_MACRO_DIRS([m4])\nAM_INIT", 1)
    assert output(make(write(workspace, files), "gcc-static", workspace)) == "hello\n1.2.3\n"


@pytest.mark.slow
def test_tests_are_switched_off(workspace: Workspace, tools: None) -> None:
    """A project's own switch for its tests is off by default; --option turns it on."""
    option = "option(APP_BUILD_TESTS yes ON)\nif(APP_BUILD_TESTS)\nmessage(FATAL_ERROR gmock)\nendif()\n"
    files = {**projects.CMAKE_C, "CMakeLists.txt": projects.CMAKE_C["CMakeLists.txt"] + option}
    assert output(make(write(workspace, files), "gcc-static", workspace)) == "only C\n"
    with pytest.raises(CommandFailed, match="gmock"):
        make(load("app", workspace, options=("-DAPP_BUILD_TESTS=ON",)), "gcc-static", workspace)


@pytest.mark.slow
def test_a_shared_library_of_a_cmake_project(workspace: Workspace, tools: None) -> None:
    """A library that is asked for as SHARED is linked statically, also where there is a static one of the same name."""
    lists = projects.CMAKE_C["CMakeLists.txt"].replace(
        "add_executable",
        "add_library(greet SHARED lib/greet.c)\nadd_library(greet_static STATIC lib/greet.c)\n"
        "set_target_properties(greet_static PROPERTIES OUTPUT_NAME greet)\nadd_executable",
    )
    files = {**projects.LIBRARY, "main.c": projects.MAIN_C, "CMakeLists.txt": lists}
    files["CMakeLists.txt"] += "target_include_directories(only PRIVATE lib)\ntarget_link_libraries(only greet)\n"
    binary = make(write(workspace, files), "gcc-static", workspace)
    assert output(binary) == "hello\n"
    assert binary.facts.linkage.is_static


def library(folder: Path, code: int) -> None:
    """libit.a, whose only function returns `code`, and what pkg-config says about it."""
    (folder / "include").mkdir(parents=True, exist_ok=True)
    (folder / "include/it.h").write_text("int it(void);\n")
    (folder / "it.c").write_text(f"int it(void) {{ return {code}; }}\n")
    about = f"Name: it\nDescription: -\nVersion: 1\nCflags: -I{folder}/include\nLibs: -L{folder} -lit\n"
    (folder / "it.pc").write_text(about)
    shell.check(Command((need_tool("gcc"), "-c", "it.c"), folder))
    shell.check(Command((need_tool("ar"), "rcs", "libit.a", "it.o"), folder))


def test_libraries_of_this_machine(workspace: Workspace, tools: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loose sources link what pkg-config names, and another archive is another build; zig says that it cannot."""
    need_tool("pkg-config")
    monkeypatch.setenv("PKG_CONFIG_PATH", str(workspace.root / "installed"))
    files = {"main.c": "#include <it.h>\nint main(void) { return it(); }\n", "sample.toml": 'libs = ["it"]\n'}
    for code in (3, 4):
        library(workspace.root / "installed", code)
        binary = make(write(workspace, files), "gcc-static", workspace)
        assert not binary.build.cached
        assert run(binary).exit_code == code
        assert make(load("app", workspace), "gcc-static", workspace).build.cached
    with pytest.raises(BadInput, match="linked with it, and recipe zig-static-small uses none of this machine's"):
        plan(load("app", workspace), RECIPES["zig-static-small"], Platform.host(), workspace)
    with pytest.raises(BadInput, match=r"pkg-config: .*'nothing-like-it'"):
        make(write(workspace, {**files, "sample.toml": 'libs = ["nothing-like-it"]\n'}), "gcc-static", workspace)
