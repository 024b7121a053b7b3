"""Hostile files, images, registries and settings through the real tasks: nothing of theirs steers the terminal.

In every case what a task prints can be seen, character by character, and no line of it was begun by a stranger's value.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import socket
import sys
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from recipes.elf.facts import read_elf
from recipes.model import Command
from recipes.oci.media_types import OCI_CONFIG, OCI_LAYERS, OCI_MANIFEST
from recipes.support import shell
from recipes.support.shell import Completed
from tests.cli import ROOT, add, invoke
from tests.fixtures_registry import LayoutWriter, tar_of
from tests.need import need_tool

EVIL = "x\r\nerror: forged\n\x1b]0;t\x07\x1b[2J\x1b[31m\x7f\t\u202e\u2028\u200b\ufeff\x9b1mend"
"""A title for the terminal, a cleared screen, colours, a bidi override, C1, and the beginning of a line."""

NAME = EVIL.replace("/", "") + "\udcff"
"""As the name of a file: also with a byte that is not text."""

RECIPE = "--recipe=gcc-static"


@dataclass(frozen=True)
class Attack:
    """What a task is given: its words, and the variables that it sees. `ours` is a part of what it has to say."""

    words: tuple[str, ...]
    ours: str
    variables: tuple[tuple[str, str], ...] = ()


def compiled(folder: Path, *words: str, source: str = "int main(void) { return 0; }") -> Path:
    """A program, in which each `HOLE` of the linker's words has the place that EVIL takes."""
    folder.mkdir(exist_ok=True)
    (folder / "main.c").write_text(source)
    hole = "@" * len(EVIL.encode())
    out = folder / "made"
    words = tuple(word.replace("HOLE", hole) for word in words)
    shell.check(Command((need_tool("gcc"), "-o", str(out), str(folder / "main.c"), *words)))
    data = out.read_bytes()
    assert hole.encode() in data or not words
    out.write_bytes(data.replace(hole.encode(), EVIL.encode()))
    return out


def interpreter(project: Path) -> Path:
    return compiled(project / "interpreter", "-Wl,--dynamic-linker=/HOLE")


def library(project: Path) -> Path:
    return compiled(project / "library", "-shared", "-fPIC", "-Wl,-soname,HOLE", "-Wl,-rpath,/HOLE:$ORIGIN")


def needing(project: Path) -> Attack:
    """A program that needs a library by an evil name, on a root with its loader and no library."""
    named = compiled(project / "named", "-shared", "-fPIC", "-Wl,-soname,HOLE", source="int f(void) { return 0; }")
    program = compiled(
        project / "needing", str(named), "-Wl,-rpath,HOLE", source="int f(void); int main(void) { return f(); }"
    )
    loader = read_elf(program).interpreter or ""
    place = project / "root" / loader.lstrip("/")
    place.parent.mkdir(parents=True)
    shutil.copy(loader, place)
    return Attack(("verify", str(program), "--base=rootfs:root", "--verbose"), "library-missing")


def image(project: Path, **settings: object) -> str:
    """A layout with one image whose config holds `settings`; returns its reference."""
    writer = LayoutWriter(project / "layout")
    layer = tar_of({"bin/x": b"#!/" + EVIL.partition("\r")[2].encode() + b"\n"})
    config = writer.blob(
        json.dumps(
            {
                "os": "linux",
                "architecture": "amd64",
                "config": settings,
                "rootfs": {"type": "layers", "diff_ids": [writer.blob(layer, "")["digest"]]},
            }
        ).encode(),
        OCI_CONFIG,
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config,
        "layers": [writer.blob(gzip.compress(layer, mtime=0), OCI_LAYERS["gzip"])],
    }
    writer.add(writer.blob(json.dumps(manifest).encode(), str(manifest["mediaType"])), "latest")
    return f"oci:{writer.folder}"


def platform_of_index(project: Path) -> Attack:
    writer = LayoutWriter(project / "layout")
    about = {"os": "linux", "architecture": EVIL, "variant": EVIL}
    one = writer.image(tar_of({"a": b"b"}))
    writer.index(one | {"platform": about}, one | {"platform": about | {"os": EVIL}}, tag="latest")
    return Attack(("verify", f"oci:{project}/layout"), "error: ")


def file_name(project: Path) -> Attack:
    (project / NAME).write_bytes(b"\x7fELF")
    return Attack(("inspect", str(project / NAME)), "error: ")


def good_file_name(project: Path) -> Attack:
    compiled(project / "good").rename(project / NAME)
    return Attack(("verify", NAME, "--base=scratch"), "does not start")


def script(project: Path) -> Attack:
    (project / "script").write_bytes(f"#!/{EVIL}".replace("\n", " ").encode() + b"\n")
    return Attack(("verify", "script", "--base=scratch"), "script-interpreter-missing")


def compiler_message(project: Path) -> Attack:
    folder = add(project, "broken", f"#error {EVIL}\nint main() {{ return \x1b[2J; }}\n")
    (folder / NAME).with_suffix(".cpp").write_text(f'#include "{EVIL.partition(chr(13))[0]}\x1b[2J.h"\n')
    return Attack(("build-static", "broken", RECIPE, "--jobs=1"), "error: broken: ")


def sample_toml(project: Path) -> Attack:
    add(project, "odd", "int main() {}\n", f"{json.dumps(EVIL).replace(chr(127), '')} = 1\n")
    return Attack(("build-static", "odd"), "error: ")


def folder_of_a_sample(project: Path) -> Attack:
    (project / "samples" / NAME).mkdir()
    return Attack(("samples",), "skipped: ")


def bases_of_the_project(project: Path) -> Attack:
    name = json.dumps(EVIL).replace("\x7f", "")
    table = f'[tool.fromscratch.bases]\n{name} = {{ reference = "scratch", summary = {name} }}\n'
    (project / "pyproject.toml").write_text(table)
    return Attack(("bases",), "locked to")


def bad_base_of_the_project(project: Path) -> Attack:
    name = json.dumps(EVIL).replace("\x7f", "")
    (project / "pyproject.toml").write_text(f"[tool.fromscratch.bases]\n{name} = {{ reference = {name} }}\n")
    return Attack(("verify", "/bin/true", f"--base={EVIL}"), "error: ")


def what_a_program_writes(project: Path, settings: str = "", ours: str = "started, exit code 1") -> Attack:
    words = "".join(f"\\{byte:03o}" for byte in EVIL.encode())
    add(project, "loud", f'#include <cstdio>\nint main() {{ std::fputs("{words}", stderr); return 1; }}\n', settings)
    return Attack(("build-static", "loud", "--engine=local", RECIPE), ours)


def damaged_login(project: Path) -> Attack:
    config = project / "docker"
    config.mkdir()
    (config / "config.json").write_text(f'{{"credsStore": {EVIL}')
    return Attack(("verify", "docker://127.0.0.1:1/a:1"), "error: ", (("DOCKER_CONFIG", str(config)),))


ATTACKS = {
    "PT_INTERP, verified": lambda project: Attack(
        ("verify", str(interpreter(project)), "--base=scratch"), "interpreter"
    ),
    "PT_INTERP, inspected": lambda project: Attack(("inspect", str(interpreter(project))), "interpreter"),
    "soname and rpath": lambda project: Attack(("inspect", str(library(project))), "soname"),
    "DT_NEEDED": needing,
    "file name": file_name,
    "file name of a program": good_file_name,
    "platform of an index": platform_of_index,
    "entry point": lambda project: Attack(("verify", image(project, Entrypoint=[f"/{EVIL}"])), "entry-missing"),
    "all of a config": lambda project: Attack(
        (
            "verify",
            image(
                project, Cmd=["/bin/x"], User=EVIL, WorkingDir=f"/{EVIL}", Env=[f"{EVIL}={EVIL}"], Labels={EVIL: EVIL}
            ),
        ),
        "does not start",
    ),
    "#! in an image": lambda project: Attack(("verify", image(project, Entrypoint=["/bin/x"])), "does not start"),
    "#! of a script": script,
    "compiler": compiler_message,
    "sample.toml": sample_toml,
    "a sample's folder": folder_of_a_sample,
    "bases": bases_of_the_project,
    "bad base": bad_base_of_the_project,
    "program": what_a_program_writes,
    "program of which more is expected": lambda project: what_a_program_writes(
        project, 'expect = "more"\n', "not as expected"
    ),
    "config.json": damaged_login,
}


def check(done: Completed, ours: str) -> None:
    """All of it can be seen, and `error: ` begins one line, on stderr, where the task has failed, else none."""
    out, err = done.stdout.decode(), done.stderr.decode()
    hidden = {each for each in out + err if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\n"}
    assert not hidden, (out, err)
    assert ours in out + err
    begun = [line for line in out.splitlines() + err.splitlines() if line.startswith("error: ")]
    assert len(begun) == (done.exit_code in (2, 4, 5, 6)), (out, err)
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_steers_the_terminal(project: Path, name: str) -> None:
    """Whatever a stranger wrote, as it comes out of the task."""
    attack = ATTACKS[name](project)
    check(invoke(project, *attack.words, **dict(attack.variables)), attack.ours)


ANSWERS = {
    "reason phrase": b"HTTP/1.1 418 \x1b[2J\x9b31m\xe2\x80\xae I am\x7f\r\n\r\n",
    "reason that is long": b"HTTP/1.1 500 " + b"\x1b[2J" * 2000 + b"\r\n\r\n",
    "words of a refusal": b"HTTP/1.1 403 Forbidden\r\n\r\n"
    + json.dumps({"errors": [{"message": EVIL, "code": EVIL}]}).encode(),
    "challenge": b'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="\x1b[2J\x9b",service="\x1b[31m"\r\n\r\n',
    "header": b"HTTP/1.1 200 OK\r\n\x1b[2J\x9b no header\r\nContent-Type: \x1b[2J\r\n\r\n{}",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://\x1b[2J\x9b.invalid/\x1b[31m\r\n\r\n",
    "document": b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.index.v1+json\r\n\r\n"
    + json.dumps({"mediaType": EVIL, "manifests": [{"digest": EVIL, "platform": {"os": EVIL}}]}).encode(),
    "no answer": b"\x1b[2J\x9b31m\r\n\r\n",
}


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server on the loopback that says the same to everybody."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("name", ANSWERS)
def test_no_registry_steers_the_terminal(project: Path, name: str) -> None:
    """Nor does what a server says, wherever in its answer."""
    with answering(ANSWERS[name]) as host:
        done = invoke(project, "verify", f"docker://{host}/a/b:1")
    assert done.exit_code in (2, 6)
    check(done, "error: ")


def test_a_credential_helper_steers_nothing(project: Path) -> None:
    """Its name, which Docker's config.json may take from anywhere."""
    (project / "config.json").write_text(json.dumps({"credsStore": EVIL}))
    with answering(b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="a"\r\n\r\n') as host:
        done = invoke(project, "verify", f"docker://{host}/a/b:1", DOCKER_CONFIG=str(project))
    check(done, "names a credential helper")


def test_an_exception_of_a_library_steers_nothing() -> None:
    """What we did not foresee is told as a bug of ours, with its whole way, and its message is as safe as any other."""
    code = (
        "from invoke.exceptions import Exit\n"
        "from recipes.tasks.ending import ending_well\n"
        f"@ending_well\ndef body():\n    raise ValueError({EVIL!r})\n"
        "try:\n    body()\nexcept Exit as end:\n    raise SystemExit(end.code)"
    )
    done = shell.run(Command((sys.executable, "-c", code), cwd=ROOT))
    err = done.stderr.decode()
    assert done.exit_code == 1
    assert err.replace("\n", "").isprintable()
    assert [line[:40] for line in err.splitlines() if not line.startswith("  ") and line] == [
        "error: BUG in fromscratch: ValueError: x",
        "hint: please report it with the lines ab",
    ]
