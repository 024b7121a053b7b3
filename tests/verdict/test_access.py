"""Tests of what an image's user may not read, execute or pass: predicted, then tried as that user, then compared."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from recipes.elf.facts import read_elf
from recipes.elf.markers import examine
from recipes.model import Command, Environment, ImageSettings, Platform, Status, Verdict
from recipes.rootfs.accounts import Account, UnknownAccount, look_up
from recipes.rootfs.root import RootFs
from recipes.support import shell
from recipes.verdict.entry import judge_entry
from recipes.verdict.judge import judge
from tests.compilers import Compilers
from tests.loader.test_explain import BARE, LIB, LOADER, MUSL, Small
from tests.need import need, need_tool
from tests.oracle.roots import root as assembled

AMD64 = Platform.parse("linux/amd64")
USER = ImageSettings().user

_EXIT = 'void _start(void) { __asm__("syscall" : : "a"(60), "D"(0)); }'

_PASSWD = b"""me:x:7:8::/me:
minus:x:-1:8::/:
over:x:99999999999999999999:8::/:
word:x:word:8::/:
large:x:3000000000:8::/:
wrapped:x:4294967303:8::/:
12:x:13:8::/:
"""

_AS_USER = """
import os, sys
os.chroot(sys.argv[1])
os.chdir("/")
os.setgroups([])
os.setgid(65532)
os.setuid(65532)
try:
    os.execve(sys.argv[2], sys.argv[2:], {"PATH": "/usr/bin:/bin"})
except OSError as error:
    sys.stderr.write(f"exec {sys.argv[2]}: {error.strerror.lower()}\\n")
    sys.exit(127 if isinstance(error, FileNotFoundError) else 126)
"""


@pytest.fixture
def small(tmp_path: Path, compilers: Compilers) -> Small:
    """A root that everybody may see, with a program that needs a library of /usr/lib."""
    need(os.geteuid() == 0, "root")
    old = os.umask(0o022)
    try:
        small = Small(tmp_path / "root", compilers)
        library = small.library("liba.so")
        small.program(library).put("/usr/lib/liba.so", library)
    finally:
        os.umask(old)
    return small


def run(folder: Path, *argv: str) -> tuple[int | None, str]:
    done = shell.run(Command((sys.executable, "-IS", "-c", _AS_USER, str(folder), *argv)), timeout=20)
    return done.exit_code, (done.stdout + done.stderr).decode()


def verdict(small: Small, user: str = USER, env: Environment = ()) -> Verdict:
    program = small.at("/app")
    return judge(examine(program), read_elf(program), RootFs.from_directory(small.folder), AMD64, user=user, env=env)


def compared(small: Small) -> str:
    """The code of the verdict for the default user, whose words are what the kernel or the loader says to it."""
    said = verdict(small)
    code, output = run(small.folder, "/app")
    assert (said.status is Status.RUNS) == (code == 0), (said, code, output)
    assert said.reason in output
    return said.findings[0].code if said.status is Status.FAILS else ""


@pytest.mark.parametrize(
    ("path", "mode", "code"),
    [
        ("/usr/lib/liba.so", 0o600, "library-missing"),
        ("/usr/lib/liba.so", 0o604, ""),
        ("/usr/lib", 0o700, "library-missing"),
        ("/usr/lib", 0o711, ""),
        ("/usr", 0o700, "library-missing"),
        (f"{LIB}/libc.so.6", 0o640, "library-missing"),
        (LOADER, 0o744, "interpreter-broken"),
        (LOADER, 0o711, ""),
        ("/lib64", 0o700, "interpreter-broken"),
    ],
)
def test_modes_keep_the_user_from_what_root_gets(small: Small, path: str, mode: int, code: str) -> None:
    """Libraries, loaders and folders that others may not read, execute or pass; root may, and still runs."""
    assert compared(small) == ""
    small.at(path).chmod(mode)
    assert compared(small) == code
    assert verdict(small, user="0:0").status is Status.RUNS


def test_a_closed_top_is_a_matter_of_the_engine(small: Small) -> None:
    """Docker gives every container a `/` that all may pass; a plain chroot, as podman, keeps to the layers' mode."""
    small.folder.chmod(0o700)
    said = verdict(small)
    assert (said.status, [finding.code for finding in said.findings]) == (Status.RUNS, ["root-closed"])
    assert "permission denied" in run(small.folder, "/app")[1]
    assert verdict(small, user="0:0").findings == ()


def test_the_loader_looks_on(small: Small) -> None:
    """A library that may not be read is skipped for the same one in a later folder, or in a cache of the last."""
    copy = small.at("/usr/lib/liba.so").read_bytes()
    small.put(f"{LIB}/liba.so", copy)
    small.at(f"{LIB}/liba.so").chmod(0o600)
    assert compared(small) == ""


def test_owner_and_group_come_before_others(small: Small) -> None:
    """The first class that fits decides: an owner without the bit fails where others would pass."""
    library = small.at("/usr/lib/liba.so")
    os.chown(library, 65532, 65532)
    library.chmod(0o044)
    assert compared(small) == "library-missing"
    library.chmod(0o400)
    assert compared(small) == ""
    os.chown(library, 0, 65532)
    library.chmod(0o604)
    assert compared(small) == "library-missing"
    library.chmod(0o040)
    assert compared(small) == ""


def test_an_entry_point_out_of_reach(small: Small) -> None:
    """A whole image's entry point that its user may not execute, or not even reach."""
    root = small.at("/opt")
    root.mkdir()
    small.put("/opt/tool", small.at("/app").read_bytes())
    for mode, of_folder, good in ((0o755, 0o755, True), (0o744, 0o755, False), (0o755, 0o700, False)):
        small.at("/opt/tool").chmod(mode)
        root.chmod(of_folder)
        said = judge_entry(RootFs.from_directory(small.folder), ("/opt/tool",), AMD64, user=USER)
        code, output = run(small.folder, "/opt/tool")
        assert (said.status is Status.RUNS, code == 0) == (good, good)
        if not good:
            assert said.findings[0].code == "not-executable"
            assert said.reason.endswith("permission denied")
            assert output.endswith("permission denied\n")


def test_a_script_that_its_interpreter_may_not_read(small: Small) -> None:
    """The kernel executes it all the same; the shell then cannot open it."""
    small.put("/bin/sh", Path("/bin/sh").resolve()).put("/run", b"#!/bin/sh\nexit 0\n")
    for mode, code in ((0o755, ""), (0o711, "script-unreadable")):
        small.at("/run").chmod(mode)
        said = judge_entry(RootFs.from_directory(small.folder), ("/run",), AMD64, user=USER)
        status, output = run(small.folder, "/run")
        assert (said.status is Status.RUNS, status == 0) == (not code, not code), (said, output)
        if code:
            assert said.findings[0].code == code
            assert output.splitlines() == [said.reason]
    small.put("/run", b"#!/no/such\n").at("/run").chmod(0o711)
    said = judge_entry(RootFs.from_directory(small.folder), ("/run",), AMD64, user=USER)
    assert said.findings[0].code == "script-interpreter-missing"  # nobody comes to read it


@pytest.mark.parametrize("name", ["dash", "bash", pytest.param("busybox", marks=pytest.mark.slow)])
def test_a_shell_that_is_called_with_a_script(small: Small, name: str) -> None:
    """A script that is not there, is no path or may not be read ends the shell, in its own words."""
    if name == "bash":
        library = Path(f"{LIB}/libtinfo.so.6")
        need(library.exists(), "libtinfo")
        small.put(f"{LIB}/libtinfo.so.6", library)
    small.put("/bin/sh", assembled("busybox") / "bin/busybox" if name == "busybox" else Path(need_tool(name)))
    small.at("/bin/busybox").symlink_to("sh")
    small.put("/start", b"exit 0\n").put("/closed/start", b"exit 0\n")
    small.at("/closed").chmod(0o700)
    through = [("/bin/busybox", "sh")] if name == "busybox" else []
    for mode, script, code in (
        (0o644, "/start", ""),
        (0o644, "./start", ""),
        (0o644, "/no", "script-missing"),
        (0o644, "./no", "script-missing"),
        (0o644, "/start/more", "script-missing"),
        (0o644, "/closed/start", "script-unreadable"),
        (0o600, "/start", "script-unreadable"),
    ):
        small.at("/start").chmod(mode)
        for shell_words in [("/bin/sh",), *through]:
            said = judge_entry(RootFs.from_directory(small.folder), (*shell_words, script), AMD64, user=USER)
            status, output = run(small.folder, *shell_words, script)
            assert (said.status is Status.RUNS, status == 0) == (not code, not code), (said, output)
            assert said.findings[-1].code == (code or "not-followed")
            assert not code or said.reason == output.strip()


def test_shells_that_are_asked_for_something_else(small: Small) -> None:
    """Options, bare names and a shell alone are judged as the shell is."""
    small.put("/bin/sh", Path(need_tool("dash")))
    root = RootFs.from_directory(small.folder)
    for words in ((), ("start",), ("-e", "/no"), ("+x", "/no")):
        said = judge_entry(root, ("/bin/sh", *words), AMD64, user=USER)
        assert said.status is Status.RUNS, words
        assert {finding.code for finding in said.findings}.isdisjoint({"script-missing", "not-followed"})


def test_members_of_a_group() -> None:
    """A user's other groups count, unless the image names a group."""
    lists = b"me:x:7:8::/me:\n", b"lib:x:9:you,me\nother:x:10:you\n"
    assert look_up("me", *lists) == Account(7, 8, "/me", (9,))
    assert look_up("me:8", *lists).groups == ()


@pytest.mark.parametrize("text", ["2147483648", "-1", "0:2147483648", "me:-1", "minus", "over", "0:minus"])
def test_numbers_that_are_no_account(text: str) -> None:
    """An image may ask for any number; what no kernel takes is refused in the engine's words."""
    with pytest.raises(UnknownAccount, match=r"^uids and gids must be in range 0-2147483647$"):
        look_up(text, _PASSWD, b"minus:x:-1:\n")


@pytest.mark.parametrize("text", ["9" * 5000, "0x5", "1_0", "7 ", "\u0667", "me:x"])
def test_texts_that_are_no_numbers(text: str) -> None:
    """Only what fits into 64 bits is a number; all else is a name that no list has."""
    with pytest.raises(UnknownAccount, match=r"^unable to find (user|group) .*: no matching entries in \w+ file$"):
        look_up(text, _PASSWD)


@pytest.mark.parametrize(
    ("text", "uid", "gid"),
    [
        ("+7", 7, 8),
        ("07", 7, 8),
        ("-0", 0, 8),
        ("12", 12, 0),
        ("word", 0, 8),
        ("large", 3000000000, 8),
        ("3000000000", 3000000000, 8),
        ("wrapped", 7, 8),
        ("me:large", 7, 3000000000),
        ("me:+9:more", 7, 9),
    ],
)
def test_numbers_are_read_as_the_engine_reads_them(text: str, uid: int, gid: int) -> None:
    """Signs, zeros, lines with words for numbers, numbers of more than 32 bits: as Docker 20.10 starts them."""
    account = look_up(text, _PASSWD, b"large:x:3000000000:\n")
    assert (account.uid, account.gid) == (uid, gid)


def test_lists_with_numbers_that_are_none() -> None:
    """In an image's lists a word counts as 0, other digits than ASCII's are a word, and the first line counts."""
    lists = f"me:x:7:\u0668::/me:\nme:x:9:9::/:\nme:x:{'9' * 5000}:8::/:\n", "lib:x:none:me\n"
    assert look_up("me", *(text.encode() for text in lists)) == Account(7, 0, "/me", (0,))


def test_names_that_may_not_be_executed_are_passed_over(small: Small) -> None:
    """Of a command's name the first file in PATH that the user may execute counts; without one there is none."""
    content = small.at("/app").read_bytes()
    small.put("/usr/bin/tool", content).put("/bin/tool", content)
    root = RootFs.from_directory(small.folder)
    small.at("/bin/tool").chmod(0o644)
    small.at("/usr/bin/tool").chmod(0o744)
    said = judge_entry(root, ("tool",), AMD64, user=USER)
    assert said.reason == 'exec: "tool": executable file not found in $PATH'
    assert run(small.folder, "/usr/bin/tool")[0] == run(small.folder, "/bin/tool")[0] == 126
    small.at("/bin/tool").chmod(0o755)
    assert judge_entry(RootFs.from_directory(small.folder), ("tool",), AMD64, user=USER).status is Status.RUNS
    assert run(small.folder, "/bin/tool")[0] == 0


@pytest.mark.parametrize(
    ("path", "mode", "code"),
    [
        ("/usr/lib/liba.so", 0o600, "library-missing"),
        ("/usr/lib", 0o700, "library-missing"),
        (MUSL, 0o744, "interpreter-broken"),
        (MUSL, 0o711, ""),
        ("/etc/ld-musl-x86_64.path", 0o600, "library-missing"),
        ("/etc", 0o700, "library-missing"),
    ],
)
def test_musl_says_that_it_was_denied(tmp_path: Path, compilers: Compilers, path: str, mode: int, code: str) -> None:
    """musl looks on in its other folders, and tells why the last try failed; without its list it looks nowhere."""
    need(os.geteuid() == 0, "root")
    old = os.umask(0o022)
    try:
        small = Small(tmp_path / "root", compilers).put(MUSL, assembled("musl") / MUSL.lstrip("/"))
        small.at(MUSL).chmod(0o755)
        library = small.library("liba.so", flags=("-nostdlib",))
        small.program(library, flags=BARE, source=_EXIT).put("/usr/lib/liba.so", library)
        if path.startswith("/etc"):
            small.put("/etc/ld-musl-x86_64.path", b"/lib:/usr/lib\n")
    finally:
        os.umask(old)
    assert compared(small) == ""
    small.at(path).chmod(mode)
    assert compared(small) == code


def test_a_loader_as_the_entry_point(small: Small) -> None:
    """The program that it is given is judged, with its options; the program need not be one that may be executed."""

    def code(*words: str) -> str:
        argv = (LOADER, *words)
        said = judge_entry(RootFs.from_directory(small.folder), argv, AMD64, user=USER)
        exit_code, output = run(small.folder, *argv)
        assert (said.status is Status.RUNS) == (exit_code == 0), (said, output)
        if said.status is not Status.FAILS:
            return said.status.value
        assert said.reason in output
        return said.findings[0].code

    small.at("/app").chmod(0o644)
    assert code("/app") == code("./app", "--list") == code("--argv0", "other", "/app") == "runs"
    small.put("/opt/liba.so", small.at("/usr/lib/liba.so").read_bytes())
    small.at("/usr/lib/liba.so").unlink()
    assert code("/app") == "library-missing"
    assert code("--library-path", "/opt", "/app") == code("--preload", "/opt/liba.so", "/app") == "runs"
    assert code("/no") == "entry-missing"
    small.at("/app").chmod(0o600)
    assert code("/app") == "entry-missing"


@pytest.mark.parametrize("words", [(), ("app",), ("--list", "/app"), ("--argv0=x", "/app"), ("--preload",), ("/usr",)])
def test_a_loader_that_is_asked_for_something_else(small: Small, words: tuple[str, ...]) -> None:
    """Other options, names that it looks for like a library's and what is no file are not judged."""
    said = judge_entry(RootFs.from_directory(small.folder), (LOADER, *words), AMD64, user=USER)
    assert said.status is Status.UNKNOWN
