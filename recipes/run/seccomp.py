"""Which system calls the local engine's programs may not make, as data, and as the program for the kernel.

They are those that Docker's default profile denies a container without capabilities, and those that hide memory.

Source: seccomp(2); Linux, Documentation/userspace-api/seccomp_filter.rst; the numbers are those of Linux's headers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97

# Of each call the numbers in the columns of _COLUMNS; 0 where that kernel has no such call.
_DENIED = {
    # What runs in the kernel for the program, or shows it the kernel.
    "bpf": (321, 357, 280, 386),
    "io_uring_enter": (426, 426, 426, 426),
    "io_uring_register": (427, 427, 427, 427),
    "io_uring_setup": (425, 425, 425, 425),
    "kcmp": (312, 349, 272, 378),
    "lookup_dcookie": (212, 253, 18, 249),
    "perf_event_open": (298, 336, 241, 364),
    "syslog": (103, 103, 116, 103),
    "userfaultfd": (323, 374, 282, 388),
    # Keys, which namespaces do not part.
    "add_key": (248, 286, 217, 309),
    "keyctl": (250, 288, 219, 311),
    "request_key": (249, 287, 218, 310),
    # Other namespaces, and what can be mounted in them.
    "fsconfig": (431, 431, 431, 431),
    "fsmount": (432, 432, 432, 432),
    "fsopen": (430, 430, 430, 430),
    "fspick": (433, 433, 433, 433),
    "mount": (165, 21, 40, 21),
    "mount_setattr": (442, 442, 442, 442),
    "move_mount": (429, 429, 429, 429),
    "open_tree": (428, 428, 428, 428),
    "open_tree_attr": (467, 467, 467, 467),
    "pivot_root": (155, 217, 41, 218),
    "setns": (308, 346, 268, 375),
    "umount": (0, 22, 0, 0),
    "umount2": (166, 52, 39, 52),
    "unshare": (272, 310, 97, 337),
    # Files and processes that no name leads to.
    "fanotify_init": (300, 338, 262, 367),
    "open_by_handle_at": (304, 342, 265, 371),
    "pidfd_getfd": (438, 438, 438, 438),
    "process_madvise": (440, 440, 440, 440),
    # The memory of other processors.
    "get_mempolicy": (239, 275, 236, 320),
    "mbind": (237, 274, 235, 319),
    "migrate_pages": (256, 294, 238, 400),
    "move_pages": (279, 317, 239, 344),
    "set_mempolicy": (238, 276, 237, 321),
    "set_mempolicy_home_node": (450, 450, 450, 450),
    # Memory that stays when no process has it, and that nothing shows: a page in a pipe may hold 2 MiB.
    "memfd_secret": (447, 447, 447, 0),
    "vmsplice": (278, 316, 75, 343),
    # The machine itself.
    "acct": (163, 51, 89, 51),
    "clock_settime": (227, 264, 112, 262),
    "clock_settime64": (0, 404, 0, 404),
    "delete_module": (176, 129, 106, 129),
    "finit_module": (313, 350, 273, 379),
    "init_module": (175, 128, 105, 128),
    "ioperm": (173, 101, 0, 0),
    "iopl": (172, 110, 0, 0),
    "kexec_file_load": (320, 0, 294, 401),
    "kexec_load": (246, 283, 104, 347),
    "pciconfig_iobase": (0, 0, 0, 271),
    "pciconfig_read": (0, 0, 0, 272),
    "pciconfig_write": (0, 0, 0, 273),
    "quotactl": (179, 131, 60, 131),
    "quotactl_fd": (443, 443, 443, 443),
    "reboot": (169, 88, 142, 88),
    "setdomainname": (171, 121, 162, 121),
    "sethostname": (170, 74, 161, 74),
    "settimeofday": (164, 79, 170, 79),
    "stime": (0, 25, 0, 0),
    "swapoff": (168, 115, 225, 115),
    "swapon": (167, 87, 224, 87),
    "vhangup": (153, 111, 58, 111),
    "vm86": (0, 166, 0, 0),
    "vm86old": (0, 113, 0, 0),
    # Not called for decades.
    "_sysctl": (156, 149, 0, 149),
    "nfsservctl": (180, 169, 42, 169),
    "sysfs": (139, 135, 0, 135),
    "uselib": (134, 86, 0, 86),
    "ustat": (136, 62, 0, 62),
}

# Calls that depend on what they are asked for.
_CLONE = (56, 120, 220, 120)
_CLONE3 = (435, 435, 435, 435)  # its flags are in memory, where a filter cannot look; everybody falls back to clone
_PERSONALITY = (135, 136, 92, 136)
_SOCKET = (41, 359, 198, 281)
_SOCKETPAIR = (53, 360, 199, 288)
_SOCKETCALL = (0, 102, 0, 0)

_NEWEST = 471
"""The highest number whose call has been weighed. Newer ones are said not to exist, as by a kernel of that age."""

_NEW_NAMESPACE = 0x7E020000  # any CLONE_NEW… but CLONE_NEWTIME, which clone does not take
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
FAMILIES = (1, 2, 10, 16, 17, 38)  # unix, IPv4, IPv6, netlink, packet, the kernel's ciphers
# What else there is goes past the network namespace, as AF_VSOCK does, which ends at the machine's own host.
_SYS_SOCKET = 1

# Each kernel's own ABI first, then those that it speaks besides: (AUDIT_ARCH_…, column).
_COLUMNS = {
    "x86_64": ((0xC000003E, 0), (0x40000003, 1)),
    "aarch64": ((0xC00000B7, 2), (0x40000028, 3)),
    "riscv64": ((0xC00000F3, 2),),
}

# Instructions of classic BPF, and where they find things in a `struct seccomp_data`.
_LOAD, _SKIP, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENT = 0, 4, 16
_ALLOW, _ASK, _ERROR, _KILL = 0x7FFF0000, 0x7FC00000, 0x00050000, 0x80000000

Instruction = tuple[int, int, int, int]
"""What to do, how many instructions to skip where it holds, and where it does not, and with which number."""


def filter_for(machine: str) -> bytes:
    """The filter for kernels of `machine` (as `uname -m` says): an array of `struct sock_filter`, or b"".

    A call of an ABI that the machine is not known to speak ends the process.
    """
    if machine not in _COLUMNS:
        return b""
    program: list[Instruction] = []
    for architecture, column in _COLUMNS[machine]:
        section = [*_section(column)]
        program += [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_SKIP, 0, 0, len(section))]
        program += section
    program += [(_RETURN, 0, 0, _KILL)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _section(column: int) -> Iterator[Instruction]:
    """What is done with a call of one ABI: it ends with a return."""
    yield _LOAD, 0, 0, _NUMBER
    yield from _refuse(_AT_LEAST, _NEWEST + 1, _ENOSYS)  # and with them x32, whose numbers have bit 30 set
    for numbers in _DENIED.values():
        if numbers[column]:
            yield from _refuse(_EQUAL, numbers[column], _EPERM)
    yield from _refuse(_EQUAL, _CLONE3[column], _ENOSYS)
    yield from _if(_CLONE[column], [(_ANY_BIT, 0, 1, _NEW_NAMESPACE), _error(_EPERM), (_RETURN, 0, 0, _ALLOW)])
    yield from _if(_PERSONALITY[column], _only(_PERSONALITIES, _EPERM))
    for numbers in (_SOCKET, _SOCKETPAIR):
        yield from _if(numbers[column], _only(FAMILIES, _EAFNOSUPPORT))
    if _SOCKETCALL[column]:
        ask = (_RETURN, 0, 0, _ASK)  # jail/sockets.py answers
        yield from _if(_SOCKETCALL[column], [(_EQUAL, 0, 1, _SYS_SOCKET), ask, (_RETURN, 0, 0, _ALLOW)])
    yield _RETURN, 0, 0, _ALLOW


def _refuse(test: int, number: int, errno: int) -> list[Instruction]:
    return [(test, 0, 1, number), _error(errno)]


def _if(number: int, then: list[Instruction]) -> list[Instruction]:
    """`then`, with the call's first argument loaded, where the call is `number`. It has to end with a return."""
    return [(_EQUAL, 0, len(then) + 1, number), (_LOAD, 0, 0, _ARGUMENT), *then]


def _only(allowed: tuple[int, ...], errno: int) -> list[Instruction]:
    tests = [(_EQUAL, len(allowed) - place, 0, value) for place, value in enumerate(allowed)]
    return [*tests, _error(errno), (_RETURN, 0, 0, _ALLOW)]


def _error(errno: int) -> Instruction:
    return _RETURN, 0, 0, _ERROR | errno
