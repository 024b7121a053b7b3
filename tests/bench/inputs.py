"""What is measured on: a project of its own, and a program of 200 MB."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from recipes.model import BaseImage, Command, Platform
from recipes.support import shell

ROOT = Path(__file__).resolve().parents[2]
BIG = 200_000_000

_EMPTY_TASK = """\
from invoke import task


@task
def empty(c):
    pass
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the run works. `quick` means too few runs for a figure: to see whether everything works."""

    folder: Path
    quick: bool = False
    _serial: Iterator[int] = field(default_factory=itertools.count)

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def empty(self) -> Path:
        """A folder whose tasks.py has one task that does nothing."""
        return self.folder / "empty"

    def fresh(self, name: str) -> Path:
        """A new, empty folder."""
        path = self.folder / f"{name}-{next(self._serial)}"
        path.mkdir()
        return path

    def runs(self, wanted: int) -> int:
        return 1 if self.quick else wanted


def make(folder: Path, *, quick: bool) -> Bench:
    """Lay out a copy of this project (its code by link, nothing built) and the empty one."""
    bench = Bench(folder, quick)
    bench.project.mkdir()
    (bench.project / "recipes").symlink_to(ROOT / "recipes")
    shutil.copytree(ROOT / "samples", bench.project / "samples")
    for name in ("tasks.py", "pyproject.toml"):
        shutil.copy(ROOT / name, bench.project)
    bench.empty.mkdir()
    (bench.empty / "tasks.py").write_text(_EMPTY_TASK)
    return bench


def invoke(folder: Path, *words: str) -> shell.Completed:
    """`invoke words…` in `folder`, as a user starts it. Raises CommandFailed where it does not end well."""
    return shell.check(Command((str(Path(sys.prefix, "bin", "invoke")), *words), cwd=folder), timeout=3000)


def big_program(folder: Path) -> Path:
    """A static ELF program of about 200 MB: programs and libraries of this machine, one after the other, as data.

    That compresses about as well as programs do, which zeros or noise would not.
    """
    data, source, program = folder / "data", folder / "big.S", folder / "big"
    seen: set[tuple[int, int]] = set()
    with data.open("wb") as out:
        for path in _files(Path(sys.prefix), Path("/usr/lib"), Path("/usr/bin"), Path("/usr/local")):
            status = path.stat()
            if (status.st_dev, status.st_ino) in seen or status.st_size < 100_000:
                continue
            seen.add((status.st_dev, status.st_ino))
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    out.write(b"\x7fELF" + file.read(BIG - out.tell() - 4))
            if out.tell() >= BIG - 4:
                break
    start = "_start: mov $60, %eax; xor %edi, %edi; syscall"  # exit(0)
    if Platform.host().architecture == "arm64":
        start = "_start: mov x8, #93; mov x0, #0; svc #0"
    source.write_text(f'.globl _start\n.text\n{start}\n.section .rodata\n.incbin "{data}"\n')
    compiler = (shutil.which("gcc"),) if shutil.which("gcc") else (sys.executable, "-m", "ziglang", "cc")
    argv = [str(word) for word in (*compiler, "-static", "-nostdlib", source, "-o", program)]
    shell.check(Command(tuple(argv)), timeout=300)
    data.unlink()
    return program


def _files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in sorted(names):
                path = Path(parent, name)
                if path.is_file() and not path.is_symlink():
                    yield path


def scratch() -> BaseImage:
    return BaseImage("scratch", "scratch", Platform.host())


def changed_copy(program: Path, folder: Path) -> Path:
    """The program with 8 other bytes at its end, so that no cache anywhere knows it."""
    target = folder / "app"
    shutil.copy(program, target)
    with target.open("ab") as file:
        file.write(os.urandom(8))
    return target
