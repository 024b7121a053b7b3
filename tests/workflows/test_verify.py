"""Tests of `invoke verify`: programs, scripts and whole images, each verdict held against a real run."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from recipes.model import Command
from recipes.support import shell
from recipes.support.shell import Completed
from tests.cli import HELLO, add, call, error, invoke
from tests.need import need_tool
from tests.schemas import read


def verify(project: Path, *words: str) -> Completed:
    return call(project, "verify", *words)


def verdict(done: Completed) -> dict[str, object]:
    return read("verdict", done.stdout)


def codes(found: dict[str, object]) -> list[str]:
    findings = found["findings"]
    assert isinstance(findings, list)
    return [finding["code"] for finding in findings]


def test_a_sample_on_one_base(shared_project: Path) -> None:
    """Static: runs, exit 0. Dynamic: fails with the kernel's message, the evidence and the fix, exit 3."""
    good = verify(shared_project, "hi", "--base=scratch", "--format=json")
    assert (good.exit_code, verdict(good)["status"]) == (0, "runs")
    bad = verify(shared_project, "hi", "--recipe=gcc-dynamic", "--base=scratch", "--format=json")
    assert (bad.exit_code, verdict(bad)["status"], codes(verdict(bad))) == (3, "fails", ["interpreter-missing"])
    text = verify(shared_project, "hi", "--recipe=gcc-dynamic", "--base=scratch").stdout.decode()
    assert "hi on scratch, linux/amd64: fails" in text
    assert "message   exec /app: no such file or directory" in text
    assert "fix       link it statically" in text


def test_libraries_and_where_they_were_looked_for(project: Path, tmp_path: Path) -> None:
    """A base with the loader alone: the missing library is named with each place that was tried, as really happens."""
    root = tmp_path / "a root"
    for path in ("/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"):
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / path[1:])
    add(project, "stream", "#include <iostream>\nint main() { std::cout << std::cin.get(); }\n")
    done = verify(project, "stream", "--recipe=gcc-dynamic", f"--base=rootfs:{root}")
    text = done.stdout.decode()
    assert done.exit_code == 3
    assert "libstdc++.so.6 => not found (needed by /app)" in text
    assert "/lib/x86_64-linux-gnu/libstdc++.so.6: no such file" in text
    assert "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6" in text
    assert "message   /app: error while loading shared libraries: libstdc++.so.6: cannot open" in text
    assert text.count(": no such file") < verify(
        project, "stream", "--recipe=gcc-dynamic", f"--base=rootfs:{root}", "--verbose"
    ).stdout.decode().count(" (")


def test_several_bases_have_one_row_each(shared_project: Path) -> None:
    """In the order named; the unavailable ones are listed below, and decide the exit code when named."""
    (shared_project / "empty").mkdir()
    words = ("hi", "--recipe=gcc-dynamic", "--base=scratch,rootfs:empty,rootfs:/nowhere")
    done = verify(shared_project, *words)
    lines = done.stdout.decode().splitlines()
    assert [line.split()[:2] for line in lines[4:6]] == [["scratch", "fails"], ["rootfs:empty", "fails"]]
    assert "interpreter-missing: exec /app: no such file or directory" in lines[4]
    assert lines[-1].startswith("not judged: rootfs:/nowhere (")
    assert done.exit_code == 6
    found = read("verdicts", verify(shared_project, *words, "--format=json").stdout)
    assert [each["base"] for each in found["verdicts"]] == ["scratch", "rootfs:empty"]
    assert [each["name"] for each in found["unavailable"]] == ["rootfs:/nowhere"]


def test_a_file_that_somebody_else_has_built(shared_project: Path, tmp_path: Path) -> None:
    """A system program at a path with blanks and quotes; another CPU; a damaged file; no file at all."""
    program = tmp_path / 'it\'s "ls"'
    shutil.copy("/bin/ls", program)
    done = verify(shared_project, str(program), "--base=scratch", "--format=json")
    assert (done.exit_code, codes(verdict(done))[0]) == (3, "interpreter-missing")
    other = verify(shared_project, str(program), "--base=scratch", "--platform=linux/arm64", "--format=json")
    assert (other.exit_code, codes(verdict(other))) == (3, ["wrong-cpu"])
    program.write_bytes(program.read_bytes()[:100])
    assert verify(shared_project, str(program), "--base=scratch").exit_code == 2
    assert "'ls'" in error(verify(shared_project, str(program), "--base=scratch")).replace('"', "'").replace("\\", "")
    assert verify(shared_project, str(tmp_path / "no"), "--base=scratch").exit_code == 2


def test_a_script_is_judged_by_its_interpreter(project: Path, tmp_path: Path) -> None:
    """Missing, there, and with the CR of another system at the end of the name."""
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    script = tmp_path / "run"
    script.write_bytes(b"#! /bin/tool -x\necho hello\n")
    base = f"--base=rootfs:{root}"
    assert codes(verdict(verify(project, str(script), base, "--format=json"))) == ["script-interpreter-missing"]
    static = project / "static.c"
    static.write_text("int main() { return 0; }\n")
    shell.check(Command((need_tool("gcc"), "-static", "-o", str(root / "bin/tool"), str(static))))
    done = verify(project, str(script), base, "--format=json")
    assert (done.exit_code, verdict(done)["status"], "not-followed" in codes(verdict(done))) == (0, "runs", True)
    script.write_bytes(b"#!/bin/tool\r\necho hello\r\n")
    windows = verdict(verify(project, str(script), base, "--format=json"))
    assert codes(windows) == ["script-interpreter-missing"]
    assert "LF" in str(windows["findings"])


def test_a_whole_image_in_its_own_root(shared_project: Path, tmp_path: Path) -> None:
    """An archive and a layout are judged by their entry point; a base is refused for them, nor does a bare root."""
    assert call(shared_project, "export", "hi", f"--to={tmp_path}/good.tar").exit_code == 0
    assert call(shared_project, "export", "hi", "--recipe=gcc-dynamic", f"--to=oci:{tmp_path}/bad").exit_code == 0
    good = verify(shared_project, f"docker-archive:{tmp_path}/good.tar", "--format=json")
    assert (good.exit_code, verdict(good)["status"]) == (0, "runs")
    bad = verify(shared_project, f"oci:{tmp_path}/bad")
    assert bad.exit_code == 3
    assert "exec /app: no such file or directory" in bad.stdout.decode()
    archive = tmp_path / "bad.tar"
    with tarfile.open(archive, "w") as writer:
        writer.add(tmp_path / "bad", "")
    same = verify(shared_project, f"oci-archive:{archive}", "--format=json")
    assert (same.exit_code, codes(verdict(same))) == (3, ["interpreter-missing"])
    both = verify(shared_project, f"oci:{tmp_path}/bad", "--base=scratch")
    assert both.exit_code == 2
    assert "root of its own" in error(both)
    bare = verify(shared_project, f"rootfs:{tmp_path}")
    assert bare.exit_code == 2
    assert "without an entry point" in error(bare)


@pytest.mark.parametrize("kind", ["static", "dynamic", "script", "its loader"])
def test_a_file_is_never_executed(project: Path, tmp_path: Path, kind: str) -> None:
    """Neither the program, nor the interpreter or loader that it names, here or on a base, by any task."""
    mark, root = tmp_path / "executed", project / "root"
    marking = f'#include <fcntl.h>\nint main(void) {{ return creat("{mark}", 0600) < 0; }}\n'
    (project / "mark.c").write_text(marking)
    words = {"static": ("-static",), "its loader": (f"-Wl,--dynamic-linker={tmp_path}/loader",)}.get(kind, ())
    compiler = (need_tool("gcc"), "-o")
    shell.check(Command((*compiler, str(tmp_path / "loader"), "-static", str(project / "mark.c"))))
    shell.check(Command((*compiler, str(project / "program"), *words, str(project / "mark.c"))))
    if kind == "script":
        (project / "program").write_text(f"#!{tmp_path}/loader\n")
    place = root / str(tmp_path / "loader").lstrip("/")
    place.parent.mkdir(parents=True)
    shutil.copy(tmp_path / "loader", place)
    for line in (
        "inspect program",
        "verify program --base=scratch",
        "verify program --base=rootfs:root --verbose",
        "package program --no-run --base=rootfs:root",
        "bundle program --no-run --from=rootfs:root",
    ):
        assert b"BUG" not in call(project, *line.split()).stderr
    assert not mark.exists()
    shell.run(Command((str(tmp_path / "loader" if kind == "its loader" else project / "program"),)))
    assert mark.exists(), "it can be executed here, and would have left its mark"


@pytest.mark.parametrize("line", ["verify made --base=scratch", "inspect made", "dockerfile made"])
def test_a_folder_with_a_build_system_says_what_it_runs(project: Path, tmp_path: Path, line: str) -> None:
    """Before the first of its commands, with the folder and the system; what is built already runs nothing."""
    need_tool("make")
    plain = tmp_path / "plain"  # make takes no quotes in a path
    shutil.copytree(project, plain)
    folder = plain / "samples/made"
    folder.mkdir()
    (folder / "main.c").write_text("int main(void) { return 0; }\n")
    (folder / "Makefile").write_text(f"app: main.c\n\ttouch {tmp_path}/executed\n\t$(CC) -o app main.c\n")
    done = call(plain, *line.split(), "--recipe=gcc-static")
    assert done.exit_code == 0, done.stderr.decode()
    first = done.stderr.decode().splitlines()[0]
    assert first == f"note: building '{folder}' with make runs the commands that its build files name"
    assert (tmp_path / "executed").exists()
    assert b"note: building" not in call(plain, *line.split(), "--recipe=gcc-static").stderr


@pytest.mark.parametrize("task", ["verify", "inspect", "dockerfile"])
def test_help_says_that_a_folder_is_built(shared_project: Path, task: str) -> None:
    """And, where files can be named, that these are not executed."""
    text = " ".join(call(shared_project, "--help", task).stdout.decode().split())
    assert "built first, by its own build system" in text
    assert ("executed" in text) is (task != "dockerfile")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dockerfile", "code"),
    [
        ("COPY app /app\nENTRYPOINT /app", "shell-missing"),
        ('COPY app /app\nENTRYPOINT ["app"]', "entry-missing"),
        ('COPY app /app\nENTRYPOINT ["/nope"]', "entry-missing"),
        ('COPY app /bin/app\nWORKDIR /bin\nENTRYPOINT ["./app"]', ""),
        ('COPY app /bin/app\nCMD ["app"]', ""),
        ("COPY app /app", "no-command"),
        ('COPY text /app\nENTRYPOINT ["/app"]', "not-executable"),
        ('COPY script /app\nENTRYPOINT ["/app"]', "script-interpreter-missing"),
        ('COPY garbage /app\nENTRYPOINT ["/app"]', "not-a-program"),
    ],
)
def test_what_docker_build_made(project: Path, engine: str, tmp_path: Path, dockerfile: str, code: str) -> None:
    """Images that somebody built with Docker: the predicted message is the one that `docker run` ends with."""
    docker = need_tool("docker")
    context = tmp_path / "context"
    context.mkdir()
    source = tmp_path / "hello.cpp"
    source.write_text(HELLO)
    shell.check(Command((need_tool("g++"), "-static", "-o", str(context / "app"), str(source))))
    for name, text, mode in (("text", "hello", 0o644), ("script", "#!/bin/no\n", 0o755), ("garbage", "hello", 0o755)):
        (context / name).write_text(text)
        (context / name).chmod(mode)
    (context / "Dockerfile").write_text(f"FROM scratch\n{dockerfile}\n")
    tag = f"verify-{tmp_path.name.lower()}:1".replace("_", "-")
    environment = {
        "PATH": "/usr/bin:/bin:/usr/sbin",
        "DOCKER_HOST": engine,
        "DOCKER_BUILDKIT": "0",
        "HOME": str(tmp_path),
    }

    def ask(*words: str) -> Completed:
        return shell.run(Command((docker, *words)), environment=environment, timeout=120)

    built = ask("build", "--tag", tag, str(context))
    assert built.exit_code == 0, built.stderr.decode()
    try:
        done = invoke(project, "verify", f"docker-daemon:{tag}", "--format=json", DOCKER_HOST=engine)
        ran = ask("run", "--rm", "--network=none", tag)
    finally:
        ask("rmi", "--force", tag)
    found = json.loads(done.stdout)
    certain = [finding for finding in found["findings"] if finding["level"] == "certain"]
    if not code:
        assert (done.exit_code, ran.exit_code, ran.stdout) == (0, 0, b"hello\n")
        return
    assert [finding["code"] for finding in certain] == [code]
    assert done.exit_code == 3
    assert ran.exit_code != 0
    assert certain[0]["message"].lower() in ran.stderr.decode().lower()
