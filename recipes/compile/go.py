"""Go: one command for the whole module; `go` itself compiles package by package."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from recipes.compile.plan import Step, usable
from recipes.compile.recipe import Recipe
from recipes.compile.targets import go_level
from recipes.compile.toolchain import Toolchain
from recipes.model import Command, Environment, Platform, Sample
from recipes.workspace import Workspace

_LOCAL_REPLACEMENT = re.compile(r"""=>\s*["`]?(\.{1,2}(?:/[^\s"`]*)?)["`]?\s*(?://.*)?$""", re.MULTILINE)


def environment(recipe: Recipe, platform: Platform) -> Environment:
    """Everything that decides what is built is said: neither the caller's settings nor those of `go env -w` count.

    GOFLAGS repeats a flag of the command line because an empty one would mean `whatever go env -w said`.
    """
    settings = (
        ("LC_ALL", "C"),
        ("GOFLAGS", "-buildvcs=false"),
        ("GOTOOLCHAIN", "local"),
        ("GOWORK", "off"),
        ("GO111MODULE", "on"),
        ("GOOS", platform.os),
        ("GOARCH", platform.architecture),
    )
    return (*settings, *go_level(platform), *recipe.env)


def cache_folders(toolchain: Toolchain, workspace: Workspace) -> Environment:
    """Go's own caches stay where Go wants them, if that can be written."""
    home = os.environ.get("HOME") or ""
    cache = os.environ.get("XDG_CACHE_HOME") or (home and os.path.join(home, ".cache"))
    inside = workspace.cache / "go"
    folders = []
    if not os.environ.get("GOCACHE") and not (cache and usable(os.path.join(cache, "go-build"))):
        folders.append(("GOCACHE", str(inside / "build")))
    path = (os.environ.get("GOPATH") or (home and os.path.join(home, "go"))).split(os.pathsep)[0]
    if not usable(path):
        folders.append(("GOPATH", str(inside / "path")))
        if not os.environ.get("GOMODCACHE"):
            folders.append(("GOMODCACHE", str(inside / "path/pkg/mod")))
    return tuple(folders)


def steps(
    sample: Sample,
    recipe: Recipe,
    platform: Platform,
    toolchain: Toolchain,
    work: Path,
    unset: tuple[str, ...],
    env: Environment,
) -> tuple[Step, ...]:
    """Every file of the module is an input: source, go.mod, go.sum, vendor/, and whatever may be embedded."""
    module = _module(sample.folder)
    program = work / "app"
    what = (".",) if module is not None else tuple(f"./{source}" for source in sample.sources)
    argv = (*unset, *toolchain.argv, "build", *recipe.build_flags, "-o", str(program), *what)
    top = module or sample.folder
    inputs = tuple(sorted({*_files(top, work), *_replacements(top, work), *_settings_file()}))
    # `names`: which files there are matters even where nothing else changes.
    names = tuple(str(path) for path in inputs)
    return (Step("go build", Command(argv, sample.folder, env), program, inputs=inputs, names=names, links=True),)


def _module(folder: Path) -> Path | None:
    """Where the go.mod is that go would use."""
    return next((parent for parent in (folder, *folder.parents) if (parent / "go.mod").is_file()), None)


def _files(top: Path, work: Path) -> Iterator[Path]:
    build = str(work.parents[3])  # build/work/<sample>/<recipe>/<platform>: what is made there is no input
    for parent, folders, files in os.walk(top):
        folders[:] = sorted(
            name for name in folders if name not in (".git", ".venv", "node_modules") and f"{parent}/{name}" != build
        )
        for file in files:
            path = Path(parent, file)
            if path.is_file():
                yield path


def _replacements(top: Path, work: Path) -> Iterator[Path]:
    """The files of modules that go.mod takes from a folder nearby: `replace example.org/x => ../x`."""
    try:
        text = (top / "go.mod").read_text(errors="replace")
    except OSError:
        return
    for match in _LOCAL_REPLACEMENT.finditer(text):
        other = Path(os.path.normpath(top / match[1]))
        if not other.is_relative_to(top):
            yield from _files(other, work)


def _settings_file() -> Iterator[Path]:
    """Where `go env -w` writes: what is left to it can still be noticed when it changes."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.environ.get("HOME") or "/nonexistent", ".config")
    path = Path(home, "go/env")
    if path.is_file():
        yield path
