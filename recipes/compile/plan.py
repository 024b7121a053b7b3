"""From a sample and a recipe to the commands that build it. Nothing is run here."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.compile.product import Product
from recipes.compile.recipe import Recipe
from recipes.compile.toolchain import Toolchain, require
from recipes.model import Command, Environment, Platform, Sample
from recipes.support.printable import shell_word
from recipes.support.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Step:
    """One command, what it reads and what it leaves behind. All paths but those in the argv are absolute.

    `inputs` are known beforehand; the others are in `depfile` afterwards. `made` are inputs that earlier steps make.
    `names` are files whose coming or going changes the result even where no content does. Steps of the same `stage`
    can run side by side.
    """

    title: str
    command: Command
    output: Path
    stage: int = 0
    inputs: tuple[Path, ...] = ()
    made: tuple[Path, ...] = ()
    names: tuple[str, ...] = ()
    depfile: Path | None = None
    linker_map: Path | None = None
    map_on_stdout: bool = False
    links: bool = False
    is_folder: bool = False
    """It only makes the folder `output`, so that what follows can be pasted."""
    text: str | None = None
    """It writes this into the file `output`, which the steps after it read; an executable one where it is a script."""
    moves: bool = False
    """What it reads may be another the next time, and only it can tell: it is done each time."""
    remark: str = ""
    """What the user is told when it is done."""
    pace: str = ""
    """The word that says how much the command does at once: no part of what it makes."""
    product: Product | None = None
    """It copies the program that is found when the steps before it are done; its command names it only then."""

    @property
    def pasted(self) -> str:
        """The step as it can be pasted into a shell."""
        if self.text is None:
            return str(self.command)
        name = shell_word(str(self.output))
        made_executable = f"\nchmod +x -- {name}" if self.is_script else ""
        return f"cat > {name} <<'END OF FILE'\n{self.text}END OF FILE{made_executable}"

    @property
    def is_script(self) -> bool:
        return self.text is not None and self.text.startswith("#!")


def write_step(path: Path, text: str) -> Step:
    """The step that writes `text` into the file `path`."""
    return Step(f"write {path.name}", Command(("tee", "--", str(path))), path, text=text)


@dataclass(frozen=True, slots=True)
class Plan:
    """The ordered steps that build `sample`. The last one's output is the program.

    `unset` are the words before each argv that keep the caller's environment from changing the result.
    """

    sample: Sample
    recipe: Recipe
    platform: Platform
    toolchain: Toolchain
    work: Path
    steps: tuple[Step, ...]
    unset: tuple[str, ...] = ()
    environment_only: frozenset[str] = frozenset()
    """Variables that say where a compiler keeps its own cache: no part of what is built."""
    whole: bool = False
    """Its steps are carried out all or not at all: only the last one's output outlives them."""

    @property
    def commands(self) -> tuple[Command, ...]:
        return tuple(step.command for step in self.steps if not step.is_folder and step.text is None)


def plan(sample: Sample, recipe: Recipe, platform: Platform, workspace: Workspace, jobs: int = 0) -> Plan:
    """The commands that build `sample`, in order, each as it can be pasted into a shell.

    A build system does `jobs` things at once; 0: one for each processor.
    Raises: ToolMissing.
    """

    toolchain = require(recipe, platform, workspace, _go_wanted(sample))
    work = cell(sample, recipe.name, platform, workspace)
    folder = Step("make the folder", Command(("mkdir", "-p", "--", str(work))), work, stage=-1, is_folder=True)
    if sample.build not in ("sources", "go"):
        from recipes.compile import project

        jobs = jobs or len(os.sched_getaffinity(0))
        unset = project.environment(toolchain, workspace, jobs)
        steps = project.steps(sample, recipe, platform, toolchain, work, unset, jobs)
        return Plan(sample, recipe, platform, toolchain, work, (folder, *steps), unset, whole=True)
    unset = leaks()
    planner: Any  # two modules with the same functions
    if recipe.language == "go":
        from recipes.compile import go as planner
    else:
        from recipes.compile import cpp as planner
    caches = planner.cache_folders(toolchain, workspace)
    env: Environment = (*planner.environment(recipe, platform, toolchain), *caches)
    steps = planner.steps(sample, recipe, platform, toolchain, work, unset, env)
    names = frozenset(name for name, _ in caches)
    return Plan(sample, recipe, platform, toolchain, work, (folder, *steps), unset, names, whole=bool(sample.module))


def _go_wanted(sample: Sample) -> str:
    if sample.language != "go":
        return ""
    from recipes.compile.go import version_wanted

    return version_wanted(sample)


def cell(sample: Sample, recipe: str, platform: Platform, workspace: Workspace) -> Path:
    """Where this combination is built: always the same place, and no other combination's."""
    return sample_folder(workspace.build / "work", sample, workspace) / recipe / str(platform).replace("/", "-")


def built_in(work: Path) -> Path:
    """The whole build folder, from a cell in it: what is made there is not an input of any build."""
    return work.parents[3]


def sample_folder(parent: Path, sample: Sample, workspace: Workspace) -> Path:
    own = sample.folder == workspace.samples / sample.name
    return parent / slug(sample.name, "" if own else f"{os.fspath(sample.folder)}{sample.module}")


def slug(text: str, salt: str = "") -> str:
    """A plain file name for any text; another one for every other text (and `salt`)."""
    plain = re.sub(r"[^A-Za-z0-9._+-]", "_", text)[:60].lstrip("-.") or "_"
    if plain == text and not salt:
        return plain
    return f"{plain}-{hashlib.sha256(os.fsencode(text) + b'/' + os.fsencode(salt)).hexdigest()[:10]}"


_LEAKS = frozenset(
    {
        # gcc, clang and GNU ld
        *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX"),
        *("GCC_COMPARE_DEBUG", "DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "LD_RUN_PATH", "GNUTARGET", "LDEMULATION"),
        *("CCC_OVERRIDE_OPTIONS", "CCC_ADD_ARGS"),
        # zig
        *("ZIG_LIB_DIR", "ZIG_LIBC", "ZIG_LOCAL_CACHE_DIR"),
        # go
        *("GOROOT", "GOEXPERIMENT", "GOFIPS140", "GODEBUG", "GOENV", "GO_EXTLINK_ENABLED", "GO_LDSO", "AR", "CXX"),
        *("CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS", "CGO_CFLAGS_ALLOW", "CGO_LDFLAGS_ALLOW"),
        *("CGO_CFLAGS_DISALLOW", "CGO_LDFLAGS_DISALLOW", "PKG_CONFIG", "GOBIN"),
    }
)


def leaks() -> tuple[str, ...]:
    """`env -u NAME …` for those variables of the caller's that would change what a compiler makes; mostly ()."""
    present = sorted(_LEAKS & os.environ.keys())
    return ("env", *(word for name in present for word in ("-u", name))) if present else ()


def source_date() -> tuple[str, str]:
    """What `__DATE__` and `__TIME__` become. Source: reproducible-builds.org, "SOURCE_DATE_EPOCH"."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    return ("SOURCE_DATE_EPOCH", given if given.isdecimal() else "0")


def usable(folder: str | None) -> bool:
    """Whether files can be made in `folder`, or it can be made."""
    if not folder or not os.path.isabs(folder):
        return False
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
