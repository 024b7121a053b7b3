"""A copy of Python's own program that cannot be written to, for what starts beside untrusted programs.

A program in the jail may reach the file of the process that it was made from (CVE-2019-5736), and where that is an
interpreter of the user's own it could be overwritten. This one is in memory and sealed.
Source: memfd_create(2); fcntl(2), "File Sealing".
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from functools import cache

_MFD_EXEC = 0x10  # since Linux 6.3, where a machine may be set to make no memfd executable unless it is said
_SEAL_EXEC = 0x20  # since then as well: it stays executable
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


@cache
def sealed_interpreter() -> int:
    """A descriptor of the copy, made once in a process. Raises: OSError where the kernel makes none."""
    copy = _create()
    with open(sys.executable, "rb") as program:
        while os.sendfile(copy, program.fileno(), None, 1 << 30):
            pass
    with contextlib.suppress(OSError):
        fcntl.fcntl(copy, fcntl.F_ADD_SEALS, _SEAL_EXEC)
    fcntl.fcntl(copy, fcntl.F_ADD_SEALS, _SEALS)
    return copy


def library_path() -> dict[str, str]:
    """The environment in which the copy finds Python's library, where that is one that the program found beside it."""
    folder = f"{sys.base_prefix}/lib"
    version = ".".join(map(str, sys.version_info[:2]))
    return {"LD_LIBRARY_PATH": folder} if os.path.exists(f"{folder}/libpython{version}.so.1.0") else {}


def _create() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create("python", flags | _MFD_EXEC)
    except OSError:
        return os.memfd_create("python", flags)
