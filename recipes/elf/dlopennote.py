"""The note in which a file names the libraries that it may open at run time: what no list of needed libraries has.

Source: "dlopen() Metadata for ELF Files", https://systemd.io/ELF_DLOPEN_METADATA; what is left out there is as there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

OWNER, TYPE = b"FDO", 0x407C0C0A

_PRIORITIES = ("required", "recommended", "suggested")
_USUAL_PRIORITY = "recommended"
_SONAME = re.compile(r"[!-.0-~]{1,255}")
_MOST_BYTES, _MOST_ENTRIES, _MOST_SONAMES, _LONGEST_TEXT = 65536, 64, 16, 80


@dataclass(frozen=True, slots=True)
class OpenedLater:
    """One of `sonames` serves, the first that there is; `feature` is what it is for, "" where that is not said."""

    sonames: tuple[str, ...]
    feature: str
    priority: str


def read_dlopen_note(content: bytes) -> Iterator[OpenedLater]:
    """The entries of a note's content, as far as they keep to the specification; of other content none."""
    try:
        entries = json.loads(content[:_MOST_BYTES].rstrip(b"\0"))
    except (ValueError, RecursionError):
        return
    for entry in entries[:_MOST_ENTRIES] if isinstance(entries, list) else ():
        found = _entry(entry)
        if found is not None:
            yield found


def _entry(entry: object) -> OpenedLater | None:
    if not isinstance(entry, dict):
        return None
    names = entry.get("soname")
    sonames = [name for name in names[:_MOST_SONAMES] if _is_soname(name)] if isinstance(names, list) else []
    if not sonames:
        return None
    feature, priority = entry.get("feature"), entry.get("priority")
    told = feature[:_LONGEST_TEXT] if isinstance(feature, str) else ""
    return OpenedLater(tuple(sonames), told, priority if priority in _PRIORITIES else _USUAL_PRIORITY)


def _is_soname(name: object) -> bool:
    return isinstance(name, str) and _SONAME.fullmatch(name) is not None
