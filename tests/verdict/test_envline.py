"""Tests of `#!/usr/bin/env NAME`: what the verdict says of a script is what this machine's env does in that root."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from recipes.model import Level, Platform, Status, Verdict
from recipes.rootfs.root import RootFs
from recipes.verdict.applets import applets
from recipes.verdict.entry import judge_entry
from recipes.verdict.envline import asked_of_env
from tests.compilers import Compilers
from tests.loader.test_explain import LIB, Small
from tests.need import need, need_tool
from tests.oracle.roots import root as assembled
from tests.verdict import programs
from tests.verdict.test_access import USER, run

AMD64 = Platform.parse("linux/amd64")


@pytest.fixture
def small(tmp_path: Path, compilers: Compilers) -> Small:
    """A root with coreutils' env, and a static program that is not on PATH."""
    need(os.geteuid() == 0, "root")
    old = os.umask(0o022)
    try:
        small = Small(tmp_path / "root", compilers).put("/usr/bin/env", Path(need_tool("env")))
        small.put("/opt/hello", compilers.c(programs.HELLO_C, "-static"))
    finally:
        os.umask(old)
    return small


def script(small: Small, line: str) -> tuple[Verdict, int | None, str]:
    """The verdict on a script with this first line, and what came of running it."""
    small.put("/app", f"#!/usr/bin/env {line}\n".encode())
    small.at("/app").chmod(0o755)
    said = judge_entry(
        RootFs.from_directory(small.folder), ("/app",), AMD64, user=USER, env=(("PATH", "/usr/bin:/bin"),)
    )
    return said, *run(small.folder, "/app")


def fails(small: Small, line: str) -> str:
    """The code of the one certain finding, whose message is the first line that env writes."""
    said, code, output = script(small, line)
    assert said.status is Status.FAILS, said
    assert code in (126, 127)
    assert said.reason == output.splitlines()[0]
    return next(finding.code for finding in said.findings if finding.level is Level.CERTAIN)


def runs(small: Small, line: str) -> bool:
    said, code, output = script(small, line)
    assert (code, output) == (0, "hello\n")
    return said.status is Status.RUNS


def test_the_name_is_looked_up_in_path(small: Small) -> None:
    """Missing, or not to be executed, it fails with env's own words; there, it runs."""
    assert fails(small, "tool") == "script-interpreter-missing"
    small.put("/bin/tool", small.at("/opt/hello").read_bytes())
    small.at("/bin/tool").chmod(0o744)
    assert fails(small, "tool") == "script-interpreter-missing"
    small.at("/bin/tool").chmod(0o755)
    assert runs(small, "tool")


def test_the_rest_of_the_line_is_one_argument(small: Small) -> None:
    """Words are made of it by -S alone, which also takes settings, PATH among them."""
    small.put("/bin/tool", small.at("/opt/hello").read_bytes())
    small.at("/bin/tool").chmod(0o755)
    assert fails(small, "tool -u") == "script-interpreter-missing"
    assert runs(small, "-S tool -u")
    assert runs(small, "-S A=b  tool -u")
    small.at("/opt/hello").chmod(0o755)
    assert runs(small, "-S PATH=/opt hello")
    assert fails(small, "-S PATH=/opt tool") == "script-interpreter-missing"
    assert script(small, "-i tool")[0].status is Status.UNKNOWN


def test_what_the_name_leads_to_is_judged(small: Small, compilers: Compilers) -> None:
    """A program without its loader or a library, a script without its interpreter, and a script that has all."""
    small.put("/bin/tool", b"#!/no/such\n")
    small.at("/bin/tool").chmod(0o755)
    assert fails(small, "tool") == "script-interpreter-missing"
    small.put("/bin/tool", b"#!/usr/bin/env nobody\n")
    said, code, output = script(small, "tool")
    assert (said.status, code, said.reason) == (Status.FAILS, 127, output.strip())
    small.at("/opt/hello").chmod(0o755)
    small.put("/bin/tool", b"#!/opt/hello\n")
    assert runs(small, "tool")
    shutil.copy(compilers.c(programs.HELLO_C), small.at("/bin/tool"))
    assert runs(small, "tool")
    small.at(f"{LIB}/libc.so.6").chmod(0o600)  # env itself is lost without it
    assert script(small, "tool")[0].status is Status.FAILS


def test_env_as_the_entry_point(small: Small, compilers: Compilers) -> None:
    """What its arguments name is judged as what a script's first line names; options are not followed."""

    def entry(*words: str) -> tuple[Verdict, int | None, str]:
        argv = ("/usr/bin/env", *words)
        root = RootFs.from_directory(small.folder)
        said = judge_entry(root, argv, AMD64, user=USER, env=(("PATH", "/usr/bin:/bin"),))
        return said, *run(small.folder, *argv)

    said, code, output = entry("nosuchprog", "-x")
    assert (said.status, code, said.reason) == (Status.FAILS, 127, output.strip())
    small.at("/opt/hello").chmod(0o755)
    for words in (("PATH=/opt", "hello"), ("/opt/hello", "A=b"), ("A=b",), ()):
        said, code, _ = entry(*words)
        assert (said.status, code, said.findings) == (Status.RUNS, 0, ()), words
    bare = judge_entry(RootFs.from_directory(small.folder), ("env", "nosuchprog"), AMD64, user=USER)
    assert bare.reason == "env: 'nosuchprog': No such file or directory"
    said, code, output = entry("PATH=/bin", "hello")
    assert (said.status, code, said.reason) == (Status.FAILS, 127, output.strip())
    said, code, _ = entry("-i", "/opt/hello")
    assert (said.status, code, said.findings[-1].code) == (Status.RUNS, 0, "not-followed")


def test_lines_that_are_not_known() -> None:
    """Options, quotes and lines without a name."""
    assert asked_of_env("python3") == ((), "python3")
    assert asked_of_env("-SA=b python3 -u") == ((("A", "b"),), "python3")
    for line in ("", "-", "-i python3", "A=b", "-S", "-S 'a b'", "-S -i a", "-vS a"):
        assert asked_of_env(line) is None, line


@pytest.mark.slow
def test_applets_that_busybox_lacks(tmp_path: Path) -> None:
    """All that it lists are found in its binary, and no more; called for another one, it says that it has none."""
    need(os.geteuid() == 0, "root")
    root = tmp_path / "root"
    old = os.umask(0o022)
    try:
        (root / "bin").mkdir(parents=True)
        shutil.copy(assembled("busybox") / "bin/busybox", root / "bin/busybox")
        for name in ("true", "bash", "nosuch"):
            (root / "bin" / name).symlink_to("busybox")
    finally:
        os.umask(old)
    listed = run(root, "/bin/busybox", "--list")[1].split()
    assert {name.encode() for name in listed} == applets((root / "bin/busybox").read_bytes())
    for argv, good in [
        (("/bin/true",), True),
        (("/bin/busybox", "true"), True),
        (("/bin/busybox", "/x/true"), True),
        (("/bin/busybox", "--list"), True),
        (("/bin/busybox",), True),
        (("/bin/bash", "-c", "true"), False),
        (("/bin/nosuch",), False),
        (("/bin/busybox", "nosuch"), False),
    ]:
        said = judge_entry(RootFs.from_directory(root), argv, AMD64, user=USER)
        code, output = run(root, *argv)
        assert (said.status is Status.RUNS, code == 0) == (good, good), (argv, said, output)
        if not good:
            assert (said.findings[0].code, said.reason) == ("applet-missing", output.strip())


@pytest.mark.parametrize("content", [b"", b"\0[\0[[\0a\0", b"applet not found", b"applet not found\0[\0a\0"])
def test_what_is_no_list_of_applets(content: bytes) -> None:
    """Other programs have none, nor has a busybox with one applet, or without the first."""
    assert applets(content) == frozenset()


@pytest.mark.slow
@pytest.mark.parametrize(("line", "exit_code"), [("tool", 127), ("-S tool -x", 1)])
def test_busybox_has_other_words(tmp_path: Path, line: str, exit_code: int) -> None:
    """busybox's env says that it cannot execute the name, and it does not know -S."""
    need(os.geteuid() == 0, "root")
    root = tmp_path / "root"
    old = os.umask(0o022)
    try:
        (root / "usr/bin").mkdir(parents=True)
        shutil.copy(assembled("busybox") / "bin/busybox", root / "usr/bin/env")
        (root / "app").write_text(f"#!/usr/bin/env {line}\n")
        (root / "app").chmod(0o755)
    finally:
        os.umask(old)
    said = judge_entry(RootFs.from_directory(root), ("/app",), AMD64, user=USER)
    code, output = run(root, "/app")
    assert (said.status, code, said.reason) == (Status.FAILS, exit_code, output.splitlines()[0])
