"""`python -m tests.gallery [--only jq,ninja] [--output docs/gallery.md]`: other people's programs, built and run here.

For each program the table says how big the distribution's own dynamic build is with the libraries that it loads, and
how big the smallest image of ours that really ran.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

from recipes.errors import RecipeError
from recipes.support import console
from recipes.support.workspace import write_atomically
from tests.gallery.page import render
from tests.gallery.program import Row, Wanted, try_program

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make gallery", description=__doc__)
    parser.add_argument("--only", default="", help="names, separated by commas")
    parser.add_argument("--output", default="", help="a file for the page (default: stdout)")
    options = parser.parse_args()
    listed = tomllib.loads((HERE / "programs.toml").read_text(encoding="utf-8"))
    names = [name for name in options.only.split(",") if name] or list(listed)
    if unknown := set(names) - set(listed):
        parser.error(f"unknown program: {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    failed: list[str] = []
    for name in names:
        console.note(f"── {name}")
        try:
            rows.append(try_program(Wanted.read(name, listed[name]), ROOT))
        except RecipeError as error:
            console.note(f"{name}: {error.message}\n{error.hint}")
            failed.append(f"{name}: {error.message}")
    page = render(rows, failed)
    if options.output:
        write_atomically(Path(options.output), page.encode())
    else:
        sys.stdout.write(page)
    return 1 if failed or not all(row.best for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
