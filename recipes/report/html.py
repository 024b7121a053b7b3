"""The comparison as one HTML page that needs nothing else: no script, no font, no address.

The only importer of Jinja. Its template, `comparison.html`, escapes every value by itself.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from recipes.model import Comparison
from recipes.report import units
from recipes.report.ran import remark
from recipes.report.table import arrange, label, not_compared, smallest
from recipes.support.printable import line, plain


def render_page(comparison: Comparison, sort: str = "image") -> str:
    """A whole page; exact bytes appear when the pointer rests on a size."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "exact": units.exact,
        "human": units.human,
        "ratio": units.ratio,
        "remark": remark,
        "label": partial(label, comparison=comparison),
        "smallest": partial(smallest, comparison=comparison),
    }
    page = environment.get_template("comparison.html")
    return page.render(groups=arrange(comparison.rows, sort), notes=not_compared(comparison, True))


def _visible(value: object) -> object:
    """A text as one line in which nothing is invisible; markup of the template's own as it is."""
    return line(plain(value)) if isinstance(value, str) and not hasattr(value, "__html__") else value
