"""A folder → Sample: which language, which sources, and what its `sample.toml` says.

`sample.toml` is optional and checked strictly: an unknown key or a wrong type is an error that names it.

    language = "c++"                      # guessed from the files
    build = "cmake"                       # guessed: cmake, meson, autotools, make; else sources
    target = "server"                     # which program, where the build system makes several
    options = ["-DWITH_TLS=OFF"]          # for cmake, meson setup, configure, make or go build, as they are
    sources = ["main.cpp", "src/*.cpp"]   # guessed: the C and C++ files in the folder itself
    include = ["include"]                 # folders for headers
    libs = ["zlib", "libpq"]              # libraries of this machine, by their pkg-config names
    args = ["--verbose"]                  # for the trial run, as stdin is
    stdin = "one two\\n"
    expect = "Hello World!\\n"             # the exact stdout; or { stdout = "…", exit_code = 3 }; for a program that
                                          # does not end, { serves = 2 }: it has to run for two seconds;
                                          # { contains = "…" } is a part of stdout. Left out, it has to start
    default_recipe = "zig-static-small"
    package = "./cmd/server"              # Go: which main package; guessed where there is only one
    module = "example.org/x/cmd/y@v1.2.3" # Go: built straight from the module proxy, instead of files here
    [stamps]                              # Go: string variables that the linker sets
    "main.version" = "1.2.3"
    [libraries]                           # static libraries of its own, in link order
    count = ["lib/*.cpp"]
    [image]                               # see recipes/samples/image_settings.py
    env = { LANG = "C" }
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from recipes.errors import BadInput, unknown
from recipes.languages import C_SUFFIXES, CPP_SUFFIXES
from recipes.model import BuildSystem, Environment, Expect, ImageSettings, Language, Sample
from recipes.support.console import note
from recipes.support.settings import Table, is_text
from recipes.support.workspace import Workspace

SETTINGS = "sample.toml"

_MARKS: dict[BuildSystem, tuple[str, ...]] = {
    "cmake": ("CMakeLists.txt",),
    "meson": ("meson.build",),
    "autotools": ("configure", "configure.ac", "configure.in", "Configure"),
    "make": ("GNUmakefile", "makefile", "Makefile"),
}
"""The files that build systems start from. The order decides where there are several: what comes later is mostly made
by what comes before it."""

_NO_PROJECT = frozenset({"debian", "doc", "docs", "examples", "man", "po", "test", "tests"})
"""Folders whose build files make no program."""

_MACHINE = Path("/")
_INSTALLED = frozenset({"bin", "sbin", "lib", "lib32", "lib64", "usr", "opt", "nix", "gnu"})
"""Where packages put programs: hier(7), and the stores of Nix and Guix."""

_NAMED = 5
"""So many folders with build files are named."""

_GO_KEYS = ("package", "module", "stamps")
_MODULE = r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+/[^@\s]+@[^@\s/]+"


def names(workspace: Workspace) -> tuple[str, ...]:
    """The folders below samples/, sorted; none where there is no such folder. Raises: BadInput."""
    try:
        with os.scandir(workspace.samples) as entries:
            return tuple(sorted(entry.name for entry in entries if _is_sample_folder(entry)))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise BadInput(f"cannot read {str(workspace.samples)!r}: {error.strerror}") from error


def load(
    name_or_path: str,
    workspace: Workspace,
    *,
    target: str = "",
    package: str = "",
    build: str = "",
    options: tuple[str, ...] = (),
) -> Sample:
    """The sample of that name below samples/, in the folder at that path, or the Go program `module/path@version`.

    `target` and `package` override the sample's own; what they choose is part of the name, as it is another program.
    So does `build`; `options` come after the sample's own.
    Raises: BadInput where there is no such folder, nothing to build in it, or its sample.toml is wrong.
    """
    known = names(workspace)
    if name_or_path in known:
        folder = workspace.samples / name_or_path
    else:
        try:
            folder = Path(name_or_path).resolve()
            is_folder = bool(name_or_path) and folder.is_dir()
        except (OSError, ValueError):  # a link that leads to itself; a name with a NUL in it
            is_folder = False
        if not is_folder:
            if re.fullmatch(_MODULE, name_or_path):
                return replace(_from_proxy(name_or_path, workspace, target or package, build), options=options)
            raise _not_a_sample(name_or_path, known)
    chosen = [part for part in (target or package).split("/") if part not in ("", ".")]
    name = "-".join((folder.name or "root", *chosen))
    if not build and (inner := _only_inner(folder)):
        note(f"building {str(inner)!r}: no other folder of {folder.name} has build files")
        folder = inner
    settings = _Settings.of(folder / SETTINGS).changed(build, options)
    system = _build_system(folder, settings)
    if system == "go":
        sample = _read_go(folder, name, settings, package)
    elif system == "sources":
        sample = _read_sources(folder, name, settings)
    else:
        sample = _read_project(folder, name, settings, system, target)
    if target and system in ("go", "sources"):
        raise BadInput(
            f"{folder.name} makes one program, so --target does not apply",
            hint="for Go it is --package" if system == "go" else "leave it out",
        )
    if package and system != "go":
        raise BadInput(f"--package is for Go, and {folder.name} is built by {system}", hint="use --target")
    return sample


def _not_a_sample(name: str, known: tuple[str, ...]) -> BadInput:
    if os.path.isfile(name):
        return BadInput(
            f"{name!r} is a file, not a folder with sources",
            hint="a built program is for `invoke package`, or `invoke smallest`",
        )
    if "/" in name or not known:
        return BadInput(
            f"no such file or folder: {name!r}", hint="check the path; `invoke samples` lists those with a name"
        )
    return unknown("sample", name, known)


def prebuilt(path: str, args: tuple[str, ...] = (), stdin: str = "", root: Path = _MACHINE) -> Sample:
    """A prebuilt program, as a sample that needs no recipe. In an image it stands where it stands in `root`.

    Raises: BadInput.
    """
    file = Path(path).absolute()
    try:
        is_file = file.is_file()
    except ValueError:  # a name with a NUL in it
        is_file = False
    except OSError as error:  # a folder on the way that may not be searched, a name that is too long
        raise BadInput(f"cannot access {path!r}: {error.strerror}") from error
    if not is_file:
        what = "not a program" if os.path.lexists(path) and "\0" not in path else "no such file"
        raise BadInput(f"{what}: {path!r}", hint="name a program; a folder with sources is for `invoke build-static`")
    place, called = _at_home(file, root.resolve())
    image = ImageSettings(path=place, called=called)
    return Sample(file.name, file.parent, "binary", (Path(file.name),), args=args, stdin=stdin, image=image)


def _at_home(file: Path, root: Path) -> tuple[str, str]:
    """The place of a file of `root` without links, and its own name where that is one: programs look at both.

    On this machine that is only said of what is installed: other places, such as a home, mean nothing elsewhere.
    """
    if not (file.resolve().is_relative_to(root) and file.parent.resolve().is_relative_to(root)):
        return "", ""
    place = file.resolve().relative_to(root)
    called = file.parent.resolve().relative_to(root) / file.name
    if root == _MACHINE and place.parts[0] not in _INSTALLED:
        return "", ""
    kept = called != place and (root != _MACHINE or called.parts[0] in _INSTALLED)
    return f"/{place}", f"/{called}" if kept else ""


def _read_project(folder: Path, name: str, settings: _Settings, build: BuildSystem, target: str) -> Sample:
    """A sample that its own build system builds: its files are that system's business."""
    settings.without(("libraries", "include", "libs"), f"is for loose sources, and this is built by {build}")
    settings.without(_GO_KEYS, f"is for Go, and this is built by {build}")
    return _sample(
        folder,
        name,
        settings,
        "c++",
        (),
        build=build,
        target=target or settings.text("target"),
        alternatives=_alternatives(folder, settings, build),
    )


def _read_sources(folder: Path, name: str, settings: _Settings) -> Sample:
    settings.without(("target", "options"), "is for a build system, and these are loose sources")
    settings.without(_GO_KEYS, "is for Go")
    patterns = settings.texts("sources")
    # A pattern as wide as sources = ["**/*.cpp"] does not compile a library's files twice.
    libraries = tuple(
        (key, _expand(folder, globs, settings, f"libraries.{key}")) for key, globs in settings.lists("libraries")
    )
    for key, members in libraries:
        _check_suffixes(members, f"libraries.{key}", settings)
    claimed = {source for _, members in libraries for source in members}
    if patterns:
        sources = tuple(source for source in _expand(folder, patterns, settings, "sources") if source not in claimed)
    else:
        sources = tuple(source for source in _guess_sources(folder) if source not in claimed)
    _check_suffixes(sources, "sources", settings)
    if not sources and claimed:
        raise settings.wrong("libraries", "takes all sources, and none is left for the program", hint="add its own")
    if not sources:
        raise _nothing_here(folder, name)
    include = tuple(settings.inside(text, "include") for text in settings.texts("include"))
    for path in include:
        if not (folder / path).is_dir():
            raise settings.wrong("include", f"names {str(path)!r}, which is not a folder here")
    return _sample(folder, name, settings, "c++", sources, libraries=libraries, include=include, libs=_libs(settings))


def _libs(settings: _Settings) -> tuple[str, ...]:
    names = settings.texts("libs")
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", name):
            raise settings.wrong("libs", f"names {name!r}", hint='write what pkg-config calls it, such as "zlib"')
    return names


def _read_go(folder: Path, name: str, settings: _Settings, package: str) -> Sample:
    settings.without(("libraries", "include", "libs"), "is for C++; Go finds its own packages")
    settings.without(("target",), 'is for C++; Go\'s word for it is "package"')
    if any(re.match(r"--?ldflags(=|$)", option) for option in settings.texts("options")):
        raise settings.wrong(
            "options", "has -ldflags, which the recipe sets", hint="what -X would set goes into [stamps]"
        )
    module = settings.text("module")
    if module:
        settings.without(("sources", "package"), "and 'module' exclude each other")
        if not re.fullmatch(_MODULE, module):
            raise settings.wrong("module", f"is {module!r}", hint="write it as example.org/x/cmd/y@v1.2.3")
        if package:
            raise BadInput(f"{name} is {module}, so --package does not apply")
        return _sample(folder, name, settings, "go", (), build="go", module=module)
    if settings.has("sources"):
        settings.without(("package",), "and 'sources' exclude each other")
        if package:
            raise BadInput(
                f"{folder.name} is made of the sources in its {SETTINGS}, so --package does not apply",
                hint="remove 'sources' from it",
            )
        files = _expand(folder, settings.texts("sources"), settings, "sources")
        return _sample(folder, name, settings, "go", files, build="go", package="")
    from recipes.samples.go_packages import find_main, go_files

    wanted = package or settings.text("package")
    chosen = find_main(folder, wanted, name)
    sources = tuple(Path(os.path.normpath(Path(chosen, file))) for file in go_files(folder / chosen))
    if not sources:
        raise _nothing_here(folder, name)
    return _sample(folder, name, settings, "go", sources, build="go", package=chosen)


def _from_proxy(module: str, workspace: Workspace, chosen: str, build: str) -> Sample:
    if build not in ("", "go"):
        raise BadInput(f"{module} is built by go, so --build does not apply")
    if chosen:
        raise BadInput(f"{module} is one package, so --package and --target do not apply")
    # Go's own rule: a program is called after the last element of its path that is no major version.
    parts = [part for part in module.partition("@")[0].split("/") if not re.fullmatch(r"v[0-9]+", part)]
    return Sample(parts[-1], workspace.root, "go", (), build="go", module=module)


def _sample(
    folder: Path, name: str, settings: _Settings, language: Language, sources: tuple[Path, ...], **more: Any
) -> Sample:
    """A sample with all that is independent of how it is built."""
    return Sample(
        name,
        folder,
        language,
        sources,
        args=settings.texts("args"),
        stdin=settings.text("stdin"),
        expect=settings.expect(),
        default_recipe=settings.recipe(language),
        image=settings.image(folder),
        options=settings.texts("options"),
        stamps=settings.stamps() if language == "go" else None,
        **more,
    )


def _only_inner(folder: Path) -> Path | None:
    """The only folder below with build files, where this one has neither those nor sources nor settings."""
    files = _files(folder)
    known = (SETTINGS, "go.mod", *(mark for marks in _MARKS.values() for mark in marks))
    if any(file in known or file.endswith((".go", *C_SUFFIXES, *CPP_SUFFIXES)) for file in files):
        return None
    below = [each for each in _with_build_files(folder) if each.name not in _NO_PROJECT]
    return below[0] if len(below) == 1 else None


def _with_build_files(folder: Path) -> list[Path]:
    marks = [mark for each in _MARKS.values() for mark in each]
    return sorted({path.parent for mark in marks for path in folder.glob(f"*/{mark}")})


def _nothing_here(folder: Path, name: str) -> BadInput:
    below = [path.name for path in _with_build_files(folder)]
    hint = f"put a .cpp or .go file into {str(folder)!r}, or name some in its {SETTINGS}"
    if below:
        hint = f"there are build files in {', '.join(below[:_NAMED])}: name such a folder itself"
    return BadInput(f"sample {name!r} has no sources", hint=hint)


def _is_sample_folder(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith((".", "__pycache__")) and entry.is_dir()


def _build_system(folder: Path, settings: _Settings) -> BuildSystem:
    """What sample.toml says, else what the files say: Go first, then the file that each build system starts from."""
    language, build = settings.text("language"), settings.text("build")
    if language not in ("", "c++", "go"):
        raise settings.wrong("language", f"is {language!r}", hint='write "c++" (for C too) or "go"')
    if build:
        if build not in _MARKS and build not in ("sources", "go"):
            raise settings.wrong("build", f"is {build!r}", unknown("build", build, ("sources", *_MARKS, "go")).hint)
        if language and (language == "go") != (build == "go"):
            raise settings.wrong("build", f"is {build!r}, and 'language' is {language!r}")
        if build != "sources" and build != "go":
            settings.without(("sources",), f"is for loose sources, and 'build' is {build!r}")
        return cast(BuildSystem, build)
    files = _files(folder)
    if language == "go" or settings.has("module"):
        return "go"
    if not language and ("go.mod" in files or any(file.endswith(".go") for file in files)):
        return "go"
    if any(settings.has(key) for key in ("sources", "libraries", "include", "libs")):
        return "sources"
    return next((system for system, marks in _MARKS.items() if any(mark in files for mark in marks)), "sources")


def _alternatives(folder: Path, settings: _Settings, build: BuildSystem) -> tuple[BuildSystem, ...]:
    """The other build systems that configure this project; none where the sample says how it is built."""
    if settings.text("build") or settings.has("options"):
        return ()
    files = _files(folder)
    configuring = {system: marks for system, marks in _MARKS.items() if system != "make"}
    return tuple(
        system for system, marks in configuring.items() if system != build and any(mark in files for mark in marks)
    )


def _files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))
    except OSError as error:
        raise BadInput(f"cannot read the sample's folder {str(folder)!r}: {error.strerror}") from error


def _guess_sources(folder: Path) -> Iterable[Path]:
    return [Path(name) for name in _files(folder) if name.endswith((*C_SUFFIXES, *CPP_SUFFIXES))]


def _check_suffixes(sources: Iterable[Path], key: str, settings: _Settings) -> None:
    for source in sources:
        if source.suffix not in (*C_SUFFIXES, *CPP_SUFFIXES):
            suffixes = ", ".join((*C_SUFFIXES, *CPP_SUFFIXES))
            raise settings.wrong(key, f"names {str(source)!r}, which is not a C or C++ source", f"known: {suffixes}")


def _expand(folder: Path, patterns: Iterable[str], settings: _Settings, key: str) -> tuple[Path, ...]:
    """The files that the patterns name, each once, in the order of the patterns; those of one pattern are sorted."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = settings.inside(pattern, key)
        if (folder / path).is_file():  # so that a name with a * or [ in it can be given as it is
            matches = [path]
        elif not path.parts:  # the folder itself, which is no pattern
            matches = []
        else:
            try:
                matches = sorted(match.relative_to(folder) for match in folder.glob(str(path)) if match.is_file())
            except (ValueError, NotImplementedError) as error:  # such as `**x`
                raise settings.wrong(key, f"names {pattern!r}: {error}") from error
        if not matches:
            raise settings.wrong(key, f"names {pattern!r}, which matches no file")
        found.update(dict.fromkeys(matches))
    return tuple(found)


class _Settings(Table):
    """A `sample.toml`; an absent one is empty."""

    KEYS = (
        *("language", "sources", "include", "libraries", "libs", "args", "stdin", "expect", "default_recipe", "image"),
        *("build", "target", "options", *_GO_KEYS),
    )

    @classmethod
    def of(cls, path: Path) -> _Settings:
        settings = cls.read(path)
        settings.only(*cls.KEYS)
        return settings

    def changed(self, build: str, options: tuple[str, ...]) -> _Settings:
        """The same with what the command line says about the build."""
        values = dict(self.values)
        if build:
            values["build"] = build
        if options:
            values["options"] = [*self.texts("options"), *options]
        where = f"{self.where} with --build and --option" if build or options else self.where
        return type(self)(where, values)

    def has(self, key: str) -> bool:
        return key in self.values

    def without(self, keys: Iterable[str], why: str) -> None:
        for key in keys:
            if self.has(key):
                raise self.wrong(key, why)

    def lists(self, key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        table = self.table(key)
        return tuple((name, table.texts(name)) for name in table.values)

    def stamps(self) -> Environment | None:
        if not self.has("stamps"):
            return None
        table = self.pairs("stamps")
        for name, value in table.items():
            if not re.fullmatch(r"[^\s='\"]+\.[^\s='\".]+", name):
                raise self.wrong(f"stamps.{name}", "is not a variable of a package", 'such as "main.version" = "1.2.3"')
            if "'" in value and '"' in value:
                raise self.wrong(f"stamps.{name}", "has both kinds of quotes, and the Go linker accepts only one")
        return tuple(table.items())

    def expect(self) -> Expect | None:
        given = self.values.get("expect")
        if given is None:
            return None
        if isinstance(given, str):
            return Expect(given)
        if not isinstance(given, dict):
            raise self.wrong("expect", "has to be a string or a table with stdout, contains, exit_code and serves")
        table = self.table("expect")
        table.only("stdout", "exit_code", "serves", "contains")
        if "serves" in given and "exit_code" in given:
            raise table.wrong("exit_code", "and serves exclude each other")
        return Expect(
            table.get("stdout", is_text, "a string", None),
            table.get("exit_code", is_code, "a number 0 to 255", 0),
            table.get("serves", is_seconds, "a number of seconds up to 600", None),
            table.get("contains", is_text, "a string", None),
        )

    def recipe(self, language: Language) -> str | None:
        name = self.text("default_recipe")
        if not name:
            return None
        from recipes.compile.recipe import RECIPES

        fitting = [recipe.name for recipe in RECIPES.values() if recipe.language == language]
        if name not in fitting:
            near = unknown("recipe", name, fitting)
            raise self.wrong("default_recipe", f"is {name!r}, which is not a recipe for {language}", near.hint)
        return name

    def image(self, folder: Path) -> ImageSettings:
        if not self.has("image"):
            return ImageSettings()
        from recipes.samples.image_settings import read

        return read(self.table("image"), lambda text, key: folder / self.inside(text, key))

    def inside(self, text: str, key: str) -> Path:
        """A path that stays inside the sample's folder: what lies elsewhere would not move with it."""
        path = Path(text)
        if not text or path.is_absolute() or ".." in path.parts:
            raise self.wrong(key, f"names {text!r}, which is not inside the sample's folder")
        return path


def is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 600


def is_code(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255
