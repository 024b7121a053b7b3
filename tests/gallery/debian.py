"""Debian's source packages, and what its own build of a program loads."""

from __future__ import annotations

import gzip
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from recipes.bases.resolve import resolve
from recipes.bases.suites import host_suite
from recipes.elf.dynamic import read_dynamic
from recipes.errors import RecipeError, ToolMissing, Unavailable
from recipes.loader.explain import explain
from recipes.model import BaseImage, Command, Platform
from recipes.pipeline import Project, open_root
from recipes.run.unpack import unpack
from recipes.support import shell
from recipes.support.workspace import Workspace, make_folder, write_atomically


@dataclass(frozen=True, slots=True)
class Source:
    folder: Path
    version: str


def fetch(package: str, workspace: Workspace) -> Source:
    """The unpacked source, with Debian's patches; fetched once. apt checks the signatures that lead to it.

    The machine's own package lists are not touched: sources are asked for with a configuration of our own.
    Raises: ToolMissing, Unavailable.
    """
    for tool, name in (("apt-get", "apt"), ("dpkg-source", "dpkg-dev")):
        if shell.which(tool) is None:
            raise ToolMissing(f"{tool} not found (needed to fetch {package})", hint=f"apt-get install {name}")
    folder = workspace.build / "sources" / package
    marker = folder / "version"
    if not marker.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder)
        options = _configure(workspace)
        _run("apt-get", *options, "source", "--download-only", package, cwd=folder)
        (description,) = folder.glob("*.dsc")
        _run("dpkg-source", "--no-check", "-x", description.name, cwd=folder)
        version = re.search(r"^Version: (.*)$", description.read_text(encoding="utf-8"), re.MULTILINE)
        write_atomically(marker, (version[1] if version else "?").encode())
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    return Source(source, marker.read_text(encoding="utf-8"))


def _configure(workspace: Workspace) -> tuple[str, ...]:
    """Options for apt: its own lists below build/, and the sources of the suite that this machine runs."""
    apt = workspace.build / "apt"
    listed = _run("apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages")
    words = [line.split() for line in listed.splitlines()]
    site = next((word[2] for word in words if word[:2] == [host_suite(), "main"]), None)
    if site is None:
        raise Unavailable("apt does not know this machine's Debian", hint="run apt-get update")
    for name in ("lists/partial", "archives/partial"):
        make_folder(apt / name)
    write_atomically(apt / "sources.list", f"deb-src {site} {host_suite()} main\n".encode())
    options = (
        *("-o", f"Dir::Etc::SourceList={apt}/sources.list", "-o", "Dir::Etc::SourceParts=-"),
        *("-o", f"Dir::State::Lists={apt}/lists", "-o", f"Dir::Cache::Archives={apt}/archives"),
        *("-o", "APT::Sandbox::User=root", "-qq"),
    )
    _run("apt-get", *options, "update")
    return options


def root_of(package: str, project: Project) -> Path:
    """A folder with what is in the package and all that it depends on, unpacked; none of their scripts has run."""
    return unpack(_extracted(package, project).layers, project.roots, project.workspace)


@dataclass(frozen=True, slots=True)
class Shipped:
    """Debian's program, and everything that the loader loads for it, each file once: how many, and their bytes."""

    files: int
    size: int


def shipped(package: str, program: str, project: Project) -> Shipped:
    """What Debian's own build of a program loads. Raises: RecipeError where a library is missing."""
    root = open_root(project, _extracted(package, project))
    dynamic = read_dynamic(root.reader(program))
    found = explain(dynamic, root, platform=Platform.host(), path=program)
    missing = [library.name for library in found.libraries if library.path is None]
    if missing:
        raise RecipeError(f"{program} of {package} lacks {', '.join(missing)}")
    paths = {root.resolve(path) for path in (program, dynamic.interpreter) if path}
    paths |= {root.resolve(library.path) for library in found.libraries if library.path}
    return Shipped(len(paths), sum(root.reader(path).size for path in paths if path))


def _extracted(package: str, project: Project) -> BaseImage:
    return resolve(f"mmdebstrap:extract:{package}", Platform.host(), project.workspace, project.store)


def _run(*argv: str, cwd: Path | None = None) -> str:
    return shell.check(Command(argv, cwd, (("LC_ALL", "C"),)), timeout=600).stdout.decode()


def installed_version(path: str) -> str:
    """Of the package that brought the file at `path`; "" where none did."""
    places = dict.fromkeys((path, str(Path(path).resolve())))
    for place in (*places, *(place.removeprefix("/usr") for place in places)):
        found = shell.run(Command(("dpkg-query", "--search", place), env=(("LC_ALL", "C"),)))
        if found.exit_code == 0:
            package = found.stdout.decode().splitlines()[-1].partition(": ")[0]
            return _run("dpkg-query", "--show", "--showformat", "${Version}", package)
    return ""


def version_in(root: Path, package: str) -> str:
    """Of a package in an unpacked root, as its changelog's first line says; "" where it has none."""
    for name in ("changelog.Debian.gz", "changelog.gz"):
        file = root / "usr/share/doc" / package / name
        if file.is_file():
            first = gzip.decompress(file.read_bytes()).decode(errors="replace").partition("\n")[0]
            return first.partition("(")[2].partition(")")[0]
    return ""
