"""Tests of recipes/support/disk_cache.py: kept answers are what asking again would give; damage is not believed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from recipes.compile.finished import take_prebuilt
from recipes.elf.facts import read_elf
from recipes.model import ElfFacts, Finding, Level, Library, Searched, Status, Verdict
from recipes.pipeline import Project, judge_on
from recipes.support.disk_cache import _rules, cached
from recipes.support.workspace import Workspace
from tests.cli import ROOT
from tests.programs import compile_c, image_of

VERDICT = Verdict(
    Status.FAILS,
    (Finding(level=Level.CERTAIN, code="interpreter-missing", evidence="evidence", message="message", fix="fix"),),
    (Library("libc.so.6", None, "/app", (Searched("/lib/libc.so.6", "built-in folder", "no such file"),)),),
)


def never() -> Verdict:
    raise AssertionError("it was asked, although the answer is known")


def test_a_verdict_comes_back_whole(tmp_path: Path) -> None:
    """Findings, libraries and every step of their search are kept, and asking is not needed again."""
    assert cached(tmp_path, "key", lambda: VERDICT, Verdict) == VERDICT
    assert cached(tmp_path, "key", never, Verdict) == VERDICT


def test_another_key_asks_again(tmp_path: Path) -> None:
    """What differs in anything that the answer depends on is another question."""
    cached(tmp_path, {"user": "0"}, lambda: VERDICT, Verdict)
    other = Verdict(Status.RUNS)
    assert cached(tmp_path, {"user": "1"}, lambda: other, Verdict) == other


def test_other_rules_ask_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer holds as long as the files of the rules have the same contents."""
    rules = tmp_path / "rules"
    shutil.copytree(ROOT / "recipes", rules, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("recipes.support.disk_cache._HERE", rules)
    answers = []

    def ask() -> Verdict:
        answers.append(VERDICT)
        return VERDICT

    for change in (b"", b"", b"# another rule\n"):
        with open(rules / "verdict/judge.py", "ab") as file:
            file.write(change)
        _rules.cache_clear()
        cached(tmp_path / "kept", "key", ask, Verdict)
    _rules.cache_clear()
    assert len(answers) == 2


def test_a_damaged_record_is_made_afresh(tmp_path: Path) -> None:
    """Half a record, or one of another shape, is not believed."""
    for damage in (b"", b"{", b"[]", b"null", b'{"status": "runs"}', b"\xff\xfe"):
        cached(tmp_path, "key", lambda: VERDICT, Verdict)
        (record,) = tmp_path.iterdir()
        record.write_bytes(damage)
        assert cached(tmp_path, "key", lambda: VERDICT, Verdict) == VERDICT
        assert record.read_bytes() != damage


def test_facts_of_a_real_program_are_remembered(workspace: Workspace) -> None:
    """What is cached of a file equals what reading it again says."""
    compiled = compile_c(workspace, "int main(void) { return 0; }", "-O1")
    first = take_prebuilt(compiled.sample, compiled.platform, workspace)
    assert first.facts == read_elf(compiled.path)

    def gone() -> ElfFacts:
        raise AssertionError("read again")

    assert cached(workspace.cache / "facts", first.sha256, gone, ElfFacts) == first.facts


def test_a_verdict_belongs_to_its_base(workspace: Workspace) -> None:
    """The same program on another root is judged anew."""
    project = Project.at(workspace.root)
    program = compile_c(workspace, "int main(void) { return 0; }", "-O1")
    facts = program.facts
    on_nothing = judge_on(project, program, image_of(project, program).base)
    root = workspace.root / "root"
    for name in (facts.interpreter or "", *(f"/lib/x86_64-linux-gnu/{needed}" for needed in facts.needed)):
        target = root / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(name).read_bytes())
        target.chmod(0o755)
    on_ours = judge_on(project, program, image_of(project, program, f"rootfs:{root}").base)
    assert (on_nothing.status, on_ours.status) == (Status.FAILS, Status.RUNS)
