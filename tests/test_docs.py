"""The documentation is true: its commands run, its links lead somewhere, its codes are the code's."""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from recipes import errors
from recipes.model import Command
from recipes.support import shell
from recipes.support.shell import Completed
from recipes.support.workspace import Workspace
from recipes.verdict.hazards import RULES
from recipes.verdict.startup import LOADER_CODES
from tests.fixtures_debian import BASES, Assembled, link_or_copy
from tests.need import need
from tests.shown import differences

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
README = ROOT / "README.md"
WITH_COMMANDS = (README, ROOT / "docs/guide.md")
"""The pages whose commands are run."""

NOT_RUN = {
    "make test": "these tests are part of it",
    "fromscratch walkthrough": "tests/workflows/test_walkthrough.py runs it, and looks at what it says",
    "uvx --from . fromscratch smallest /bin/ls": "tests/tasks/test_program.py does, without what is installed here",
}
"""Commands of these pages that are not run here, and why."""

COMMAND = "command"
INSTALLED = f"""\
#!{sys.executable}
import sys
sys.path.insert(0, ".")
from recipes.tasks.program import main
main()
"""
"""What an installation puts on PATH, but for the place of the package: here it is the clone where a command is run."""


FROM_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARGS", "SAMPLE", "TARGET")
"""What make tells the commands that it runs, these tests among them: its options, and what our Makefile exports."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for match in re.finditer(r"^```(\w*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def commands(block: Block) -> list[str]:
    """The command lines of an `sh` block, or those after `$ ` of a `console` block; `\\` continues a line."""
    text = block.text.replace("\\\n", " ")
    if block.language == "console":
        lines = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    else:
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [re.sub(r"\s+#\s.*$", "", line).strip() for line in lines]


@dataclass(frozen=True, slots=True)
class Example:
    """A command of a page, how it promises to end (`# exit code N` behind it), and what is shown of its output."""

    command: str
    exit_code: int
    shown: str


def examples(block: Block) -> list[Example]:
    found = []
    for line in commands(block):
        promised = re.search(rf"{re.escape(line)}\s+#.*exit code (\d+)", block.text)
        shown = block.text.partition("\n")[2] if block.language == "console" else ""
        found.append(Example(line, int(promised[1]) if promised else 0, shown))
    return found


EXAMPLES = {
    example.command: example
    for page in WITH_COMMANDS
    for block in blocks(page)
    if block.language in ("sh", "console")
    for example in examples(block)
}


def test_the_readme_has_commands() -> None:
    """The two commands that the project stands for are in the README, and each that is left out below is on a page."""
    assert {"make compare-sizes", *NOT_RUN} <= set(EXAMPLES)
    assert sum(bool(example.shown) for example in EXAMPLES.values()) >= 5


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [
        ("image  1.36 MB\n", "image   1.40 MB\n", True),
        ("image  1.36 MB\n", "image  13.6 MB\n", False),
        ("image  1.36 MB\n", "image  1.36 kB\n", False),
        ("run  (0.004 s)\n…\n", "run  (0.9 s)\n  ls\n", True),
        ("digest  sha256:1f\nruns\n", "digest  sha256:2e\nfails\n", False),
        ("recipe  gcc (g++ 12.2.0)\n", "recipe  gcc (g++ 14.1.0)\n", True),
        ("a\n", "a\nb\n", False),
    ],
)
def test_outputs_are_compared(shown: str, output: str, same: bool) -> None:
    """Other sums, times and widths are the same; another word, unit or line, or a number far away, is not."""
    assert (not differences(shown, output)) is same


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, assembled: Assembled) -> Path:
    """The project as a clone has it, with the environment and what has been built so far, so as not to do it twice."""
    folder = tmp_path_factory.mktemp("clone") / "fromscratch"
    mine = shutil.ignore_patterns("build", ".venv", ".git", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, folder, ignore=mine, symlinks=True)
    (folder / ".venv").symlink_to(sys.prefix)
    installed = folder.parent / COMMAND / "fromscratch"
    installed.parent.mkdir()
    installed.write_text(INSTALLED)
    installed.chmod(0o755)
    # The link must count as set up: make would otherwise clear the environment behind it.
    for stamp in (".runtime", ".dev"):
        need((folder / ".venv" / stamp).exists(), "an environment made by make")
    for lock in folder.glob("*.lock"):
        os.utime(lock, (0, 0))
    if (ROOT / "build").is_dir():
        # Hard links: the files of the store and the cache never change once they are there.
        parts = [name for name in ("bases", "cache", "images") if (ROOT / "build" / name).is_dir()]
        (folder / "build").mkdir()
        for name in parts:
            shutil.copytree(ROOT / "build" / name, folder / "build" / name, copy_function=link_or_copy, symlinks=True)
    assembled.give(Workspace(folder), *BASES)
    return folder


def paste(command: str, folder: Path) -> Completed:
    """Run the command as from a reader's shell in `folder`, with the environment of the project on PATH."""
    path = os.pathsep.join(map(str, (folder.parent / COMMAND, Path(sys.prefix) / "bin", os.environ["PATH"])))
    # A clone's modules are compiled by the first command, unless these tests were told to keep nothing of the kind.
    mine = (*FROM_MAKE, "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if name not in mine}
    # The pages show what the local engine has done.
    environment = {**kept, "PATH": path, "DOCKER_HOST": "unix:///no/such.sock"}
    return shell.run(Command(("sh", "-c", command), cwd=folder), environment=environment, timeout=1400)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("command", [command for command in EXAMPLES if command not in NOT_RUN])
def test_every_command_of_the_pages_runs(command: str, copy: Path) -> None:
    """Pasted into a shell in a clone, with the environment on PATH, it ends as promised and prints what is shown."""
    example = EXAMPLES[command]
    done = paste(command, copy)
    assert done.exit_code == example.exit_code, done.stderr.decode(errors="replace")[-4000:]
    if example.shown:
        assert differences(example.shown, done.stdout.decode()) == []


@pytest.mark.slow
def test_what_make_was_given_is_for_that_make(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make test ARGS=…` gives its tests ARGS in three ways; a command of the README that calls make sees none."""
    for name, value in {
        "MAKEFLAGS": " -- ARGS=--nonsense",
        "MAKEOVERRIDES": "${-*-command-variables-*-}",
        "ARGS": "--nonsense",
    }.items():
        monkeypatch.setenv(name, value)
    done = paste("make doctor", copy)
    assert done.exit_code == 0, done.stderr.decode(errors="replace")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link or picture of a page is a file here, and its #fragment is a heading there."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), f"{page.name} links to {target}"
        if fragment and file.suffix == ".md":
            assert fragment in anchors(file), f"{page.name} links to {target}"


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_files_that_are_named_exist() -> None:
    """A `recipes/…`, `tests/…`, `docs/…` or `samples/…` path that a page names in code style is there."""
    named = {
        (page.name, name)
        for page in PAGES
        for name in re.findall(r"`((?:recipes|tests|docs|samples)/[\w./-]*[\w/])`", page.read_text(encoding="utf-8"))
    }
    assert named
    assert not [(page, name) for page, name in named if not (ROOT / name).exists()]


def codes_of_findings() -> set[str]:
    """Every code that a finding can have: those of the tables of rules, and those written into a call."""
    found = {rule.code for rule in RULES} | {code for code, _ in LOADER_CODES.values()}
    for path in [*(ROOT / "recipes/verdict").glob("*.py"), *(ROOT / "recipes/loader").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_bytes())):
            values: list[ast.expr] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                values = node.args[:1] if node.func.id == "fails" else []
                if node.func.id == "Finding":
                    values = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "(code, fix)":
                values = node.value.elts[:1] if isinstance(node.value, ast.Tuple) else []
            found |= {
                value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)
            }
    return found


def test_every_hazard_is_documented() -> None:
    """docs/hazards.md has the codes that the code has: all of them, and no others."""
    page = (ROOT / "docs/hazards.md").read_text(encoding="utf-8")
    documented = re.findall(r"^### `([a-z0-9-]+)`", page, re.MULTILINE)
    assert len(set(documented)) == len(documented)
    assert set(documented) == codes_of_findings()


def test_every_exit_code_is_documented() -> None:
    """The table of exit codes has those of the error tree."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RecipeError)]
    codes = {kind.exit_code for kind in kinds}
    page = (ROOT / "docs/interface.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| *(\d+) *\|", page, re.MULTILINE)
    assert codes <= {int(row) for row in rows}
