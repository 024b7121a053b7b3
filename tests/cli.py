"""Our tasks as a user has them: on a command line, in a project, with few variables in the environment."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from invoke.program import Program

from recipes.model import Command
from recipes.support import shell
from recipes.support.shell import Completed
from recipes.tasks import collection
from recipes.tasks.program import Fromscratch

ROOT = Path(__file__).resolve().parent.parent
HELLO = '#include <cstdio>\nint main() { std::puts("hello"); }\n'


def add(project: Path, name: str, source: str, settings: str = "") -> Path:
    folder = project / "samples" / name
    folder.mkdir(parents=True)
    (folder / "main.cpp").write_text(source)
    if settings:
        (folder / "sample.toml").write_text(settings)
    return folder


def argv(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "invoke", *words)


def invoke(project: Path, *words: str, **variables: str) -> Completed:
    """A command as a process of its own, for tests of what only such a one shows."""
    return shell.run(Command(argv(*words), cwd=project), environment=environment(**variables), timeout=300)


def call(project: Path, *words: str, **variables: str) -> Completed:
    """The same in this process, which has been started already: Invoke's parser, the task, what it prints, its code."""
    return _called(project, lambda: Program(namespace=collection(project)), ("invoke", *words), variables)


def fromscratch(folder: Path, *words: str, **variables: str) -> Completed:
    """The command of its own in `folder`, in this process. Its caches are below `folder`, too."""
    variables = {"XDG_CACHE_HOME": str(folder / "cache"), **variables}
    return _called(folder, Fromscratch, ("fromscratch", *words), variables)


def _called(folder: Path, make: Callable[[], Program], words: tuple[str, ...], variables: dict[str, str]) -> Completed:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors) for errors in ("surrogateescape", "backslashreplace"))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    given, started = environment(**variables), time.perf_counter()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in list(os.environ):
            patch.delenv(name)
        for name, value in given.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", list(words))
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        code = _ended(make())
    for number, handler in handlers.items():
        signal.signal(number, handler)
    seconds = time.perf_counter() - started
    return Completed(Command(argv(*words[1:]), cwd=folder), code, _written(out), _written(err), seconds)


def _ended(program: Program) -> int:
    try:
        program.run()
    except SystemExit as ending:
        return int(ending.code or 0)
    return 0


def _written(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    buffer = stream.detach()
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()


def environment(**variables: str) -> dict[str, str]:
    """What a command finds: no engine, no flushing, as in the tests themselves, and `variables`."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "DOCKER_HOST": "unix:///none",
        "FROMSCRATCH_NO_SYNC": "1",
        **variables,
    }


def error(done: Completed) -> str:
    """The one error of a task that failed, which is never a traceback, and leaves stdout empty."""
    text = done.stderr.decode(errors="replace")
    assert "Traceback" not in text
    assert done.stdout == b""
    assert len(re.findall("^error: ", text, re.MULTILINE)) == 1, text
    return text
