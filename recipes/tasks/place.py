"""Where `fromscratch` works: in the project around the current folder, or in the user's cache folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

_OUR_TASKS = re.compile(rb"^\s*(?:from|import)\s+recipes\.tasks\b", re.MULTILINE)
_OUR_TABLE = re.compile(rb"^\s*\[\s*tool\s*\.\s*fromscratch\b", re.MULTILINE)


def project_around(folder: Path) -> Path | None:
    """The nearest folder, `folder` itself or one above it, that is a project of ours; None where there is none.

    A project has a tasks.py with our tasks, a pyproject.toml with our table, or a folder `samples`.
    """
    return next((each for each in (folder, *folder.parents) if _is_project(each)), None)


def _is_project(folder: Path) -> bool:
    return (
        _has(folder / "tasks.py", _OUR_TASKS)
        or _has(folder / "pyproject.toml", _OUR_TABLE)
        or (folder / "samples").is_dir()
    )


def _has(file: Path, pattern: re.Pattern[bytes]) -> bool:
    try:
        return pattern.search(file.read_bytes()) is not None
    except OSError:
        return False


def cache_folder() -> Path:
    """Where a user's caches of ours are. Source: XDG Base Directory Specification, $XDG_CACHE_HOME."""
    given = os.environ.get("XDG_CACHE_HOME", "")  # a relative one is to be ignored, says the specification
    base = Path(given) if os.path.isabs(given) else Path(os.path.expanduser("~")) / ".cache"
    return base / "fromscratch"
