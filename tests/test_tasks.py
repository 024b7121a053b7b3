"""Tests of recipes/tasks through the command line: what is printed where, exit codes, bad input, being stopped."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recipes.model import Command
from recipes.support import shell
from recipes.support.shell import Completed
from recipes.support.workspace import keep, kept
from tests.cli import HELLO, ROOT, add, argv, call, environment, error, invoke
from tests.need import need, need_tool
from tests.schemas import read

CAT = """#include <stdio.h>
int main(void) {
    unsigned char data[9];
    size_t size = fread(data, 1, 9, stdin);
    printf("%zu byte, %d", size, data[0]);
}
"""


def build(project: Path, name: str, *words: str) -> Completed:
    return call(project, "build-static", f"--sample={name}", "--engine=local", *words)


def started(project: Path, name: str, *words: str, **variables: str) -> Completed:
    """The same as a process of its own."""
    return invoke(project, "build-static", f"--sample={name}", "--engine=local", *words, **variables)


# ── the main job ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_build_prove_package_run(project: Path) -> None:
    """The image has nothing but the program, which ran and said what the sample expects."""
    done = started(project, "hi", "--format=json", "--echo")
    assert done.exit_code == 0, done.stderr.decode()
    (row,) = read("images", done.stdout)["rows"]
    assert (row["sample"], row["linkage"], row["base"], row["runs"]) == ("hi", "static", "scratch", True)
    assert row["image_bytes"] == row["binary_bytes"]
    assert row["overhead_bytes"] == 0
    assert (row["run"]["engine"], row["run"]["stdout"], row["run"]["exit_code"]) == ("local", "hello\n", 0)
    for command in row["commands"]:
        assert command in done.stderr.decode()


def test_the_second_build_runs_no_command(project: Path) -> None:
    """Nothing has changed, so nothing is echoed, and the digest is the same; --no-run runs nothing either."""
    first, second = build(project, "hi"), build(project, "hi", "--no-run")
    assert first.stderr.startswith(b"building hi with ")
    assert b"(cd" not in first.stderr
    assert second.stderr == b""
    assert [line for line in second.stdout.splitlines() if line.startswith(b"digest")] == [
        line for line in first.stdout.splitlines() if line.startswith(b"digest")
    ]
    assert b"run      not tried" in second.stdout


def test_what_was_built_can_be_run_loaded_and_pushed(project: Path) -> None:
    """Three lines say how, and the first two do it as they stand; JSON and repeats have none."""
    done = build(project, "hi", "--recipe=gcc-static")
    ways = dict(re.findall(r"^to (\w+) it: +(.*)$", done.stderr.decode(), re.MULTILINE))
    assert list(ways) == ["run", "load", "push"]
    assert ways["push"] == "invoke push hi:gcc-static-scratch --to HOST/REPOSITORY:TAG"
    shown = call(project, *shlex.split(ways["run"])[1:], "--engine=local")
    assert (shown.exit_code, ways["run"]) == (0, "invoke run hi:gcc-static-scratch")
    export, _, load = ways["load"].partition(" && ")
    assert call(project, *shlex.split(export)[1:]).exit_code == 0
    assert load == "docker load --input hi.tar"
    assert (project / "hi.tar").is_file()
    for words in (("--recipe=gcc-static",), ("--recipe=gcc-static-small", "--format=json")):
        assert b"to run it" not in build(project, "hi", *words).stderr


@pytest.mark.parametrize(("variables", "kept"), [({}, True), ({"PYTHONDONTWRITEBYTECODE": "1"}, False)])
def test_a_clone_compiles_its_own_code_once(tmp_path: Path, variables: dict[str, str], kept: bool) -> None:
    """The next call finds the bytecode of the tasks and of what they load, unless the user wants none."""
    shutil.copy(ROOT / "tasks.py", tmp_path)
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes", ignore=shutil.ignore_patterns("__pycache__"))
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | variables
    done = shell.run(Command(argv("recipes"), cwd=tmp_path), environment=variables, timeout=60)
    assert done.exit_code == 0, done.stderr.decode()
    compiled = {path.name.partition(".")[0] for path in tmp_path.rglob("*.pyc")}
    assert {"lists", "pipeline"} <= compiled if kept else not compiled


def test_a_verdict_that_a_run_disproves(project: Path) -> None:
    """A rule that is wrong is a bug of ours, and no pass: it is said, and the exit code is that of a failed gate."""
    assert build(project, "hi").exit_code == 0
    (record,) = (project / "build/cache/verdicts").iterdir()
    verdict = json.loads(kept(record))
    finding = {"level": "certain", "code": "x", "evidence": "", "message": "exec /app: no", "fix": ""}
    keep(record, json.dumps(verdict | {"status": "fails", "findings": [finding]}).encode())
    done = build(project, "hi")
    assert done.exit_code == 3
    assert b"BUG in fromscratch: hi:" in done.stderr
    assert build(project, "hi", "--no-run").exit_code == 3


def test_the_plan_is_what_is_run(project: Path) -> None:
    """`--plan` prints the commands, and runs nothing; pasted into a shell they make the program."""
    done = build(project, "hi", "--plan")
    assert done.exit_code == 0
    assert not (project / "build/work").exists()
    assert shell.run(Command(("sh", "-e"), cwd=project.parent), stdin=done.stdout).exit_code == 0
    (program,) = (path for path in (project / "build/work").rglob("app") if path.is_file())
    assert shell.run(Command((str(program),))).stdout == b"hello\n"
    echoed = build(project, "hi", "--no-run", "--echo").stderr
    assert [line for line in done.stdout.splitlines() if not line.startswith(b"mkdir")] == [
        line for line in echoed.splitlines() if line.startswith(b"(cd")
    ]


def test_the_matrix_as_json(project: Path) -> None:
    """Every cell has the documented keys; the dynamic one fails with the reason, and the rest run."""
    root = project / "a root"
    root.mkdir()
    done = call(
        project, "compare-sizes", "--engine=local", "--format=json", f"--bases=scratch,rootfs:{root},docker://none.invalid/x"
    )  # fmt: skip
    document = read("comparison", done.stdout)
    assert {row["recipe"] for row in document["rows"]} >= {"zig-static-small"}
    for row in document["rows"]:
        assert row["runs"] is (row["linkage"] != "dynamic"), row["reason"]
        assert row["disagrees"] is False
        assert row["reason"] == ("" if row["runs"] else "exec /app: no such file or directory")
    (missing,) = [entry for entry in document["unavailable"] if entry["name"].startswith("docker:")]
    assert "none.invalid" in missing["reason"]
    assert done.exit_code == 6  # it was asked for by name, and did not stop the others


@pytest.mark.parametrize("style", ["overview", "long", "simple", "github", "html", "csv", "json", "latex", "tsv"])
def test_formats(shared_project: Path, tmp_path: Path, style: str) -> None:
    """The same numbers in every format, on stdout or in a file."""
    words = ("compare-sizes", "--no-run", "--bases=scratch", "--recipes=zig-static-small", f"--format={style}")
    done = call(shared_project, *words)
    assert done.exit_code == 0, done.stderr.decode()
    assert b"zig-static-small" in done.stdout or b"zig-static" in done.stdout.replace(b"\\", b"")
    file = tmp_path / "a file"
    assert call(shared_project, *words, f"--output={file}").stdout == b""
    assert file.read_bytes() == done.stdout


def table_of(project: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the document of a comparison that runs nothing."""
    done = call(project, "compare-sizes", "--no-run", "--format=json", *words)
    return done.exit_code, read("comparison", done.stdout)


def test_what_is_named_twice_is_compared_once(shared_project: Path) -> None:
    """Samples, also by path, recipes and bases."""
    path = shared_project / "samples/hi"
    words = (f"--samples=hi,hi,{path}", "--recipes=gcc-static,gcc-static", "--bases=scratch,scratch")
    code, document = table_of(shared_project, *words)
    assert (code, len(document["rows"])) == (0, 1)


def test_two_samples_of_one_name(project: Path) -> None:
    """Their images would have one tag, so that is bad input."""
    shutil.copytree(project / "samples/hi", project / "other/hi")
    done = call(project, "compare-sizes", "--samples=hi,other/hi")
    assert done.exit_code == 2
    assert "two samples are called 'hi'" in error(done)


@pytest.mark.parametrize(
    ("words", "name", "reason"),
    [
        (
            ("--recipes=go-static,gcc-static", "--bases=scratch"),
            "go-static",
            "builds go, and no go sample was selected",
        ),
        (("--recipes=gcc-static", "--bases=scratch,bundle"), "bundle", "no selected program loads a library"),
    ],
)
def test_what_fits_nothing_is_told(shared_project: Path, words: tuple[str, ...], name: str, reason: str) -> None:
    """A recipe or base that was asked for by name and that no cell has is bad input; the others are compared."""
    code, document = table_of(shared_project, *words)
    assert (code, len(document["rows"])) == (2, 1)
    assert document["unavailable"] == [{"name": name, "reason": reason}]
    assert document["failed"] == document["unavailable"]


def test_csv_tells_of_failures_on_stderr(project: Path) -> None:
    """The rows have no room for them."""
    add(project, "bad", "int main() { return nothing; }\n")
    words = ("compare-sizes", "--samples=bad,hi", "--recipes=gcc-static", "--bases=scratch", "--no-run", "--format=csv")
    done = call(project, *words)
    assert done.exit_code == 5
    assert len(done.stdout.splitlines()) == 2
    assert b"failed: bad with gcc-static: " in done.stderr


def test_one_broken_folder_does_not_stop_the_others(project: Path) -> None:
    """`samples` lists it below them, a comparison of all has it among what failed; by name it is an error."""
    (project / "samples/common").mkdir()
    done = call(project, "samples")
    assert done.exit_code == 0
    assert b"hi " in done.stdout
    assert done.stdout.endswith(b"\nskipped: common (sample 'common' has no sources)\n")
    code, document = table_of(project, "--recipes=gcc-static", "--bases=scratch")
    assert (code, [row["sample"] for row in document["rows"]]) == (2, ["hi"])
    assert document["failed"] == [{"name": "common", "reason": "sample 'common' has no sources"}]
    error(call(project, "compare-sizes", "--samples=hi,common"))


def test_output_goes_where_it_is_sent(project: Path) -> None:
    """A pipe gets it, a link stays one, and a file keeps its mode."""
    words = ("compare-sizes", "--no-run", "--bases=scratch", "--recipes=zig-static-small", "--output")
    usual = call(project, *words[:-1]).stdout
    os.mkfifo(project / "pipe")
    reader = os.open(project / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert call(project, *words, "pipe").exit_code == 0
    assert os.read(reader, 65536) == usual
    os.close(reader)
    (project / "file").touch(0o600)
    (project / "link").symlink_to("file")
    assert call(project, *words, "link").exit_code == 0
    assert (project / "link").is_symlink()
    assert (project / "file").read_bytes() == usual
    assert (project / "file").stat().st_mode & 0o777 == 0o600
    (project / "image.tar").symlink_to("file")
    assert call(project, "export", "hi", "--to=image.tar").exit_code == 0
    assert (project / "image.tar").is_symlink()
    assert (project / "file").stat().st_size > 10_240


def test_no_colour_and_no_progress_without_a_terminal(shared_project: Path) -> None:
    """Neither stdout nor stderr has an escape sequence when they are no terminals."""
    done = call(shared_project, "compare-sizes", "--recipes=gcc-static", "--bases=scratch", "--engine=local")
    assert done.exit_code == 0
    assert b"\x1b" not in done.stdout + done.stderr


def test_a_terminal_has_colours_and_its_width(shared_project: Path) -> None:
    """A table is as wide as the terminal, and coloured unless NO_COLOR is set."""
    script = need_tool("script")
    options = ("--samples=hi", "--no-run", "--bases=scratch", "--recipes=gcc-static,zig-static-small")
    line = f"{shlex.join(argv('compare-sizes', *options))} 2>/dev/null"
    shown = {}
    for value in ("", "1"):
        variables = environment(TERM="xterm", COLUMNS="50", NO_COLOR=value)
        done = shell.run(Command((script, "-qec", line, "/dev/null"), cwd=shared_project), environment=variables)
        assert done.exit_code == 0
        shown[value] = done.stdout.decode()
    assert "\x1b[32mzig-static-small\x1b[0m" in shown[""]
    assert re.sub(r"\x1b\[\d+m", "", shown[""]) == shown["1"]
    rules = [len(each) for each in shown["1"].split("\r\n") if each.startswith("---")]
    assert len(rules) == 2
    assert max(rules) <= 50


def test_lists(shared_project: Path) -> None:
    """`recipes`, `samples` and `bases` say what there is; `doctor` has a version and a place for zig, which is here."""
    assert b"gcc-static-small" in call(shared_project, "recipes").stdout
    assert b"hi" in call(shared_project, "samples").stdout
    assert b"deb-cc" in call(shared_project, "bases").stdout
    (line,) = [line for line in call(shared_project, "doctor").stdout.decode().splitlines() if line.startswith("zig ")]
    assert re.fullmatch(r"zig +\d+\.[\d.]+\S* +/\S* *", line)


def test_an_option_that_is_repeated(shared_project: Path) -> None:
    """Each `--set` is one setting, whole, and all of them count."""
    done = build(shared_project, "hi", "--no-run", "--set=user=7:8", "--set=env.A=b c", "--format=json")
    assert done.exit_code == 0, done.stderr.decode()
    text = call(shared_project, "dockerfile", "hi", "--set", "user=7:8", "--set", "env.A=b c").stdout.decode()
    assert "USER 7:8" in text
    assert 'ENV A="b c"' in text


# ── bad input ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (("build-static", "hj"), "hi"),
        (("build-static", "hi", "--recipe=gcc-statc"), "gcc-static"),
        (("build-static", "hi", "--base=scrach"), "scratch"),
        (("build-static", "hi", "--engine=dokcer"), "docker"),
        (("build-static", "hi", "--format=jsn"), "json"),
        (("build-static", "hi", "--compression=gzp"), "gzip"),
        (("compare-sizes", "--format=gihtub"), "github"),
        (("compare-sizes", "--sort=imag"), "image"),
        (("compare-sizes", "--recipes=go-statik"), "go-static"),
        (("compare-sizes", "--bases=deb-cx"), "deb-cc"),
        (("compare-sizes", "--samples=hx"), "hi"),
        (("inspect", "hx"), "hi"),
    ],
)
def test_unknown_names_get_the_nearest(shared_project: Path, words: tuple[str, ...], nearest: str) -> None:
    """Exit code 2 and one error, whose hint has the name that was meant."""
    done = call(shared_project, *words)
    assert done.exit_code == 2, done.stderr.decode()
    assert nearest in error(done)


@pytest.mark.parametrize(
    "words",
    [
        ("build-static", "hi", "--platform=linux"),
        ("build-static", "hi", "--jobs=-1"),
        ("build-static", "hi", "--jobs=many"),
        ("build-static", "hi", "--max-blob=0"),
        ("build-static", "hi", "--max-blob=5iB"),
        ("verify", "hi", "--max-blob=-1MB"),
        ("build-static", "hi", "--recipe=go-static"),
        ("export", "hi", "--to=image.zip"),
        ("inspect", "/etc/passwd"),
        ("inspect", "/none/such"),
    ],
)
def test_bad_values(shared_project: Path, words: tuple[str, ...]) -> None:
    """Exit code 2 and one error with a hint."""
    done = call(shared_project, *words)
    assert done.exit_code == 2, done.stderr.decode()
    assert "hint: " in error(done)


def test_a_compiler_error_is_shown_whole(project: Path) -> None:
    """Exit code 5, with the compiler's own words and the command."""
    add(project, "wrong", "int main() { return not_there; }\n" + "#warning a long one\n" * 3)
    done = build(project, "wrong")
    assert done.exit_code == 5
    text = error(done)
    assert "not_there" in text
    assert text.count("a long one") >= 3
    assert "the command was: " in text


def test_a_missing_tool(project: Path) -> None:
    """Exit code 4, and what can be done about it."""
    done = started(project, "hi", "--recipe=gcc-static", PATH=str(Path(need_tool("env")).parent / "none"))
    assert done.exit_code == 4
    assert "hint: " in error(done)


def test_a_compiler_that_is_none(project: Path) -> None:
    """A file on PATH that is not a program is a missing tool, and does not stop what does not need it."""
    (project / "g++").write_bytes(b"\1garbage")
    (project / "g++").chmod(0o755)
    words = ("compare-sizes", "--recipes=gcc-static,zig-static-small", "--bases=scratch", "--no-run", "--format=json")
    done = invoke(project, *words, PATH=f"{project}:{os.environ['PATH']}")
    assert done.exit_code == 4, done.stderr.decode()
    document = json.loads(done.stdout)
    assert [row["recipe"] for row in document["rows"]] == ["zig-static-small"]
    assert document["failed"][0]["name"] == "gcc-static"


def test_an_engine_that_is_not_there(shared_project: Path) -> None:
    """Asked for by name it is exit code 6; `auto` goes on without, and says so."""
    assert call(shared_project, "build-static", "hi", "--engine=docker").exit_code == 6
    done = call(shared_project, "build-static", "hi")
    assert done.exit_code == 0
    assert b"engine: local" in done.stderr


@pytest.mark.parametrize("task", ["compare-sizes", "check"])
def test_without_samples_there_is_nothing_to_do(tmp_path: Path, task: str) -> None:
    """That is said at once, and not after bases were made for an empty table."""
    done = call(tmp_path, task)
    assert done.exit_code == 2
    assert "error: there is no sample to " in error(done)
    assert b"hint: each folder below samples/ is a sample" in call(tmp_path, "samples").stderr


def test_an_empty_sample(project: Path) -> None:
    """A folder without sources is bad input, not an empty image."""
    (project / "samples/empty").mkdir()
    done = build(project, "empty")
    assert done.exit_code == 2
    error(done)


def test_a_program_that_crashes(project: Path) -> None:
    """Exit code 3: it was built and run, and did not do what the sample expects."""
    add(project, "crash", "int main() { __builtin_trap(); }\n")
    done = build(project, "crash", "--format=json")
    assert done.exit_code == 3
    (row,) = json.loads(done.stdout)["rows"]
    assert (row["runs"], row["run"]["exit_code"]) == (False, 128 + signal.SIGILL)


def test_arguments_that_are_too_long(project: Path) -> None:
    """The program does not start with them, and the verdict is not blamed for it."""
    add(project, "long", HELLO, f'args = ["{"x" * 140_000}"]\n')
    done = build(project, "long")
    assert done.exit_code == 3
    assert b"exec /app: argument list too long\n" in done.stdout


def test_a_static_recipe_that_is_not_static(project: Path) -> None:
    """Whatever the sample's flags do to it, the file decides: exit code 3, with the evidence."""
    need_tool("g++")
    folder = add(project, "pragma", HELLO)
    (folder / "g++").write_text(
        '#!/bin/sh\nfor word; do shift; [ "$word" = -static ] || set -- "$@" "$word"; done\n'
        f'exec {need_tool("g++")} "$@"\n'
    )
    (folder / "g++").chmod(0o755)
    done = started(project, "pragma", "--recipe=gcc-static", PATH=f"{folder}:{os.environ['PATH']}")
    assert done.exit_code == 3, done.stderr.decode()
    assert "it names the interpreter" in error(done)


@pytest.mark.parametrize("name", ["with blank", "it's", '"quoted"', "new\nline", "-leading", "ü", "a$b`c`", "%s", "#x"])
def test_names(project: Path, name: str) -> None:
    """A sample may be called anything that a folder can be called."""
    add(project, name, HELLO, 'expect = "hello\\n"\n')
    done = build(project, name, "--format=json", "--recipe=gcc-static")
    assert done.exit_code == 0, done.stderr.decode()
    (row,) = json.loads(done.stdout)["rows"]
    assert (row["sample"], row["runs"]) == (name, True)
    again = call(project, "export", f"--sample={name}", "--to=-image \n'.tar", "--recipe=gcc-static")
    assert again.exit_code == 0, again.stderr.decode()
    assert (project / "-image \n'.tar").stat().st_size > row["binary_bytes"] / 5


@pytest.mark.parametrize("style", ["overview", "long", "simple", "csv", "html", "json"])
def test_bytes_that_are_no_text(project: Path, style: str) -> None:
    """A folder's name may hold any, and a strict stdout does not mind: each byte is written out."""
    add(project, "\udcff\udcfe", HELLO)
    words = ("compare-sizes", "--recipes=gcc-static", "--bases=scratch", "--no-run", f"--format={style}")
    done = invoke(project, *words, PYTHONIOENCODING="utf-8:strict")
    assert done.exit_code == 0, done.stderr.decode()
    assert (b"\\udcff\\udcfe" if style == "json" else b"\\xff\\xfe") in done.stdout


def test_input_that_is_no_text(project: Path) -> None:
    """A program that is packaged gets the bytes of --stdin as they are."""
    program = project / "cat"
    (project / "cat.c").write_text(CAT)
    shell.check(Command((need_tool("gcc"), "-static", "-o", str(program), str(project / "cat.c"))))
    done = call(project, "package", str(program), "--engine=local", "--format=json", "--stdin=\udcff")
    (row,) = json.loads(done.stdout)["rows"]
    assert (done.exit_code, row["run"]["stdout"]) == (0, "1 byte, 255")


ECHO = """#include <stdio.h>
int main(int argc, char **argv) {
    int read = 0;
    while (getchar() != EOF) read++;
    printf("%s %d\\n", argc > 1 ? argv[1] : "usage", read);
    return argc < 2;
}
"""


@pytest.mark.parametrize("task", ["build-static", "package", "compare-sizes", "bundle"])
def test_the_trial_run_is_asked_for_and_changes_no_image(project: Path, task: str) -> None:
    """Arguments, stdin and what is expected are those of the command line; the image is the same to the bit."""
    folder = add(project, "echo", ECHO, 'args = ["own"]\nstdin = "1"\nexpect = "own 1\\n"\n')
    which = {
        "build-static": ("--sample=echo", "--recipe=gcc-static"),
        "package": ("--file=echo",),
        "compare-sizes": ("--samples=echo", "--recipes=gcc-static", "--bases=scratch"),
        "bundle": ("--sample=echo",),
    }[task]
    if task == "package":
        shell.check(Command((need_tool("g++"), "-static", "-o", str(project / "echo"), str(folder / "main.cpp"))))

    def tried(*words: str) -> tuple[int, str, str]:
        done = call(project, task, *which, "--engine=local", "--format=json", *words)
        (row,) = json.loads(done.stdout)["rows"]
        code = done.exit_code if task != "compare-sizes" else 0 if row["runs"] else 3
        return code, row["run"]["stdout"], row["digest"]

    plain = tried()
    assert plain[:2] == ((0, "usage 0\n") if task == "package" else (0, "own 1\n"))
    other = tried("--args='two words' more", "--stdin=abc")  # what the sample expects is not about these
    assert other == (0, "two words 3\n", plain[2])
    assert tried("--args=", "--stdin=", "--expect-exit=1", "--expect=usage") == (0, "usage 0\n", plain[2])
    assert tried("--args=x", "--expect=y")[0] == 3
    assert tried("--serves=1")[0] == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--expect-exit=256",), "--expect-exit must be a number from 0 to 255, not 256"),
        (("--expect-exit=",), "--expect-exit must be a number from 0 to 255, not "),
        (("--serves=601",), "--serves must be a number of seconds up to 600, not 601"),
        (("--serves=-1",), "--serves must be a number of seconds up to 600, not -1"),
        (("--serves", "--expect-exit=1"), "--serves and --expect-exit exclude each other"),
        (("--args='",), "cannot be split into words"),
    ],
)
def test_a_trial_that_makes_no_sense(shared_project: Path, words: tuple[str, ...], message: str) -> None:
    """Exit code 2, before anything is built."""
    done = build(shared_project, "hi", *words)
    assert done.exit_code == 2
    assert f"error: {message}" in error(done)


def test_a_trial_of_several_samples(shared_project: Path) -> None:
    """Arguments are those of one program: compare-sizes takes them for one sample alone."""
    done = call(shared_project, "compare-sizes", "--samples=hi,hi2", "--args=x")
    assert done.exit_code == 2
    assert "options for the trial run are for one sample" in error(done)


# ── being stopped, having no room, not being alone ───────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.usefixtures("hears_all")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_at_any_moment(project: Path, shared_project: Path, number: signal.Signals) -> None:
    """After ^C, a polite kill and a hard one, whenever they come, the next run just works and gives the same digest."""
    words = argv(
        "compare-sizes", "--bases=scratch", "--engine=local", "--recipes=gcc-static,gcc-dynamic", "--format=json"
    )
    for wait in (0.15, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3):
        with subprocess.Popen(
            words,
            cwd=project,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            time.sleep(wait)
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        assert process.returncode in (0, 1, 130, 128 + number, -number), err.decode()
        assert b"in guarded" not in err, err.decode()  # Invoke's own start may well be cut short with a traceback
        assert out == b"" or json.loads(out)["rows"]  # all of it, or nothing: it may come when all is done
    done = shell.run(Command(words, cwd=project), environment=environment(), timeout=300)
    assert done.exit_code == 0, done.stderr.decode()
    undisturbed = shell.run(Command(words, cwd=shared_project), environment=environment(), timeout=300)
    digests = [
        {row["recipe"]: row["digest"] for row in json.loads(each.stdout)["rows"]} for each in (done, undisturbed)
    ]
    assert digests[0] == digests[1]
    assert [path for path in (project / "build/tmp").rglob("*") if path.is_file()] == []


def compilers(folder: Path) -> list[int]:
    """The compilers proper that run in `folder` at this moment."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(entry / "cwd") == str(folder) and b"cc1" in (entry / "cmdline").read_bytes().split(b"\0")[0]:
                found.append(int(entry.name))
    return found


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def blocked(project: Path) -> Path:
    """A sample of four files, each of which keeps its compiler waiting for a header that never comes."""
    folder = add(project, "blocked", "int main() {}\n")
    for number in range(4):
        (folder / f"f{number}.cpp").write_text('#include "block.h"\n')
    os.mkfifo(folder / "block.h")
    return folder


@pytest.mark.usefixtures("hears_all")
@pytest.mark.parametrize(
    ("line", "most"),
    [
        ("build-static blocked --recipe=gcc-static --jobs=2", 2),
        ("compare-sizes --samples=blocked --recipes=gcc-static,gcc-dynamic --bases=scratch --jobs=3", 3),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_jobs_limit_the_compilers_and_none_is_started_after_a_signal(
    project: Path, blocked: Path, line: str, most: int, number: signal.Signals
) -> None:
    """No more than `--jobs` run, however many builds there are; a signal ends them all, and the task at once."""
    need_tool("g++")
    words = argv(*line.split(), "--engine=local")
    with subprocess.Popen(
        words, cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            wait_for(lambda: len(compilers(blocked)) >= most, "the compilers did not start")
            time.sleep(0.5)
            assert len(compilers(blocked)) == most
            process.send_signal(number)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
            for compiler in compilers(blocked):
                os.kill(compiler, signal.SIGKILL)
    assert process.returncode == (130 if number == signal.SIGINT else 128 + number), err.decode()
    assert (out, compilers(blocked)) == (b"", [])
    assert b"Traceback" not in err


def test_a_terminal_that_closes_under_nohup(project: Path, blocked: Path) -> None:
    """Who has it ignored goes on."""
    need_tool("g++")
    words = ("sh", "-c", 'trap "" HUP; exec "$@"', "sh", *argv("build-static", "blocked", "--recipe=gcc-static"))
    with subprocess.Popen(words, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            wait_for(lambda: compilers(blocked), "the compilers did not start")
            process.send_signal(signal.SIGHUP)
            time.sleep(0.3)
            assert process.poll() is None
            assert compilers(blocked)
        finally:
            process.terminate()
            process.communicate(timeout=20)


@pytest.mark.slow
def test_eight_at_once(project: Path) -> None:
    """Eight processes build the same and different samples in one project: all end well, and every image is listed."""
    names = ["hi", *(f"other{number}" for number in range(3))]
    for name in names[1:]:
        add(project, name, HELLO.replace("hello", name), f'expect = "{name}\\n"\n')
    running = [
        subprocess.Popen(
            argv("build-static", name, "--engine=local", "--recipe=gcc-static", "--format=json"),
            cwd=project,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for name in names * 2
    ]
    digests: dict[str, set[str]] = {}
    for process in running:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err.decode()
        row = json.loads(out)["rows"][0]
        digests.setdefault(row["sample"], set()).add(row["digest"])
    assert all(len(same) == 1 for same in digests.values())
    listed = {entry["digest"] for entry in json.loads((project / "build/images/index.json").read_bytes())["manifests"]}
    assert {digest for same in digests.values() for digest in same} <= listed


def test_a_full_disk(project: Path, tmp_path: Path) -> None:
    """One error, and the next run with more room works: nothing half-written is believed."""
    small = tmp_path / "small"
    small.mkdir()
    mount = shell.run(Command(("mount", "-t", "tmpfs", "-o", "size=3m", "none", str(small))))
    need(mount.exit_code == 0 or os.geteuid() != 0, "mount")
    if mount.exit_code != 0:
        pytest.skip("needs root, for a small file system")
    try:
        shutil.rmtree(project / "build")
        (project / "build").symlink_to(small)
        done = started(project, "hi", "--recipe=gcc-static")
        assert done.exit_code in (2, 5), done.stderr.decode()
        error(done)
        shell.check(Command(("mount", "-o", "remount,size=200m", str(small))))
        done = started(project, "hi", "--recipe=gcc-static")
        assert done.exit_code == 0, done.stderr.decode()
    finally:
        shell.check(Command(("umount", str(small))))


def test_a_read_only_project(project: Path) -> None:
    """One error that says so, where the project cannot be written to."""
    if os.geteuid() == 0:  # who may write anywhere, but for a file system that is read-only
        shell.check(Command(("mount", "--bind", str(project), str(project))))
        shell.check(Command(("mount", "-o", "remount,bind,ro", str(project))))
    else:
        project.chmod(0o555)
    try:
        done = started(project, "hi", "--no-run")
    finally:
        if os.geteuid() == 0:
            shell.check(Command(("umount", str(project))))
        else:
            project.chmod(0o755)
    assert done.exit_code == 2, done.stderr.decode()
    assert "hint: " in error(done)


def test_a_reader_that_goes_away(project: Path) -> None:
    """`invoke … | head -1` is no error."""
    line = f"{' '.join(argv('bases'))} | head -1"
    done = shell.run(Command(("bash", "-o", "pipefail", "-c", line), cwd=project), timeout=60)
    assert (done.exit_code, done.stderr) == (0, b"")
