"""What a newcomer types wrong: each gets one line that says what is wrong, one that says what to do, and a code."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recipes.model import Command
from recipes.support import shell
from recipes.support.shell import Completed
from tests.cli import HELLO, add, call, environment, error, fromscratch
from tests.need import need_tool

DAMAGED = b"\x7fELF\x02\x01\x01"

WRONG = [
    # what is not there, or is something else
    ("smallest nosuch", 2, "unknown sample 'nosuch'", "known: hi"),
    ("smallest ho", 2, "unknown sample 'ho'", "known: hi"),
    ("smallest ./nosuch", 2, "no such file or folder: './nosuch'",
     "check the path; `fromscratch samples` lists those with a name"),
    ("smallest text", 2, "'{here}/text': not an ELF file",
     "name a compiled and linked program: scripts and archives are not ELF files"),
    ("inspect damaged", 2, "'damaged': the file is truncated: *", "copy or build it again"),
    ("build-static bare", 2, "sample 'bare' has no sources",
     "put a .cpp or .go file into '{here}/bare', or name some in its sample.toml"),
    ("build-static typo", 2, "'{here}/typo/sample.toml': unknown key 'sorces'", "did you mean 'sources'?"),
    ("build-static text", 2, "'text' is a file, not a folder with sources",
     "a built program is for `fromscratch package`, or `fromscratch smallest`"),
    ("package samples/hi", 2, "not a program: 'samples/hi'",
     "name a program; a folder with sources is for `fromscratch build-static`"),
    ("package hi", 2, "no such file: 'hi'", "name a program; a folder with sources is for `fromscratch build-static`"),
    ("run nosuch", 2, "unknown image 'nosuch'", "none has been made yet: `fromscratch build-static` makes one"),
    ("verify oci:nosuch", 6, "oci:nosuch is not an OCI layout: it has no index.json",
     "name the folder that holds index.json"),
    # names of recipes, bases, engines, formats
    ("build-static hi --recipe gcc-statik", 2, "unknown recipe 'gcc-statik'", "did you mean 'gcc-static'?"),
    ("build-static hi --recipe go-static", 2, "recipe go-static builds go, and hi is written in c++", "use one of *"),
    ("build-static hi --base alpne", 2, "unknown base 'alpne'", "did you mean 'alpine'?"),
    ("build-static hi --base docker://", 2, "not an image name: ''", "for example alpine:3.23"),
    ("build-static hi --engine dokcer", 2, "unknown engine 'dokcer'", "did you mean 'docker'?"),
    ("build-static hi --engine docker", 6, "no Docker Engine answers: *",
     "start it or set DOCKER_HOST, or use --engine local"),
    ("build-static hi --format yaml", 2, "unknown format 'yaml'", "known: json, text"),
    ("build-static hi --compression gzp", 2, "unknown compression 'gzp'", "did you mean 'gzip'?"),
    ("build-static hi --build cmak", 2, "* 'build' is 'cmak'", "did you mean 'cmake'?"),
    ("compare-sizes --sort colour", 2, "unknown sort key 'colour'", "known: *"),
    ("bases --bases alpine", 2, "--bases requires --update", "`fromscratch bases --update --bases alpine`"),
    # platforms, numbers, sizes, settings
    ("build-static hi --platform linux/amd46", 2, "unknown architecture 'amd46'", "did you mean 'amd64'?"),
    ("build-static hi --platform windows/amd64", 2, "platform 'windows/amd64' is not a Linux one",
     "only linux/… images can be built"),
    ("build-static hi --jobs 0", 2, "--jobs must be a positive integer, not 0",
     "for example --jobs 4; left out, there is one per processor"),
    ("build-static hi --max-blob 5X", 2, "not a size: --max-blob 5X", "write it as 500MB or 16GiB"),
    ("build-static hi --expect-exit 256", 2, "--expect-exit must be a number from 0 to 255, not 256",
     "128+n is how signal n shows"),
    ("build-static hi --serves=soon", 2, "--serves must be a number of seconds up to 600, not soon",
     "for example --serves=5"),
    ("build-static hi --set usr=0", 2, "not a setting of an image: 'usr=0'", "did you mean 'user'?"),
    ("build-static hi --target x", 2, "hi makes one program, so --target does not apply", "leave it out"),
    # places to write to
    ("compare-sizes --output samples", 2, "cannot write 'samples': it is not a file", "name a file in a folder"),
    ("compare-sizes --output text/x", 2, "cannot write 'text/x': it is not a file", "name a file in a folder"),
    ("export hi --to hi.zip", 2, "'hi.zip' is neither a tar nor a layout", "write FILE.tar or oci:DIR[:tag]"),
    ("push hi --to localhost:5000/Hi", 2, "not an image name: 'localhost:5000/Hi'",
     "image names are in lower case: localhost:5000/hi"),
    # the command line itself
    ("./text", 2, "'./text' is not a task", "`fromscratch smallest ./text` makes an image of it"),
    ("smalest hi", 2, "unknown task 'smalest'", "did you mean 'smallest'?"),
    ("build-static hi hello", 2, "unexpected argument 'hello' of build-static", "quote words that belong together; *"),
    ("doctor --fix", 2, "unknown option '--fix' of doctor", "`fromscratch doctor --help` shows what it takes"),
]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A project with one sample, and things beside it that are none."""
    add(tmp_path, "hi", HELLO)
    (tmp_path / "text").write_text("words\n")
    (tmp_path / "damaged").write_bytes(DAMAGED)
    (tmp_path / "bare").mkdir()
    (tmp_path / "typo").mkdir()
    (tmp_path / "typo/sample.toml").write_text('sorces = ["main.cpp"]\n')
    return tmp_path


def fits(text: str, pattern: str, here: Path) -> bool:
    """Whether they are equal; a star at an end of the pattern stands for anything."""
    wanted = pattern.replace("{here}", str(here))
    if wanted.startswith("*"):
        return text.endswith(wanted[1:])
    return text.startswith(wanted[:-1]) if wanted.endswith("*") else text == wanted


@pytest.mark.parametrize(("line", "code", "message", "hint"), WRONG, ids=[row[0] for row in WRONG])
def test_one_line_one_hint_one_code(here: Path, line: str, code: int, message: str, hint: str) -> None:
    """And nothing is built before it is said."""
    done = fromscratch(here, *shlex.split(line))
    *_, said, empty, advice = error(done).splitlines()
    assert done.exit_code == code
    assert (said[:7], empty, advice[:6]) == ("error: ", "", "hint: ")
    assert fits(said[7:], message, here), said
    assert fits(advice[6:], hint, here), advice
    assert not (here / "build/work").exists()


# ── exit codes, as a shell sees them ─────────────────────────────────────────────────────────────────────────────────


def outside(folder: Path, *words: str, **variables: str) -> Completed:
    """The command as a process of its own."""
    given = environment(**{"XDG_CACHE_HOME": str(folder / "cache"), **variables})
    words = (sys.executable, "-m", "recipes.tasks.program", *words)
    return shell.run(Command(words, cwd=folder, env=(("PYTHONPATH", os.getcwd()),)), environment=given, timeout=120)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (0, "inspect /bin/sh"),
        (2, "inspect text"),
        (2, "inspct text"),
        (3, "verify /bin/sh --base scratch"),
        (4, "build-static hi --recipe gcc-static"),
        (5, "build-static broken --recipe gcc-static"),
        (6, "smallest /bin/sh --engine docker"),
    ],
)
def test_exit_codes_from_outside(here: Path, code: int, line: str) -> None:
    """Each of those in docs/interface.md that a command line can have by itself."""
    add(here, "broken", "int main() { return nothing; }\n")
    if code == 5:
        need_tool("g++")
    variables = {"PATH": str(here)} if code == 4 else {}
    done = outside(here, *shlex.split(line), **variables)
    assert done.exit_code == code, done.stderr.decode()
    assert b"Traceback" not in done.stderr


def names_below(process: int) -> set[str]:
    """What the processes are called that a process has started, and those that they have."""
    names = set()
    with contextlib.suppress(OSError):  # it may end meanwhile
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            for child in children.read_text().split():
                names |= {Path(f"/proc/{child}/comm").read_text().strip(), *names_below(int(child))}
    return names


def test_what_is_interrupted_ends_with_130(here: Path) -> None:
    """^C while a program runs that does not end."""
    need_tool("g++")
    add(here, "waits", '#include <unistd.h>\nint main() { write(1, "w\\n", 2); for (;;) pause(); }\n')
    words = (
        sys.executable,
        "-m",
        "recipes.tasks.program",
        "build-static",
        "waits",
        "--recipe=gcc-static",
        "--serves=600",
    )
    given = {**environment(XDG_CACHE_HOME=str(here / "cache")), "PYTHONPATH": os.getcwd()}
    with subprocess.Popen(words, cwd=here, env=given, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        # Not before it runs: where the signal comes during an import, Python may end itself by it when all is done.
        while "app" not in names_below(process.pid):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130, said
    assert said.endswith(b"interrupted\n")


def test_usage_errors_under_invoke_end_with_1(tmp_path: Path) -> None:
    """They are Invoke's own."""
    assert call(tmp_path, "smalest").exit_code == 1


def test_an_update_that_updates_nothing_is_no_success(here: Path) -> None:
    """Also where no base was named: without a network none can be looked up."""
    (here / "pyproject.toml").write_text("[tool.fromscratch.bases]\n")
    done = fromscratch(here, "bases", "--update", "--bases", "docker://127.0.0.1:1/x")
    assert done.exit_code == 6
    assert b"error: not looked up: 1 of 1\n" in done.stderr
    assert b"not pinned: " in done.stdout
