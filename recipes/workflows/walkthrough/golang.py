"""The step about Go: static without trying, and two ways in which it silently is not."""

from __future__ import annotations

import dataclasses

from recipes.compile.recipe import RECIPES
from recipes.errors import RecipeError
from recipes.workflows.walkthrough.stage import Stage
from recipes.workflows.walkthrough.step import Found, agree, told

_PIE = dataclasses.replace(
    RECIPES["go-static"],
    name="go-pie",
    static=False,
    build_flags=(*RECIPES["go-static"].build_flags, "-buildmode=pie"),
)
_WAYS = (
    ("fmt alone, cgo off", "hello-go", RECIPES["go-static"]),
    ("fmt alone, cgo on", "hello-go", RECIPES["go-dynamic"]),
    ("os/user, cgo off", "user-go", RECIPES["go-static"]),
    ("os/user, cgo on", "user-go", RECIPES["go-dynamic"]),
    ("fmt alone, -buildmode=pie", "hello-go", _PIE),
)


@told("Go")
def go(stage: Stage) -> Found:
    """Go links its own runtime in, so most of its programs are static without a flag. Two things change that without a
    word. With cgo on, which is the default where a C compiler is found, the packages net and os/user use the C
    library. And `-buildmode=pie` makes a program that needs no library and still names a loader."""
    rows: list[tuple[str, ...]] = [("program", "linkage", "bytes", "predicted on scratch", "observed")]
    answers: list[bool | None] = []
    predicted, observed = [], []
    for what, name, recipe in _WAYS:
        try:
            program = stage.build(name, recipe)
        except RecipeError as error:
            rows.append((what, f"not built: {error.message}", "", "", ""))
            answers.append(None)
            continue
        trial = stage.try_on(program, stage.base("scratch"))
        rows.append((what, str(program.facts.linkage), f"{program.size:,}", trial.predicted, trial.observed))
        answers.append(trial.agrees)
        predicted += [what] if trial.predicted != "runs" else []
        observed += [what] if trial.observed != "runs" else []
    return Found(
        did=f"{len(_WAYS)} builds, each on scratch",
        predicted=_failing(predicted),
        observed=_failing(observed),
        agrees=agree(answers),
        table=rows,
    )


def _failing(programs: list[str]) -> str:
    return f"do not run: {'; '.join(programs)}" if programs else "all run"
