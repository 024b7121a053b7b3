"""Go modules with several programs, stamps, cgo, vendored trees, and programs from the module proxy."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from recipes.compile.build import build
from recipes.compile.plan import plan
from recipes.compile.recipe import RECIPES
from recipes.elf.facts import read_elf
from recipes.errors import BadInput, CommandFailed
from recipes.model import Platform, Program
from recipes.pipeline import CGO_STUB, Project, build_program, smaller_hint
from recipes.samples.reader import load
from recipes.support import shell
from recipes.support.workspace import Workspace
from recipes.workflows.smallest import Search
from tests.proxies import publish, use

SAYS = 'package main\n\nimport "fmt"\n\nvar version = "none"\n\nfunc main() {{ fmt.Println("{}", version) }}\n'
USES_LIB = 'package main\n\nimport (\n\t"fmt"\n\n\t"example.org/lib"\n)\n\nfunc main() { fmt.Println(lib.Name) }\n'
CGO = """package main

// #include <stdlib.h>
// static int twice(int n) { return 2 * n; }
import "C"

import "fmt"

func main() { fmt.Println(C.twice(21)) }
"""


def module(workspace: Workspace, files: dict[str, str], settings: str = "") -> Path:
    folder = workspace.samples / "app"
    for name, text in {"go.mod": "module example.org/app\n\ngo 1.21\n", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if settings:
        (folder / "sample.toml").write_text(settings)
    return folder


def make(workspace: Workspace, package: str = "", recipe: str = "go-static", platform: str = "") -> Program:
    chosen = Platform.parse(platform) if platform else Platform.host()
    return build(load("app", workspace, package=package), RECIPES[recipe], chosen, workspace, echo=False)


def output(binary: Program) -> str:
    return subprocess.run([binary.path], capture_output=True, text=True, check=True).stdout


def test_several_programs_have_to_be_chosen_from(workspace: Workspace) -> None:
    """What is ignored, a test or vendored is not a program; of two one is chosen; a wrong name tells the nearest."""
    module(
        workspace,
        {
            "cmd/one/main.go": SAYS.format("one"),
            "cmd/two/main.go": "// Copyright\n\n" + SAYS.format("two"),
            "lib/lib.go": "package lib\n",
            "tools/gen.go": "//go:build ignore\n\n" + SAYS.format("never"),
            "testdata/main.go": SAYS.format("never"),
            "vendor/example.org/x/main.go": SAYS.format("never"),
        },
    )
    with pytest.raises(BadInput, match=r"has 2 main packages: \./cmd/one, \./cmd/two") as caught:
        load("app", workspace)
    assert caught.value.hint == "choose one with --package"
    assert load("app", workspace, package="./cmd/two").package == "./cmd/two"
    assert load("app", workspace, package="cmd/one").name == "app-cmd-one"
    with pytest.raises(BadInput, match="is not a main package") as caught:
        load("app", workspace, package="./cmd/tow")
    assert "./cmd/two" in caught.value.hint
    with pytest.raises(BadInput, match="is not inside"):
        load("app", workspace, package="../other")


def test_programs_of_a_workspace_can_be_chosen(workspace: Workspace) -> None:
    """Beside a go.work the programs of other modules are named too; the only one of the folder's own comes first."""
    files = {
        "go.work": "go 1.21\n\nuse (\n\t.\n\t./server\n\t./client\n)\n",
        "server/go.mod": "module example.org/app/server\n",
        "server/main.go": SAYS.format("server"),
    }
    folder = module(workspace, files)
    assert load("app", workspace).package == "./server"
    module(workspace, {"client/go.mod": "module example.org/app/client\n", "client/main.go": SAYS.format("client")})
    with pytest.raises(BadInput, match=r"2 main packages: \./client, \./server"):
        load("app", workspace)
    module(workspace, {"cmd/tool/main.go": SAYS.format("tool")})
    assert load("app", workspace).package == "./cmd/tool"
    (folder / "go.work").unlink()
    (folder / "cmd/tool/main.go").unlink()
    with pytest.raises(BadInput, match="has no sources"):
        load("app", workspace)


@pytest.mark.parametrize(
    "files",
    [
        {"deps.go": "//go:build tools\n\npackage tools\n", "main.go": SAYS.format("main")},
        {"main.go": SAYS.format("main") + "\nvar text = `\n//go:build ignore\n`\n"},
        {"main.go": "\ufeff" + SAYS.format("main")},
        {"main.go": "/* a\n//go:build later\n*/ // b\n" + "// c /*\n" * 2000 + SAYS.format("main")},
    ],
    ids=["another-package-for-tools", "a-constraint-in-a-string", "a-byte-order-mark", "comments"],
)
@pytest.mark.slow
def test_what_a_main_package_may_look_like(files: dict[str, str], workspace: Workspace) -> None:
    """One file that says `package main` is enough; only what comes before that is a constraint."""
    module(workspace, files)
    assert output(make(workspace)) == "main none\n"


TWO = {
    "a.go": SAYS.format("a"),
    "b.go": SAYS.format("b"),
    "cmd/c/main.go": SAYS.format("c"),
    "lib/l.go": "package lib\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("source", ["a.go", "b.go", "cmd/c/main.go"])
def test_sources_that_are_named_are_what_is_built(source: str, workspace: Workspace) -> None:
    """`sources` counts in a module too, where a folder has more than one program, and rules --package out."""
    module(workspace, TWO, f'sources = ["{source}"]\n')
    assert output(make(workspace)) == f"{'c' if source.startswith('cmd') else source[0]} none\n"
    with pytest.raises(BadInput, match="app is made of the sources in its") as caught:
        load("app", workspace, package="cmd/c")
    assert "sources" in caught.value.hint


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["", "cmd/below/"])
def test_build_constraints_count_without_a_module(folder: str, workspace: Workspace) -> None:
    """A loose folder is built as go builds a package: what is ignored, or for another system, is left out."""
    sample = workspace.samples / "app"
    files = {
        "main.go": 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println(system, tagged) }\n',
        "gen.go": "//go:build ignore\n\n" + SAYS.format("never"),
        "n_linux.go": 'package main\n\nconst system = "linux"\n',
        "n_windows.go": 'package main\n\nconst system = "windows"\n',
        "with.go": "//go:build some\n\npackage main\n\nconst tagged = true\n",
        "without.go": "//go:build !some\n\npackage main\n\nconst tagged = false\n",
    }
    (sample / folder).mkdir(parents=True)
    for name, text in files.items():
        (sample / folder / name).write_text(text)
    (sample / "sample.toml").write_text('language = "go"\n')
    assert output(make(workspace)) == "linux false\n"
    assert make(workspace).build.cached
    (sample / "sample.toml").write_text('language = "go"\noptions = ["-tags=some"]\n')
    assert output(make(workspace)) == "linux true\n"
    assert not (sample / "go.mod").exists()


@pytest.mark.slow
def test_the_only_program_is_found_and_stamped(workspace: Workspace) -> None:
    """A module with one program somewhere below needs no --package; stamps with blanks and quotes arrive."""
    module(workspace, {"cmd/one/main.go": SAYS.format("one")}, '[stamps]\n"main.version" = "it\'s 1.2"\n')
    assert output(make(workspace)) == "one it's 1.2\n"


@pytest.mark.slow
def test_a_vendored_tree_needs_no_proxy(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in vendor/ is what is built."""
    monkeypatch.setenv("GOPROXY", "off")
    module(
        workspace,
        {
            "go.mod": "module example.org/app\n\ngo 1.21\n\nrequire example.org/lib v1.0.0\n",
            "main.go": USES_LIB,
            "vendor/modules.txt": "# example.org/lib v1.0.0\n## explicit; go 1.21\nexample.org/lib\n",
            "vendor/example.org/lib/lib.go": 'package lib\n\nconst Name = "vendored"\n',
        },
    )
    assert output(make(workspace)) == "vendored\n"


@pytest.mark.slow
def test_a_vendor_folder_that_does_not_fit_is_left_alone(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where vendor/modules.txt speaks of other versions than go.mod, modules come from elsewhere, which is said."""
    monkeypatch.setenv("GOPROXY", "off")
    files = {
        "go.mod": "module example.org/app\n\ngo 1.21\n\nrequire example.org/lib v1.0.0\n"
        "\nreplace example.org/lib => ./staging/lib\n",
        "main.go": USES_LIB,
        "staging/lib/go.mod": "module example.org/lib\n\ngo 1.21\n",
        "staging/lib/lib.go": 'package lib\n\nconst Name = "from its folder"\n',
        "vendor/modules.txt": "# example.org/lib v0.9.0\n## explicit; go 1.21\nexample.org/lib\n",
        "vendor/example.org/lib/lib.go": 'package lib\n\nconst Name = "vendored"\n',
    }
    folder = module(workspace, files)
    assert output(make(workspace)) == "from its folder\n"
    assert "vendor/modules.txt does not fit go.mod" in capfd.readouterr().err
    assert (folder / "vendor/modules.txt").read_text() == files["vendor/modules.txt"]


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False], ids=["that-names-it", "of-others"])
def test_a_workspace_counts_where_it_names_the_module(
    named: bool, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A go.work above decides where modules come from, as for `go build` there; a change in one of them counts too.

    One that leaves the module out is for others.
    """
    monkeypatch.setenv("GOPROXY", "off")
    folder = module(
        workspace,
        {
            "go.mod": "module example.org/app\n\ngo 1.21\n\nrequire example.org/lib v0.0.0\n"
            "\nreplace example.org/lib => ./alone\n",
            "main.go": USES_LIB,
            "alone/go.mod": "module example.org/lib\n\ngo 1.21\n",
            "alone/lib.go": 'package lib\n\nconst Name = "by replace"\n',
        },
    )
    beside = workspace.samples / "lib"
    beside.mkdir()
    (beside / "go.mod").write_text("module example.org/lib\n\ngo 1.21\n")
    (beside / "lib.go").write_text('package lib\n\nconst Name = "by go.work"\n')
    used = "use (\n\t./app // the program\n\t./lib\n)\n" if named else "use ./lib\n"
    (workspace.samples / "go.work").write_text(f"go 1.21\n\n{used}")
    assert output(make(workspace)) == ("by go.work\n" if named else "by replace\n")
    (beside / "lib.go").write_text('package lib\n\nconst Name = "changed"\n')
    (folder / "alone/lib.go").write_text('package lib\n\nconst Name = "changed"\n')
    assert output(make(workspace)) == "changed\n"


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["", "linux/arm64"])
def test_cgo_is_static_with_zig(platform: str, workspace: Workspace) -> None:
    """`go-cgo-static` links C code with musl, for this machine and for another, and strips the program."""
    module(workspace, {"main.go": CGO})
    binary = make(workspace, recipe="go-cgo-static", platform=platform)
    facts = read_elf(binary.path)
    assert (facts.linkage.is_static, facts.stripped) == (True, True)
    assert facts.machine == (Platform.parse(platform) if platform else Platform.host()).architecture
    if not platform:
        assert output(binary) == "42\n"


WITH_C = """package main

// #include <fcntl.h>
// #include <unistd.h>
// static off64_t end(int fd) { return lseek64(fd, 0, SEEK_END); }
import "C"

import "os"

func answer() any {
	file, _ := os.Open(os.Args[0])
	return C.end(C.int(file.Fd())) > 0
}
"""
WITHOUT_C = """//go:build !cgo

package main

func answer() any { return "Binary was compiled with 'CGO_ENABLED=0', so this is a stub" }
"""


@pytest.mark.slow
@pytest.mark.parametrize("files", [{"stub.go": WITHOUT_C}, {}], ids=["a-stub", "left-out"])
def test_a_program_that_turns_out_to_need_cgo_gets_it(
    files: dict[str, str], workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where no recipe is named and the program is a stub without cgo, or does not build, it is built with cgo.

    Its code in C may use glibc's names for large files. A recipe that is named is what is taken.
    """
    main = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println(answer()) }\n'
    module(workspace, {"main.go": main, "with.go": WITH_C, **files})
    project, sample = Project.at(workspace.root), load("app", workspace)
    program = build_program(project, sample, None, Platform.host(), echo=False)
    assert (program.build.recipe, output(program)) == ("go-cgo-static", "true\n")
    assert capfd.readouterr().err.count("app is built with go-cgo-static: ") == 1
    if files:
        named = build_program(project, sample, RECIPES["go-static"], Platform.host(), echo=False)
        assert "stub" in output(named)
        rejected, taken = Search(project, Platform.host(), None, run=False).candidates(sample)
        assert (rejected.name, rejected.rejected_because) == ("go-static", CGO_STUB)
        assert taken.name == "go-cgo-static on scratch"
    assert smaller_hint(project, program) == ""


@pytest.mark.slow
def test_a_program_without_code_in_c_is_not_built_twice(workspace: Workspace) -> None:
    """What does not compile for another reason is told at once."""
    module(workspace, {"main.go": "package main\n\nfunc main() { answer() }\n"})
    with pytest.raises(CommandFailed, match="go build failed") as caught:
        build_program(Project.at(workspace.root), load("app", workspace), None, Platform.host(), echo=False)
    assert "undefined: answer" in caught.value.output


@pytest.mark.parametrize(
    ("options", "more"), [([], ["-fno-PIC"]), (["-buildmode=pie"], []), (["-buildmode", "pie"], [])]
)
def test_what_cgo_is_told_is_not_the_callers(
    options: list[str], more: list[str], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compilers and the linker's flags are the recipe's, whatever the caller has set; the flags are those of
    zig-static-small, with which zig's libraries are built once for both, unless the code has to move.
    """
    for name in ("CC", "CXX", "CGO_CFLAGS", "CGO_LDFLAGS"):
        monkeypatch.setenv(name, "the-callers")
    module(workspace, {"main.go": CGO}, f"options = {options}\n")
    planned = plan(load("app", workspace), RECIPES["go-cgo-static"], Platform.host(), workspace)
    (command,) = planned.commands
    shown = shell.check(replace(command, argv=(*planned.unset, "env"))).stdout.decode()
    told = dict(line.split("=", 1) for line in shown.splitlines())
    assert "CGO_CFLAGS" not in told
    assert told["CGO_LDFLAGS"].split() == [*RECIPES["zig-static-small"].compile_flags, *more]
    assert [told[name].split()[1] for name in ("CC", "CXX")] == ["cc", "c++"]


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["", "linux/arm64"])
def test_a_program_from_a_module_proxy(platform: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """`module/path/cmd@version` is fetched and built, also for another CPU; a version that is not there is told."""
    proxy = workspace.root / "proxy"
    publish(proxy, "example.org/tool", "v1.0.1", {"cmd/say/main.go": SAYS.format("from a proxy")})
    use(proxy, workspace.root / "modules", monkeypatch)
    chosen = Platform.parse(platform) if platform else Platform.host()
    sample = load("example.org/tool/cmd/say@v1.0.1", workspace)
    assert sample.name == "say"
    binary = build(sample, RECIPES["go-static"], chosen, workspace, echo=False)
    assert read_elf(binary.path).machine == chosen.architecture
    assert build(sample, RECIPES["go-static"], chosen, workspace, echo=False).build.cached
    if not platform:
        assert output(binary) == "from a proxy v1.0.1\n"
        missing = load("example.org/tool/cmd/say@v9.9.9", workspace)
        with pytest.raises(CommandFailed) as caught:
            build(missing, RECIPES["go-static"], chosen, workspace, echo=False)
        assert "v9.9.9" in caught.value.output
    subprocess.run(["chmod", "-R", "u+w", workspace.root / "modules"], check=True)
