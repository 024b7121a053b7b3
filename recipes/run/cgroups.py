"""A control group for one run, where this machine lets us make one: the kernel then counts the memory, all of it.

Source: Linux, Documentation/admin-guide/cgroup-v2.rst, "Delegation".
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from recipes.model import Limits

_MOUNTS = Path("/proc/self/mountinfo")
_OWN = Path("/proc/self/cgroup")
_PREFIX = "fromscratch-"
_SETTLED_SECONDS = 60
"""By then a run has moved into its group."""


@contextlib.contextmanager
def control_group(limits: Limits) -> Iterator[str]:
    """The folder of a fresh control group with these limits, removed at the end; "" where none is available."""
    folder = _make(limits)
    try:
        yield str(folder or "")
    finally:
        if folder is not None:
            _remove(folder)


def _make(limits: Limits) -> Path | None:
    for parent in _candidates():
        _sweep(parent)
        folder = parent / f"{_PREFIX}{os.urandom(8).hex()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / "memory.max").write_text(f"{limits.memory_bytes}")
            (folder / "memory.oom.group").write_text("1")
            with contextlib.suppress(FileNotFoundError):  # a machine without swap
                (folder / "memory.swap.max").write_text("0")
            with open(folder / "cgroup.procs", "wb"), open(parent / "cgroup.procs", "wb"):
                return folder  # both have to be ours, or nothing could be moved into it
        except OSError:
            _remove(folder)
    return None


def _candidates() -> Iterator[Path]:
    """The groups beneath which we might make one: that which we are in, and those above it."""
    top = _mounted()
    own = next((line[3:] for line in _lines(_OWN) if line.startswith("0::")), "")
    if top is None or not own:
        return
    group = Path(f"{top}{own}")
    for folder in (group, *group.parents):
        if folder.is_relative_to(top) and "memory" in " ".join(_lines(folder / "cgroup.subtree_control")).split():
            yield folder


def _mounted() -> Path | None:
    """Where control groups of version 2 are mounted."""
    for line in _lines(_MOUNTS):
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            return Path(before.split(" ")[4])
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _sweep(parent: Path) -> None:
    """Remove what killed runs left. One in which anything lives stays; a young one may be about to be used."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another run was faster
            if time.time() - folder.stat().st_mtime > _SETTLED_SECONDS:
                _remove(folder)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
