"""Make: the compiler on its command line, where a Makefile's own choice does not count.

Source: GNU make manual, "Overriding Variables". CFLAGS is not overridden: a project's own -I and -D would be lost.
"""

from __future__ import annotations

from recipes.compile import wrapper
from recipes.compile.buildtools import require
from recipes.compile.plan import Step
from recipes.compile.product import Product
from recipes.compile.project import Site


def steps(site: Site) -> tuple[tuple[Step, ...], Product]:
    """Built in the copy itself. Raises: ToolMissing."""
    return (run(site, *site.sample.options),), site.product(site.source)


def run(site: Site, *words: str) -> Step:
    """The build itself; `words` may set variables and name goals."""
    make = require("make", site.sample.name)
    tools = (f"CC={wrapper.CC}", f"CXX={wrapper.CXX}")
    return site.run("build", site.source, make, *tools, *words, output=site.source, inputs=(make,))
