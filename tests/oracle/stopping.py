"""Copies of programs that stop themselves where their own code would begin: everything before it is the loader's work.

The copy differs in the bytes at its entry point alone, which are `kill(0, SIGSTOP)` and then a loop, so whatever starts
it has a process group of its own, waits for it to stop, and looks at what is mapped. arm64's begin with `bti jc`, as
what is protected may be entered nowhere else.
Source: Linux, `arch/*/entry/syscalls`, for the number of kill; MIPS has a number of its own for SIGSTOP.
"""

from __future__ import annotations

import os
from pathlib import Path

from recipes.architecture import name_of_elf
from recipes.elf.segments import BytesReader, read_header

_THUMB = bytes.fromhex("0020 1321 2527 00df fee7")
_CODE = {
    "amd64": bytes.fromhex("31ff be13000000 b83e000000 0f05 ebfe"),
    "386": bytes.fromhex("31db b913000000 b825000000 cd80 ebfe"),
    "arm64": bytes.fromhex("df2403d5 000080d2 610280d2 281080d2 010000d4 00000014"),
    "arm": bytes.fromhex("0000a0e3 1310a0e3 2570a0e3 000000ef feffffea"),
    "riscv64": bytes.fromhex("13050000 93053001 93081008 73000000 6f000000"),
    "ppc64le": bytes.fromhex("00006038 13008038 25000038 02000044 00000048"),
    "s390x": bytes.fromhex("a7290000 a7390013 0a25 a7f40000"),
    "mips64le": bytes.fromhex("00000424 17000524 c4130224 0c000000 ffff0010 00000000"),
    "mipsle": bytes.fromhex("00000424 17000524 c50f0224 0c000000 ffff0010 00000000"),
    "loong64": bytes.fromhex("04001500 054c8003 0b048203 00002b00 00000050"),
}


def stopping(program: bytes) -> bytes | None:
    """The program with other code at its entry point; None where its CPU is not known here, or it has none there."""
    header = read_header(BytesReader(program))
    name = name_of_elf(header.machine, header.bits, little_endian=header.little_endian)
    thumb = name == "arm" and header.entry & 1
    code = _THUMB if thumb else _CODE.get(name, b"")
    pieces = list(header.pieces(header.entry - thumb, len(code)))
    if not code or sum(size for _, size in pieces) != len(code):
        return None
    changed = bytearray(program)
    at = 0
    for offset, size in pieces:
        changed[offset : offset + size] = code[at : at + size]
        at += size
    return bytes(changed)


def write_stopping(program: Path, copy: Path) -> bool:
    """Whether `copy` is now a copy of `program` that stops itself."""
    content = stopping(program.read_bytes())
    if content is None:
        return False
    copy.parent.mkdir(parents=True, exist_ok=True)
    beside = copy.with_name(f"{copy.name}.{os.getpid()}.part")
    beside.write_bytes(content)
    beside.chmod(0o755)
    beside.rename(copy)  # the old one may be running
    return True
