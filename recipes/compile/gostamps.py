"""The variables that hold a Go program's version, which its own build sets by the linker's -X.

Go records the version of a module in each program, but many print a variable of their own. Only a variable is set that
is in the source and takes a string, and only where the project itself says that it gets the version: its GoReleaser
file does, or the variable has a usual name in a usual place, and a placeholder for its value.
Source: `go doc cmd/link`, -X; goreleaser.com, "Builds", `ldflags`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from recipes.compile.files import text_of
from recipes.model import Environment

# A block whose end is missing is over where the next one begins: each line is looked at once.
_DECLARED = re.compile(r"^var (?:\((?P<block>(?:.*\n(?!\)|var ))*.*\n)\)|(?P<single>[^(\n].*)$)", re.MULTILINE)
_VARIABLES = re.compile(
    r"^[ \t]*(?P<names>\w+(?:, ?\w+)*)(?P<typed>[ \t]+string)?[ \t]*(?:=[ \t]*(?P<values>[^\n]*)|//.*)?$", re.MULTILINE
)
_LITERAL = re.compile(r'"(?P<quoted>[^"\\]*)"|`(?P<raw>[^`]*)`')
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_IN_RELEASE = re.compile(r"-X[\s=]+[\"']?(?P<name>[\w./~-]+\.\w+)=(?P<v>v?)\{\{\s*\.(?P<field>Version|Tag)\s*\}\}")
_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_PLACEHOLDER = re.compile(
    r"|\W?(dev|devel|develop|development|unknown|undefined|unset|none|n/a|source|snapshot|head|main|master)( build)?\W?"
    r"|v?0\.0\.0([+-].*)?|.*\$Format:.*",
    re.IGNORECASE,
)
_NAMES = ("version", "Version", "gitVersion", "GitVersion")
_RELEASE_FILES = (".goreleaser.yml", ".goreleaser.yaml")
_OTHERS = ("vendor", "testdata")


def version_stamps(package: str, module: str, version: str, folder: Path, beside: Mapping[str, Path]) -> Environment:
    """Pairs for the linker, `main.version` and `v1.2.3`: for the main package `package` of the module in `folder`.

    `beside` are the modules of the same repository, each with its folder.
    """
    own = {module: folder, **beside}
    main = folder / package.removeprefix(module).strip("/")
    released = {name: value for name, value in _released(folder, version) if _is_variable(name, main, own)}
    if released:
        return tuple(released.items())
    places = {"main": main}
    for path, top in own.items():
        places |= {f"{path}/{where}": top / where for where in _version_packages(top)}
    return tuple(pair for path, place in places.items() for pair in _conventional(path, place, version))


def _released(folder: Path, version: str) -> Iterator[tuple[str, str]]:
    """The variables that the project's GoReleaser file sets to the version. A version there is a tag without its v."""
    for name in _RELEASE_FILES:
        for found in _IN_RELEASE.finditer(_COMMENT.sub("", text_of(folder / name))):
            plain = version if found["field"] == "Tag" else version.removeprefix("v")
            yield found["name"], found["v"] + plain


def _is_variable(name: str, main: Path, own: Mapping[str, Path]) -> bool:
    path, _, variable = name.rpartition(".")
    if path == "main":
        return variable in _variables(main)
    module = max((each for each in own if f"{path}/".startswith(f"{each}/")), key=len, default="")
    return bool(module) and variable in _variables(own[module] / path.removeprefix(module).strip("/"))


def _conventional(path: str, folder: Path, version: str) -> Iterator[tuple[str, str]]:
    known = _variables(folder)
    for name in _NAMES:
        value = known.get(name)
        if value is None or not _PLACEHOLDER.fullmatch(value):
            continue
        yield f"{path}.{name}", version.removeprefix("v") if value[:1].isdigit() else version
        if name == "gitVersion":  # Kubernetes' convention has these beside it
            numbers = version.removeprefix("v").split(".")
            beside = zip(("gitMajor", "gitMinor"), numbers, strict=False)
            yield from ((f"{path}.{part}", number) for part, number in beside if known.get(part) == "")


def _version_packages(top: Path) -> Iterator[str]:
    """The folders called `version` of the module at `top`, relative to it."""
    for parent, folders, _ in os.walk(top):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _OTHERS
            and not name.startswith((".", "_"))
            and not os.path.isfile(os.path.join(parent, name, "go.mod"))
        )
        if os.path.basename(parent) == "version":
            yield os.path.relpath(parent, top)


def _variables(folder: Path) -> dict[str, str | None]:
    """The package's variables that may be strings, with their values, as gofmt writes them; None for one by a name."""
    found: dict[str, str | None] = {}
    for file in sorted(folder.glob("*.go")):
        if not file.name.endswith("_test.go"):
            for declared in _DECLARED.finditer(text_of(file)):
                for each in _VARIABLES.finditer(declared["block"] or declared["single"]):
                    found.update(_declared(each))
    return found


def _declared(found: re.Match[str]) -> Iterator[tuple[str, str | None]]:
    names = found["names"].replace(" ", "").split(",")
    if found["values"] is None:
        yield from ((name, "") for name in names if found["typed"])
        return
    values = found["values"].partition(" //")[0].strip().split(",")
    for name, value in zip(names, values, strict=False):
        if literal := _LITERAL.fullmatch(value.strip()):
            yield name, literal["quoted"] or literal["raw"] or ""
        elif _NAME.fullmatch(value.strip()):
            yield name, None
