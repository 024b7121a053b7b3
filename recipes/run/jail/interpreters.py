"""What the kernel opens beside a program in order to execute it.

Source: execve(2), "Interpreter scripts"; elf(5), PT_INTERP; Linux, fs/binfmt_script.c and fs/binfmt_elf.c.
"""

from __future__ import annotations

import os
import struct

_HEAD = 256
"""How much of a file the kernel reads to see what it is."""
_IN_A_ROW = 6
"""More scripts that start scripts than the kernel follows."""
_ELF_HEAD = 52
_PT_INTERP = 3
_PATH_MAX = 4096

# By the class of an ELF file: the place of e_phoff and its kind, the place of e_phnum, and a program header's layout:
# p_type, p_offset, p_filesz.
_CLASSES = {1: (28, "I", 44, "II8xI12x"), 2: (32, "Q", 56, "I4xQ16xQ16x")}


def interpreters(program: str) -> list[str]:
    """The files through which the kernel starts `program`, in turn, as far as they can be read."""
    found = [program]
    while len(found) <= _IN_A_ROW and (name := _interpreter(found[-1])):
        found.append(name)
    return found[1:]


def _interpreter(program: str) -> str:
    try:
        file = os.open(program, os.O_RDONLY | os.O_NONBLOCK)  # it may be a pipe, where nobody writes
    except OSError:
        return ""  # if it can be executed at all, then without one
    try:
        head = os.pread(file, _HEAD, 0)
        name = _of_script(head) if head.startswith(b"#!") else _of_elf(head, file)
    except (OSError, OverflowError, struct.error):
        return ""
    finally:
        os.close(file)
    return os.fsdecode(name)


def _of_script(head: bytes) -> bytes:
    line = head[2:].partition(b"\n")[0].replace(b"\t", b" ").lstrip(b" ")
    return line.partition(b" ")[0].partition(b"\0")[0]


def _of_elf(head: bytes, file: int) -> bytes:
    if not head.startswith(b"\x7fELF") or len(head) < _ELF_HEAD or head[4] not in _CLASSES:
        return b""
    order = ">" if head[5] == 2 else "<"
    where, kind, number, layout = _CLASSES[head[4]]
    (place,), (count,) = struct.unpack_from(order + kind, head, where), struct.unpack_from(order + "H", head, number)
    size = struct.calcsize(order + layout)
    for header in struct.iter_unpack(order + layout, os.pread(file, count * size, place)):
        if header[0] == _PT_INTERP:
            return os.pread(file, min(header[2], _PATH_MAX), header[1]).partition(b"\0")[0]
    return b""
