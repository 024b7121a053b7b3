"""What a module proxy says of a program: the module that it is in, and the directives which `go install` refuses.

`go install module@version` refuses a module whose go.mod has `replace` or `exclude`: they count in the main module
alone. So there is a main module of ours with the same directives, which requires that version; the program is then told
its version by go, and the module stays in go's cache as it is.
Source: `go help install`; go.dev/ref/mod, "go.mod files" and "Module cache".
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from recipes.compile.gostamps import version_stamps
from recipes.compile.paths import slug
from recipes.model import Command, Environment
from recipes.support import shell
from recipes.support.console import stage
from recipes.support.records import keep_value, kept_value

_VERSION = re.compile(r"v\d+\.\d+\.\d+[^/]*")
_PLACEHOLDER = re.compile(r"v0\.0\.0|v\d+\.0\.0-00010101000000-0{12}")
"""What is written where a replacement always counts; the long one is what go itself writes."""

_PSEUDO = re.compile(r".*?(\d{14})-[0-9a-f]{12}")
_AT_ONCE = 20


def is_fixed(version: str) -> bool:
    """Whether it means the same for ever; anything else, such as `latest` or `v1`, is a question."""
    return _VERSION.fullmatch(version) is not None


@dataclass(frozen=True, slots=True)
class MainModule:
    """`go_mod` is the text of a go.mod that builds the program as its own does; `go_sum` is its own go.sum, or "".
    `go` is the version of Go that it asks for.

    `needed` says that `go install` would refuse the program's own. `remark` tells which versions stand for folders
    that only its repository has. `stamps` are the program's variables that hold its version.
    """

    go: str
    go_mod: str
    go_sum: str
    needed: bool
    remark: str
    stamps: Environment = ()


@dataclass(frozen=True, slots=True)
class _Record:
    main: MainModule
    of: int = 2


class _Version(NamedTuple):
    """A version of a module, and when it was published (RFC 3339, in UTC)."""

    module: str
    version: str
    time: str
    go_mod: str


class Proxy:
    """The `go` command where it asks module proxies; what it finds out about a fixed version is kept in `cache`.

    A question such as `latest` is asked once: what is planned is what is built.
    """

    def __init__(self, go: Sequence[str], env: Environment, cache: Path) -> None:
        self._go, self._env, self._cache = tuple(go), env, cache
        self._found: dict[str, MainModule] = {}

    def main_module(self, program: str) -> MainModule | None:
        """For `package/path@version`. None where the proxies do not have it: `go install` says why."""
        version = program.partition("@")[2]
        record = self._cache / f"{slug(program)}.json"
        known = kept_value(record, _Record) if is_fixed(version) else None
        if known is not None and os.path.exists(known.main.go_sum or "/"):
            return known.main
        main = self._found.get(program)
        if main is None:
            with stage(f"asking module proxies for {program}"):  # large modules take a while
                main = self._find(program)
        if main is None:
            return None
        self._found[program] = main
        if is_fixed(version):
            keep_value(record, _Record(main))
        return main

    def _find(self, program: str) -> MainModule | None:
        package, _, version = program.partition("@")
        found = self._holder(package, version)
        return self._main(package, *found) if found else None

    def _holder(self, package: str, version: str) -> tuple[_Version, Path] | None:
        """The module that has the package, of those whose path it begins with the one with the longest; and its folder.

        Source: go.dev/ref/mod, "Resolving a package to a module".
        """
        parts = package.split("/")
        prefixes = ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]
        for module in self._versions(f"{prefix}@{version}" for prefix in prefixes):
            got = next(self._ask("mod", "download", "-json", f"{module.module}@{module.version}"), {})
            folder = Path(got.get("Dir", "/nonexistent"))
            if any((folder / package[len(module.module) :].strip("/")).glob("*.go")):
                return module, folder
        return None

    def _main(self, package: str, found: _Version, folder: Path) -> MainModule | None:
        """None where this go does not understand what the go.mod says."""
        said = next(self._ask("mod", "edit", "-json", found.go_mod), None)
        if said is None:
            return None
        replaced, excluded = said.get("Replace") or (), said.get("Exclude") or ()
        local = [each["Old"]["Path"] for each in replaced if "Version" not in each["New"]]
        required = {each["Path"]: each["Version"] for each in said.get("Require") or ()}
        # A replacement that nothing requires keeps others out, or is for tests.
        wanted = {path: required[path] for path in dict.fromkeys(local) if path in required}
        published = self._published(wanted, found)
        go = said.get("Go", "1.16")  # what is meant where nothing is said
        lines = [
            "module app",
            f"go {go}",
            *(f"godebug {each['Key']}={each['Value']}" for each in said.get("GoDebug") or ()),
            f"require {found.module} {found.version}",
            *(_replacement(each) for each in replaced if "Version" in each["New"]),
            *(f"replace {path} => {path} {version}" for path, version in published.items() if version != wanted[path]),
            *(f"exclude {each['Path']} {each['Version']}" for each in excluded),
        ]
        needed = bool(replaced or excluded)
        sums = folder / "go.sum"
        return MainModule(
            go=go,
            go_mod="\n\n".join(lines) + "\n",
            go_sum=str(sums) if sums.is_file() else "",
            needed=needed,
            remark=_remark(found, wanted, published),
            stamps=version_stamps(package, found.module, found.version, folder, self._folders(published)),
        )

    def _folders(self, versions: Mapping[str, str]) -> dict[str, Path]:
        """Where go's cache has these modules, each at its version; those that it could not fetch are left out."""
        wanted = [f"{path}@{version}" for path, version in versions.items()]
        answers = self._ask("mod", "download", "-json", *wanted) if wanted else ()
        return {each["Path"]: Path(each["Dir"]) for each in answers if "Dir" in each}

    def _published(self, wanted: Mapping[str, str], main: _Version) -> dict[str, str]:
        """The version that stands for each module which `main` takes from a folder; none where nothing fits.

        A folder with a go.mod of its own is in no module's zip, so it never comes with `main`. The version that `main`
        requires is the first choice, unless it is a placeholder; then what was released together with `main`, under
        the same number or one that differs in the major version alone; then the last one before `main`.
        """
        rest = main.version.partition(".")[2]
        choices = {
            path: [*(() if _PLACEHOLDER.fullmatch(version) else (version,)), main.version, f"v0.{rest}"]
            for path, version in wanted.items()
        }
        found: dict[str, str] = {}
        for turn in range(3):
            asked = (f"{path}@{each[turn]}" for path, each in choices.items() if path not in found and turn < len(each))
            found.update((each.module, each.version) for each in self._versions(asked))
        for path in choices.keys() - found:
            before = self._last_before(path, main.time)
            if before:
                found[path] = before
        return {path: found[path] for path in wanted if path in found}

    def _last_before(self, path: str, time: str) -> str:
        """The newest release of a module that was there at `time`, else a commit of it; "" where there is none."""
        listed = next(self._ask("list", "-m", "-e", "-versions", "-json", path), {}).get("Versions") or ()
        releases = [version for version in listed if "-" not in version] or list(listed)
        while releases:
            asked, releases = releases[-_AT_ONCE:], releases[:-_AT_ONCE]
            old = [each for each in self._versions(f"{path}@{version}" for version in asked) if each.time <= time]
            if old:
                return old[-1].version
        latest = next(iter(self._versions((f"{path}@latest",))), None)
        commit = latest and _PSEUDO.fullmatch(latest.version)
        return latest.version if latest and commit and commit[1] <= re.sub(r"\D", "", time)[:14] else ""

    def _versions(self, queries: Iterable[str]) -> list[_Version]:
        """Those of the queries `module@version` that the proxies have an answer to, in the same order."""
        asked = tuple(queries)
        answers = self._ask("list", "-m", "-e", "-json", *asked) if asked else ()
        return [
            _Version(each["Path"], each["Version"], each.get("Time", ""), each["GoMod"])
            for each in answers
            if "GoMod" in each
        ]

    def _ask(self, *words: str) -> Iterator[dict[str, Any]]:
        """The JSON objects that `go` prints; none where it fails."""
        done = shell.run(Command((*self._go, *words), Path("/"), self._env))
        text, decode = done.stdout.decode(errors="replace").strip(), json.JSONDecoder().raw_decode
        while text:
            try:
                value, end = decode(text)
            except ValueError:
                return
            yield value
            text = text[end:].lstrip()


def _replacement(each: Mapping[str, Any]) -> str:
    old, new = each["Old"], each["New"]
    return f"replace {' '.join(filter(None, (old['Path'], old.get('Version'))))} => {new['Path']} {new['Version']}"


def _remark(main: _Version, wanted: Mapping[str, str], published: Mapping[str, str]) -> str:
    taken = [f"{path} {version}" for path, version in published.items()]
    lost = [path for path in wanted if path not in published]
    said = []
    if taken:
        said.append(f"published versions are taken instead: {some(taken)}")
    if lost:
        said.append(f"no published version fits: {some(lost)}")
    where = f"{main.module} {main.version} replaces modules with folders that are not in its zip"
    return f"{where}; {'; '.join(said)}" if said else ""


def some(names: Sequence[str]) -> str:
    """All of a few names, else the first of them and how many more there are."""
    return f"{', '.join(names[:3])} and {len(names) - 3} more" if len(names) > 4 else ", ".join(names)
