"""One owner per outside thing, and pure rooms: who may import what."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "recipes").rglob("*.py"))

OWNERS = {
    "subprocess": {"support/shell.py"},
    "elftools": {"elf/facts.py"},
    "docker": {"run/docker.py", "run/podman.py"},
    "tabulate": {"report/table.py"},
    "jinja2": {"report/html.py"},
    "invoke": {"tasks/"},  # a whole room: one task a function, and nothing else
    "requests": {"registry/", "run/docker.py"},
    "urllib3": {"registry/", "run/docker.py"},
    "rich": {"support/console.py"},
}

HEAVY = {"docker", "jinja2", "requests", "urllib3", "elftools", "tabulate", "zstandard", "deflate", "isal", "rich"}
"""Imported inside the functions that use them: what starts slowly is not started for nothing."""

EVERYWHERE = {"__version__", "architecture", "errors", "languages", "model", "results"}
_READING = {"elf", "rootfs", "loader", "verdict"}
_STAGES = {*_READING, "samples", "compile", "oci", "package", "bases", "registry", "run"}

KNOWS = {  # each room, in the order of the pipeline, and which others it may know beside EVERYWHERE
    "architecture": set(),
    "errors": set(),
    "languages": set(),
    "model": {"support"},
    "results": set(),
    "support": set(),
    "elf": set(),
    "rootfs": {"elf", "support"},
    "loader": {"elf", "rootfs"},
    "verdict": {"elf", "rootfs", "loader"},
    "samples": {"support"},
    "compile": {"elf", "support"},
    "oci": {"rootfs", "support"},
    "package": {"rootfs", "loader", "oci", "support"},
    "registry": {"oci", "support"},
    "bases": {"elf", "rootfs", "oci", "package", "registry", "support"},
    "run": {"rootfs", "oci", "support"},
    "gate": {"support"},
    "report": {"gate", "support"},
    "pipeline": {*_STAGES, "support"},
    "workflows": {*_STAGES, "gate", "pipeline", "support"},
    "tasks": {*_STAGES, "gate", "pipeline", "workflows", "report", "support"},
    "__init__": {
        "samples",
        "compile",
        "elf",
        "bases",
        "oci",
        "registry",
        "pipeline",
    },  # the public API
}
EXCEPTIONS = {
    ("bases/resolve.py", "recipes.run.docker"): "a base may come out of an engine; one file talks to it",
    ("samples/reader.py", "recipes.compile.recipe"): "whether a default recipe exists is said when the sample is read",
}
PURE = {*_READING, "gate", "report"}
IMPURE = {"subprocess", "socket", "ssl", "http", "urllib"} | {
    f"recipes.support.{name}" for name in ("shell", "work", "workspace", "console", "disk_cache", "system")
}


@cache
def imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """(dotted name, whether the import happens when the module is loaded) for everything that `path` imports."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    tree = ast.parse(path.read_bytes())
    later = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(outer)
    }
    for outer in ast.walk(tree):
        if isinstance(outer, ast.If) and ast.unparse(outer.test) == "TYPE_CHECKING":
            later |= {id(inner) for inner in ast.walk(outer)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, id(node) not in later
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for name in node.names:
                yield f"{node.module}.{name.name}", id(node) not in later


def within(path: Path) -> str:
    return path.relative_to(ROOT / "recipes").as_posix()


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "recipes").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=within)
def test_one_owner_per_outside_thing(path: Path) -> None:
    """A third-party package (and subprocess) is imported by the one file that owns it."""
    for name, _ in imports(path):
        owners = OWNERS.get(name.split(".")[0])
        owned = owners is None or within(path).startswith(tuple(owners))
        assert owned, f"{within(path)} imports {name}; only {owners} may"


@pytest.mark.parametrize("path", FILES, ids=within)
def test_slow_packages_are_imported_where_they_are_used(path: Path) -> None:
    """No module loads a slow package when it is itself loaded."""
    for name, at_load in imports(path):
        assert not (at_load and name.split(".")[0] in HEAVY), f"{within(path)} imports {name} at its top"


@pytest.mark.parametrize("path", FILES, ids=within)
def test_rooms_know_only_those_before_them(path: Path) -> None:
    """The arrows of the pipeline go one way: each file is in a room of the table, and knows what the table says."""
    room = room_of(path)
    for name, _ in imports(path):
        parts = name.split(".")
        if parts[0] == "recipes" and len(parts) > 1 and parts[1] != room:
            known = parts[1] in KNOWS[room] | EVERYWHERE or (within(path), ".".join(parts[:3])) in EXCEPTIONS
            assert known, f"{within(path)} imports {name}"


def module_of(name: str) -> str | None:
    """The file of this project that an import of the dotted `name` loads: a module, or a package's __init__."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file() and file.is_relative_to(ROOT / "recipes"):
                return within(file)
    return None


def in_circles(arrows: Mapping[str, set[str]]) -> set[str]:
    """Those that are in a circle, or between two: what is left when ends are taken away until there is none."""
    left = dict(arrows)
    while ends := [
        name for name in left if not left[name] & left.keys() or not any(name in arrows[other] for other in left)
    ]:
        for name in ends:
            del left[name]
    return set(left)


@pytest.mark.parametrize("room", sorted({room_of(path) for path in FILES}))
def test_no_circle_within_a_room(room: str) -> None:
    """The modules of a room do not need each other, not even through imports in functions."""
    files = [path for path in FILES if room_of(path) == room]
    arrows = {within(path): {module_of(name) or "" for name, _ in imports(path)} - {within(path)} for path in files}
    assert not in_circles(arrows)


def test_the_guard_sees_circles() -> None:
    """The guard against circles works: what leads to one, or away from one, is in none."""
    arrows = {"start": {"a"}, "a": {"b"}, "b": {"c"}, "c": {"a", "end"}, "end": set[str]()}
    assert in_circles(arrows) == {"a", "b", "c"}


@pytest.mark.parametrize("path", [path for path in FILES if "compile/toolchains/" not in within(path)], ids=within)
def test_only_toolchains_know_which_they_are(path: Path) -> None:
    """What differs between compilers is asked of them: nothing else compares their names."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Compare | ast.Match):
            named = {inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant)}
            assert not named & {"gcc", "clang", "zig"}, f"{within(path)} asks: {ast.unparse(node)}"


def test_no_exception_is_left_over() -> None:
    """Each exception is still needed."""
    found = {(within(path), ".".join(name.split(".")[:3])) for path in FILES for name, _ in imports(path)}
    assert set(EXCEPTIONS) <= found


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) in PURE], ids=within)
def test_what_reads_and_reports_is_pure(path: Path) -> None:
    """Bytes in, values out: no processes, no network, no workspace. (Reading a file that was named is fine.)"""
    for name, _ in imports(path):
        parts = name.split(".")
        assert not {parts[0], ".".join(parts[:3])} & IMPURE, f"{within(path)} imports {name}"


def test_each_stream_has_one_door() -> None:
    """What is printed goes through the function that makes it safe: stdout in one file, stderr in another."""
    doors = {"stdout": {"tasks/output.py", "tasks/ending.py"}, "stderr": {"support/console.py"}}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr"):
                assert within(path) in doors[node.attr], f"{within(path)} uses {ast.unparse(node)}"
            assert not (isinstance(node, ast.Name) and node.id == "print"), f"{within(path)} prints"


def test_tasks_are_the_only_way_to_invoke() -> None:
    """No library module imports the tasks."""
    for path in FILES:
        if not within(path).startswith("tasks/"):
            assert not [name for name, _ in imports(path) if name.startswith("recipes.tasks")], within(path)


def test_the_guard_sees_imports() -> None:
    """The guard itself works: it finds an import at the top, one in a function, and one for types alone."""
    found = dict(imports(ROOT / "recipes/support/console.py"))
    assert found["threading"] is True
    assert found["rich.console.Console"] is False
    assert found["rich.progress.Progress"] is False
