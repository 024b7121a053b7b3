"""The step about size: what each way to make a static program smaller buys, measured one after the other."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from recipes import pipeline
from recipes.compile.recipe import RECIPES, Recipe
from recipes.errors import RecipeError
from recipes.workflows.walkthrough.stage import GREETING, Stage
from recipes.workflows.walkthrough.step import Found, agree, told

_SECTIONS = ("-ffunction-sections", "-fdata-sections")
_PADDING = ("-Wl,-z,noseparate-code", "-Wl,--build-id=none")


def _gcc(name: str, compile_flags: tuple[str, ...], link_flags: tuple[str, ...]) -> Recipe:
    return replace(
        RECIPES["gcc-static"], name=f"shrink-{name}", compile_flags=compile_flags, link_flags=link_flags, rank=None
    )


_STEPS = (
    ("-static", RECIPES["gcc-static"]),
    ("strip: no symbols (-s)", _gcc("strip", ("-O2",), ("-static", "-s"))),
    ("for size (-Os)", _gcc("size", ("-Os",), ("-static", "-s"))),
    (
        "unused sections away (--gc-sections)",
        _gcc("sections", ("-Os", *_SECTIONS), ("-static", "-s", "-Wl,--gc-sections")),
    ),
    (
        "no padding, no build ID",
        _gcc("padding", ("-Os", *_SECTIONS), ("-static", "-s", "-Wl,--gc-sections", *_PADDING)),
    ),
    ("LTO (gcc-static-small)", RECIPES["gcc-static-small"]),
    ("musl and libc++ (zig-static-small)", RECIPES["zig-static-small"]),
)


@told("smaller still")
def smaller(stage: Stage) -> Found:
    """Each step on top of the one before. Most of a static hello is the C++ library's streams and locales, which a C
    library written for static linking, and a C++ library that lets go of what is not used, carry less of. A step
    that buys nothing here may buy much in a larger program."""
    rows: list[tuple[str, ...]] = [("step", "bytes", "saves")]
    answers: list[bool | None] = []
    sizes: list[int] = []
    for what, recipe in _STEPS:
        try:
            program = stage.build("hello", recipe)
        except RecipeError as error:
            rows.append((what, "", f"not done: {error.message}"))
            answers.append(None)
            continue
        rows.append((what, f"{program.size:,}", f"{sizes[-1] - program.size:,}" if sizes else ""))
        sizes.append(program.size)
        image = pipeline.make_image(stage.project, program, stage.base("scratch"))
        outcome = stage.engine.run(image)
        answers.append(outcome.meets(stage.sample("hello").expect) if outcome.stdout == GREETING else None)
    first, last = (sizes[0], sizes[-1]) if sizes else (0, 0)
    return Found(
        did=f"{len(sizes)} builds of hello, each one run",
        predicted="each is no larger than the one before, and prints the same",
        observed=f"from {first:,} to {last:,} bytes" + (f", {last / first:.0%}" if first else ""),
        agrees=agree((*answers, all(after <= before for before, after in pairwise(sizes)))),
        table=rows,
    )
