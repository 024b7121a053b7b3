"""Make: the compiler on its command line, where a Makefile's own choice does not count.

Source: GNU make manual, "Overriding Variables". CFLAGS is not overridden: a project's own -I and -D would be lost.
"""

from __future__ import annotations

from recipes.compile.context import BuildContext
from recipes.compile.step import Step
from recipes.compile.systems import project, wrapper
from recipes.compile.systems.buildtools import require
from recipes.compile.systems.protocol import PlannedSteps


def steps(context: BuildContext) -> PlannedSteps:
    """Built in the copy itself. Raises: ToolMissing, BadInput."""
    return project.planned(
        context, [run(context, *context.sample.options)], project.product_in(context, context.source)
    )


def run(context: BuildContext, *words: str) -> Step:
    """The build itself; `words` may set variables and name goals."""
    make = require("make", context.sample.name)
    tools = (f"CC={wrapper.CC}", f"CXX={wrapper.CXX}")
    return project.run(context, "build", context.source, make, *tools, *words, output=context.source, inputs=(make,))
