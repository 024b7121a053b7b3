"""Tests of recipes/verdict/judge.py, startup.py and entry.py: predicted, then really tried, then compared."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recipes.elf.facts import read_elf
from recipes.elf.markers import examine
from recipes.errors import NotElf, TruncatedElf
from recipes.model import Command, Level, Platform, Status, Verdict
from recipes.support import shell
from recipes.verdict.entry import judge_entry
from recipes.verdict.judge import judge
from tests.compilers import Compilers
from tests.need import need_tool
from tests.verdict import programs
from tests.verdict.trial import FolderRoot, Trial

FIXTURES = Path(__file__).parents[1] / "elf/fixtures"
AMD64 = Platform.parse("linux/amd64")


def the_only(verdict: Verdict, code: str) -> str:
    """The message of the one certain finding, which must have this code."""
    assert verdict.status is Status.FAILS
    certain = [finding for finding in verdict.findings if finding.level is Level.CERTAIN]
    assert [finding.code for finding in certain] == [code]
    assert verdict.reason == certain[0].message
    assert certain[0].fix
    return certain[0].message


def same(message: str, output: str) -> bool:
    """The message as Docker writes it, against the launcher's: both end in the kernel's own words."""
    return message.rpartition(": ")[2].lower() in output.lower()


def test_static_programs_run_anywhere(compilers: Compilers, tmp_path: Path) -> None:
    """Static and static-PIE run in an empty root: predicted, and seen."""
    for flags in (("-static",), ("-static-pie",)):
        trial = Trial(tmp_path / flags[0], compilers.c(programs.HELLO_C, *flags))
        assert trial.verdict().status is Status.RUNS
        assert trial.run().stdout == b"hello\n"


def test_interpreter_missing(compilers: Compilers, tmp_path: Path) -> None:
    """A dynamic program in an empty root: the message names the program, the finding names the loader."""
    trial = Trial(tmp_path / "root", compilers.c(programs.HELLO_C))
    verdict = trial.verdict()
    assert the_only(verdict, "interpreter-missing") == "exec /app: no such file or directory"
    assert str(read_elf(trial.program).interpreter) in verdict.findings[0].evidence
    done = trial.run()
    assert done.exit_code == 127
    assert same(verdict.reason, done.stderr.decode())


def test_go_pie_needs_a_loader(compilers: Compilers, tmp_path: Path) -> None:
    """Go's -buildmode=pie without cgo names a loader and no library."""
    trial = Trial(tmp_path / "root", compilers.go(programs.HELLO_GO, "-buildmode=pie"))
    verdict = trial.verdict()
    assert same(the_only(verdict, "go-pie-interpreter"), trial.output())
    assert "-buildmode=exe" in verdict.findings[0].fix


def test_static_libstdcxx_is_not_static(compilers: Compilers, tmp_path: Path) -> None:
    """-static-libstdc++ leaves libc dynamic; a plain dynamic C++ program is not confused with it."""
    half = Trial(tmp_path / "half", compilers.cpp(programs.HELLO_CPP, "-static-libstdc++", "-static-libgcc"))
    assert same(the_only(half.verdict(), "partly-static"), half.output())
    whole = Trial(tmp_path / "whole", compilers.cpp(programs.HELLO_CPP))
    the_only(whole.verdict(), "interpreter-missing")


@pytest.mark.parametrize("name", ["arm64-static-pie", "s390x-dynamic", "mips-library"])
def test_wrong_cpu(tmp_path: Path, name: str) -> None:
    """Another machine's program is refused by the kernel, before anything else about it matters."""
    trial = Trial(tmp_path / name, FIXTURES / name)
    message = the_only(trial.verdict(), "wrong-cpu")
    assert message == "exec /app: exec format error"
    if not _emulated(read_elf(trial.program).machine):
        assert same(message, trial.output())


@pytest.mark.parametrize("system", ["freebsd", "netbsd", "dragonfly"])
def test_programs_for_other_systems(compilers: Compilers, tmp_path: Path, system: str) -> None:
    """The kernel starts Go's static programs for its relatives, and their first system calls mean something else."""
    trial = Trial(tmp_path / "root", compilers.go(programs.PLAIN_GO, env=(("GOOS", system),)))
    assert "exit code 139" in the_only(trial.verdict(), "wrong-system")
    assert trial.run().exit_code == 139


def test_a_mark_of_another_system(compilers: Compilers, tmp_path: Path) -> None:
    """Linux does not look at the OS ABI in the header: what carries FreeBSD's may be Linux's; the file cannot tell."""
    program = bytearray(compilers.c(programs.HELLO_C, "-static").read_bytes())
    program[7] = 9
    (tmp_path / "program").write_bytes(program)
    trial = Trial(tmp_path / "root", tmp_path / "program")
    assert trial.predicted("wrong-system").level is Level.POSSIBLE
    assert trial.verdict().status is Status.UNKNOWN
    assert trial.run().exit_code == 0


def _emulated(architecture: str) -> bool:
    names = {"arm64": "aarch64"}
    return Path(f"/proc/sys/fs/binfmt_misc/qemu-{names.get(architecture, architecture)}").exists()


def test_the_right_platform_is_fine(tmp_path: Path) -> None:
    """The same file has nothing against its own platform."""
    assert Trial(tmp_path / "root", FIXTURES / "arm64-static-pie").verdict(platform="linux/arm64").status is Status.RUNS


def test_relatives_of_a_cpu(tmp_path: Path) -> None:
    """386 programs run on amd64; of arm programs on arm64 nobody can tell, so that is unknown and no pass."""
    trial = Trial(tmp_path / "root", FIXTURES / "i386-static")
    assert trial.verdict().status is Status.RUNS
    assert trial.run().exit_code == 0
    arm = Trial(tmp_path / "arm", FIXTURES / "arm-static")
    assert arm.verdict(platform="linux/arm64").status is Status.UNKNOWN
    assert arm.verdict(platform="linux/arm64").reason


def test_shared_library_as_program(compilers: Compilers, tmp_path: Path) -> None:
    """A shared library with entry point 0 dies of a segmentation fault; with another one it is unknown."""
    source = "int answer(void) { return 42; }"
    trial = Trial(tmp_path / "root", compilers.c(source, "-shared", "-fPIC"))
    assert "exit code 139" in the_only(trial.verdict(), "shared-library-as-program")
    assert trial.run().exit_code == 139
    entered = Trial(tmp_path / "entered", compilers.c(source, "-shared", "-fPIC", "-nostdlib", "-Wl,-e,answer"))
    assert entered.verdict().status is Status.UNKNOWN


@pytest.mark.parametrize("kind", ["go", "note"])
def test_cpu_level(compilers: Compilers, tmp_path: Path, kind: str) -> None:
    """GOAMD64 and the x86 ISA note: certain for a platform that names a lower level, else possible."""
    if kind == "go":
        program = compilers.go(programs.PLAIN_GO, env=(("GOAMD64", "v3"),))
    else:
        program = compilers.c(programs.HELLO_C, "-Wl,-z,x86-64-v3")
    trial = Trial(tmp_path / "root", program)
    finding = trial.predicted("cpu-level")
    assert finding.level is Level.POSSIBLE
    assert trial.predicted("cpu-level", platform="linux/amd64/v2").level is Level.CERTAIN
    assert "cpu-level" not in {f.code for f in trial.verdict(platform="linux/amd64/v3").findings}
    old = shell.run(Command((need_tool("qemu-x86_64-static"), "-cpu", "qemu64", str(program))))
    assert old.exit_code != 0
    assert finding.message.removeprefix("/app: ") in (old.stdout + old.stderr).decode()


@pytest.mark.parametrize(
    ("goarm", "platform", "cpu"), [("7", "linux/arm/v6", "arm1176"), ("6,softfloat", "linux/arm/v5", "arm926")]
)
def test_goarm(compilers: Compilers, tmp_path: Path, goarm: str, platform: str, cpu: str) -> None:
    """A Go program for a newer ARM than the platform's dies of an instruction that the CPU lacks."""
    program = compilers.go(programs.PLAIN_GO, env=(("GOARCH", "arm"), ("GOARM", goarm)))
    trial = Trial(tmp_path / "root", program)
    finding = trial.predicted("cpu-level", platform=platform)
    assert finding.level is Level.CERTAIN
    assert f"GOARM={goarm}" in finding.evidence
    for enough in ("linux/arm", "linux/arm/v7", f"linux/arm/v{goarm[0]}"):
        assert trial.verdict(platform=enough).status is Status.RUNS
    emulator = need_tool("qemu-arm-static")
    assert "Illegal instruction" in shell.run(Command((emulator, "-cpu", cpu, str(program)))).stderr.decode()
    assert shell.run(Command((emulator, "-cpu", "cortex-a7", str(program)))).exit_code == 0


def test_a_static_program_is_not_judged_by_the_isa_note(compilers: Compilers, tmp_path: Path) -> None:
    """Nobody reads the note of a static program."""
    trial = Trial(tmp_path / "root", compilers.c(programs.HELLO_C, "-static", "-Wl,-z,x86-64-v4"))
    assert trial.verdict(platform="linux/amd64/v1").findings == ()


def test_what_cannot_be_read_is_never_a_verdict(tmp_path: Path) -> None:
    """Judging a file that is not an ELF file, or half of one, is an error."""
    facts = read_elf(Path("/proc/self/exe").resolve())
    for content, error in ((b"hello", NotElf), (b"\x7fELF\x02\x01\x01" + bytes(20), TruncatedElf)):
        path = tmp_path / "file"
        path.write_bytes(content)
        with pytest.raises(error):
            judge(examine(path), facts, FolderRoot(tmp_path), AMD64)


# ── a whole image ────────────────────────────────────────────────────────────────────────────────────────────────────


def entry(trial: Trial, *argv: str) -> Verdict:
    return judge_entry(FolderRoot(trial.folder), argv, AMD64)


def test_entry_points_that_are_not_there(compilers: Compilers, tmp_path: Path) -> None:
    """A missing program, by path and by name, a missing shell in shell form, and no command at all."""
    trial = Trial(tmp_path / "root", compilers.c(programs.HELLO_C, "-static"))
    assert entry(trial, "/app").status is Status.RUNS
    assert the_only(entry(trial, "/no"), "entry-missing") == 'exec: "/no": stat /no: no such file or directory'
    assert the_only(entry(trial, "no"), "entry-missing") == 'exec: "no": executable file not found in $PATH'
    shell_form = entry(trial, "/bin/sh", "-c", "/app")
    assert the_only(shell_form, "shell-missing") == 'exec: "/bin/sh": stat /bin/sh: no such file or directory'
    the_only(entry(trial), "no-command")
    trial.add("/bin/tool", trial.program.read_bytes())
    (trial.folder / "bin/tool").chmod(0o755)
    assert entry(trial, "tool").status is Status.RUNS


def test_not_executable(compilers: Compilers, tmp_path: Path) -> None:
    """A file without the executable bit, and a folder."""
    trial = Trial(tmp_path / "root", compilers.c(programs.HELLO_C, "-static"))
    (trial.folder / "app").chmod(0o644)
    message = the_only(entry(trial, "/app"), "not-executable")
    assert message == 'exec: "/app": permission denied'
    done = trial.run()
    assert done.exit_code == 126
    assert same(message, done.stderr.decode())
    (trial.folder / "folder").mkdir()
    the_only(entry(trial, "/folder"), "not-executable")


def test_truncated(compilers: Compilers, tmp_path: Path) -> None:
    """Half of a static program is started and dies of a signal."""
    trial = Trial(tmp_path / "root", compilers.c(programs.HELLO_C, "-static"))
    os.truncate(trial.folder / "app", read_elf(trial.program).size // 3)
    assert "exit code 139" in the_only(entry(trial, "/app"), "truncated")
    assert trial.run().exit_code in (135, 139)


def test_scripts_follow_their_interpreter(compilers: Compilers, tmp_path: Path) -> None:
    """A script without its interpreter gives the message of a missing loader; with it, the interpreter is judged."""
    trial = Trial(tmp_path / "root", compilers.c(programs.HELLO_C, "-static"))
    trial.add("/app", b"#!/bin/tool -x\necho hello\n")
    message = the_only(entry(trial, "/app"), "script-interpreter-missing")
    assert message == "exec /app: no such file or directory"
    assert same(message, trial.output())
    trial.add("/bin/tool", trial.program.read_bytes())
    (trial.folder / "bin/tool").chmod(0o755)
    assert entry(trial, "/app").status is Status.RUNS
    assert trial.run().stdout == b"hello\n"
    trial.add("/bin/tool", compilers.c(programs.HELLO_C).read_bytes())
    the_only(entry(trial, "/app"), "interpreter-missing")


@pytest.mark.parametrize(("line", "status"), [(b"#!tool", Status.RUNS), (b"#!/bin/tool\0junk", Status.RUNS)])
def test_how_the_kernel_reads_the_first_line(compilers: Compilers, tmp_path: Path, line: bytes, status: Status) -> None:
    """A relative interpreter is looked up from the working folder, and a NUL ends the line."""
    trial = Trial(tmp_path / "root", compilers.c(programs.HELLO_C, "-static"))
    for name in ("/bin/tool", "/tool"):
        trial.add(name, trial.program.read_bytes())
        (trial.folder / name.strip("/")).chmod(0o755)
    trial.add("/app", line + b"\n")
    assert entry(trial, "/app").status is status
    assert trial.run().stdout == b"hello\n"
    (trial.folder / "tool").unlink()
    missing = entry(trial, "/app").status is Status.FAILS
    assert missing == (trial.run().exit_code != 0) == line.startswith(b"#!tool")
    assert judge_entry(FolderRoot(trial.folder), ("/app",), AMD64, workdir="/bin").status is Status.RUNS


def test_text_without_an_interpreter_is_no_program(compilers: Compilers, tmp_path: Path) -> None:
    """The kernel refuses a text file that does not start with #!."""
    trial = Trial(tmp_path / "root", compilers.c(programs.HELLO_C, "-static"))
    trial.add("/app", b"echo hello\n")
    message = the_only(entry(trial, "/app"), "not-a-program")
    assert message == "exec /app: exec format error"
    assert same(message, trial.output())
