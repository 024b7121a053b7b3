"""What `go install` refuses is built from a module proxy all the same. The proxy is a folder; go itself asks it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from recipes.compile.build import build
from recipes.compile.goproxy import MainModule, Proxy
from recipes.compile.recipe import RECIPES
from recipes.compile.toolchains import TOOLCHAINS
from recipes.compile.toolchains.go import module_settings
from recipes.compile.toolchains.protocol import Toolchain
from recipes.compile.wheels import in_wheel
from recipes.errors import CommandFailed
from recipes.model import Platform
from recipes.samples.reader import load
from recipes.support.workspace import Workspace, remove_tree
from tests.need import need, need_tool
from tests.proxies import publish, use

APP = "example.org/app"
PROGRAM = """package main

import (
	"fmt"
	"runtime/debug"

	forked "example.org/forked"
	"example.org/lib"
)

func main() {
	info, _ := debug.ReadBuildInfo()
	fmt.Println(lib.Name, forked.Name, info.Main.Path, info.Main.Version)
}
"""
DIRECTIVES = """
require (
	example.org/forked v1.0.0
	example.org/lib v0.0.0
	example.org/other v1.4.0 // indirect
)

replace example.org/lib => ./staging/lib

replace (
	example.org/forked v1.0.0 => example.org/fork v1.1.0
	example.org/unused => ../unused
)

exclude example.org/other v1.5.0
"""


def lib(proxy: Path, version: str, time: str = "2020-01-01T00:00:00Z", path: str = "example.org/lib") -> None:
    name = path.rpartition("/")[2]
    publish(proxy, path, version, {"lib.go": f'package {name}\n\nconst Name = "{name} {version}"\n'}, time=time)


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use(tmp_path / "proxy", tmp_path / "modules", monkeypatch)
    return tmp_path / "proxy"


def asker(tmp_path: Path) -> Proxy:
    mine = Path(sys.executable).with_name("go")
    go = str(mine) if mine.exists() else need_tool("go")
    return Proxy((go,), module_settings("off"), tmp_path / "kept")


def ask(tmp_path: Path, program: str) -> MainModule | None:
    try:
        return asker(tmp_path).main_module(program)
    finally:
        remove_tree(tmp_path / "modules")


def versions(main: MainModule | None) -> list[str]:
    assert main is not None
    return [line for line in main.go_mod.splitlines() if line.startswith("replace ")]


@pytest.mark.slow
def test_a_module_with_replacements_is_built_at_once(
    proxy: Path, workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    """Folders that only its repository has become the versions released with it, which is said; `replace` and `exclude`
    count; and the program knows its own version, as after `go install`.
    """
    publish(proxy, APP, "v1.2.0", {"cmd/say/main.go": PROGRAM}, DIRECTIVES)
    for version in ("v0.1.0", "v0.2.0", "v0.3.0"):
        lib(proxy, version)
    lib(proxy, "v1.1.0", path="example.org/fork")
    sample = load(f"{APP}/cmd/say@v1.2.0", workspace)
    binary = build(sample, RECIPES["go-static"], Platform.host(), workspace, echo=False)
    done = subprocess.run([binary.path], capture_output=True, text=True, check=True)
    assert done.stdout == "lib v0.2.0 fork v1.1.0 example.org/app v1.2.0\n"
    assert "published versions are taken instead: example.org/lib v0.2.0" in capfd.readouterr().err
    remove_tree(proxy)
    assert build(sample, RECIPES["go-static"], Platform.host(), workspace, echo=False).build.cached
    remove_tree(proxy.parent / "modules")


@pytest.mark.slow
def test_what_does_not_have_the_sum_of_its_go_sum_is_refused(proxy: Path, workspace: Workspace) -> None:
    """The program's own go.sum counts, as for a build of its repository."""
    wrong = f"example.org/lib v0.2.0 h1:{'A' * 43}=\n"
    publish(proxy, APP, "v1.2.0", {"cmd/say/main.go": PROGRAM, "go.sum": wrong}, DIRECTIVES)
    lib(proxy, "v0.2.0")
    lib(proxy, "v1.1.0", path="example.org/fork")
    sample = load(f"{APP}/cmd/say@v1.2.0", workspace)
    with pytest.raises(CommandFailed, match="checksum mismatch"):
        build(sample, RECIPES["go-static"], Platform.host(), workspace, echo=False)
    remove_tree(proxy.parent / "modules")


@pytest.mark.parametrize(
    ("required", "published", "taken"),
    [
        ("v0.9.0", {"v0.2.0": "2020", "v0.9.0": "2021"}, []),
        ("v0.0.0", {"v0.2.0": "2020", "v1.2.0": "2020"}, ["v1.2.0"]),
        ("v0.0.0-00010101000000-000000000000", {"v0.1.0": "2020", "v0.2.0": "2020", "v0.3.0": "2020"}, ["v0.2.0"]),
        ("v0.0.0", {"v0.7.0": "2018", "v0.7.1": "2019", "v0.8.0-rc.1": "2019", "v0.8.0": "2022"}, ["v0.7.1"]),
        ("v0.9.0", {"v0.7.0": "2018"}, ["v0.7.0"]),
        ("v0.0.0", {"v0.8.0": "2022"}, []),
    ],
    ids=["as-required", "the-same-version", "the-same-but-major", "the-last-before", "not-released", "none"],
)
def test_which_version_stands_for_a_folder(
    required: str, published: dict[str, str], taken: list[str], proxy: Path, tmp_path: Path
) -> None:
    """The required version where it was published; else the one released together with it; else the last before it.

    Where nothing fits that is told, and go says so where it needs the module.
    """
    directives = f"\nrequire example.org/lib {required}\n\nreplace example.org/lib => ../lib\n"
    publish(proxy, APP, "v1.2.0", {"main.go": PROGRAM}, directives, time="2021-06-01T00:00:00Z")
    for version, year in published.items():
        lib(proxy, version, f"{year}-01-01T00:00:00Z")
    main = ask(tmp_path, f"{APP}@v1.2.0")
    assert versions(main) == [f"replace example.org/lib => example.org/lib {version}" for version in taken]
    assert main is not None
    lost = not taken and required not in published
    assert ("no published version fits: example.org/lib" in main.remark) == lost


def test_a_program_is_in_the_module_with_the_longest_path_that_has_it(proxy: Path, tmp_path: Path) -> None:
    """A module within the other's path does not count where it lacks the package, nor another with no such version."""
    exclude = "\nexclude example.org/other v1.5.0\n"
    publish(proxy, APP, "v1.0.0", {"cmd/say/main.go": PROGRAM}, exclude)
    publish(proxy, f"{APP}/cmd", "v1.0.0", {"other/main.go": PROGRAM}, exclude)
    publish(proxy, f"{APP}/cmd/say", "v1.1.0", {"main.go": PROGRAM}, exclude)
    for program, module in (("cmd/say", APP), ("cmd/other", f"{APP}/cmd")):
        main = ask(tmp_path, f"{APP}/{program}@v1.0.0")
        assert main is not None
        assert f"require {module} v1.0.0\n" in main.go_mod
        assert exclude in main.go_mod


def test_the_latest_version_is_asked_for_each_time(proxy: Path, tmp_path: Path) -> None:
    """What is planned is what is built, so one run asks once; the next one asks again."""
    publish(proxy, APP, "v1.0.0", {"main.go": PROGRAM})
    first = asker(tmp_path)
    before = first.main_module(f"{APP}@latest")
    publish(proxy, APP, "v1.1.0", {"main.go": PROGRAM})
    assert first.main_module(f"{APP}@latest") == before
    after = ask(tmp_path, f"{APP}@latest")
    assert before is not None
    assert after is not None
    assert (before.go_mod.count(f"{APP} v1.0.0"), after.go_mod.count(f"{APP} v1.1.0")) == (1, 1)


def test_what_go_can_install_is_left_to_it(proxy: Path, tmp_path: Path) -> None:
    """A module without such directives needs no main module of ours; go says why one is not there."""
    publish(proxy, APP, "v1.0.0", {"main.go": PROGRAM})
    main = ask(tmp_path, f"{APP}@latest")
    assert main is not None
    assert not main.needed
    assert ask(tmp_path, f"{APP}@v9.9.9") is None


@pytest.mark.parametrize(("version", "taken"), [("1.20", True), ("1.21", False)])
def test_the_wheels_go_is_taken_where_the_machines_is_too_old(
    version: str, taken: bool, proxy: Path, workspace: Workspace
) -> None:
    """What the module's go.mod asks for decides, also for a program that is still at the proxy."""
    wheel = in_wheel("go/bin/go")
    need(wheel, "the wheel of Go")
    publish(proxy, APP, "v1.0.0", {"main.go": PROGRAM})
    machines = Toolchain(name="go", version=version, argv=("/usr/bin/go",), identity="")
    fitting = TOOLCHAINS["go"].fitting(machines, load(f"{APP}@v1.0.0", workspace), workspace)
    remove_tree(proxy.parent / "modules")
    assert (fitting.argv[0] == wheel) == taken
