"""Tests of recipes/compile/failure.py and missing.py: why a build failed, and what would help."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.compile.failure import telling
from recipes.compile.missing import advice, build_depends, with_packages
from recipes.model import Command
from recipes.support import shell
from tests.need import need_tool
from tests.sharing import made_once, run_folder


@pytest.fixture
def apt(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's apt, which keeps its index of all packages: in containers each call is told to make it anew."""
    need_tool("apt-cache")

    def configure(folder: Path) -> None:
        (folder / "cache").mkdir()
        (folder / "conf").write_text(f'Dir::Etc::Parts "/dev/null";\nDir::Cache "{kept}/cache";\n')

    kept = run_folder(tmp_path_factory) / "apt"
    monkeypatch.setenv("APT_CONFIG", str(made_once(kept, configure) / "conf"))


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("checking for x... no\nconfigure: error: libx is required\n  more\n", "configure: error: libx is required"),
        (
            "checking x... configure: error: in `/x':\nconfigure: error: not as root\nSee `config.log'",
            "configure: error: not as root",
        ),
        ("-- ok\nCMake Error at CMakeLists.txt:3 (find_package):\n  Could not\n\n", "CMake Error at CMakeLists.txt:3"),
        ("Build targets: 3\nmeson.build:4:0: ERROR: Dependency 'x' not found\n", "meson.build:4:0: ERROR: Dependency"),
        ("cc a.c\na.c:1:10: fatal error: x.h: No such file\ncc b.c\nmake: *** [a.o] Error 1\n", "a.c:1:10: fatal"),
        (
            "a.o: in function `main':\na.c:(.text+1): undefined reference to `f'\ncollect2: error: ld returned 1",
            "a.c:(.text",
        ),
        ("collect2: error: ld returned 1\n/usr/bin/ld: cannot find -lx: No such file\n", "/usr/bin/ld: cannot find"),
        ("sh: 1: xsltproc: not found\nmake: *** [man] Error 127\n", "sh: 1: xsltproc: not found"),
        ("please give a TARGET\nmake: *** [all] Error 1\n", "make: *** [all] Error 1"),
        ("one\ntwo\n\n", "two"),
    ],
)
def test_the_line_that_says_why(output: str, why: str) -> None:
    """Not the last one, where build systems only repeat that something went wrong."""
    lines = output.splitlines()
    assert lines[telling(lines)].startswith(why)


def told(line: str, *more: str, own_libc: bool = False) -> str:
    return advice([line, *more], line, own_libc=own_libc)


def test_a_compilers_error_is_about_no_library() -> None:
    """Nothing is said where no library is missing."""
    assert told("a.c:1:2: error: 'x' undeclared") == ""
    assert told("make: *** [Makefile:3: libzdoesnotexist.h] Error 1") == ""


def test_a_compiler_with_libraries_of_its_own() -> None:
    """What this machine has installed would not help."""
    assert "none of this machine's libraries" in told("a.c:1:1: fatal error: x.h: No such file", own_libc=True)


@pytest.mark.parametrize(
    "line",
    [
        "a.c:1:10: fatal error: zdoesnotexist.h: No such file or directory",
        "/usr/bin/ld: cannot find -lzdoesnotexist: No such file or directory",
        "Package 'zdoesnotexist', required by 'virtual:world', not found",
        'meson.build:1:0: ERROR: Dependency "zdoesnotexist" not found, tried pkgconfig',
        "configure: error: libzdoesnotexist is required",
        "configure: error: cannot use zdoesnotexist.h here",
        "./configure: error: the module requires the zdoesnotexist library.",
        "CMake Error at x: Could NOT find zdoesnotexist (missing: x)",
    ],
)
def test_a_library_that_nobody_knows(line: str, apt: None) -> None:
    """Each way to say that something is missing is understood; that nothing is known of it is said."""
    need_tool("dpkg")
    assert "zdoesnotexist" in told(line)
    assert "no package of Debian's is called like it" in told(line)


@pytest.mark.parametrize(
    ("why", "before", "package"),
    [
        ("/bin/bash: line 10: makeinfo: command not found", "", "makeinfo: texinfo"),
        ("sh: 1: yacc: not found", "", "yacc: bison"),
        ("make: bison: No such file or directory", "", "bison: bison"),
        (
            "autoreconf: error: autopoint failed with exit status: 2",
            'Can\'t exec "autopoint": No',
            "autopoint: autopoint",
        ),
        ("configure: error: flex is required to build it", "checking for flex... no", "flex: flex"),
        ("configure: error: Bison is required", "checking for bison... no\nchecking for x... no", "bison: bison"),
        ("m/meson.build:2:0: ERROR: Program 'gperf' not found or not executable", "", "gperf: gperf"),
    ],
)
def test_a_tool_that_is_missing(why: str, before: str, package: str, apt: None) -> None:
    """However a build says that it has called a program which is not there, the package that has it is named."""
    name, _, package = package.partition(": ")
    assert advice([*before.splitlines(), why], why, own_libc=True) == (
        f"{name} is not on this machine: `apt-get install {package}` brings it"
    )


def test_what_debian_builds_it_with(tmp_path: Path) -> None:
    """Of each choice the first one where none is installed; nothing that is for another CPU, for tests or packaging."""
    need_tool("dpkg-query")
    here = shell.check(Command(("dpkg", "--print-architecture"))).stdout.decode().strip()
    (tmp_path / "debian").mkdir()
    control = tmp_path / "debian/control"
    control.write_text(
        "Source: it\nBuild-Depends: debhelper-zz (>= 9), zz-first | zz-second, zz-other [!zz !"
        f"{here}],\n"
        "# zz-comment,\n zz-all [linux-any], zz-blank [ ], zz-cpu [zz-cpu],\n"
        " zz-test <!nocheck>, dpkg | zz-third,zz-last\n"
        "Build-Conflicts: zz-never\n"
    )
    assert build_depends(tmp_path) == ("zz-first", "zz-all", "zz-blank", "zz-last")
    control.write_text("Source: it\nBuild-Depends: dpkg\n")
    assert build_depends(tmp_path) == ()
    assert build_depends(tmp_path / "debian") == ()


def test_one_command_for_all_packages() -> None:
    """What debian/control names is installed at once; advice about another package stays beside it."""
    advised = "zz.h: not found; `apt-get install libzz-dev` brings what is called so"
    assert with_packages(advised, ()) == advised
    both = "`apt-get install zz libzz-dev` brings what debian/control builds it with"
    assert with_packages(advised, ("zz", "libzz-dev")) == both
    assert with_packages("", ("zz", "libzz-dev")) == both
    assert with_packages(advised, ("zz",)).startswith(f"{advised}; `apt-get install zz` ")


def test_a_tool_that_went_wrong() -> None:
    """That some program was missed before is no reason for what the compiler says."""
    why = "a.c:1:2: error: 'x' undeclared"
    assert advice(["sh: 1: bison: not found", "checking for flex... no", why], why, own_libc=False) == ""


def test_an_archive_that_needs_more() -> None:
    """What it calls may be in a shared library alone; what the project itself calls is no library's matter."""
    why = "(.text+0x152): undefined reference to `gss_release_buffer'"
    in_archive = "/usr/bin/ld: /usr/lib/x86_64-linux-gnu/libtirpc.a(libtirpc_la-auth_gss.o): in function `validate':"
    assert told(why, in_archive).startswith("libtirpc.a needs a library that is not linked: `invoke smallest` ")
    assert told(why, "/usr/bin/ld: main.o: in function `main':") == ""


def test_all_libraries_that_are_not_linked(apt: None) -> None:
    """The linker names each, and so does the advice."""
    lines = ["/usr/bin/ld: cannot find -lzdoesnot: No such file", "/usr/bin/ld: cannot find -lzneither: No such file"]
    text = told(*lines)
    assert "zdoesnot" in text
    assert "zneither" in text


def test_all_headers_that_configure_lists(apt: None) -> None:
    """A `configure` that gives up at the end lists everything that it has not found."""
    lines = ("checking for stdio.h... yes", "- Failed to find zdoesnot.h for x.", "- Failed to find zneither.h for y.")
    text = told("configure.sh: error: Aborting configure run", *lines)
    assert "zdoesnot.h" in text
    assert "zneither.h" in text
    assert "stdio.h" not in text


def test_a_library_that_is_installed(apt: None) -> None:
    """Then its package is not what is missing, and which archives it has is told."""
    if shell.run(Command(("dpkg", "-L", "zlib1g-dev"))).exit_code != 0:
        pytest.skip("needs Debian's zlib1g-dev, which no other test does")
    told = advice(["a.c:1:10: fatal error: zlib.h: No such file or directory"], "", own_libc=False)
    assert told == "zlib.h is missing, though Debian's zlib1g-dev is installed; it has libz.a"
