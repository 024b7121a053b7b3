"""Tests of `invoke walkthrough`: the whole story with each engine, and what is told where something is missing."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from recipes.model import Command
from recipes.report.walkthrough import render_markdown, render_step, render_summary, shown
from recipes.results import WalkStep
from recipes.support import shell
from recipes.support.printable import painted
from recipes.support.workspace import Workspace
from tests.cli import argv, call, invoke
from tests.fixtures_debian import BASES, Assembled
from tests.need import need_tool

ROOT = Path(__file__).resolve().parents[2]
STEPS = 12


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, assembled: Assembled) -> Path:
    """A project without samples, but with Debian's bases; what one run builds, the next one has."""
    folder = tmp_path_factory.mktemp("story")
    assembled.give(Workspace(folder), *BASES)
    (folder / "tasks.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from recipes.tasks import collection\n\nnamespace = collection(__file__)\n"
    )
    return folder


def answers(text: str) -> dict[int, str]:
    """What the last table of the text says of each step."""
    lines = text[text.rindex("what we did") :].splitlines()
    return {int(line.split(".")[0]): line.split()[-1] for line in lines if re.match(r"\d+\. ", line)}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("engine_name", ["local", "docker"])
def test_every_step_is_done_and_agrees(story: Path, engine_name: str, request: pytest.FixtureRequest) -> None:
    """All twelve steps, without Docker (as the README's command then runs) and with it, come out as predicted."""
    need_tool("g++")
    address = "unix:///none" if engine_name == "local" else request.getfixturevalue("engine")
    variables = {**os.environ, "DOCKER_HOST": address}
    done = shell.run(Command(argv("walkthrough"), cwd=story), environment=variables, timeout=1000)
    text = done.stdout.decode()
    assert answers(text) == dict.fromkeys(range(1, STEPS + 1), "yes"), text
    assert done.exit_code == 0
    assert "/app: error while loading shared libraries: libstdc++.so.6: cannot open" in text
    assert str(story) not in text


@pytest.mark.slow
def test_what_cannot_be_done_is_said(story: Path) -> None:
    """Without a C++ compiler and without bases the steps that need them are not done; nothing is claimed of them."""
    done = invoke(story, "walkthrough", "--engine=local", "--output=story.txt", PATH="/nonexistent")
    assert done.exit_code == 0, done.stderr.decode()
    assert done.stdout == b""
    text = (story / "story.txt").read_text()
    assert "not done: g++ not found" in text
    said = answers(text)
    assert len(said) == STEPS
    assert said[1] == said[3] == "done"  # "not done"
    assert said[11] == "yes"


@pytest.mark.slow
def test_the_page_has_every_step(story: Path) -> None:
    """Also where only some could be done: each has its place, and says how it came out."""
    done = invoke(story, "walkthrough", "--engine=local", "--format=html", "--output=story.html", PATH="/nonexistent")
    assert done.exit_code == 0, done.stderr.decode()
    text = (story / "story.html").read_text()
    assert [int(number) for number in re.findall(r'<h2 id="step-(\d+)">', text)] == list(range(1, STEPS + 1))
    assert "not done: g++ not found" in text
    assert "<dt>engine</dt><dd>local</dd>" in text
    assert str(story) not in text


def test_wrong_options_are_told(tmp_path: Path) -> None:
    """An unknown format is an error before anything is built."""
    assert call(tmp_path, "walkthrough", "--format=pdf").exit_code == 2
    assert list(tmp_path.iterdir()) == []


AGREES = WalkStep(
    number=1,
    title="compile",
    explanation="It is `two` things.",
    did="g++",
    predicted="runs",
    observed="runs",
    agrees=True,
    commands=(Command(("/usr/bin/g++", "-c", "/x/a b.c")),),
)
TABLE = (("file", "bytes"), ("x|y", "3"))
DIFFERS = WalkStep(
    number=2,
    title="link",
    explanation="Why.",
    did="ld",
    predicted="runs",
    observed="a | b",
    agrees=False,
    table=TABLE,
    listing="FROM scratch\n",
)
LEFT_OUT = WalkStep(
    number=3, title="run", explanation="Why.", did="nothing", predicted="", observed="not done: no g++", agrees=None
)


def test_one_step_as_text() -> None:
    """Explanation, commands without folders of this machine, table, file, and the two answers."""
    text, differs, left_out = (painted(render_step(each), colours=False) for each in (AGREES, DIFFERS, LEFT_OUT))
    assert text.startswith("1. compile\n\n   It is `two` things.\n\n   $ g++ -c 'a b.c'\n")
    assert "   predicted  runs\n   observed   runs\n" in text
    assert "   x|y   3" in differs
    assert "   FROM scratch" in differs
    assert "predicted" not in left_out


def test_the_table_at_the_end() -> None:
    """One line per step; a step that does not agree is in capitals, one that was not done says so."""
    assert answers(painted(render_summary((AGREES, DIFFERS, LEFT_OUT)), colours=False)) == {
        1: "yes",
        2: "NO",
        3: "done",
    }


def test_the_document() -> None:
    """Headings, a block for commands and one for a file, tables in which a bar is no column."""
    text = render_markdown((AGREES, DIFFERS, LEFT_OUT))
    assert "## 1. Compile\n" in text
    assert "```sh\ng++ -c 'a b.c'\n```" in text
    assert "```dockerfile\nFROM scratch\n```" in text
    assert r"x\|y" in text
    assert r"a \| b" in text
    assert "- Observed: not done: no g++" in text
    assert shown(Command((sys.executable, "-V"))).split()[0] == Path(sys.executable).name


def test_the_document_in_docs_is_a_run_of_all_steps() -> None:
    """docs/walkthrough.md has every step, all of them agree, and no folder of the machine that it was made on."""
    text = (ROOT / "docs/walkthrough.md").read_text()
    assert [int(number) for number in re.findall(r"^## (\d+)\. ", text, re.MULTILINE)] == list(range(1, STEPS + 1))
    rows = text[text.index("## All steps") :].splitlines()[4:]
    assert [row.strip(" |").rpartition("|")[2].strip() for row in rows] == ["yes"] * STEPS
    assert not re.search(r"/(work|home|root|tmp)/", text)
