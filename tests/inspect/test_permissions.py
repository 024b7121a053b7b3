"""What the image's user may not reach is not there for it: predicted, and compared with a real chroot."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from recipes.inspect.elf import read_elf
from recipes.inspect.judge import judge
from recipes.inspect.rootfs import RootFs
from recipes.model import Platform, Status, Verdict
from recipes.workspace import Workspace
from tests.need import need, need_tool
from tests.programs import compile_c

LOADER = "lib64/ld-linux-x86-64.so.2"
LIBC = "lib/x86_64-linux-gnu/libc.so.6"


@pytest.fixture
def root(workspace: Workspace, tmp_path: Path) -> Path:
    """A root with a dynamic program as /app, its loader and its libc, all as they should be."""
    need(Platform.host().architecture == "amd64", "an amd64 machine")
    program = compile_c(workspace, '#include <stdio.h>\nint main(void) { puts("hello"); }', "-O1")
    folder = tmp_path / "root"
    folder.mkdir(mode=0o755)
    for place, source in (("app", program.path), (LOADER, Path("/", LOADER)), (LIBC, Path("/", LIBC))):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / place)
        (folder / place).chmod(0o755)
    return folder


def verdict(root: Path, user: str) -> Verdict:
    return judge(root / "app", read_elf(root / "app"), RootFs.from_directory(root), Platform.host(), user=user)


def run(root: Path, user: str) -> subprocess.CompletedProcess[str]:
    need(os.geteuid() == 0, "root, for a chroot")
    argv = (need_tool("chroot"), f"--userspec={user}", str(root), "/app")
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("closed", "mode", "message", "code"),
    [
        (LIBC, 0o600, "libc.so.6: cannot open shared object file: No such file or directory", 127),
        ("lib/x86_64-linux-gnu", 0o700, "libc.so.6: cannot open shared object file: No such file or directory", 127),
        (LOADER, 0o744, "permission denied", 126),
        ("lib64", 0o700, "", 126),
    ],
)
def test_what_is_closed_to_the_user(closed: str, mode: int, message: str, code: int, root: Path) -> None:
    """It fails for a user who may not pass, with the very message, and not for root."""
    (root / closed).chmod(mode)
    found, done = verdict(root, "65532:65532"), run(root, "65532:65532")
    assert found.status is Status.FAILS
    assert done.returncode == code
    assert message.lower() in found.reason.lower()
    assert message.lower() in done.stderr.lower()
    assert verdict(root, "0:0").status is Status.RUNS
    assert run(root, "0:0").stdout == "hello\n"


def test_owner_group_and_others(root: Path) -> None:
    """The first of them that fits decides, as in the kernel: an owner without rights has none."""
    need(os.geteuid() == 0, "root, to give files away")
    os.chown(root / LIBC, 65532, 1234)
    for mode, user in ((0o400, "65532:1"), (0o040, "1:1234"), (0o004, "1:1")):
        (root / LIBC).chmod(mode)
        assert verdict(root, user).status is Status.RUNS, (oct(mode), user)
        assert run(root, user).stdout == "hello\n"
    (root / LIBC).chmod(0o044)
    assert verdict(root, "65532:1234").status is Status.FAILS
    assert run(root, "65532:1234").returncode == 127
