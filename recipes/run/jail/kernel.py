"""The system calls of the jail that Python has no function for. Source: the manual pages of section 2."""

from __future__ import annotations

import ctypes
import os
import struct
import sys

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = _libc.process_vm_readv.restype = ctypes.c_long

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
SAME_MEMORY, SAME_FILES = 1, 2  # of two threads: KCMP_VM, KCMP_FILES
SIGKILL, SIGPIPE, SIGXFSZ = 9, 13, 25  # the module `signal` takes longer to import than the jail to build

_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_KEYCTL_JOIN_SESSION_KEYRING = 1
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_NEW_LISTENER = 1, 8
_CAP_SYS_PTRACE = 19
_CAPABILITY_VERSION = 0x20080522
_OPENAT2, _PIDFD_GETFD, _MOUNT_SETATTR = 437, 438, 442
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_NO_XDEV, _NO_MAGICLINKS = 1, 2
_GENERIC = (41, 219, 277, 91, 272)
_PIVOT_ROOT, _KEYCTL, _SECCOMP, _CAPSET, _KCMP = {
    "x86_64": (155, 250, 317, 126, 312), "aarch64": _GENERIC, "riscv64": _GENERIC
}.get(os.uname().machine, (-1, -1, -1, -1, -1))  # fmt: skip


class Refused(Exception):
    """The kernel does not let us do something that the jail cannot do without."""


def unshare(flags: int, refused: str = "") -> None:
    """Without a text for `refused` it is no matter where the kernel does not."""
    if _libc.unshare(flags) != 0 and refused:
        raise Refused(f"{refused} ({_reason()})")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None, refused: str) -> None:
    texts = (None if text is None else os.fsencode(text) for text in (source, target, kind))
    done = _libc.mount(*texts, ctypes.c_ulong(flags), os.fsencode(data) if data else None)
    if done != 0 and refused:
        raise Refused(f"{refused} ({_reason()})")


class _Attributes(ctypes.Structure):
    _fields_ = (("set", ctypes.c_uint64), ("clear", ctypes.c_uint64), ("propagation", ctypes.c_uint64),
                ("user", ctypes.c_uint64))  # fmt: skip


def bind_for_reading(source: str, target: str) -> None:
    """A folder of this machine, with all that is mounted below it, which nobody can write to from `target` on."""
    mount(source, target, None, BIND | REC, None, f"{source} cannot be bound here")
    attributes = _Attributes(RDONLY | NOSUID | NODEV)  # as MOUNT_ATTR_… the same bits
    size = ctypes.sizeof(attributes)
    done = _libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), _AT_RECURSIVE, ctypes.byref(attributes), size)
    if done != 0:
        raise Refused(f"{source} cannot be bound for reading alone here ({_reason()})")


def pivot_root() -> None:
    """The current folder becomes the root of all that share these mounts, and nothing else can be reached."""
    if _libc.syscall(_PIVOT_ROOT, b".", b".") != 0:
        raise Refused(f"the root cannot be changed here ({_reason()})")
    _libc.umount2(b".", _MNT_DETACH)
    os.chdir("/")


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_path(path: str, flags: int = 0, *, one_mount: bool = False) -> int:
    """A descriptor that stands for `path`, reached without the links of /proc that lead out of every root.

    With `one_mount` the way may not go through the root of another mount. Raises: OSError, ELOOP or EXDEV for these.
    """
    how = _How(os.O_PATH | os.O_CLOEXEC | flags, 0, _NO_MAGICLINKS | (_NO_XDEV if one_mount else 0))
    number = _libc.syscall(_OPENAT2, _AT_FDCWD, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    if number < 0:
        raise OSError(ctypes.get_errno(), _reason())
    return int(number)


def die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)


def be_readable() -> None:
    """Else what is in /proc/self belongs to root once the user has changed, and with it the maps of users."""
    _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def keep_only_the_right_to_look() -> None:
    """Of the capabilities in our user namespace keep that to read of all its processes what is in /proc."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    kept = 1 << _CAP_SYS_PTRACE
    if _libc.syscall(_CAPSET, header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)) != 0:
        raise Refused(f"rights cannot be given up here ({_reason()})")


def never_gain_rights() -> None:
    for capability in range(64):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise Refused(f"rights cannot be given up here ({_reason()})")


def forget_keys() -> None:
    """Leave the caller's session keyring. A kernel without keys, or that forbids their use, has none to leave."""
    _libc.syscall(_KEYCTL, _KEYCTL_JOIN_SESSION_KEYRING, None)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def filter_calls(instructions: bytes) -> int:
    """`instructions` is an array of `struct sock_filter`, 8 bytes each; returns the descriptor that is asked by it."""
    program = _Program(len(instructions) // 8, instructions)
    flags = _SECCOMP_FILTER_FLAG_NEW_LISTENER
    listener = _libc.syscall(_SECCOMP, _SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(program))
    if listener < 0:
        raise Refused(f"system calls cannot be filtered here ({_reason()})")
    return int(listener)


def take_descriptor(process: int, number: int) -> int:
    """A copy of the descriptor `number` of a process, which is given as a descriptor itself."""
    taken = _libc.syscall(_PIDFD_GETFD, process, number, 0)
    if taken < 0:
        raise Refused(f"system calls cannot be filtered here ({_reason()})")
    return int(taken)


def have_same(kind: int, one: int, other: int) -> bool:
    """Whether two threads share it. Where the kernel does not say, they are taken not to."""
    return bool(_libc.syscall(_KCMP, one, other, kind, 0, 0) == 0)


class _Piece(ctypes.Structure):
    _fields_ = (("place", ctypes.c_void_p), ("size", ctypes.c_size_t))


def read_memory(thread: int, place: int, size: int) -> bytes:
    """What another process has there, as far as it has anything; also where its files in /proc are closed to us."""
    into = ctypes.create_string_buffer(size)
    ours, theirs = _Piece(ctypes.addressof(into), size), _Piece(place, size)
    read = _libc.process_vm_readv(thread, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, ctypes.c_ulong(0))
    return into.raw[: max(read, 0)]


def new_socket(family: int, kind: int, protocol: int) -> int:
    """Raises: OSError."""
    number = _libc.socket(family, kind, protocol)
    if number < 0:
        raise OSError(ctypes.get_errno(), _reason())
    return int(number)


def default_signals(*numbers: int) -> None:
    """What Python ignores, a program that it becomes would ignore too."""
    for number in numbers:
        _libc.signal(number, None)


def set_host_name(name: bytes) -> None:
    _libc.sethostname(name, len(name))


def loopback_up() -> None:
    """Where it fails nothing answers on 127.0.0.1, which is no reason not to run."""
    any_socket = _libc.socket(2, 2, 0)  # AF_INET, SOCK_DGRAM
    request = b"lo".ljust(16, b"\0") + (1).to_bytes(2, sys.byteorder).ljust(24, b"\0")  # IFF_UP
    _libc.ioctl(any_socket, ctypes.c_ulong(0x8914), request)  # SIOCSIFFLAGS
    if any_socket >= 0:
        os.close(any_socket)


def _reason() -> str:
    return os.strerror(ctypes.get_errno())
