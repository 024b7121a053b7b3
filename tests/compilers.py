"""Small programs, built by the real compilers, once per test session."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from recipes.architecture import architecture
from recipes.compile.recipe import RECIPES
from recipes.model import Command, Environment, Platform
from recipes.support import shell
from tests.need import need, need_tool
from tests.sharing import made_once, run_folder


class Compilers:
    """Each method returns the built file. The same source with the same flags is built once in a run of the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _build(self, argv: tuple[str, ...], source: str, suffix: str, env: Environment = ()) -> Path:
        key = hashlib.sha256(repr((argv, source, env)).encode()).hexdigest()[:16]

        def make(folder: Path) -> None:
            (folder / f"main{suffix}").write_text(source)
            done = shell.check(Command((*argv, "-o", "app", f"main{suffix}"), folder, env), timeout=300)
            (folder / "warnings").write_bytes(done.stderr)

        return made_once(self.folder / key, make) / "app"

    def c(self, source: str, *flags: str) -> Path:
        return self._build((need_tool("gcc"), *flags), source, ".c")

    def cpp(self, source: str, *flags: str) -> Path:
        return self._build((need_tool("g++"), *flags), source, ".cpp")

    def linked_late(self, source: str, *flags: str, compile_with: tuple[str, ...] = ()) -> Path:
        """C with libraries after the source, as the linker wants them."""
        compiled = self._build((need_tool("gcc"), "-c", *compile_with), source, ".c")
        argv = (need_tool("gcc"), "-o", "app", "-x", "none", str(compiled), *flags)
        key = hashlib.sha256(repr(argv).encode()).hexdigest()[:16]
        return made_once(self.folder / key, lambda folder: _run(folder, *argv)) / "app"

    def go(self, source: str, *flags: str, env: Environment = (), trimmed: bool = True) -> Path:
        """Without paths, as the recipes make it: go compiles its library once for both."""
        settings = (("CGO_ENABLED", "0"), ("GOFLAGS", "-mod=mod"), ("GO111MODULE", "off"), *env)
        return self._build((_go(), "build", *(("-trimpath",) if trimmed else ()), *flags), source, ".go", settings)

    def go_embedding(self, source: str, data: bytes, *flags: str) -> Path:
        """A program with a file `data` beside its source, for go:embed; in a module, as that asks for."""
        key = hashlib.sha256(repr((source, data, flags)).encode()).hexdigest()[:16]

        def make(folder: Path) -> None:
            (folder / "main.go").write_text(source)
            (folder / "data").write_bytes(data)
            (folder / "go.mod").write_text("module example.org/embeds\n\ngo 1.16\n")
            environment = (("CGO_ENABLED", "0"), ("GOFLAGS", "-mod=mod"), ("GOTOOLCHAIN", "local"))
            shell.check(Command((_go(), "build", "-trimpath", *flags, "-o", "app"), folder, environment), timeout=300)

        return made_once(self.folder / key, make) / "app"

    def zig(self, source: str, target: str, *flags: str, env: Environment = ()) -> Path:
        """C with musl. Without the sanitizer, which is zig's habit alone and takes a library that zig builds first."""
        need(_has_module("ziglang"), "ziglang")
        argv = (sys.executable, "-m", "ziglang", "cc", "-target", target, "-fno-sanitize=undefined", *flags)
        return self._build(argv, source, ".c", env)

    def zig_small(self, source: str) -> Path:
        """Static, stripped C for this machine, as zig-static-small links it: zig makes its musl once for both.

        The linker's command line is among the warnings.
        """
        target = architecture(Platform.host().architecture).zig
        return self.zig(source, target, *RECIPES["zig-static-small"].link_flags, env=(("ZIG_VERBOSE_LINK", "1"),))

    def musl(self, source: str, root: Path, *flags: str) -> Path:
        """Static C with all its symbols and the musl of Debian's musl-dev, which is in `root`. Source: musl-gcc(1)."""
        (libraries,) = root.glob("usr/lib/*-linux-musl")
        files = (str(libraries / name) for name in ("crt1.o", "crti.o", "libc.a", "crtn.o"))
        alone = ("-nostdinc", "-isystem", str(root / "usr/include" / libraries.name), "-fno-pie", "-U_FORTIFY_SOURCE")
        return self.linked_late(source, "-static", "-no-pie", "-nostdlib", *files, *flags, compile_with=alone)

    def stripped(self, program: Path) -> Path:
        argv = (need_tool("strip"), "-o", "app", str(program))
        return made_once(program.parent / "stripped", lambda folder: _run(folder, *argv)) / "app"

    def warnings(self, program: Path) -> tuple[str, ...]:
        return tuple(program.with_name("warnings").read_text().splitlines())


def _go() -> str:
    mine = Path(sys.executable).with_name("go")
    return str(mine) if mine.exists() else need_tool("go")


def _run(folder: Path, *argv: str) -> None:
    shell.check(Command(argv, folder), timeout=300)


def _has_module(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def programs_of_this_machine() -> list[Path]:
    """Every regular file of /usr/bin and /usr/sbin that starts like an ELF file."""
    found = []
    for folder in ("/usr/bin", "/usr/sbin"):
        for entry in os.scandir(folder):
            if entry.is_file(follow_symlinks=False) and os.access(entry.path, os.R_OK):
                with open(entry.path, "rb") as file:
                    if file.read(4) == b"\x7fELF":
                        found.append(Path(entry.path))
    return sorted(found)


@pytest.fixture(scope="session")
def compilers(tmp_path_factory: pytest.TempPathFactory) -> Compilers:
    folder = run_folder(tmp_path_factory) / "programs"
    folder.mkdir(exist_ok=True)
    return Compilers(folder)
