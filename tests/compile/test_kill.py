"""Several processes at once, and processes that end in the middle."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recipes.compile.recipe import RECIPES
from recipes.model import Command
from recipes.samples.reader import load
from recipes.support import shell
from recipes.support.workspace import Workspace, _swept
from tests.compile.programs import build_command, make, run, write

GCC = ["gcc-dynamic", "gcc-static"]


def parts(recipe: str, code: int = 0) -> dict[str, str]:
    """A program that ends with this code: small, as it is built often, and in C with steps of every kind."""
    if RECIPES[recipe].language == "go":
        return {"main.go": "package main\n\nfunc main() {}\n"}
    return {
        "main.c": f"int one(void), two(void);\nint main(void) {{ return one() + two() - 3 + {code}; }}\n",
        "one.c": "int one(void) { return 1; }\n",
        "lib/two.c": "int two(void) { return 2; }\n",
        "sample.toml": 'sources = ["*.c"]\n[libraries]\ntwo = ["lib/two.c"]\n',
    }


def processes_of(workspace: Workspace) -> list[int]:
    """Those that have this project's folder in their command line or as their working folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line, cwd = (entry / "cmdline").read_bytes(), os.readlink(entry / "cwd")
            except OSError:
                continue
            if str(workspace.root).encode() in line or cwd.startswith(str(workspace.root)):
                found.append(int(entry.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["gcc-static", "gcc-static-small", "zig-static-small"])
def test_eight_processes_at_once(recipe: str, workspace: Workspace) -> None:
    """Eight builds of the same and of different samples all end well, with the same files, and say nothing odd."""
    codes = {"one": 0, "other": 7}
    for name, code in codes.items():
        write(workspace, parts(recipe, code), name)
    orders = [("one", "other"), ("other", "one")] * 4
    with ThreadPoolExecutor(8) as pool:
        commands = [build_command(workspace, recipe, *order) for order in orders]
        results = list(pool.map(lambda command: shell.check(command, timeout=500), commands))
    lines = [frozenset(done.stdout.decode().splitlines()) for done in results]
    assert len(set(lines)) == 1
    assert len(lines[0]) == 2
    for name, code in codes.items():
        binary = make(load(name, workspace), recipe, workspace)
        assert binary.build.cached
        assert run(binary).exit_code == code
        # Each command was run by one of the eight and by none of the others.
        echoed = b"".join(done.stderr for done in results).decode()
        for command in binary.build.commands:
            assert echoed.count(f"{command}\n") == 1


def test_eight_threads_at_once(workspace: Workspace) -> None:
    """The same within one process, as `compare-sizes` does it."""
    files = {"main.cpp": '#include <cstdio>\nint main() { std::puts("x"); }\n'}
    samples = [write(workspace, files, name) for name in ("a", "b")] * 4
    with ThreadPoolExecutor(8) as pool:
        binaries = list(pool.map(lambda sample: make(sample, "gcc-static", workspace, jobs=2), samples))
    assert len({binary.sha256 for binary in binaries}) == 1
    assert sum(not binary.build.cached for binary in binaries) == 2


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "go-dynamic"])
def test_kill_at_any_moment(recipe: str, workspace: Workspace) -> None:
    """After `kill -9` of the build at random moments, the next build just works and makes the right file."""
    sample = write(workspace, parts(recipe))
    expected = make(sample, recipe, workspace).sha256
    shutil.rmtree(workspace.build / "work")
    shutil.rmtree(workspace.cache / "binaries")
    begun = time.monotonic()
    shell.check(build_command(workspace, recipe, sample.name))
    length = time.monotonic() - begun
    chance = random.Random(1)  # noqa: S311
    for _ in range(8):
        shutil.rmtree(workspace.build / "work")
        shutil.rmtree(workspace.cache / "binaries")
        argv = ("timeout", "--signal=KILL", f"{chance.uniform(0.02, length):.3f}")
        command = build_command(workspace, recipe, sample.name)
        done = shell.run(Command((*argv, *command.argv), env=command.env))
        assert done.exit_code in (0, 137)
        _swept.clear()  # the next build is another process
        assert make(sample, recipe, workspace).sha256 == expected
    assert make(sample, recipe, workspace).build.cached
    assert not list(workspace.build.rglob("*.part"))


def test_a_compiler_that_outlives_its_build_is_waited_for(workspace: Workspace) -> None:
    """After `kill -9` of us alone, the compiler still runs; the next build keeps off its files until it has ended."""
    sample = write(workspace, {"main.cpp": "int main() {}\n"})
    log = workspace.root / "log"
    wrapper = workspace.root / "bin"
    wrapper.mkdir()
    real = shell.which("g++")
    slow = f'echo begin >> {log}; sleep 2; "{real}" "$@"; echo end >> {log}'
    (wrapper / "g++").write_text(f'#!/bin/sh\ncase " $* " in *" -c "*) {slow};; *) "{real}" "$@";; esac\n')
    (wrapper / "g++").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{wrapper}:{os.environ['PATH']}")
        killed = build_command(workspace, "gcc-dynamic", "app")
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(
                shell.run,
                Command(("sh", "-c", 'echo $$ > "$0"; exec "$@"', f"{log}.pid", *killed.argv), env=killed.env),
            )
            while not log.exists():
                time.sleep(0.01)
            os.kill(int(Path(f"{log}.pid").read_text()), signal.SIGKILL)
            assert first.result().exit_code == 137
        assert make(sample, "gcc-dynamic", workspace).size > 0
    assert log.read_text().split() == ["begin", "end"] * 2
    assert processes_of(workspace) == []


def test_interrupted_by_the_user(workspace: Workspace) -> None:
    """After ^C nothing of the build still runs."""
    slow = "template <int n> struct F { static constexpr int value = F<n - 1>::value + n; };\n"
    text = slow + "template <> struct F<0> { static constexpr int value = 0; };\n#include <regex>\n"
    files = {f"f{i}.cpp": text + f'int f{i}() {{ return std::regex_match("a", std::regex("a")); }}\n' for i in range(6)}
    write(workspace, {**files, "main.cpp": "int main() {}\n"})
    command = build_command(workspace, "gcc-static", "app")
    argv = ("timeout", "--signal=INT", "1.0", *command.argv)
    done = shell.run(Command(argv, env=command.env))
    assert done.exit_code in (124, 130)
    assert b"KeyboardInterrupt" in done.stderr
    assert processes_of(workspace) == []
