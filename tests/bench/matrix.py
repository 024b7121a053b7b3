"""The whole comparison from nothing, against the commands that it has to run.

It runs in a process of its own (`python -m tests.bench.matrix PROJECT`), where every command that passes the door to
other processes is timed.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.model import Command, RunOutcome
from recipes.run.docker import DockerEngine
from recipes.support import shell
from tests.bench.inputs import ROOT, Bench
from tests.bench.measure import Goal, Row, Skipped

TOOLCHAIN_CACHES = ("toolchains", "zig", "go")
"""What stays below build/cache: the compilers' own standard libraries, built once per machine."""


@dataclass(frozen=True, slots=True)
class Cold:
    """One run from nothing. All in seconds; `commands` are those and the containers, one after the other.

    `cpu` is the CPU time of the commands alone: that of containers is the engine's.
    """

    wall: float
    commands: float
    count: int
    cpu: float
    rows: int


def rows(bench: Bench) -> Iterator[Row | Skipped]:
    cores = len(os.sched_getaffinity(0))
    _run(bench.project)
    results = []
    for _ in range(bench.runs(3)):
        _set_aside(bench.project / "build", bench.fresh("before"))
        results.append(_run(bench.project))
    middle = sorted(results, key=lambda cold: cold.wall)[len(results) // 2]
    walls = [cold.wall for cold in results]
    ours = f"{middle.wall:.1f} s ({min(walls):.1f}–{max(walls):.1f} s), {middle.rows} rows"
    share = middle.commands / cores
    what = "cold matrix"
    peer = f"its {middle.count} commands and containers, {middle.commands:.1f} s / {cores} cores: {share:.1f} s"
    yield Row(what, ours, peer, middle.wall / share, Goal(1.15))
    busy = middle.cpu / cores
    yield Row(what, ours, f"CPU time of these commands / {cores} cores: {busy:.1f} s", middle.wall / busy)


def _set_aside(build: Path, elsewhere: Path) -> None:
    """Let `build` be as on the first day. What it held is moved: ext4 makes files slowly after many were deleted."""
    for path in build.iterdir():
        if path.name != "cache":
            path.rename(elsewhere / path.name)
            continue
        (elsewhere / "cache").mkdir()
        for part in path.iterdir():
            if part.name not in TOOLCHAIN_CACHES:
                part.rename(elsewhere / "cache" / part.name)


def _run(project: Path) -> Cold:
    argv = (sys.executable, "-m", "tests.bench.matrix", str(project))
    done = shell.check(Command(argv, cwd=ROOT), timeout=3000)
    return Cold(**json.loads(done.stdout.splitlines()[-1]))


def _measure(project: Path) -> Cold:
    """`invoke compare-sizes` in this very process, with a clock on each command, and on each container."""
    seconds: list[float] = []

    start, contain = shell.run, DockerEngine.run_loaded

    def command(*args: Any, **options: Any) -> shell.Completed:
        done = start(*args, **options)
        seconds.append(done.seconds)  # its own: not what it waited for its turn
        return done

    def container(*args: Any, **options: Any) -> RunOutcome:
        started = time.perf_counter()
        try:
            return contain(*args, **options)
        finally:
            seconds.append(time.perf_counter() - started)

    shell.run = command
    DockerEngine.run_loaded = container  # type: ignore[method-assign]
    os.chdir(project)
    output = project / "build" / "matrix.json"
    started = time.perf_counter()
    from invoke.main import program

    program.run(["invoke", "compare-sizes", "--format", "json", "--output", str(output)], exit=False)
    wall = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    count = len(json.loads(output.read_bytes())["rows"])
    return Cold(wall, sum(seconds), len(seconds), used.ru_utime + used.ru_stime, count)


if __name__ == "__main__":
    cold = _measure(Path(sys.argv[1]))
    sys.stdout.write(json.dumps({name: getattr(cold, name) for name in Cold.__slots__}) + "\n")
