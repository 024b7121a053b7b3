"""A Go program of a module proxy prints its version, where its own build would have stamped it; nothing else is set."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from recipes.compile.build import build
from recipes.compile.gostamps import version_stamps
from recipes.compile.recipe import RECIPES
from recipes.model import Environment, Platform
from recipes.samples.reader import load
from recipes.support.workspace import Workspace, remove_tree
from tests.proxies import publish, use

APP = "example.org/app"
VERSION = "v1.2.0"


def stamps(folder: Path, files: dict[str, str], package: str = APP, **beside: Path) -> Environment:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return version_stamps(package, APP, VERSION, folder, {f"example.org/{name}": path for name, path in beside.items()})


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ('var version = "dev"', {"main.version": VERSION}),
        ("var Version string", {"main.Version": VERSION}),
        ('var gitVersion, gitMajor, gitMinor = "unset", "0", ""', {"main.gitVersion": VERSION, "main.gitMinor": "2"}),
        ("var GitVersion = ``", {"main.GitVersion": VERSION}),
        ("var (\n\t// Set by the linker.\n\tversion = `(unknown)` // until then\n)", {"main.version": VERSION}),
        ('var version, commit = "0.0.0-dev", "none"', {"main.version": "1.2.0"}),
        ('var version string = "v0.0.0"', {"main.version": VERSION}),
        ('var version = "1.1.9"', {}),
        ('var version = read("VERSION")', {}),
        ("var version = false", {}),
        ("var version int", {}),
        ('const version = "dev"', {}),
        ('func main() {\n\tversion := "dev"\n}', {}),
        ('var revision = "dev"', {}),
    ],
)
def test_a_variable_of_the_usual_name_with_a_placeholder(tmp_path: Path, declared: str, found: dict[str, str]) -> None:
    """A string that says nothing yet gets the version, in its own form; a version, and what is no string, stays."""
    assert dict(stamps(tmp_path, {"main.go": f"package main\n\n{declared}\n"})) == found


def test_which_packages_are_looked_at(tmp_path: Path) -> None:
    """The program, and the packages called `version` of its repository: not other programs, tests or vendored code."""
    dev = 'package version\n\nvar Version = "dev"\n'
    files = {
        "cmd/one/main.go": 'package main\n\nvar version = "dev"\n',
        "cmd/two/main.go": 'package main\n\nvar Version = "dev"\n',
        "internal/version/version.go": dev,
        "internal/version/version_test.go": 'package version\n\nvar version = "dev"\n',
        "internal/other/other.go": dev,
        "vendor/example.org/x/version/version.go": dev,
        "other/go.mod": "module example.org/app/other\n",
        "other/version/version.go": dev,
    }
    beside = tmp_path / "staging/base"
    (beside / "version").mkdir(parents=True)
    (beside / "go.mod").write_text("module example.org/base\n")
    (beside / "version/base.go").write_text(
        "package version\n\nvar (\n\tgitMajor string // of it\n\tgitMinor string\n"
        '\tgitVersion = "v0.0.0+$Format:%H$"\n)\n'
    )
    assert dict(stamps(tmp_path, files, f"{APP}/cmd/one", base=beside)) == {
        "main.version": VERSION,
        "example.org/app/internal/version.Version": VERSION,
        "example.org/base/version.gitVersion": VERSION,
        "example.org/base/version.gitMajor": "1",
        "example.org/base/version.gitMinor": "2",
    }


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("-s -w -X main.number={{.Version}} -X main.commit={{.Commit}}", {"main.number": "1.2.0"}),
        ("-X main.number=v{{ .Version }}", {"main.number": VERSION}),
        ("-X 'example.org/app/internal.Release={{ .Tag }}'", {"example.org/app/internal.Release": VERSION}),
        ("-X main.gone={{.Version}}", {"main.version": VERSION}),
        ("-X example.org/app/internal.Gone={{.Version}}", {"main.version": VERSION}),
        ("-X example.org/other/internal.Release={{.Version}}", {"main.version": VERSION}),
        ("-X main.commit={{.Commit}}", {"main.version": VERSION}),
    ],
)
def test_what_the_release_sets(tmp_path: Path, flags: str, found: dict[str, str]) -> None:
    """The project's GoReleaser file says which variables get the version, and in which form; if none, names count."""
    files = {
        ".goreleaser.yaml": f"builds:\n  # -X main.version={{{{.Version}}}}\n  - ldflags: {flags}\n",
        "main.go": 'package main\n\nvar (\n\tversion = "dev"\n\tnumber, commit = "1", unset\n)\n',
        "internal/release.go": 'package internal\n\nvar Release = "none"\n',
    }
    assert dict(stamps(tmp_path, files)) == found


@pytest.mark.slow
@pytest.mark.parametrize("directives", ["", "\nexclude example.org/other v1.5.0\n"], ids=["install", "main-module"])
def test_the_program_prints_its_version(
    tmp_path: Path,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    directives: str,
) -> None:
    """That is said; `[stamps]` says it otherwise, and an empty one that nothing is set."""
    use(tmp_path / "proxy", tmp_path / "modules", monkeypatch)
    program = 'package main\n\nimport "fmt"\n\nvar version = "dev"\n\nfunc main() { fmt.Println(version) }\n'
    publish(tmp_path / "proxy", APP, VERSION, {"main.go": program}, directives)
    assert printed(workspace, f"{APP}@{VERSION}") == VERSION
    assert f"stamped main.version = {VERSION}" in capfd.readouterr().err
    for stamps, version in {'"main.version" = "mine"': "mine", "": "dev"}.items():
        folder = workspace.samples / f"app-{version}"
        folder.mkdir(parents=True)
        (folder / "sample.toml").write_text(f'module = "{APP}@{VERSION}"\n\n[stamps]\n{stamps}\n')
        assert printed(workspace, folder.name) == version
    assert "stamped" not in capfd.readouterr().err
    remove_tree(tmp_path / "modules")


def printed(workspace: Workspace, name: str) -> str:
    binary = build(load(name, workspace), RECIPES["go-static"], Platform.host(), workspace, echo=False)
    return subprocess.run([binary.path], capture_output=True, text=True, check=True).stdout.strip()
