"""A folder → Sample: which language, which sources, and what its `sample.toml` says.

`sample.toml` is optional and checked strictly: an unknown key or a wrong type is an error that names it.

    language = "c++"                      # guessed from the files
    sources = ["main.cpp", "src/*.cpp"]   # guessed: the C and C++ files in the folder itself
    include = ["include"]                 # folders for headers
    args = ["--verbose"]                  # for the trial run, as stdin is
    stdin = "one two\\n"
    expect = "Hello World!\\n"             # the exact stdout; or { stdout = "…", exit_code = 3 }; for a program that
                                          # does not end, { serves = 2 }: it has to run for two seconds
    default_recipe = "zig-static-small"
    [libraries]                           # static libraries of its own, in link order
    count = ["lib/*.cpp"]
    [image]                               # see recipes/imagesettings.py
    env = { LANG = "C" }
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from recipes.errors import BadInput, unknown
from recipes.model import Expect, ImageSettings, Language, Sample
from recipes.settings import Table
from recipes.workspace import Workspace

C_SUFFIXES = (".c",)
CPP_SUFFIXES = (".cpp", ".cc", ".cxx", ".c++", ".C")
SETTINGS = "sample.toml"


def names(workspace: Workspace) -> tuple[str, ...]:
    """The folders below samples/, sorted."""
    try:
        with os.scandir(workspace.samples) as entries:
            return tuple(sorted(entry.name for entry in entries if _is_sample_folder(entry)))
    except OSError:
        return ()


def load(name_or_path: str, workspace: Workspace) -> Sample:
    """The sample of that name below samples/, or in the folder at that path.

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
            raise unknown("sample", name_or_path, known)
    return _read(folder, folder.name or "root")


def prebuilt(path: str, args: tuple[str, ...] = (), stdin: str = "") -> Sample:
    """A program that somebody else has built, as a sample that needs no recipe. Raises: BadInput."""
    file = Path(path).absolute()
    try:
        is_file = file.is_file()
    except ValueError:  # a name with a NUL in it
        is_file = False
    if not is_file:
        raise BadInput(f"no such file: {path!r}", hint="name a program; a folder with sources is for `build-static`")
    return Sample(file.name, file.parent, "binary", (Path(file.name),), args, stdin)


def _read(folder: Path, name: str) -> Sample:
    settings = _Settings.of(folder / SETTINGS)
    language = _language(folder, settings)
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
        sources = tuple(source for source in _guess_sources(folder, language) if source not in claimed)
    if language == "c++":
        _check_suffixes(sources, "sources", settings)
    if not sources:
        raise BadInput(
            f"sample {name!r} has no sources",
            hint=f"put a .cpp or .go file into {str(folder)!r}, or name some in its {SETTINGS}",
        )
    if language == "go" and (libraries or settings.has("include")):
        raise settings.wrong("libraries" if libraries else "include", "is for C++; Go finds its own packages")
    include = tuple(settings.inside(text, "include") for text in settings.texts("include"))
    for path in include:
        if not (folder / path).is_dir():
            raise settings.wrong("include", f"names {str(path)!r}, which is not a folder here")
    return Sample(
        name,
        folder,
        language,
        sources,
        args=settings.texts("args"),
        stdin=settings.text("stdin", ""),
        expect=settings.expect(),
        default_recipe=settings.recipe(language),
        image=settings.image(),
        libraries=libraries,
        include=include,
    )


def _is_sample_folder(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith((".", "__pycache__")) and entry.is_dir()


def _language(folder: Path, settings: _Settings) -> Language:
    given = settings.text("language", "")
    if given:
        if given not in ("c++", "go"):
            raise settings.wrong("language", f"is {given!r}", hint='write "c++" (for C too) or "go"')
        return "go" if given == "go" else "c++"
    files = _files(folder)
    if "go.mod" in files or any(file.endswith(".go") for file in files):
        return "go"
    return "c++"


def _files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))
    except OSError as error:
        raise BadInput(f"cannot read the sample's folder {str(folder)!r}: {error.strerror}") from error


def _guess_sources(folder: Path, language: Language) -> Iterable[Path]:
    suffixes = (".go",) if language == "go" else (*C_SUFFIXES, *CPP_SUFFIXES)
    return [Path(name) for name in _files(folder) if name.endswith(suffixes) and not name.endswith("_test.go")]


def _check_suffixes(sources: Iterable[Path], key: str, settings: _Settings) -> None:
    for source in sources:
        if source.suffix not in (*C_SUFFIXES, *CPP_SUFFIXES):
            suffixes = ", ".join((*C_SUFFIXES, *CPP_SUFFIXES))
            raise settings.wrong(key, f"names {str(source)!r}, which is no C or C++ source", f"known: {suffixes}")


def _expand(folder: Path, patterns: Iterable[str], settings: _Settings, key: str) -> tuple[Path, ...]:
    """The files that the patterns name, each once, in the order of the patterns; those of one pattern are sorted."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = settings.inside(pattern, key)
        if (folder / path).is_file():  # so that a name with a * or [ in it can be given as it is
            matches = [path]
        else:
            try:
                matches = sorted(match.relative_to(folder) for match in folder.glob(str(path)) if match.is_file())
            except (ValueError, NotImplementedError) as error:  # such as `**x`
                raise settings.wrong(key, f"names {pattern!r}: {error}") from error
        if not matches:
            raise settings.wrong(key, f"names {pattern!r}, and there is no such file")
        found.update(dict.fromkeys(matches))
    return tuple(found)


class _Settings:
    """A `sample.toml` (an absent one is empty), asked key by key for values of a certain type."""

    KEYS = ("language", "sources", "include", "libraries", "args", "stdin", "expect", "default_recipe", "image")

    def __init__(self, path: Path, values: dict[str, Any]) -> None:
        self.path = path
        self.values = values
        self._only(values, self.KEYS, "")

    @classmethod
    def of(cls, path: Path) -> _Settings:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return cls(path, {})
        except OSError as error:
            raise BadInput(f"cannot read {str(path)!r}: {error.strerror}") from error
        import tomllib

        try:
            return cls(path, tomllib.loads(data.decode()))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadInput(f"{str(path)!r} is not valid TOML: {error}") from error

    def has(self, key: str) -> bool:
        return key in self.values

    def wrong(self, key: str, what: str, hint: str = "") -> BadInput:
        return BadInput(f"{str(self.path)!r}: {key!r} {what}", hint)

    def text(self, key: str, default: str) -> str:
        return str(self._value(self.values, key, key, _is_text, "a string", default))

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self._value(self.values, key, key, _is_texts, "a list of strings", ()))

    def lists(self, key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        table = self._value(self.values, key, key, _is_table, "a table of lists of strings", {})
        for name in table:
            self._value(table, name, f"{key}.{name}", _is_texts, "a list of strings", ())
        return tuple((name, tuple(value)) for name, value in table.items())

    def expect(self) -> Expect:
        given = self.values.get("expect", {})
        if isinstance(given, str):
            return Expect(given)
        if not isinstance(given, dict):
            raise self.wrong("expect", "has to be a string or a table with stdout, exit_code and serves")
        self._only(given, ("stdout", "exit_code", "serves"), "expect.")
        stdout = self._value(given, "stdout", "expect.stdout", _is_text, "a string", None)
        code = self._value(given, "exit_code", "expect.exit_code", _is_code, "a number 0 to 255", 0)
        serves = self._value(given, "serves", "expect.serves", _is_seconds, "a number of seconds up to 600", None)
        return Expect(stdout, code, serves)

    def recipe(self, language: Language) -> str | None:
        name = self.text("default_recipe", "")
        if not name:
            return None
        from recipes.compile.recipe import RECIPES

        fitting = [recipe.name for recipe in RECIPES.values() if recipe.language == language]
        if name not in fitting:
            near = unknown("recipe", name, fitting)
            raise self.wrong("default_recipe", f"is {name!r}, which is no recipe for {language}", near.hint)
        return name

    def image(self) -> ImageSettings:
        from recipes.imagesettings import read

        table = Table(
            repr(str(self.path)), self._value(self.values, "image", "image", _is_table, "a table", {}), "image."
        )
        return read(table, lambda text, key: self.path.parent / self.inside(text, key))

    def inside(self, text: str, key: str) -> Path:
        """A path that stays inside the sample's folder: what lies elsewhere would not move with it."""
        path = Path(text)
        if not text or path.is_absolute() or ".." in path.parts:
            raise self.wrong(key, f"names {text!r}, which is not inside the sample's folder")
        return path

    def _only(self, table: dict[str, Any], known: tuple[str, ...], prefix: str) -> None:
        for key in table:
            if key not in known:
                raise BadInput(f"{str(self.path)!r}: unknown key {prefix + key!r}", unknown("key", key, known).hint)

    def _value(
        self, table: dict[str, Any], key: str, shown: str, fits: Callable[[Any], bool], wanted: str, default: Any
    ) -> Any:
        if key not in table:
            return default
        if not fits(table[key]):
            raise self.wrong(shown, f"has to be {wanted}")
        return table[key]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 600


def _is_code(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255
