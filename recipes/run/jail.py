"""What the local engine starts: makes a container out of itself, becomes the program, reports how it went.

It runs as `python -I -S jail.py SPEC`, imports nothing of the project, and writes one JSON object to the file descriptor
`status`: {"refused": why} where a namespace or mount is not allowed, {"exec": errno} where the program cannot be started,
{"seconds": …, "signal": …} after a run. Its own exit code is the program's.
Source: namespaces(7), user_namespaces(7), pivot_root(2), kernel documentation "Overlay Filesystem".
"""

import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import sys
import time
from typing import Any, NoReturn

_libc = ctypes.CDLL(None, use_errno=True)

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "i686": 217, "armv7l": 218, "ppc64le": 203, "s390x": 217}
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


class Refused(Exception):
    """The kernel does not let us do something that the jail cannot do without."""


def main(spec: dict[str, Any]) -> NoReturn:
    status = spec["status"]
    os.set_inheritable(status, False)
    try:
        _leave_root(spec)
        _unshare(spec)
        child = os.fork()
        if child == 0:
            _be_first(spec)
    except Refused as refused:
        _tell(status, refused=str(refused))
        os._exit(1)
    started = time.monotonic()
    _, ending = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(ending)
    _tell(status, seconds=time.monotonic() - started, signal=-code if code < 0 else 0)
    os._exit(128 - code if code < 0 else code)


def _leave_root(spec: dict[str, Any]) -> None:
    """Real root first becomes somebody without rights, so that limits bind and nothing of root's can be reached."""
    os.umask(0o022)
    os.chdir(spec["folder"])  # as root: the way to it may be closed to others, and paths from here on are relative
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(spec["gid"] or 65532, spec["gid"] or 65532, spec["gid"] or 65532)
        os.setresuid(spec["uid"] or 65532, spec["uid"] or 65532, spec["uid"] or 65532)
        _prctl(_PR_SET_DUMPABLE, 1)  # otherwise /proc/self, where the maps are written, would still be root's
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _unshare(spec: dict[str, Any]) -> None:
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(_NEWUSER) != 0:
        raise Refused(f"user namespaces are not allowed here ({_reason()})")
    if _libc.unshare(_NEWNS | _NEWPID | _NEWNET | _NEWIPC | _NEWUTS) != 0:
        raise Refused(f"namespaces are not allowed here ({_reason()})")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{spec['uid']} {uid} 1"),
        ("gid_map", f"{spec['gid']} {gid} 1"),
    ):
        try:
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        except OSError as error:
            raise Refused(f"users cannot be mapped here ({error.strerror})") from error


def _be_first(spec: dict[str, Any]) -> NoReturn:
    """The first process of the new namespaces: builds the root, and becomes the program."""
    status = spec["status"]
    try:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _mount_root(spec)
        _libc.sethostname(b"fromscratch", 11)
        _loopback_up()
    except Refused as refused:
        _tell(status, refused=str(refused))
        os._exit(1)
    try:
        os.chdir(spec["workdir"])
    except OSError as error:
        _tell(status, exec=error.errno, what=f"chdir to cwd ({json.dumps(spec['workdir'])}) set in config.json failed")
        os._exit(126)
    _give_up_rights(spec)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these, and exec would hand that on
        signal.signal(number, signal.SIG_DFL)
    _close_others(status)
    try:
        os.execve(spec["argv"][0], spec["argv"], spec["env"])
    except OSError as error:
        _tell(status, exec=error.errno)
    os._exit(126)


def _mount_root(spec: dict[str, Any]) -> None:
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE, None, "mounts cannot be made private here")
    lower = ":".join(path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,") for path in spec["lower"])
    root = spec["mountpoint"]
    _mount(
        "overlay",
        root,
        "overlay",
        _MS_RDONLY | _MS_NOSUID | _MS_NODEV,
        f"lowerdir={lower}",
        "overlays are not allowed here",
    )
    _mount("tmpfs", f"{root}/dev", "tmpfs", _MS_NOSUID, "mode=755,size=64k", "a tmpfs is not allowed here")
    for name in _DEVICES:
        place = f"{root}/dev/{name}"
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o666))
        _mount(f"/dev/{name}", place, None, _MS_BIND, None, f"/dev/{name} cannot be bound here")
    for name, target in (
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ):
        os.symlink(target, f"{root}/dev/{name}")
    os.mkdir(f"{root}/dev/shm", 0o1777)
    _libc.mount(
        b"shm", f"{root}/dev/shm".encode(), b"tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, b"mode=1777,size=64m"
    )
    # A container that hides parts of /proc or /sys forbids to mount fresh ones: then the program does without.
    _libc.mount(b"proc", f"{root}/proc".encode(), b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None)
    _libc.mount(b"sysfs", f"{root}/sys".encode(), b"sysfs", _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None)
    os.chdir(root)
    if _libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b".") != 0:
        raise Refused(f"the root cannot be changed here ({_reason()})")
    _libc.umount2(b".", _MNT_DETACH)
    os.chdir("/")


def _give_up_rights(spec: dict[str, Any]) -> None:
    os.setresgid(spec["gid"], spec["gid"], spec["gid"])
    os.setresuid(spec["uid"], spec["uid"], spec["uid"])
    for capability in range(64):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    # Not RLIMIT_AS: Go reserves address space that it never uses.
    for what, most in (
        (resource.RLIMIT_DATA, spec["memory"]),
        (resource.RLIMIT_NPROC, spec["processes"]),
        (resource.RLIMIT_FSIZE, spec["memory"]),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
        except OSError:
            pass  # then nothing answers on 127.0.0.1, which is no reason not to run


def _close_others(keep: int) -> None:
    os.closerange(3, keep)
    os.closerange(keep + 1, 1 << 16)


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None, refused: str) -> None:
    words = (text.encode("utf-8", "surrogateescape") if text is not None else None for text in (source, target, kind))
    if _libc.mount(*words, ctypes.c_ulong(flags), data.encode("utf-8", "surrogateescape") if data else None) != 0:
        raise Refused(f"{refused} ({_reason()})")


def _prctl(option: int, value: int) -> None:
    _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def _reason() -> str:
    return os.strerror(ctypes.get_errno())


def _tell(status: int, **what: object) -> None:
    os.write(status, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
