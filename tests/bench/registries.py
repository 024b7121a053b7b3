"""Pushes and pulls against `skopeo copy`: the same image, to and from the same registry on this machine.

Both contenders are whole processes, from their start to their end: ours is `python -m tests.bench.transfer`.
The goal is that a second push moves no blob. The times have none: about 0.18 s of ours are Python's start and its
imports, and a pull of ours also unpacks each layer to check it, which skopeo leaves to whoever unpacks it.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from recipes.model import Command, Image
from recipes.oci.store import Store
from recipes.package.assemble import assemble
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.bench.inputs import ROOT, Bench, big_program, changed_copy, scratch
from tests.bench.measure import Contender, Goal, Row, Skipped, by_turns, timed_row
from tests.fixtures_registry import LocalRegistry, serve
from tests.programs import program_of

SMALL = 1_000_000


def rows(bench: Bench) -> Iterator[Row | Skipped]:
    missing = [name for name in ("docker-registry", "skopeo") if shutil.which(name) is None]
    if missing:
        yield Skipped("push and pull", f"{missing[0]} is not installed")
        return
    big = big_program(bench.fresh("pushed"))
    small = big.with_name("small")
    with big.open("rb") as file:
        small.write_bytes(file.read(SMALL))
    with serve(bench.fresh("registry"), login=False) as registry:
        yield from _compare(bench, registry, small, "1 MB", 9)
        yield from _compare(bench, registry, big, "200 MB", 5)


@dataclass
class _Image:
    """The image that both contenders work on: a new one in each round, so that neither finds anything of it."""

    bench: Bench
    registry: LocalRegistry
    program: Path
    folder: Path = field(default_factory=Path)
    image: Image | None = None
    pulled: Path = field(default_factory=Path)

    def renew(self) -> None:
        if self.folder.name:
            shutil.rmtree(self.folder)
        self.folder = self.bench.fresh("image")
        binary = program_of(changed_copy(self.program, self.folder))
        self.image = assemble(binary, scratch(), store=Store.of(Workspace(self.folder)), name="pushed:1")
        self.forget()

    def forget(self) -> None:
        """Empty the registry."""
        shutil.rmtree(self.registry.storage / "docker", ignore_errors=True)

    def empty(self) -> None:
        """A new place to pull into."""
        if self.pulled.name:
            shutil.rmtree(self.pulled)
        self.pulled = self.bench.fresh("pulled")

    def push(self) -> dict[str, int]:
        assert self.image is not None
        start = self.image.manifest
        words = ("push", self.folder, start.media_type, start.digest, start.size, f"{self.registry.host}/ours:1")
        return dict(json.loads(_ours(*words)))

    def push_theirs(self) -> None:
        _skopeo(f"oci:{Workspace(self.folder).images}:pushed:1", f"docker://{self.registry.host}/theirs:1")

    def pull(self) -> None:
        _ours("pull", self.pulled, f"docker://{self.registry.host}/ours:1")

    def pull_theirs(self) -> None:
        _skopeo(f"docker://{self.registry.host}/ours:1", f"oci:{self.pulled}:x")


def _compare(bench: Bench, registry: LocalRegistry, program: Path, size: str, runs: int) -> Iterator[Row]:
    image = _Image(bench, registry, program)
    steps = (
        ("push", Contender("ours", image.push, image.renew), Contender("skopeo copy", image.push_theirs, image.forget)),
        ("push again", Contender("ours", image.push), Contender("skopeo copy", image.push_theirs)),
        (
            "pull",
            Contender("ours", image.pull, image.empty),
            Contender("skopeo copy", image.pull_theirs, image.empty),
        ),
    )
    for what, ours, peer in steps:
        if what == "push again":
            first, second = _twice(image)
            yield Row(
                f"{what}, {size}: blobs",
                f"{second['blobs']} ({second['bytes']:,} bytes)",
                f"the first time: {first['blobs']} ({first['bytes']:,} bytes)",
                second["bytes"] / first["bytes"],
                Goal(0),
            )
            image.push_theirs()
        mine, theirs = by_turns([ours, peer], bench.runs(runs))
        yield timed_row(f"{what}, {size}", mine, theirs, peer.name, None)


def _twice(image: _Image) -> tuple[dict[str, int], dict[str, int]]:
    image.renew()
    return image.push(), image.push()


def _ours(*words: object) -> bytes:
    argv = (sys.executable, "-m", "tests.bench.transfer", *(str(word) for word in words))
    return shell.check(Command(argv, cwd=ROOT), timeout=600).stdout


def _skopeo(source: str, target: str) -> None:
    options = ("--src-tls-verify=false", "--dest-tls-verify=false")
    shell.check(Command(("skopeo", "--insecure-policy", "copy", "-q", *options, source, target)), timeout=600)
