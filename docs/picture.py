"""Draws what `compare-sizes` measured as bars: `docs/picture.py sizes.json docs/sizes.svg`, or `make picture`.

The scale is logarithmic, as what is compared differs by four orders of magnitude.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from jinja2 import Environment

from recipes.report.units import human

SMALLEST = 10_000
"""Bytes at which the scale begins."""
WIDTH = 330
"""Of the longest bar, in units of the picture."""

SHOWN = {
    ("gcc-dynamic", "scratch"): "dynamic, on scratch",
    ("gcc-dynamic", "deb-static"): "dynamic, on deb-static",
    ("gcc-dynamic", "deb-slim"): "dynamic, on deb-slim",
    ("gcc-dynamic", "deb-cc"): "dynamic, on deb-cc",
    ("gcc-dynamic", "bundle"): "dynamic, as a bundle",
    ("gcc-static-small", "scratch"): "static with glibc",
    ("zig-static-small", "scratch"): "static with musl",
}
"""Which recipe on which base is drawn, from top to bottom, and under which name."""

TEMPLATE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 {{ height }}" role="img" aria-labelledby="title description">
<title id="title">The same C++ program in {{ rows | length }} images</title>
<desc id="description">{% for row in rows %}{{ row.name }}: {{ row.size }}, {{ row.result }}. {% endfor %}</desc>
<style>
text { font: 15px system-ui, sans-serif; fill: #1f2328 }
.name, .good { font-weight: 600 }
.small { font-size: 13px; fill: #59636e }
.fails { font: 13px ui-monospace, monospace; fill: #b42318 }
.runs-bar { fill: #57606a } .best-bar { fill: #1a7f37 }
.fails-bar { fill: none; stroke: #b42318; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .small { fill: #9198a1 } .fails { fill: #ff7b72 }
.runs-bar { fill: #8b949e } .best-bar { fill: #3fb950 } .fails-bar { stroke: #ff7b72 }
}
</style>
{%- for row in rows %}
<text x="196" y="{{ row.y + 19 }}" text-anchor="end">{{ row.name }}</text>
<rect class="{{ row.kind }}-bar" x="208" y="{{ row.y + 4 }}" width="{{ row.width }}" height="20" rx="2"/>
<text class="{{ 'good' if row.kind == 'best' }}" x="{{ 216 + row.width }}" y="{{ row.y + 19 }}">{{ row.size }}
{%- if row.kind == 'fails' %} <tspan class="fails" dx="6">{{ row.result }}</tspan>{% endif %}</text>
{%- endfor %}
<text class="small" x="208" y="{{ height - 8 }}">bytes of all files in the image, on a logarithmic scale</text>
</svg>
"""


def draw(rows: list[dict[str, Any]]) -> str:
    """An SVG picture of the rows in SHOWN, which are as `docs/schema/comparison.json` describes them."""
    found = {(row["recipe"], row["base"]): row for row in rows}
    shown = [(found[cell], name) for cell, name in SHOWN.items()]
    best = min((row for row, _ in shown if row["runs"]), key=lambda row: row["image_bytes"])
    full = math.log(max(row["image_bytes"] for row, _ in shown) / SMALLEST)
    return (
        Environment(autoescape=True)
        .from_string(TEMPLATE)
        .render(
            height=len(shown) * 32 + 32,
            rows=[
                {
                    "name": name,
                    "kind": "best" if row is best else "runs" if row["runs"] else "fails",
                    "result": "runs" if row["runs"] else row["reason"],
                    "size": human(row["image_bytes"]),
                    "width": round(WIDTH * math.log(row["image_bytes"] / SMALLEST) / full),
                    "y": 32 * place + 4,
                }
                for place, (row, name) in enumerate(shown)
            ],
        )
    )


def main(source: str, target: str) -> None:
    document = json.loads(Path(source).read_text(encoding="utf-8"))
    Path(target).write_text(draw(document["rows"]), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
