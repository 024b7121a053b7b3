"""The same program is the same bytes, wherever, whenever and by whomever it is built."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from recipes.compile.build import build
from recipes.compile.plan import plan
from recipes.compile.recipe import RECIPES
from recipes.model import Command, Platform, Sample
from recipes.samples.reader import load
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.compile.programs import OURS, bare_environment, build_command, make, write
from tests.need import need_tool

ALL = [
    pytest.param("wordcount", "gcc-dynamic"),
    pytest.param("wordcount", "gcc-static"),
    pytest.param("wordcount", "gcc-static-small", marks=pytest.mark.slow),
    pytest.param("wordcount", "zig-static-small", marks=pytest.mark.slow),
    pytest.param("hello-go", "go-static"),
    pytest.param("hello-go", "go-dynamic"),
]


def project(root: Path, name: str) -> Workspace:
    workspace = Workspace(root)
    shutil.copytree(OURS.samples / name, workspace.samples / name)
    return workspace


def digest(workspace: Workspace, recipe: str, name: str, wrapper: tuple[str, ...] = (), **env: str) -> str:
    """As a process of its own makes it, with nothing in its environment but `env` and the least that is needed."""
    command = build_command(workspace, recipe, name)
    command = Command((*wrapper, *command.argv), Path("/"), command.env)
    return shell.check(command, environment=bare_environment(**env)).stdout.decode().split()[0]


@pytest.mark.parametrize(("name", "recipe"), ALL)
def test_the_place_and_the_environment_do_not_matter(name: str, recipe: str, tmp_path: Path) -> None:
    """Another directory, umask, locale, time zone, hash seed, file times and hostile variables give the same file."""
    here = project(tmp_path / "here", name)
    there = project(tmp_path / "a much longer/place, with blanks", name)
    for path in there.samples.rglob("*"):
        os.utime(path, (1e9, 1e9))
    expected = make(load(name, here), recipe, here).sha256
    hostile = {
        "LC_ALL": "C.UTF-8",
        "TZ": "Asia/Kathmandu",
        "PYTHONHASHSEED": "12345",
        "CPATH": str(tmp_path),
        "CPLUS_INCLUDE_PATH": str(tmp_path),
        "LIBRARY_PATH": str(tmp_path),
        "LD_RUN_PATH": "/somewhere",
        "CXXFLAGS": "-O0 -g",
        "GOFLAGS": "-ldflags=-X=main.x=y",
        "GOAMD64": "v3",
        "GOOS": "plan9",
        "CGO_ENABLED": "1" if recipe == "go-static" else "0",
        "CGO_CFLAGS": "-O0 -g",
        "GODEBUG": "http2client=0",
    }
    for header in ("count.hpp", "iostream"):  # what CPATH would bring in
        (tmp_path / header).write_text("#error this header is not meant\n")
    assert digest(there, recipe, name, ("sh", "-c", 'umask 077 && exec "$@"', "sh"), **hostile) == expected


def test_the_date_macros_are_fixed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """`__DATE__` and `__TIME__` follow SOURCE_DATE_EPOCH, which is 0 unless the caller says otherwise."""
    sample = write(workspace, {"main.cpp": "#include <cstdio>\nint main() { std::puts(__DATE__ __TIME__); }\n"})
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert b"Jan  1 1970" in make(sample, "gcc-static", workspace).path.read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert b"Sep  9 2001" in make(sample, "gcc-static", workspace).path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [name for name in RECIPES if RECIPES[name].language == "c++"])
def test_no_path_of_the_machine_is_in_the_file(recipe: str, tmp_path: Path) -> None:
    """Neither the project's folder nor the user's is found in the program, not even where it names its own source."""
    workspace = Workspace(tmp_path / "recognisable")
    text = (
        "#include <iostream>\n#include <vector>\nint main() { std::cout << __FILE__ << std::vector<int>(9).at(1); }\n"
    )
    content = make(write(workspace, {"main.cpp": text}), recipe, workspace).path.read_bytes()
    assert b"recognisable" not in content
    assert os.fsencode(sys.prefix) not in content


def test_side_by_side_or_one_by_one(workspace: Workspace) -> None:
    """How many compilers run at once does not matter."""
    files = {f"f{i}.cpp": f"int f{i}() {{ static int n = {i}; return ++n; }}\n" for i in range(6)}
    calls = "".join(f"int f{i}(); " for i in range(6))
    files["main.cpp"] = f"{calls} int main() {{ return {' + '.join(f'f{i}()' for i in range(6))} - 21; }}\n"
    first, second = write(workspace, files, "one"), write(workspace, files, "two")
    assert (
        make(first, "gcc-static-small", workspace, jobs=1).sha256
        == make(second, "gcc-static-small", workspace, jobs=6).sha256
    )


def test_an_ordinary_user_gets_the_same(tmp_path: Path) -> None:
    """Somebody who may write nothing but a project of their own, and has no home, makes the same file."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else; an ordinary user's own run is that test")
    setpriv = need_tool("setpriv")
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:  # pytest keeps others out of its folders
        if parent.owner() == tmp_path.owner() and not parent.stat().st_mode & 0o001:
            parent.chmod(0o711)
    here, there = Workspace(tmp_path / "here"), Workspace(tmp_path / "there")
    sample, _ = (write(place, {"main.go": "package main\n\nfunc main() {}\n"}) for place in (here, there))
    for path in (there.root, *there.root.rglob("*")):
        os.chown(path, 65534, 65534)
    expected = make(sample, "go-static", here).sha256
    wrapper = (setpriv, "--reuid=65534", "--regid=65534", "--clear-groups")
    assert digest(there, "go-static", sample.name, wrapper, HOME="/nonexistent") == expected
    assert (there.cache / "go/build").is_dir()


@pytest.mark.parametrize(
    ("recipe", "variables"),
    [
        ("zig-static-small", ("ZIG_GLOBAL_CACHE_DIR",)),
        ("go-static", ("GOCACHE", "GOPATH", "GOMODCACHE")),
    ],
)
def test_without_a_home_the_caches_are_in_the_project(
    recipe: str, variables: tuple[str, ...], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where HOME is unset or cannot be written, a compiler's own cache is below build/; else nothing is set."""
    files = {"main.go": "package main\nfunc main() {}\n"} if recipe == "go-static" else {"main.c": "int main(){}\n"}
    sample: Sample = write(workspace, files)
    for name in (*variables, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def set_variables() -> set[str]:
        planned = plan(sample, RECIPES[recipe], Platform.host(), workspace)
        values = dict(planned.commands[-1].env)
        assert all(values[name].startswith(str(workspace.cache)) for name in variables if name in values)
        return set(variables) & set(values)

    monkeypatch.setenv("HOME", str(workspace.root))
    assert set_variables() == set()
    (workspace.root / "file").write_text("")
    monkeypatch.setenv("HOME", str(workspace.root / "file/home"))
    assert set_variables() == set(variables)
    monkeypatch.delenv("HOME")
    assert set_variables() == set(variables)


def test_where_the_caches_are_does_not_matter(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was built with one GOCACHE need not be built again with another."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace.root / "config"))  # go's own settings are an input
    sample = write(workspace, {"main.go": "package main\nfunc main() {}\n"})
    make(sample, "go-static", workspace)
    (workspace.root / "file").write_text("")
    monkeypatch.setenv("HOME", str(workspace.root / "file/home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert build(sample, RECIPES["go-static"], Platform.host(), workspace).build.cached
