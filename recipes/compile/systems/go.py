"""Go: one command for the whole module; `go` itself compiles package by package."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from recipes.architecture import architecture
from recipes.compile.files import listed, walk
from recipes.compile.plan import Step, built_in, usable, write_step
from recipes.compile.product import Product
from recipes.compile.recipe import Recipe
from recipes.compile.targets import go_level, zig_target
from recipes.compile.toolchain import Toolchain, numbers
from recipes.errors import BadInput
from recipes.model import Command, Environment, Platform, Sample
from recipes.support.workspace import Workspace

_LOCAL_REPLACEMENT = re.compile(r"""=>\s*["`]?(\.{0,2}/[^\s"`]*|\.{1,2})["`]?\s*(?://.*)?$""", re.MULTILINE)


def environment(recipe: Recipe, platform: Platform, toolchain: Toolchain) -> Environment:
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
    return (*settings, *go_level(platform), *recipe.env, *_c_compilers(recipe, platform, toolchain))


def _c_compilers(recipe: Recipe, platform: Platform, toolchain: Toolchain) -> Environment:
    """zig as the C compiler of cgo; Go splits the words as `_quoted` joins them."""
    if recipe.cgo != "zig":
        return ()
    zig, target = toolchain.c[0], zig_target(platform)
    return tuple((name, _quoted((zig, driver, *target))) for name, driver in (("CC", "cc"), ("CXX", "c++")))


def _quoted(words: Iterable[str]) -> str:
    """Words as Go reads them back. There are no escapes: a word with both kinds of quotes cannot be written.

    Source: cmd/internal/quoted.
    """
    joined = []
    for word in words:
        if not re.search(r"[\s'\"]", word):
            joined.append(word)
        elif "'" not in word or '"' not in word:
            mark = '"' if "'" in word else "'"
            joined.append(f"{mark}{word}{mark}")
        else:
            raise BadInput(f"{word!r} has both kinds of quotes, and go accepts only one")
    return " ".join(joined)


def version_wanted(sample: Sample) -> str:
    """The `go` line of its go.mod; "" where there is none."""
    module = None if sample.build != "go" or sample.module else _module(sample.folder)
    try:
        text = (module / "go.mod").read_text(errors="replace") if module else ""
    except OSError:
        return ""
    match = re.search(r"^go\s+(\S+)", text, re.MULTILINE)
    return match[1] if match else ""


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
    linking = _quoted((*recipe.linker_flags.split(), *(word for pair in sample.stamps for word in _stamp(pair))))
    flags = (*sample.options, *recipe.build_flags, f"-ldflags={linking}")
    if sample.module:
        return _install(sample, platform, toolchain, work, unset, env, flags)
    module = _module(sample.folder)
    program = work / "app"
    what = (sample.package,) if sample.package else tuple(f"./{source}" for source in sample.sources)
    lent = _lent_module(sample, toolchain, work) if sample.package and module is None else ()
    overlay = tuple(f"-overlay={step.output}" for step in lent[-1:])
    argv = (*unset, *toolchain.argv, "build", *flags, *overlay, "-o", str(program), *what)
    top = module or sample.folder
    found = sorted({*_files(top, work), *_replacements(top, work), *_settings_file()})
    inputs = tuple(path for path in found if path.is_file())
    # `names`: which files there are, and where links lead, matters even where nothing else changes.
    names = tuple(listed(path) if path.is_symlink() else str(path) for path in found)
    made = tuple(step.output for step in lent)
    command = Command(argv, sample.folder, env)
    build = Step("go build", command, program, stage=1, inputs=inputs, made=made, names=names, links=True)
    return (*lent, build)


def _lent_module(sample: Sample, toolchain: Toolchain, work: Path) -> tuple[Step, ...]:
    """A go.mod for a folder without one, laid over it while go builds; the overlay comes last.

    Only a package of a module can be named by its folder. Files that are named instead are all compiled, whatever
    their names and build constraints say.
    """
    where = os.path.relpath(work, sample.folder.resolve())
    major, minor = numbers(toolchain.version)[:2]
    overlay = json.dumps({"Replace": {"go.mod": f"{where}/go.mod"}})
    return (
        write_step(work / "go.mod", f"module app\n\ngo {major}.{minor}\n"),
        write_step(work / "overlay.json", f"{overlay}\n"),
    )


def _install(
    sample: Sample,
    platform: Platform,
    toolchain: Toolchain,
    work: Path,
    unset: tuple[str, ...],
    env: Environment,
    flags: tuple[str, ...],
) -> tuple[Step, ...]:
    """From the module proxy, into a GOPATH of its own: `go install` refuses to say where else, when cross-compiling.

    What was downloaded stays in the caller's module cache. A version means the same for ever; anything else, such as
    `latest`, is asked for each time.
    """
    path = work / "path"
    own = (*(pair for pair in env if pair[0] not in ("GOPATH", "GOMODCACHE")), ("GOPATH", str(path)))
    modules = dict(env).get("GOMODCACHE") or os.environ.get("GOMODCACHE") or str(_gopath() / "pkg/mod")
    argv = (*unset, *toolchain.argv, "install", *flags, sample.module)
    clear = Command(("rm", "-rf", "--", "path"), work)
    install = Command(argv, work, (*own, ("GOMODCACHE", modules)))
    pick = Command(("cp", "--", f"path/bin/{sample.name}", "app"), work)
    product = Product(path / "bin", "", architecture(platform.architecture).elf_machine)
    moves = re.fullmatch(r"v\d+\.\d+\.\d+[^/]*", sample.module.partition("@")[2]) is None
    return (
        Step("clear", clear, work),
        Step("go install", install, path / "bin", stage=1, links=True, moves=moves),
        Step("pick the program", pick, work / "app", stage=2, product=product),
    )


def _stamp(pair: tuple[str, str]) -> tuple[str, str]:
    return ("-X", f"{pair[0]}={pair[1]}")


def _gopath() -> Path:
    """Where go keeps modules. Source: `go help gopath`."""
    given = (os.environ.get("GOPATH") or "").split(os.pathsep)[0]
    return Path(given or os.path.join(os.environ.get("HOME") or "/", "go"))


def _module(folder: Path) -> Path | None:
    """Where the go.mod is that go would use: above where the folder really is, whatever link leads there."""
    real = folder.resolve()
    return next((parent for parent in (real, *real.parents) if (parent / "go.mod").is_file()), None)


def _files(top: Path, work: Path) -> Iterator[Path]:
    """Files, and the links to folders: an import may lead through one. Each folder is looked into once, none above."""
    seen = {_identity(folder) for folder in top.resolve().parents}
    for parent, folders, files in walk(top, built_in(work), follow=True):
        identity = _identity(Path(parent))
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_symlink() or path.is_file():
                yield path


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _replacements(top: Path, work: Path) -> Iterator[Path]:
    """The files of modules that go.mod takes from a folder: `replace example.org/x => ../x`."""
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
