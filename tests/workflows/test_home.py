"""Tests of "as at home": what of two runs is compared, and what is said where they differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recipes.model import RunOutcome, RunStatus
from recipes.workflows.home import difference
from tests.cli import HELLO, add, call, error
from tests.schemas import read
from tests.workflows.test_bundle import compile_to

NAMES = ("/app", "app", "/usr/bin/tool", "tool")
STOPPED = RunOutcome("local", RunStatus.STOPPED, timed_out=True)


def exited(stdout: str = "", code: int = 0, *, stderr: str = "") -> RunOutcome:
    return RunOutcome("local", RunStatus.EXITED, exit_code=code, stdout=stdout, stderr=stderr)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("at 14:52:44.123\n", "at 09:01:02\n"),
        ("took 12 ms\n", "took 1.5 s\n"),
        ("1764082364 now\n", "1764082999.25 now\n"),
        ("at 0x7ff9a6216040\n", "at 0x55d0c0ffee\n"),
        ("usage: /app [x]\napp: no file\n", "usage: /usr/bin/tool [x]\ntool: no file\n"),
        ("an app for all\n", "an app for all\n"),
    ],
)
def test_what_differs_from_run_to_run_is_no_difference(ours: str, theirs: str) -> None:
    """Times, durations, addresses and what the program is called are left aside."""
    assert difference(exited(ours), exited(theirs), NAMES) == ""
    assert difference(exited(stderr=ours), exited(stderr=theirs), NAMES) == ""


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (exited("a\nb\n"), exited("a\nc\n"), "line 2 of stdout is 'b', at home 'c'"),
        (exited("a\n"), exited("a\nc\n"), "line 2 of stdout is missing, at home 'c'"),
        (exited("version 2\n"), exited("version 3\n"), "line 1 of stdout is 'version 2', at home 'version 3'"),
        (exited("tools\n"), exited("apps\n"), "line 1 of stdout is 'tools', at home 'apps'"),
        (exited("in 0x1f\n"), exited("in 0x2f\n"), "line 1 of stdout is 'in 0x1f', at home 'in 0x2f'"),
        (exited("x" * 99), exited(), f"line 1 of stdout is '{'x' * 59}…', at home missing"),
        (exited("a\n", stderr="b\n"), exited("a\n"), "line 1 of stderr is 'b', at home missing"),
        (exited("a\n", stderr="b\n"), exited("c\n"), "line 1 of stdout is 'a', at home 'c'"),
        (exited("a", 1), exited("b"), "exit code 1, at home exit code 0"),
        (exited(code=139), STOPPED, "exit code 139 (SIGSEGV), at home still running"),
        (replace(STOPPED, listens=("80/tcp",)), STOPPED, "it listens on 80/tcp, at home on no port"),
    ],
)
def test_one_line_says_what_differs(ours: RunOutcome, theirs: RunOutcome, said: str) -> None:
    """The ending first, then ports, then the first line of stdout, and then of stderr, that is another one."""
    assert difference(ours, theirs, NAMES) == said


def test_of_programs_that_go_on_what_both_wrote_is_compared() -> None:
    """One of them had the time to write more."""
    assert difference(replace(STOPPED, stdout="a\nb\nc\nd\n"), replace(STOPPED, stdout="a\nb\nxy")) == ""
    assert difference(replace(STOPPED, stdout="a\nb\nc\nd\n"), replace(STOPPED, stdout="a\nx\ny\nz\n")) != ""
    assert difference(replace(STOPPED, stderr="a\nb\nc\n"), replace(STOPPED, stderr="a\nx\n")) == ""
    assert difference(STOPPED, STOPPED) == ""


LOOKS = '#include <unistd.h>\nint main(void) { return access("/etc/ld.so.cache", F_OK) != 0; }'
WARNS = (
    "#include <stdio.h>\nint main(void) { return fputs(fopen("
    '"/etc/ld.so.cache", "r") ? "there" : "gone", stderr) < 0; }'
)
TELLS = '#include <stdio.h>\nint main(void) { return puts(fopen("/etc/ld.so.cache", "r") ? "there" : "gone") < 0; }'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        ("int main(void) { return 4; }", 0, "started, exit code 4"),
        (LOOKS, 3, "not as at home: exit code 1, at home exit code 0"),
        (TELLS, 0, "not as at home: line 1 of stdout is 'gone', at home 'there'"),
        (WARNS, 0, "not as at home: line 1 of stderr is 'gone', at home 'there'"),
    ],
)
def test_a_bundle_of_a_file(project: Path, tmp_path: Path, code: str, exit_code: int, said: str) -> None:
    """It is run at home, too: another ending is a failure, another output is said."""
    file = str(compile_to(tmp_path / "program", code))
    done = call(project, "bundle", file, "--from=rootfs:/", "--engine=local")
    assert said in " ".join(done.stdout.decode().split()), done.stderr.decode()
    assert b"as at home" in done.stdout
    assert done.exit_code == exit_code
    # Whoever says what is expected is not told what home does.
    strict = call(project, "bundle", file, "--from=rootfs:/", "--engine=local", "--expect-exit=9")
    assert (strict.exit_code, b"at home" in strict.stdout) == (3, False)


@pytest.mark.slow
def test_the_smallest_that_ends_as_at_home(project: Path, tmp_path: Path) -> None:
    """A candidate that starts and ends otherwise than at home is not the one."""
    file = str(compile_to(tmp_path / "program", LOOKS, "-static"))
    done = call(project, "smallest", file, "--engine=local", "--format=json")
    document = read("smallest", done.stdout)
    assert done.exit_code == 3
    assert [each["left"] for each in document["rungs"]] == [
        "does not run: not as at home: exit code 1, at home exit code 0"
    ]


@pytest.mark.slow
def test_sources_are_compared_where_it_is_asked_for(project: Path) -> None:
    """Their dynamic build is what runs at home; without --reference nothing does."""
    add(project, "plain", HELLO)
    first = call(project, "smallest", "plain", "--engine=local", "--reference")
    assert b", as at home\n" in first.stdout, first.stderr.decode()
    again = call(project, "smallest", "plain", "--engine=local")
    assert b"at home" not in again.stdout


@pytest.mark.slow
def test_a_reference_that_cannot_be_built_is_an_error(project: Path) -> None:
    """It was asked for: its failure is told as one, and is not the reason why candidates are rejected."""
    add(project, "plain", HELLO)
    done = call(project, "smallest", "plain", "--engine=local", "--reference", PATH="/nonexistent")
    assert done.exit_code == 4
    assert "g++" in error(done)
