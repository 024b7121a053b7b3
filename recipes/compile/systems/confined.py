"""A program of its own: `python confined.py FOLDER… -- COMMAND…`, which writes below these folders alone.

A Makefile's `install` that knows nothing of DESTDIR would write to /usr/local, and as root it could. The kernel refuses
that here, to whatever the command starts as well. It exits with 125 where the kernel cannot.

Source: landlock(7); include/uapi/linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import NoReturn

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""System calls that are newer than the tables' split, and so have one number on every CPU."""

_WRITES = 0b1_1111_1111_0010
"""WRITE_FILE, REMOVE_DIR and REMOVE_FILE, and MAKE_… of every kind."""

_WRITE_FILE, _REFER, _TRUNCATE = 1 << 1, 1 << 13, 1 << 14
"""REFER, to link or rename from one folder into another, is new in the second version, TRUNCATE in the third."""

_PATH_BENEATH = 1
_SET_NO_NEW_PRIVS = 38
_CANNOT = 125


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def main(words: list[str]) -> None:
    """Confine this process, then become the command."""
    split = words.index("--")
    try:
        confine((*words[:split], os.devnull))
    except OSError as error:
        _give_up(f"this kernel cannot confine a process: {error.strerror}", _CANNOT)
    try:
        os.execvp(words[split + 1], words[split + 1 :])  # noqa: S606  # no shell is wanted
    except OSError as error:
        _give_up(f"{words[split + 1]}: {error.strerror}", 127)


def _give_up(why: str, code: int) -> NoReturn:
    os.write(2, f"confined: {why}\n".encode())
    sys.exit(code)


def confine(paths: tuple[str, ...]) -> None:
    """From now on this process, and what it starts, writes to `paths` and below them alone. Raises: OSError."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(*words: object) -> int:
        result: int = libc.syscall(*words)
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result

    version = call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    writes = _WRITES | (_REFER if version > 1 else 0) | (_TRUNCATE if version > 2 else 0)
    handled = _Ruleset(writes)
    ruleset = call(_CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(ctypes.sizeof(handled)), ctypes.c_uint32(0))
    for path in filter(os.path.exists, paths):
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = _Beneath(writes if os.path.isdir(path) else writes & (_WRITE_FILE | _TRUNCATE), parent)
        call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0))
        os.close(parent)
    if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    call(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0))
    os.close(ruleset)


if __name__ == "__main__":
    main(sys.argv[1:])
