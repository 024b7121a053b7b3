"""Samples for the tests of this room, and ways to build and run them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from recipes.compile.availability import available
from recipes.compile.build import build
from recipes.compile.recipe import RECIPES
from recipes.model import Command, Platform, Program, Sample
from recipes.samples.reader import load
from recipes.support import shell
from recipes.support.shell import Completed
from recipes.support.workspace import Workspace
from tests.need import need

ROOT = Path(__file__).resolve().parents[2]
OURS = Workspace(ROOT)

HELLO = '#include <cstdio>\nint main() { std::puts("Hello"); }\n'


def write(workspace: Workspace, files: Mapping[str, str], name: str = "app") -> Sample:
    """A sample with these files, by their paths in it."""
    for path, text in files.items():
        file = workspace.samples / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return load(name, workspace)


def make(sample: Sample, recipe: str, workspace: Workspace, *, jobs: int = 1, platform: str = "") -> Program:
    """`build`, or the test ends because the compiler is not there."""
    where = Platform.parse(platform) if platform else Platform.host()
    reason = available(RECIPES[recipe], where, workspace)
    need(reason is None, reason.message if reason else "")
    return build(sample, RECIPES[recipe], where, workspace, jobs=jobs)


def run(binary: Program, *args: str, stdin: bytes = b"") -> Completed:
    return shell.run(Command((str(binary.path), *args)), stdin=stdin, timeout=60)


def output(binary: Program, *args: str, stdin: bytes = b"") -> str:
    done = run(binary, *args, stdin=stdin)
    assert done.exit_code == 0, done.stderr.decode()
    return done.stdout.decode()


BUILD = """\
import sys
from pathlib import Path
from recipes.compile.build import build
from recipes.compile.recipe import RECIPES
from recipes.model import Platform
from recipes.samples.reader import load
from recipes.support.console import saying
from recipes.support.workspace import Workspace
workspace = Workspace(Path(sys.argv[1]))
with saying(verbose=True):
    for name in sys.argv[3:]:
        binary = build(load(name, workspace), RECIPES[sys.argv[2]], Platform.host(), workspace, jobs=2)
        print(binary.sha256, binary.path)
"""


def build_command(workspace: Workspace, recipe: str, *names: str) -> Command:
    """A process of its own that builds these samples, shows its commands, and prints digest and path of each."""
    argv = (sys.executable, "-c", BUILD, str(workspace.root), recipe, *names)
    return Command(argv, env=(("PYTHONPATH", str(ROOT)), ("PYTHONDONTWRITEBYTECODE", "1")))


def bare_environment(**more: str) -> dict[str, str]:
    """Little more than PATH; HOME stays, as that is where zig keeps its libraries."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **more}
