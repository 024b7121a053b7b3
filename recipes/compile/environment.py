"""Which part of the caller's environment reaches a compiler."""

from __future__ import annotations

import os

from recipes.compile.toolchains import TOOLCHAINS
from recipes.model import Environment


def unset(given: Environment = ()) -> tuple[str, ...]:
    """`env -u NAME …` for those variables of the caller's that would change what a compiler makes; mostly ().

    Those that the command is `given` are not the caller's any more.
    """
    misleading = frozenset().union(*(kind.misled_by for kind in TOOLCHAINS.values())) - dict(given).keys()
    present = sorted(misleading & os.environ.keys())
    return ("env", *(word for name in present for word in ("-u", name))) if present else ()


def source_date() -> tuple[str, str]:
    """What `__DATE__` and `__TIME__` become. Source: reproducible-builds.org, "SOURCE_DATE_EPOCH"."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    return ("SOURCE_DATE_EPOCH", given if given.isdecimal() else "0")
