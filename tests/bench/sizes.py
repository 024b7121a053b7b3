"""Sizes, exactly as they are: no timing."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from recipes.model import Command
from recipes.support import shell
from tests.bench.inputs import Bench, invoke
from tests.bench.measure import Goal, Row, Skipped

TEXTBOOK = 2_180_000
"""The image that the usual tutorial ends with: `g++ -static` of the same program, on scratch."""


def rows(bench: Bench) -> Iterator[Row | Skipped]:
    yield _hello(bench)
    yield _hello_go(bench)


def _hello(bench: Bench) -> Row:
    """The smallest image of hello that runs, whichever recipe that is."""
    done = invoke(bench.project, "compare-sizes", "--samples", "hello", "--bases", "scratch", "--format", "json")
    running = [row for row in json.loads(done.stdout)["rows"] if row["runs"]]
    best = min(running, key=lambda row: row["image_bytes"])
    ours = f"{best['image_bytes']:,} bytes ({best['recipe']})"
    return Row(
        "image of hello", ours, f"the textbook's: {TEXTBOOK:,} bytes", best["image_bytes"] / TEXTBOOK, Goal(0.16)
    )


def _hello_go(bench: Bench) -> Row | Skipped:
    what = "download of hello-go's layer"
    peer = Path("/usr/bin/gzip")
    if not peer.exists():
        return Skipped(what, "gzip is not installed")
    done = invoke(bench.project, "build-static", "hello-go", "--no-run", "--engine", "local", "--format", "json")
    blobs = bench.project / "build/images/blobs"
    digest = json.loads(done.stdout)["rows"][0]["digest"]
    (layer,) = json.loads((blobs / digest.replace(":", "/")).read_bytes())["layers"]
    tar = bench.fresh("layer") / "layer.tar"
    tar.write_bytes(gzip.decompress((blobs / layer["digest"].replace(":", "/")).read_bytes()))
    theirs = len(shell.check(Command((str(peer), "-1", "-c", str(tar)))).stdout)
    ratio = layer["size"] / theirs
    return Row(what, f"{layer['size']:,} bytes", f"gzip -1: {theirs:,} bytes", ratio, Goal(1, strictly=True))
