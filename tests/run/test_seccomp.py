"""The local engine's filter of system calls: its numbers, its logic on every CPU, and what the kernel makes of it."""

from __future__ import annotations

import errno
import importlib.util
import platform
import re
import struct
from pathlib import Path

import pytest

from recipes.model import RunStatus
from recipes.pipeline import Project
from recipes.run import seccomp
from recipes.run.local import LocalEngine
from recipes.support.workspace import Workspace
from tests.need import need
from tests.programs import compile_c, image_of

HEADERS = ("x86-linux-any/asm/unistd_64.h", "x86-linux-any/asm/unistd_32.h", "aarch64-linux-any/asm/unistd_64.h",
           "arm-linux-any/asm/unistd-eabi.h")  # fmt: skip
CALLS = {
    **seccomp._DENIED,
    "clone": seccomp._CLONE,
    "clone3": seccomp._CLONE3,
    "personality": seccomp._PERSONALITY,
    "socket": seccomp._SOCKET,
    "socketpair": seccomp._SOCKETPAIR,
    "socketcall": seccomp._SOCKETCALL,
}
ABIS = [(machine, *abi) for machine, abis in seccomp._COLUMNS.items() for abi in abis]
ALLOW, ASK = 0, -1


@pytest.mark.parametrize("column", range(4), ids=["amd64", "i386", "arm64", "arm"])
def test_the_numbers_are_the_kernels(column: int) -> None:
    """Each call has the number that Linux's headers give it, and none where that ABI lacks it."""
    found = importlib.util.find_spec("ziglang")
    assert found is not None
    assert found.origin is not None
    text = (Path(found.origin).parent / "lib/libc/include" / HEADERS[column]).read_text()
    lines = re.findall(r"#define __NR_(\w+)\s+\D*?(\d+)\)?$", text, re.MULTILINE)
    numbers = {name: int(number) for name, number in lines}
    assert len(numbers) > 300
    assert {name: row[column] for name, row in CALLS.items()} == {name: numbers.get(name, 0) for name in CALLS}


# ── its logic ────────────────────────────────────────────────────────────────────────────────────────────────────────


def verdict(machine: str, architecture: int, number: int, argument: int = 0) -> int | None:
    """What the filter answers: ALLOW, an errno, or None where the process ends. A machine for its few instructions."""
    program = [struct.unpack("=HBBI", each) for each in _cut(seccomp.filter_for(machine), 8)]
    data = struct.pack("<IIQ6Q", number, architecture, 0, argument, *[0] * 5)
    at = value = 0
    while True:
        code, yes, no, operand = program[at]
        at += 1
        if code == 0x20:
            value = int.from_bytes(data[operand : operand + 4], "little")
        elif code == 0x05:
            at += operand
        elif code == 0x06:
            answers: dict[int, int | None] = {
                0x7FFF0000: ALLOW,
                0x7FC00000: ASK,
                0x00050000: operand & 0xFFFF,
                0x80000000: None,
            }
            return answers[operand & 0xFFFF0000]
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
            at += yes if holds else no


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize(("machine", "architecture", "column"), ABIS)
def test_each_abi_is_filtered(machine: str, architecture: int, column: int) -> None:
    """On each CPU, for each ABI of its kernel: what is denied, what depends on its argument, and all else allowed."""
    denied = {row[column] for row in seccomp._DENIED.values()} - {0}
    special = {row[column] for name, row in CALLS.items() if name not in seccomp._DENIED} - {0}
    for number in range(seccomp._NEWEST + 1):
        if number not in special:
            assert verdict(machine, architecture, number) == (errno.EPERM if number in denied else ALLOW), number
    for number in (seccomp._NEWEST + 1, 1000, 0x40000000, 0x40000000 + 39, 0xFFFFFFFF):
        assert verdict(machine, architecture, number) == errno.ENOSYS
    for name, argument, answer in (
        ("clone", 0x11, ALLOW), ("clone", 0x3D0F00, ALLOW), ("clone", 0x10000011, errno.EPERM),
        ("clone", 0x20000, errno.EPERM), ("clone3", 1 << 40, errno.ENOSYS),
        ("personality", 0, ALLOW), ("personality", 0xFFFFFFFF, ALLOW), ("personality", 0x40000, errno.EPERM),
        ("socket", 1, ALLOW), ("socket", 2, ALLOW), ("socket", 10, ALLOW), ("socket", 40, errno.EAFNOSUPPORT),
        ("socketpair", 1, ALLOW), ("socketpair", 40, errno.EAFNOSUPPORT),
        ("socketcall", 1, ASK), ("socketcall", 2, ALLOW),
    ):  # fmt: skip
        if number := CALLS[name][column]:
            assert verdict(machine, architecture, number, argument) == answer, (name, argument)


def test_other_abis_end_the_process() -> None:
    """A call of an ABI that the machine does not speak is not let through."""
    assert verdict("x86_64", 0xC00000B7, 63) is None
    assert verdict("riscv64", 0xC000003E, 39) is None


def test_a_cpu_without_a_filter() -> None:
    """There the local engine runs nothing."""
    assert seccomp.filter_for("s390x") == b""


# ── the real kernel ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_kernel_denies_them(workspace: Workspace) -> None:
    """In the jail each of these calls fails, also through the ABI of 32 bits, and no other family of sockets opens."""
    need(platform.machine() == "x86_64", "an x86-64 processor")
    rows = "".join(f"{{{row[0] or -1}, {row[1] or -1}}}," for row in seccomp._DENIED.values())
    code = rf"""
    #include <errno.h>
    #include <stdio.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    static int calls[][2] = {{{rows}}};
    static long old(long number, long argument) {{
        long answer;
        __asm__ volatile ("int $0x80" : "=a"(answer) : "a"(number), "b"(argument), "c"(0), "d"(0), "S"(0), "D"(0)
                          : "r8", "r9", "r10", "r11", "memory");
        return answer;
    }}
    int main(void) {{
        int wrong = 0, missing = old(20, 0) < 0;
        for (int i = 0; i < sizeof calls / sizeof *calls; i++) {{
            errno = 0;
            if (calls[i][0] >= 0 && (syscall(calls[i][0], 0, 0, 0, 0, 0) != -1 || errno != EPERM)) wrong++;
            if (!missing && calls[i][1] >= 0 && old(calls[i][1], 0) != -EPERM) wrong++;
        }}
        printf("%d", wrong);
        for (int family = 1; family < 41; family += 39)
            if (socket(family, SOCK_DGRAM, 0) == -1 && errno == EAFNOSUPPORT) printf(" %d", family);
        errno = 0; syscall(0x40000000 + 39); printf(" %d", errno == ENOSYS);
        errno = 0; syscall(SYS_unshare, 0x10000000); printf(" %d", errno == EPERM);
        errno = 0; syscall(SYS_clone, 0x10000011, 0, 0, 0, 0); printf(" %d", errno == EPERM);
    }}"""
    project = Project.at(workspace.root)
    outcome = LocalEngine(workspace, project.roots).run(image_of(project, compile_c(workspace, code)))
    if outcome.status is RunStatus.NOT_RUN:
        need(False, f"namespaces ({outcome.reason})")
    assert outcome.stdout == "0 40 1 1 1"


@pytest.mark.parametrize("dumpable", [1, 0])
def test_sockets_of_programs_of_32_bits(workspace: Workspace, dumpable: int) -> None:
    """What is asked for with arguments in memory is made where its family and its kind are allowed, and usable.

    So it is also for a program whose memory and files in /proc are closed to its user.
    """
    need(platform.machine() == "x86_64", "an x86-64 processor")
    code = r"""
    #include <arpa/inet.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <stdio.h>
    #include <sys/prctl.h>
    #include <sys/socket.h>
    #include <unistd.h>
    static long old(long number, long argument, void *place) {
        long answer;
        __asm__ volatile ("int $0x80" : "=a"(answer) : "a"(number), "b"(argument), "c"(place)
                          : "r8", "r9", "r10", "r11", "memory");
        return answer;
    }
    static int asked[][3] = {{AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0}, {AF_INET, SOCK_RAW, 1}, {40, SOCK_STREAM, 0},
                             {AF_UNIX, 77, 0}};
    int main(void) {
        prctl(PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0);
        if (old(20, 0, 0) < 0) { puts("none"); return 0; }
        int made = old(102, 1, asked[0]);
        struct sockaddr_in place = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
        printf("%d %d %d", made >= 0, bind(made, (void *)&place, sizeof place), fcntl(made, F_GETFD) == FD_CLOEXEC);
        for (int i = 1; i < 4; i++) printf(" %ld", -old(102, 1, asked[i]));
        printf(" %ld", -old(102, 1, (void *)16));
    }"""
    project = Project.at(workspace.root)
    program = compile_c(workspace, code, "-static", "-O1", f"-DDUMPABLE={dumpable}")
    outcome = LocalEngine(workspace, project.roots).run(image_of(project, program))
    if outcome.status is RunStatus.NOT_RUN:
        need(False, f"namespaces ({outcome.reason})")
    need(outcome.stdout != "none\n", "a kernel that runs programs of 32 bits")
    numbers = (errno.EPERM, errno.EAFNOSUPPORT, errno.EINVAL, errno.EFAULT)
    assert outcome.stdout == f"1 0 1 {' '.join(map(str, numbers))}"
