"""The gallery as a page."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from recipes.report.table import markdown, markdown_table
from recipes.report.units import human
from tests.gallery.program import Row

_INTRODUCTION = """\
# Other people's programs

Made by `make gallery`, from Debian's source packages and Go's module proxy. *Debian's own* is the program that Debian
ships, with its loader and every library that the loader loads for it; nothing of what an image would hold beside them
is counted. *Ours* is the smallest image of the static recipes that ran in scratch and said what it should.
"""
_COLUMNS = (
    "program",
    "version",
    "built with",
    "recipe",
    "Debian's own",
    "ours: binary",
    "ours: image",
    "ratio",
    "runs",
)


def render(rows: Sequence[Row], failed: Sequence[str]) -> str:
    lines = [
        _INTRODUCTION,
        markdown_table(_COLUMNS, [_cells(row) for row in rows]),
        "",
        "Every recipe that was tried:",
        "",
    ]
    for row in rows:
        lines += [f"- {markdown(f'{row.name} with {recipe}: {said}')}" for recipe, said in row.tried]
    if failed:
        lines += ["", "Not had:", "", *(f"- {markdown(line)}" for line in failed)]
    machine = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    engine = next((row.best.run.engine for row in rows if row.best and row.best.run), "no")
    lines += ["", f"Measured on {machine}, {platform.machine()}; run by the {engine} engine."]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    best = row.best
    theirs = "not packaged" if row.theirs is None else human(row.theirs)
    if best is None:
        return (row.name, row.version, row.system, "none", theirs, "", "", "", "no")
    image = best.image
    ratio = "" if not row.theirs else f"{image.image_bytes / row.theirs:.2f}×"
    answer = "yes" if best.runs else f"no: {best.reason}"
    recipe = image.program.build.recipe or ""
    return (
        row.name,
        row.version,
        row.system,
        recipe,
        theirs,
        human(image.program.size),
        human(image.image_bytes),
        ratio,
        answer,
    )
