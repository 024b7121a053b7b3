"""A test that needs something absent skips and names it; in CI, where it should be there, that skip is a failure."""

from __future__ import annotations

import os
import shutil

import pytest


def need(present: object, what: str) -> None:
    """Go on only where `present` is true; `what` names the missing thing."""
    if present:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI should have {what}")
    pytest.skip(f"needs {what}")


def need_tool(name: str) -> str:
    """The path of a program on PATH, or the test ends as `need` says."""
    path = shutil.which(name)
    need(path, name)
    return str(path)
