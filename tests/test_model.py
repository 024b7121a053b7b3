from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recipes import errors
from recipes.model import Command, Expect, Finding, Level, Platform, RunOutcome, RunStatus, Status, Verdict
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
