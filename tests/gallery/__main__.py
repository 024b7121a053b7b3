"""`python -m tests.gallery [--only jq,ninja] [--again] [--steps use]`: programs of others, built and used here.

Each is made with the one plain command that a user would type, then used for what it is for. What was measured is kept
below build/gallery, so a run that was interrupted goes on. The page is written from docs/gallery.json, which has the
rows that were measured before, too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from recipes.support import console
from recipes.support.workspace import write_atomically
from tests.gallery import kept
from tests.gallery.attempt import ROOT
from tests.gallery.measure import Gallery, each
from tests.gallery.page import render
from tests.gallery.rows import Row, read_rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="make gallery", description=__doc__)
    parser.add_argument("--only", default="", help="names, separated by commas")
    parser.add_argument("--again", action="store_true", help="measure anew what was measured before")
    parser.add_argument("--steps", default="use,shipped,by-hand", help="which, in that order; none: the page alone")
    parser.add_argument("--data", default=str(ROOT / "docs/gallery.json"), help="the file with all that was measured")
    parser.add_argument("--output", default="", help="a file for the page (default: stdout)")
    options = parser.parse_args()
    rows, gallery = read_rows(), Gallery(again=options.again)
    ways = {"use": gallery.measure, "shipped": gallery.see_shipped, "by-hand": gallery.build_by_hand}
    steps = [step for step in options.steps.split(",") if step]
    if unknown := set(steps) - set(ways):
        parser.error(f"unknown step: {', '.join(sorted(unknown))}")
    chosen = _chosen(parser, rows, options.only)
    failed = [line for step in steps for line in each(chosen, ways[step])]
    before = kept.read(Path(options.data))
    known = tuple(kept.merged(gallery.known(row), before.get(row.name)) for row in rows)
    kept.write(Path(options.data), known)
    page = render(known)
    if options.output:
        write_atomically(Path(options.output), page.encode())
    else:
        sys.stdout.write(page)
    for line in failed:
        console.note(f"not measured: {line}")
    return 1 if failed else 0


def _chosen(parser: argparse.ArgumentParser, rows: tuple[Row, ...], only: str) -> tuple[Row, ...]:
    names = {name for name in only.split(",") if name}
    if unknown := names - {row.name for row in rows}:
        parser.error(f"unknown program: {', '.join(sorted(unknown))}")
    return tuple(row for row in rows if not names or row.name in names)


if __name__ == "__main__":
    sys.exit(main())
