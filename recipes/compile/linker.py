"""What the linker said, found in the output of a whole build."""

from __future__ import annotations

import os
import re
from pathlib import Path

_FROM_A_COMPILER = re.compile(r":\d+: (fatal )?warning: |^(cc1|cc1plus|clang|lto1)\b|\[-W[a-z]")
_LOAD = re.compile(r"^LOAD (/.+)$", re.MULTILINE)


def linker_warnings(output: str) -> tuple[str, ...]:
    """What the linker warned of, one string each, without the place: `main.o: in function …: (.text+0x1a): `."""
    found: dict[str, None] = {}
    for line in output.splitlines():
        _, marker, text = line.partition("warning: ")
        if marker and text.strip() and not line.startswith("lto-wrapper:"):
            found[text.strip()] = None
    return tuple(found)


def project_warnings(output: str) -> tuple[str, ...]:
    """The linker's warnings in what a whole build said, where a compiler's are too."""
    lines = [line for line in output.splitlines() if not _FROM_A_COMPILER.search(line)]
    return linker_warnings("\n".join(lines))


def loaded(linker_map: Path) -> tuple[str, ...]:
    """The files outside of the build that were linked, in GNU ld's map; not those that link-time optimisation makes."""
    found = _LOAD.findall(linker_map.read_text(errors="replace"))
    return tuple(dict.fromkeys(path for path in found if os.path.isfile(path)))
