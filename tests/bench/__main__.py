"""`python -m tests.bench [--only startup,sizes] [--quick]`: all rows in one table, with the machine they are from."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from recipes.report.fit import listing
from recipes.support.console import note
from recipes.support.printable import painted
from tests.bench import docker, inputs, judging, matrix, packaging, registries, sizes, startup
from tests.bench.measure import Row, Skipped

SUBJECTS = ("packaging", "startup", "matrix", "judging", "registries", "sizes")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default="", help=f"subjects, separated by commas: {', '.join(SUBJECTS)}")
    parser.add_argument("--quick", action="store_true", help="one run of each: no figures, only whether it works")
    options = parser.parse_args()
    chosen = [name for name in options.only.split(",") if name] or list(SUBJECTS)
    if unknown := set(chosen) - set(SUBJECTS):
        parser.error(f"unknown subject: {', '.join(sorted(unknown))}")
    # As a user has it: what pip installs, the empty task's Invoke too, comes with its bytecode.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="fromscratch-bench-") as folder:
        bench = inputs.make(Path(folder), quick=options.quick)
        place = bench.fresh("docker")
        with docker.engine(place) as reason:
            peers = [] if reason else docker.builders(_probe(bench))
            if not peers:
                note(f"without Docker: {reason or 'docker build does not work'}")
            found = _measure(bench, peers, chosen)
    _print(found)


def _measure(bench: inputs.Bench, peers: list[docker.DockerPeer], chosen: list[str]) -> list[Row | Skipped]:
    subjects: dict[str, Callable[[], Iterable[Row | Skipped]]] = {
        "packaging": lambda: packaging.rows(bench, peers),
        "startup": lambda: startup.rows(bench, has_docker=bool(peers)),
        "matrix": lambda: matrix.rows(bench),
        "judging": lambda: judging.rows(bench),
        "registries": lambda: registries.rows(bench),
        "sizes": lambda: sizes.rows(bench),
    }
    found: list[Row | Skipped] = []
    for name in chosen:
        for row in subjects[name]():
            note(" · ".join(row.cells) if isinstance(row, Row) else f"{row.what}: left out, {row.reason}")
            found.append(row)
    return found


def _probe(bench: inputs.Bench) -> Path:
    context = bench.fresh("probe")
    (context / "app").write_bytes(b"app")
    (context / "Dockerfile").write_text(packaging.DOCKERFILE)
    return context


def _print(found: list[Row | Skipped]) -> None:
    rows = [row.cells for row in found if isinstance(row, Row)]
    sys.stdout.write(painted(listing(("what", "ours", "peer", "ratio", "goal", "met"), rows, None), colours=False))
    sys.stdout.writelines(f"left out: {row.what}: {row.reason}\n" for row in found if isinstance(row, Skipped))
    cores = len(os.sched_getaffinity(0))
    sys.stdout.write(
        f"\nmedian (lowest–highest) of several runs by turns; {cores} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}\n"
    )


if __name__ == "__main__":
    main()
