"""What glibc's loader is told to load before all that the program needs: LD_PRELOAD and /etc/ld.so.preload.

Source: glibc, `elf/rtld.c`, `handle_preload_list` and `dl_main`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

PRELOAD_FILE = "/etc/ld.so.preload"


def preloads(variable: str, content: bytes) -> Iterator[tuple[str, str]]:
    """Where each name stands, and the name: those in the value of the variable, then those in the file's content."""
    for where, names in (("LD_PRELOAD", re.split("[ :]", variable)), (PRELOAD_FILE, _listed(content))):
        yield from ((where, name) for name in names if name)


def _listed(content: bytes) -> list[str]:
    """The names in the file.

    A comment ends with its line. After one, the loader looks for the next in as many bytes from the start of the file
    as are left behind it, so that it may take a later one for names.
    """
    data, rest = bytearray(content), len(content)
    while (at := data.find(b"#", 0, rest)) >= 0:
        newline = data.find(b"\n", at + 1, rest)
        end = newline if newline >= 0 else rest
        data[at:end] = b" " * (end - at)
        rest -= end
    *names, last = re.split(rb"[ :\t\n]", data)
    before = b" ".join(names).partition(b"\0")[0]  # the last name is read by itself, with no end but the file's
    return [os.fsdecode(name) for name in (*before.split(b" "), last.partition(b"\0")[0])]
