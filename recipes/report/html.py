"""The comparison as one HTML page that needs nothing else: no script, no font, no address."""

from __future__ import annotations

import html

from recipes.model import Comparison, SizeRow
from recipes.report.table import arrange, label, not_compared, smallest
from recipes.report.units import exact, human, ratio
from recipes.support.printable import line, plain

_STYLE = """
:root { color-scheme: light dark; --bar: #2a78d6; }
* { --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 0 0 2.5rem; }
th, td { text-align: left; padding: .3rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; font-size: .85em; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.best td { font-weight: 600; } .no { color: #c43c30; } .quiet { opacity: .7; font-size: .9em; }
.bar { height: .55rem; background: var(--bar); border-radius: 2px; min-width: 1px; }
td.size { width: 14rem; } h2 { margin: 0 0 .5rem; } .scroll { overflow-x: auto; }
"""

_HEADERS = ("recipe", "linkage", "base", "runs?", "binary", "image", "", "download", "overhead", "ratio")
_NUMBERS = {"binary", "image", "download", "overhead", "ratio"}

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""A second wall behind the escaping: nothing is fetched or run, whatever the page says."""


def render_page(comparison: Comparison, sort: str = "image") -> str:
    """A whole page; exact bytes appear when the pointer rests on a size."""
    sections = "\n".join(_section(group, label(group[0], comparison)) for group in arrange(comparison.rows, sort))
    notes = "".join(f"<p class='quiet'>{_escape(each)}</p>" for each in not_compared(comparison, True))
    return (
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>What each base image costs</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>What each base image costs</h1>\n{sections}\n{notes}\n</body>\n</html>\n"
    )


def _section(group: list[SizeRow], title: str) -> str:
    best, largest = smallest(group), max(row.image.image_bytes for row in group)
    headers = "".join(f"<th{' class=number' if name in _NUMBERS else ''}>{name}</th>" for name in _HEADERS)
    rows = "\n".join(_row(row, best, largest) for row in group)
    return (
        f"<section>\n<h2>{_escape(title)}</h2>\n<div class='scroll'>\n<table>\n"
        f"<thead><tr>{headers}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>\n</section>"
    )


def _row(row: SizeRow, best: SizeRow | None, largest: int) -> str:
    image = row.image
    width = 100 * image.image_bytes / largest if largest else 0
    unit = best.image.image_bytes if best else 0
    cells = [
        f"<td>{_escape(row.program.build.recipe or 'prebuilt')}</td>",
        f"<td>{_escape(row.program.facts.linkage)}</td>",
        f"<td>{_escape(image.base.name)}</td>",
        _answer(row),
        _size(row.program.size),
        _size(image.image_bytes),
        f"<td class='size'><div class='bar' style='width:{width:.1f}%'></div></td>",
        _size(image.download_bytes),
        _size(image.overhead_bytes),
        f"<td class='number'>{ratio(image.image_bytes, unit)}</td>",
    ]
    return f"<tr{' class=best' if row is best else ''}>{''.join(cells)}</tr>"


def _answer(row: SizeRow) -> str:
    seen = "" if row.observed is not None else " <span class='quiet'>(predicted)</span>"
    wrong = " <strong class='no'>wrongly predicted</strong>" if row.disagrees else ""
    if row.runs is None:
        return "<td>unknown</td>"
    if row.runs:
        return f"<td>yes{seen}{wrong}</td>"
    return f"<td><span class='no'>no</span>{seen}{wrong}<br><span class='quiet'>{_escape(row.reason)}</span></td>"


def _escape(value: str) -> str:
    return html.escape(line(plain(value)))


def _size(size: int) -> str:
    return f"<td class='number' title='{exact(size)}'>{human(size)}</td>"
