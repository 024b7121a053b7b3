"""`#!/usr/bin/env NAME`: what env starts in the end decides, compared with a real chroot."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from recipes.inspect.entry import first_line, judge_script
from recipes.inspect.rootfs import RootFs
from recipes.inspect.segments import FileReader
from recipes.model import Platform, Status, Verdict
from recipes.workspace import Workspace
from tests.need import need, need_tool
from tests.programs import compile_c

FILES = ("lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6", "usr/bin/env")
SEARCH = (("PATH", "/opt/bin:/usr/bin"),)


@pytest.fixture
def root(workspace: Workspace, tmp_path: Path) -> Path:
    """A root with this machine's env, and a static program called `tool` on PATH."""
    need(Platform.host().architecture == "amd64", "an amd64 machine")
    folder = tmp_path / "root"
    for place in FILES:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path("/", place), folder / place)
    tool = compile_c(workspace, "#include <stdio.h>\nint main(int n, char **v) { puts(v[n - 1]); }")
    (folder / "opt/bin").mkdir(parents=True)
    shutil.copy(tool.path, folder / "opt/bin/tool")
    return folder


def judged(root: Path, line: str) -> Verdict:
    script = root / "app"
    script.write_text(f"{line}\n")
    script.chmod(0o755)
    with FileReader(script) as reader:
        first = first_line(reader)
    return judge_script(RootFs.from_directory(root), first, "/app", Platform.host(), env=SEARCH, user="0:0")


def ran(root: Path) -> subprocess.CompletedProcess[str]:
    need(os.geteuid() == 0, "root, for a chroot")
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    script = (need_tool("chroot"), str(root), "/usr/bin/env", "-i", "PATH=/opt/bin:/usr/bin", "/app")
    return subprocess.run(script, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(
    ("line", "output"),
    [("#!/usr/bin/env tool", "/app\n"), ("#! /usr/bin/env -S A=1 tool -x", "/app\n")],
)
def test_what_env_finds_is_followed(line: str, output: str, root: Path) -> None:
    """A program on PATH runs, also behind -S with a variable."""
    assert judged(root, line).status is Status.RUNS
    assert ran(root).stdout == output


@pytest.mark.parametrize("line", ["#!/usr/bin/env python3", "#!/usr/bin/env tool -x", "#!/usr/bin/env -S python3 -u"])
def test_what_env_does_not_find(line: str, root: Path) -> None:
    """Nothing of that name on PATH: the message is env's own. Without -S all of it is one name, blanks included."""
    found, done = judged(root, line), ran(root)
    assert found.status is Status.FAILS
    assert found.findings[0].code == "script-interpreter-missing"
    assert done.returncode == 127
    assert found.reason == done.stderr.splitlines()[0].removeprefix("/usr/bin/")


def test_an_option_that_is_not_known(root: Path) -> None:
    """What cannot be told is unknown, which is no pass."""
    assert judged(root, "#!/usr/bin/env --split-string=tool").status is Status.UNKNOWN


def test_an_env_that_does_not_start_itself(root: Path) -> None:
    """env is a program like any other, and needs its own libraries."""
    (root / "lib/x86_64-linux-gnu/libc.so.6").unlink()
    assert judged(root, "#!/usr/bin/env tool").status is Status.FAILS
