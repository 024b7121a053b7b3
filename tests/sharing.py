"""What the tests make once in a run, however many workers run them side by side, and copies of it; and ^C."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recipes.compile.toolchains import TOOLCHAINS
from recipes.compile.toolchains.probe import find_toolchain
from recipes.errors import RecipeError
from recipes.support.workspace import Workspace, locked


def run_folder(factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of the whole run, which all of its workers have in common."""
    folder = factory.getbasetemp()
    return folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """`folder`, filled by `make` for the first who asks for it; the others wait, and have it whole."""
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            beside = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()
            make(beside)
            beside.rename(folder)
    return folder


def probe(root: Path) -> None:
    """Let the compilers of this machine be probed for a project at `root`, as its first build would do it."""
    for kind in TOOLCHAINS.values():
        with contextlib.suppress(RecipeError):  # it is not there
            find_toolchain(kind, Workspace(root))


def know_compilers(root: Path, probed: Path) -> None:
    """Give the project at `root` what was found out in `probed`; each build still asks whether that holds."""
    shutil.copytree(Workspace(probed).cache, Workspace(root).cache)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt here, also in a process whose parent ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
