"""fromscratch: the smallest container image that will really run a C++ or Go program.

    Sample ──recipe──▶ Command… ──run──▶ Program (file, build, facts) ─┐
                                            │                          ├─judge─▶ Verdict ──┐
    BaseImage ◀── registry · engine · …     │        RootFs ◀─ layers ─┘                   ├─▶ SizeRow ──▶ report
        │                                   │                                              │
        └─────────────── + ─────────────────┴──assemble──▶ Image ──run──▶ RunOutcome ──────┘

One room per stage, in the order of the pipeline: `samples`, `compile`, `elf`, `rootfs`, `loader`, `verdict`, `oci`,
`package`, `registry`, `bases`, `run`, `gate`, `report`. `model` holds the values that flow between them, `pipeline`
connects them for one program, `workflows` uses it for more, `tasks` is what a user calls, and `support` is what all may
use.

The names of `__all__` are the public API; each is loaded when it is first asked for, so `import recipes` costs nothing.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False  # as type checkers know it; the module `typing` takes longer to load than all of this
if TYPE_CHECKING:
    from recipes.bases.resolve import resolve as resolve_base
    from recipes.compile.recipe import RECIPES, Recipe
    from recipes.elf.facts import read_elf
    from recipes.errors import (
        BadInput,
        CannotWrite,
        CommandFailed,
        GateFailed,
        RecipeError,
        ToolMissing,
        Unavailable,
    )
    from recipes.model import (
        BaseImage,
        ElfFacts,
        Finding,
        Image,
        Platform,
        Program,
        RunOutcome,
        Sample,
        SizeRow,
        Verdict,
    )
    from recipes.oci.archive import export
    from recipes.pipeline import (
        Project,
        build_program,
        build_static,
        judge_on,
        package_and_run,
        take_program,
        try_run,
    )
    from recipes.pipeline import package as package_image
    from recipes.registry.push import push
    from recipes.samples.reader import load as load_sample

__all__ = [
    "RECIPES",
    "BadInput",
    "BaseImage",
    "CannotWrite",
    "CommandFailed",
    "ElfFacts",
    "Finding",
    "GateFailed",
    "Image",
    "Platform",
    "Program",
    "Project",
    "Recipe",
    "RecipeError",
    "RunOutcome",
    "Sample",
    "SizeRow",
    "ToolMissing",
    "Unavailable",
    "Verdict",
    "build_program",
    "build_static",
    "export",
    "judge_on",
    "load_sample",
    "package_and_run",
    "package_image",
    "push",
    "read_elf",
    "resolve_base",
    "take_program",
    "try_run",
]

_HOMES = {
    "resolve_base": "recipes.bases.resolve:resolve",
    "RECIPES": "recipes.compile.recipe:RECIPES",
    "Recipe": "recipes.compile.recipe:Recipe",
    "read_elf": "recipes.elf.facts:read_elf",
    "BadInput": "recipes.errors:BadInput",
    "CannotWrite": "recipes.errors:CannotWrite",
    "CommandFailed": "recipes.errors:CommandFailed",
    "GateFailed": "recipes.errors:GateFailed",
    "RecipeError": "recipes.errors:RecipeError",
    "ToolMissing": "recipes.errors:ToolMissing",
    "Unavailable": "recipes.errors:Unavailable",
    "BaseImage": "recipes.model:BaseImage",
    "Program": "recipes.model:Program",
    "ElfFacts": "recipes.model:ElfFacts",
    "Finding": "recipes.model:Finding",
    "Image": "recipes.model:Image",
    "Platform": "recipes.model:Platform",
    "RunOutcome": "recipes.model:RunOutcome",
    "Sample": "recipes.model:Sample",
    "SizeRow": "recipes.model:SizeRow",
    "Verdict": "recipes.model:Verdict",
    "export": "recipes.oci.archive:export",
    "Project": "recipes.pipeline:Project",
    "build_program": "recipes.pipeline:build_program",
    "build_static": "recipes.pipeline:build_static",
    "judge_on": "recipes.pipeline:judge_on",
    "package_and_run": "recipes.pipeline:package_and_run",
    "take_program": "recipes.pipeline:take_program",
    "try_run": "recipes.pipeline:try_run",
    "package_image": "recipes.pipeline:package",
    "push": "recipes.registry.push:push",
    "load_sample": "recipes.samples.reader:load",
}


def __getattr__(name: str) -> object:
    """A name of `__all__`, from where it is made. Source: PEP 562."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, _, attribute = _HOMES[name].partition(":")
    value: object = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
