"""Our tasks as a user has them: on a command line, in a project, with few variables in the environment."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from recipes.model import Command
from recipes.support import shell
from recipes.support.shell import Completed

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
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "DOCKER_HOST": "unix:///none",
        **variables,
    }
    return shell.run(Command(argv(*words), cwd=project), environment=environment, timeout=300)


def error(done: Completed) -> str:
    """The one error of a task that failed, which is never a traceback, and leaves stdout empty."""
    text = done.stderr.decode(errors="replace")
    assert "Traceback" not in text
    assert done.stdout == b""
    assert len(re.findall("^error: ", text, re.MULTILINE)) == 1, text
    return text
