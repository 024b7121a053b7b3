"""Pages that need nothing else: no address, no font; their style and script are inside, and the script may be missing.

The only importer of Jinja. The templates in `page/` escape every value by themselves. Behind that stands a second wall:
the page's own policy lets run the one script, and apply the one style, whose hashes it names.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.model import Command, Comparison, Finding, SizeRow
from recipes.report import ran, units
from recipes.report.grid import Grid, choice, counts, engines, grids
from recipes.report.hazards import Hazard, hazards, spans
from recipes.report.scale import STEPS, Scale
from recipes.report.table import label, not_compared, recipe_of
from recipes.report.walkthrough import shown
from recipes.results import WalkStep
from recipes.support.printable import line, plain, quoted

if TYPE_CHECKING:
    from jinja2 import Environment

_LINEAR = 20
"""Sizes that differ by less than that are shown by bars from zero, others on a logarithmic scale."""

_FOLDER = Path(__file__).parent / "page"


@dataclass(frozen=True, slots=True)
class Made:
    """When a page was made, and by which version; "" leaves it out."""

    on: str = ""
    version: str = ""


def render_page(comparison: Comparison, sort: str = "image", made: Made = Made()) -> str:
    """The comparison as a whole page; exact bytes appear when the pointer rests on a size."""
    found = grids(comparison, sort)
    rows = [row for grid in found for row in grid.rows]
    return _render(
        "comparison.html",
        made,
        comparison=comparison,
        grids=found,
        numbers={id(row): number for number, row in enumerate(rows, 1)},
        scale=Scale.of(row.image.image_bytes for row in rows),
        heat=Scale.between(row.image.image_bytes for row in rows if row.runs is not False),
        steps=STEPS,
        findings=_findings(rows),
        engines=engines(comparison),
        platforms=sorted({str(row.image.platform) for row in rows}),
        counts=counts(comparison),
        notes=not_compared(comparison, True),
    )


def render_walkthrough(steps: Sequence[WalkStep], made: Made = Made(), facts: Iterable[tuple[str, str]] = ()) -> str:
    """The twelve steps as a whole page: each with its commands, what they found, and what had been predicted."""
    return _render("walkthrough.html", made, steps=steps, facts=tuple(facts))


def _render(template: str, made: Made, **values: object) -> str:
    style, script = ((_FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    return _environment().get_template(template).render(made=made, style=style, script=script, policy=policy, **values)


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "choice": choice,
        "columns": _columns,
        "command": shown,
        "exact": units.exact,
        "human": units.human,
        "key": id,
        "label": label,
        "ratio": units.ratio,
        "recipe": recipe_of,
        "remark": ran.remark,
        "spans": spans,
        "lines": lambda text: quoted(text, ""),
        "rows": lambda text: text.rstrip("\n").split("\n"),
        "builds": _builds,
    }
    return environment


def _hash(text: str) -> str:
    """Source: Content Security Policy Level 3, "hash-source"."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@dataclass(frozen=True, slots=True)
class _Explained:
    """A code that occurs: what the page of hazards says of it, and the rows that have it, each with its finding."""

    code: str
    level: str
    hazard: Hazard | None
    seen: Sequence[tuple[SizeRow, Finding]]


def _findings(rows: Sequence[SizeRow]) -> list[_Explained]:
    """In the order of the page of hazards."""
    seen: dict[str, list[tuple[SizeRow, Finding]]] = {}
    for row in rows:
        for finding in row.verdict.findings:
            seen.setdefault(finding.code, []).append((row, finding))
    known = hazards()
    codes = [*(code for code in known if code in seen), *(code for code in seen if code not in known)]
    return [_Explained(code, seen[code][0][1].level.value, known.get(code), seen[code]) for code in codes]


def _builds(grid: Grid) -> list[tuple[str, tuple[Command, ...]]]:
    """How the program of each recipe came about; nothing of one that was built elsewhere."""
    built = {recipe_of(row): row.program.build.commands for row in grid.rows}
    return [(recipe, built[recipe]) for recipe in grid.recipes if built[recipe]]


@dataclass(frozen=True, slots=True)
class _Column:
    """Of a step's table: whether it has numbers alone; where these are bytes, the lengths of their bars, too."""

    heading: str
    right: bool = False
    bars: tuple[str, ...] = ()
    scale: str = ""


def _columns(rows: Sequence[Sequence[str]], headings: Sequence[str]) -> list[_Column]:
    return [_column(heading, [row[place] for row in rows]) for place, heading in enumerate(headings)]


def _column(heading: str, cells: Sequence[str]) -> _Column:
    texts = [cell.replace(",", "") for cell in cells]
    numbers = [int(text or 0) for text in texts if not text or text.isdecimal()]
    if len(numbers) < len(texts) or not any(texts):
        return _Column(heading)
    if "bytes" not in heading or len(numbers) < 2:
        return _Column(heading, right=True)
    if max(numbers) < _LINEAR * min(numbers):
        bars, scale = tuple(f"{100 * number / max(numbers):.1f}%" for number in numbers), "from 0"
    else:
        bars, scale = tuple(map(Scale.of(numbers).percent, numbers)), "log scale"
    return _Column(heading, True, bars, scale)


def _visible(value: object) -> object:
    """A text as one line in which nothing is invisible; markup of the template's own as it is."""
    return line(plain(value)) if isinstance(value, str) and not hasattr(value, "__html__") else value
