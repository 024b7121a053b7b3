"""What a linker map says of who asked for a member of the C library: the program itself, or another library.

An iostream program holds all of glibc's time and conversion code, whether it uses it or not, so the file cannot tell.
The map can: it names the object for whose sake each member was linked.
Source: GNU ld manual, "-Map": "archive member included to satisfy reference by file (symbol)".
"""

from __future__ import annotations

import re
from pathlib import Path

_MEMBER = re.compile(r"^(?=\S)(?:.*?/)??([^/()\s]+\.a)\(([^()]+)\)\s*(.*)$")
_ARCHIVE = re.compile(r"([^/()\s]+\.a)\(")
_SYSTEM = re.compile(r"lib(?:c|m|g|stdc\+\+|gcc|gcc_eh|pthread|dl|rt|resolv|supc\+\+|stdc\+\+fs)\.a")
_MOST_LINES = 200_000


def asked_for(linker_map: Path) -> dict[str, str]:
    """Members of the C library (`localtime.o`) → the object of ours that asked for it; {} where nothing is told."""
    found: dict[str, str] = {}
    member = ""
    try:
        with open(linker_map, encoding="utf-8", errors="replace") as lines:
            for _, line in zip(range(_MOST_LINES), lines, strict=False):
                if line.startswith(("Discarded input sections", "Memory Configuration")):
                    break
                match = _MEMBER.match(line)
                if match:
                    member, asker = (match[2] if match[1] == "libc.a" else ""), match[3]
                else:
                    asker = line.strip() if line[:1].isspace() else ""
                if member and asker:
                    archive = _ARCHIVE.search(asker)
                    if archive is None or not _SYSTEM.fullmatch(archive[1]):
                        found[member] = asker.partition(" (")[0].rpartition("/")[2]
                    member = ""
    except OSError:
        return {}
    return found
