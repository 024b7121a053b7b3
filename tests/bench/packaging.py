"""From a program to an image: in the store, and in the engine, against `docker build` and buildah.

Ours is the library call in a running process, as a task that builds many images makes it; reading and hashing the
program is part of it. The peers are their command lines. Each run has a program that no cache has seen before.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from recipes.model import Command, Image
from recipes.oci.roots import Roots
from recipes.oci.store import Store
from recipes.package.assemble import assemble
from recipes.run.engine import choose
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.bench.docker import DockerPeer
from tests.bench.inputs import Bench, big_program, changed_copy, invoke, scratch
from tests.bench.measure import Contender, Goal, Row, Skipped, by_turns, timed_row
from tests.programs import program_of

DOCKERFILE = """\
FROM scratch
COPY app /app
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/app"]
"""

OURS, PEER, BUILDAH = "fromscratch-bench", "fromscratch-bench-peer", "fromscratch-bench-buildah"


@dataclass
class Turn:
    """What one contender works on: a new folder with a new program for each of its runs."""

    bench: Bench
    program: Path
    clean: Callable[[], object] = lambda: None
    folder: Path = field(default_factory=Path)

    def prepare(self) -> None:
        self.clean()
        if self.folder.name:
            shutil.rmtree(self.folder)
        self.folder = self.bench.fresh("context")
        changed_copy(self.program, self.folder)
        (self.folder / "Dockerfile").write_text(DOCKERFILE)
        os.sync()  # what an earlier run still has to write is not this one's cost

    def assemble(self) -> tuple[Image, Workspace, Store]:
        workspace = Workspace(self.folder)
        store = Store.of(workspace)
        return (
            assemble(program_of(self.folder / "app"), scratch(), store=store, name=f"{OURS}:latest"),
            workspace,
            store,
        )

    def load(self) -> None:
        image, workspace, store = self.assemble()
        engine = choose("docker", workspace, store, Roots(store))
        assert engine is not None
        engine.load(image)


def rows(bench: Bench, builders: list[DockerPeer]) -> Iterator[Row | Skipped]:
    """The goals are against `docker build` as it comes; what else it can be is measured beside it."""
    hello = _hello(bench)
    big = big_program(bench.fresh("big"))
    if not builders:
        yield Skipped("assemble + load into the engine", "no Docker Engine")
    else:
        what = "assemble + load into the engine"
        yield from _loading(f"{what}, hello", bench, builders, hello, Goal(4, faster=True), 9)
        yield from _loading(f"{what}, 200 MB", bench, builders, big, Goal(1.3, faster=True), 5)
    yield from _storing(bench, builders, big)


def _hello(bench: Bench) -> Path:
    target = bench.fresh("hello") / "hello"
    invoke(bench.project, "build-static", "hello", "--no-run", "--engine", "local")
    built = (bench.project / "build/cache/binaries").glob("*/app")
    shutil.copy(min(built, key=lambda path: path.stat().st_size), target)
    return target


def _loading(
    what: str, bench: Bench, builders: list[DockerPeer], program: Path, goal: Goal, runs: int
) -> Iterator[Row]:
    mine = Turn(bench, program, lambda: builders[0].remove(f"{OURS}:latest"))
    contenders = [Contender("ours", mine.load, mine.prepare)]
    contenders += [_building(bench, builder, program) for builder in builders]
    ours, *others = by_turns(contenders, bench.runs(runs))
    builders[0].remove(f"{OURS}:latest", PEER)
    for index, (builder, timing) in enumerate(zip(builders, others, strict=True)):
        yield timed_row(what, ours, timing, builder.name, None if index else goal)


def _building(bench: Bench, builder: DockerPeer, program: Path) -> Contender:
    turn = Turn(bench, program, lambda: builder.remove(PEER))
    return Contender(builder.name, lambda: builder.build(turn.folder, PEER), turn.prepare)


def _storing(bench: Bench, builders: list[DockerPeer], program: Path) -> Iterator[Row | Skipped]:
    what = "assemble to the store, 200 MB"
    mine, theirs = Turn(bench, program), Turn(bench, program)
    contenders = [Contender("ours", mine.assemble, mine.prepare)]
    contenders += [_building(bench, builder, program) for builder in builders]
    if not builders:
        yield Skipped(f"{what}: docker build", "no Docker Engine")
    buildah = shutil.which("buildah")
    if buildah is None:
        yield Skipped(f"{what}: buildah", "buildah is not installed")
    else:
        tool = Buildah(buildah, bench.fresh("buildah"))
        theirs.clean = tool.remove
        contenders.append(Contender("buildah", lambda: tool.build(theirs.folder), theirs.prepare))
    if len(contenders) == 1:
        return
    ours, *others = by_turns(contenders, bench.runs(5))
    for contender, timing in zip(contenders[1:], others, strict=True):
        beside = contender.name in {builder.name for builder in builders[1:]}
        yield timed_row(what, ours, timing, contender.name, None if beside else Goal(6, faster=True))
    for builder in builders[:1]:
        builder.remove(PEER)


@dataclass(frozen=True, slots=True)
class Buildah:
    """buildah with a storage of its own."""

    path: str
    storage: Path

    def _run(self, *words: str) -> None:
        options = ("--root", str(self.storage / "root"), "--runroot", str(self.storage / "run"))
        shell.check(Command((self.path, *options, *words)), timeout=900)

    def build(self, context: Path) -> None:
        self._run("bud", "--quiet", "--no-cache", "--isolation", "chroot", "--tag", BUILDAH, str(context))

    def remove(self) -> None:
        self._run("rmi", "--all", "--force")
