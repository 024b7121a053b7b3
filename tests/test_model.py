from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recipes import errors
from recipes.model import (
    AtHome,
    Command,
    Expect,
    Finding,
    Level,
    Platform,
    RunOutcome,
    RunStatus,
    SizeRow,
    Status,
    Verdict,
)
from recipes.support import shell
from tests.need import need_tool
from tests.report import rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", Platform("linux", "amd64")),
        ("linux/x86_64", Platform("linux", "amd64")),
        ("linux/arm/v7", Platform("linux", "arm", "v7")),
        ("arm64", Platform("linux", "arm64")),
    ],
)
def test_a_platform_is_read_in_the_forms_people_write(text: str, expected: Platform) -> None:
    """OCI names, and the kernel's names for the same machines."""
    assert Platform.parse(text) == expected


@pytest.mark.parametrize("text", ["", "/", "windows/amd64", "linux/", "a/b/c/d"])
def test_what_is_no_platform_is_bad_input(text: str) -> None:
    """Exit code 2, with a hint."""
    with pytest.raises(errors.BadInput) as caught:
        Platform.parse(text)
    assert caught.value.hint


def test_an_unknown_name_gets_the_nearest_known_one() -> None:
    """A typing mistake is answered with what was probably meant; anything else with the list."""
    assert errors.unknown("recipe", "gcc-statik", ["gcc-static", "go-static"]).hint == "did you mean 'gcc-static'?"
    assert errors.unknown("recipe", "xyzzy", ["gcc-static", "go-static"]).hint == "known: gcc-static, go-static"


def test_not_run_is_neither_a_pass_nor_a_failure() -> None:
    """Only what was run is compared with what is expected."""
    assert RunOutcome("local", RunStatus.NOT_RUN).meets(Expect()) is None
    assert RunOutcome("local", RunStatus.NOT_STARTED).meets(Expect()) is False
    assert RunOutcome("local", RunStatus.EXITED, exit_code=0, stdout="hi").meets(Expect("hi")) is True
    assert RunOutcome("local", RunStatus.EXITED, exit_code=0, stdout="ho").meets(Expect("hi")) is False
    assert RunOutcome("local", RunStatus.EXITED, exit_code=1, stdout="hi").meets(Expect("hi")) is False


def test_a_program_that_serves_has_to_be_stopped() -> None:
    """It is well when its time was over and it had said what it should; not when it ended, whatever its exit code."""
    expect = Expect("ready\n", serves=1)
    stopped = RunOutcome("local", RunStatus.STOPPED, stdout="ready\nmore\n", timed_out=True)
    assert stopped.meets(expect) is True
    assert replace(stopped, stdout="read").meets(expect) is False
    assert replace(stopped, timed_out=False).meets(expect) is False  # it went past another limit
    assert RunOutcome("local", RunStatus.EXITED, exit_code=0, stdout="ready\n").meets(expect) is False


def test_a_loader_that_gives_up_did_not_start_the_program() -> None:
    """Exit code 127 with the loader's message is a failed start; the same code from a program is not."""
    message = "/app: error while loading shared libraries: libc.so.6: cannot open shared object file"
    assert not RunOutcome("local", RunStatus.EXITED, exit_code=127, stderr=message).started
    assert RunOutcome("local", RunStatus.EXITED, exit_code=127).started


def test_the_reason_is_the_finding_that_decides() -> None:
    """A failing verdict is explained by what is certain, not by what merely could be."""
    possible = Finding(level=Level.POSSIBLE, code="p", evidence="", message="perhaps", fix="")
    certain = Finding(level=Level.CERTAIN, code="c", evidence="", message="surely", fix="")
    assert Verdict(Status.FAILS, (possible, certain)).reason == "surely"
    assert Verdict(Status.RUNS, (possible,)).reason == ""


@pytest.mark.parametrize(
    ("exit_code", "stderr", "wrong"),
    [
        (1, "no config", True),
        (127, "", True),
        (127, "/app: error while loading shared libraries: liba.so: cannot open shared object file", False),
        (139, "", False),
        (255, "qemu-aarch64-static: Could not open '/lib/ld-linux-aarch64.so.1': No such file or directory", False),
        (255, "Could not open config", True),
        (1, "This program can only be run on AMD64 processors with v3 microarchitecture support.", False),
    ],
)
def test_a_program_that_starts_against_its_verdict(exit_code: int, stderr: str, wrong: bool) -> None:
    """`fails` is wrong where the program's own code ran, whatever it did then; a failed start and a signal are not."""
    run = RunOutcome("local", RunStatus.EXITED, exit_code=exit_code, stderr=stderr)
    assert rows.row(verdict=rows.FAILS, run=run).disagrees is wrong
    assert rows.row(verdict=rows.RUNS, run=run).disagrees is not run.started


def test_arguments_that_are_too_long_are_no_matter_of_the_verdict() -> None:
    """No program starts with them: a verdict of `runs` is not wrong for that."""
    run = replace(rows.NOT_STARTED, reason="exec /app: argument list too long")
    assert rows.row(run=run).disagrees is False
    assert rows.row(run=rows.NOT_STARTED).disagrees is True


@pytest.mark.slow
def test_the_emulator_without_a_loader(tmp_path: Path) -> None:
    """What QEMU really says of a program whose loader is missing is no start."""
    source = tmp_path / "main.c"
    source.write_text("int main(void) { return 0; }")
    link = (need_tool("gcc"), "-o", str(tmp_path / "app"), str(source), "-Wl,--dynamic-linker=/no/such/loader")
    shell.check(Command(link))
    done = shell.run(Command((need_tool("qemu-x86_64-static"), str(tmp_path / "app"))))
    assert done.exit_code == 255
    assert not RunOutcome("local", RunStatus.EXITED, exit_code=done.exit_code, stderr=done.stderr.decode()).started


def judged(run: RunOutcome, verdict: Verdict = rows.RUNS, expect: Expect | None = None) -> SizeRow:
    one = rows.row(verdict=verdict, run=run)
    program = replace(one.program, sample=replace(one.program.sample, expect=expect))
    return replace(one, image=replace(one.image, program=program))


LACKS = Verdict(
    Status.RUNS,
    (Finding(level=Level.NEEDS_DATA, code="c", evidence="", message="/tmp: No such file or directory", fix=""),),
)


@pytest.mark.parametrize(
    ("run", "good"),
    [
        (RunOutcome("local", RunStatus.EXITED, exit_code=0), True),
        (RunOutcome("local", RunStatus.EXITED, exit_code=1, stderr="usage: app FILE"), True),
        (RunOutcome("local", RunStatus.EXITED, exit_code=127), True),
        (RunOutcome("local", RunStatus.EXITED, exit_code=134, stderr="what(): no terminal"), True),
        (RunOutcome("local", RunStatus.STOPPED, timed_out=True), True),
        (RunOutcome("local", RunStatus.EXITED, exit_code=132), False),
        (RunOutcome("local", RunStatus.EXITED, exit_code=135), False),
        (RunOutcome("local", RunStatus.EXITED, exit_code=139), False),
        (RunOutcome("local", RunStatus.EXITED, exit_code=127, stderr="error while loading shared libraries"), False),
        (RunOutcome("local", RunStatus.EXITED, exit_code=1, stderr="tmpfile: /tmp: No such file or directory"), False),
        (RunOutcome("local", RunStatus.EXITED, exit_code=0, stderr="tmpfile: /tmp: No such file or directory"), True),
        (rows.NOT_STARTED, False),
        (rows.NOT_RUN, None),
    ],
)  # fmt: skip
def test_without_an_expectation_it_has_to_start(run: RunOutcome, good: bool | None) -> None:
    """Its exit code is its own affair; a crash, a loader that gives up and a failure that was foreseen are none."""
    row = judged(run, LACKS)
    assert row.observed is good
    assert bool(row.reason) is not row.runs
    # A verdict is contradicted by starting, or by not starting, and by nothing else.
    assert row.disagrees is (good is False and not run.started)
    assert judged(run, rows.FAILS).disagrees is (run.started and not run.crashed)


def test_an_expectation_is_strict() -> None:
    """Whoever says what has to come gets exactly that: another exit code, or stdout without the text, is no pass."""
    usage = RunOutcome("local", RunStatus.EXITED, exit_code=1, stdout="usage: app FILE\n")
    assert judged(usage, expect=Expect(exit_code=1, contains="usage")).runs is True
    assert judged(usage, expect=Expect(contains="usage")).runs is False
    lacking = judged(usage, expect=Expect(exit_code=1, contains="ready"))
    assert (lacking.runs, lacking.reason) == (False, "stdout does not contain 'ready'")
    serving = RunOutcome("local", RunStatus.STOPPED, stdout="ready\n", timed_out=True)
    assert judged(serving, expect=Expect(serves=1, contains="ready")).runs is True
    assert judged(serving, expect=Expect(serves=1, contains="steady")).runs is False


def test_a_failure_that_a_verdict_foretells_does_not_disprove_it() -> None:
    """A program that starts a missing one says the words of the finding, with an exit code of its own."""
    said = RunOutcome("local", RunStatus.EXITED, exit_code=127, stderr=f"sh: {rows.NO_LOADER}")
    assert judged(said, rows.FAILS).disagrees is False
    assert judged(replace(said, stderr=""), rows.FAILS).disagrees is True


def test_a_run_has_to_end_as_at_home() -> None:
    """Where the program was run at home, too, another ending is no pass; other output is no more than said."""
    run = RunOutcome("local", RunStatus.EXITED, exit_code=1, stderr="no codec")
    other = replace(judged(run), home=AtHome(run, "exit code 1, at home exit code 0", ended_alike=False))
    assert (other.runs, other.disagrees) == (False, False)
    assert other.reason == "not as at home: exit code 1, at home exit code 0\nno codec"
    assert replace(other, home=AtHome(run, "line 1 of stdout …", ended_alike=True)).runs is True
    assert replace(other, home=AtHome(run, None, ended_alike=None)).runs is True
