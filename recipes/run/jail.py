"""What the local engine starts: makes a container around a child, which becomes the program, and tells how it went.

It runs as `python -I -S jail.py SPEC STATUS`, two file descriptors: a marshalled dict to read, and lines `word\\tvalue`
to write: `refused` why a namespace or mount was not allowed, `failed` why the program could not be started, `stopped`
the limit that it met, `seconds` that it took. Its own exit code is the program's, 128+n after signal n.
It imports nothing of the project, and nothing that imports much: it is started for every run.
Source: namespaces(7), user_namespaces(7), pivot_root(2), kernel documentation "Overlay Filesystem".
"""

from __future__ import annotations

import ctypes
import marshal
import os
import resource
import select
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # without importing `typing`
    from typing import Any, NoReturn

    Spec = dict[str, Any]

_libc = ctypes.CDLL(None, use_errno=True)

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 1, 2, 4, 8, 32
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_SIGKILL, _SIGPIPE, _SIGXFSZ = 9, 13, 25  # the module `signal` takes longer to import than the jail to build
_PIDFD_OPEN = 434
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "i686": 217, "armv7l": 218, "ppc64le": 203, "s390x": 217}
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"))
_HOST = b"fromscratch"
_STACK = 8 << 20
_FILES = 1 << 20
_STEP = 0.02


class Refused(Exception):
    """The kernel does not let us do something that the jail cannot do without."""


def main(spec: Spec, status: int) -> NoReturn:
    os.set_inheritable(status, False)
    lifeline, held = os.pipe()  # nothing is ever written: its end tells the child that we are gone
    begun, beginning = os.pipe()  # closed by exec
    child = 0
    try:
        _leave_root(spec)
        _die_with_parent()
        if os.getppid() != spec["parent"]:
            os._exit(1)  # it went before we could tie ourselves to it
        _unshare(spec)
        child = os.fork()
        if child == 0:
            os.close(held)
            _become(spec, status, lifeline)
    except Refused as refused:
        _tell(status, "refused", str(refused))
    except Exception as error:  # whatever it is, it must read as "not run", never as the program's own failure
        _tell(status, "refused", f"the local engine itself failed ({type(error).__name__}: {error})")
    if child == 0:
        os._exit(1)
    os.close(beginning)
    os.read(begun, 1)
    started = time.monotonic()
    ending, stopped = _watch(child, started + spec["seconds"], spec["memory"])
    if stopped:
        _tell(status, "stopped", stopped)
    _tell(status, "seconds", repr(time.monotonic() - started))
    code = os.waitstatus_to_exitcode(ending)
    os._exit(128 - code if code < 0 else code)


def _watch(child: int, deadline: float, memory: int) -> tuple[int, str]:
    """Wait for the child, and end it where it goes past a limit; (its wait status, the limit or "")."""
    stopped = ""
    waiter = select.poll()
    waiter.register(_libc.syscall(_PIDFD_OPEN, child, 0), select.POLLIN)
    while True:
        if waiter.poll(None if stopped else 1000 * _STEP):
            return os.waitpid(child, 0)[1], stopped
        if time.monotonic() > deadline:
            stopped = "time limit"
        elif _holds_more(memory, "statm") and _holds_more(memory, "smaps_rollup"):
            stopped = "memory limit"
        if stopped:
            os.kill(child, _SIGKILL)


def _holds_more(limit: int, source: str) -> bool:
    """Whether all processes of the jail together hold more than `limit` bytes.

    `statm` is cheap and counts what they share once for each, so only `smaps_rollup` decides. /proc is the jail's own.
    """
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/{source}", "rb") as file:
                text = file.read()
        except OSError:
            continue  # it has ended meanwhile
        if source == "statm":
            total += int(text.split()[1]) * resource.getpagesize()
        elif b"\nPss:" in text:
            total += int(text.partition(b"\nPss:")[2].split()[0]) << 10
    return total > limit


def _leave_root(spec: Spec) -> None:
    """Real root first becomes somebody without rights, so that limits bind and nothing of root's can be reached."""
    os.umask(0o022)
    os.chdir(spec["folder"])  # as root: the way to it may be closed to others, and paths from here on are relative
    if os.geteuid() != 0:
        return
    try:  # noqa: SIM105  # contextlib takes long to import
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))  # as Docker; only root may raise it
    except (OSError, ValueError):
        pass  # then it is as many as this machine allows
    nobody = spec["nobody"]
    try:
        for number in range(3):  # pipes are root's, and the program may open them by name, as /dev/stdout
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                os.fchown(number, nobody, nobody)
        os.setgroups([])
        os.setresgid(nobody, nobody, nobody)
        os.setresuid(nobody, nobody, nobody)
    except OSError as error:
        with open("/proc/self/uid_map") as file:
            outside = file.read().split()[1]
        if outside == "0":
            raise Refused(f"root's rights cannot be given up here ({error.strerror})") from error
        # Root of a user namespace that maps nobody else is an ordinary user already.
    _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # otherwise /proc/self, where the maps are written, would be root's


def _unshare(spec: Spec) -> None:
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(_NEWUSER) != 0:
        raise Refused(f"user namespaces are not allowed here ({_reason()})")
    if _libc.unshare(_NEWNS | _NEWPID | _NEWNET | _NEWIPC | _NEWUTS) != 0:
        raise Refused(f"namespaces are not allowed here ({_reason()})")
    _libc.unshare(_NEWCGROUP)  # hides a path, no more
    maps = ("setgroups", "deny"), ("uid_map", f"{spec['uid']} {uid} 1"), ("gid_map", f"{spec['gid']} {gid} 1")
    for name, text in maps:
        try:
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        except OSError as error:
            raise Refused(f"users cannot be mapped here ({error.strerror})") from error


def _become(spec: Spec, status: int, lifeline: int) -> NoReturn:
    """The first process of the new namespaces: builds the root, and becomes the program."""
    os.setsid()
    _die_with_parent()
    if select.select([lifeline], [], [], 0)[0]:
        os._exit(1)  # it went before we could tie ourselves to it
    _mount_root(spec)
    _libc.sethostname(_HOST, len(_HOST))
    _loopback_up()
    try:
        os.chdir(spec["workdir"])
    except OSError as error:
        _fail(status, f'chdir to cwd ("{spec["workdir"]}") set in config.json failed', error)
    _give_up_rights(spec)
    program = spec["argv"][0]
    # These two are what runc says before it tries, so the messages are the ones that Docker shows.
    try:
        if not os.stat(program).st_mode & 0o111 or os.path.isdir(program):
            _fail(status, f'exec: "{program}"', PermissionError(13, "permission denied"))
    except OSError as error:
        _fail(status, f'exec: "{program}": stat {program}', error)
    for number in (_SIGPIPE, _SIGXFSZ):  # Python ignores these, and exec would hand that on
        _libc.signal(number, None)
    try:
        os.execve(program, spec["argv"], spec["env"])  # noqa: S606  # which is what this file is for
    except OSError as error:
        _fail(status, f"exec {program}", error)


def _mount_root(spec: Spec) -> None:
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE, None, "mounts cannot be made private here")
    lower = ":".join(path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,") for path in spec["lower"])
    root, overlay = spec["mountpoint"], _MS_RDONLY | _MS_NOSUID | _MS_NODEV
    _mount("overlay", root, "overlay", overlay, f"lowerdir={lower}", "overlays are not allowed here")
    quiet = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    # The watch over memory needs it, and without it many a program fails that runs in Docker.
    _mount("proc", f"{root}/proc", "proc", quiet, None, "/proc cannot be mounted here")
    # A container that hides parts of /sys forbids to mount a fresh one: then the program does without.
    _libc.mount(b"sysfs", f"{root}/sys".encode(), b"sysfs", quiet | _MS_RDONLY, None)
    _mount_devices(f"{root}/dev", quiet)
    os.chdir(root)
    number = _PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise Refused(f"the local engine does not know this CPU ({os.uname().machine})")
    if _libc.syscall(number, b".", b".") != 0:
        raise Refused(f"the root cannot be changed here ({_reason()})")
    _libc.umount2(b".", _MNT_DETACH)
    os.chdir("/")
    # Before anything is mounted: one of them may be in another, or in /tmp.
    volumes = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for path in spec["volumes"]}
    for path in spec["writable"]:  # only now: its links lead to places in the new root
        _mount("tmpfs", path, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777,size=64m", f"no tmpfs can be had at {path}")
    for path, origin in volumes.items():
        mode, contents = spec["volumes"][path]
        _mount_volume(path, origin, mode, contents, spec["memory"])
    try:  # noqa: SIM105  # contextlib takes long to import
        os.makedirs(spec["workdir"], exist_ok=True)  # it may be in a volume
    except OSError:
        pass  # then the change into it says why


def _mount_volume(path: str, origin: int, mode: int, contents: list[tuple[str, str, int, str]], size: int) -> None:
    """A folder that can be written to, with what the image has there, which is read from the descriptor `origin`."""
    os.makedirs(path, exist_ok=True)
    options = f"mode=755,size={size}"
    _mount("tmpfs", path, "tmpfs", _MS_NOSUID | _MS_NODEV, options, f"no tmpfs can be had at {path}")
    for name, kind, _, target in contents:
        if kind == "dir":
            os.mkdir(f"{path}/{name}")
        elif kind == "symlink":
            os.symlink(target, f"{path}/{name}")
        elif kind == "file":
            _copy(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=origin), f"{path}/{name}")
    os.close(origin)
    for name, kind, bits, _ in reversed(contents):
        if kind in ("dir", "file"):
            os.chmod(f"{path}/{name}", bits)
    os.chmod(path, mode)


def _copy(source: int, place: str) -> None:
    out = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    while os.sendfile(out, source, None, 1 << 20):
        pass
    os.close(out)
    os.close(source)


def _mount_devices(dev: str, quiet: int) -> None:
    _mount("tmpfs", dev, "tmpfs", _MS_NOSUID, "mode=755,size=64k", "a tmpfs is not allowed here")
    for name in _DEVICES:
        os.close(os.open(f"{dev}/{name}", os.O_CREAT | os.O_WRONLY, 0o666))
        _mount(f"/dev/{name}", f"{dev}/{name}", None, _MS_BIND, None, f"/dev/{name} cannot be bound here")
    for name, target in _LINKS:
        os.symlink(f"/proc/self/{target}", f"{dev}/{name}")
    os.mkdir(f"{dev}/shm")
    _mount("shm", f"{dev}/shm", "tmpfs", quiet, "mode=1777,size=64m", "a tmpfs is not allowed here")
    os.mkdir(f"{dev}/pts")
    options = b"newinstance,ptmxmode=0666,mode=0620"
    if _libc.mount(b"devpts", f"{dev}/pts".encode(), b"devpts", _MS_NOSUID | _MS_NOEXEC, options) == 0:
        os.symlink("pts/ptmx", f"{dev}/ptmx")
    # In Docker it belongs to root, and the program is somebody else; here both are the caller.
    flags = _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID
    _mount("none", dev, None, flags, None, "/dev cannot be made read-only here")


def _give_up_rights(spec: Spec) -> None:
    os.setresgid(spec["gid"], spec["gid"], spec["gid"])
    os.setresuid(spec["uid"], spec["uid"], spec["uid"])
    for capability in range(64):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise Refused(f"rights cannot be given up here ({_reason()})")
    for what, most in (
        # Not RLIMIT_AS: Go reserves address space that it never uses. The stacks of threads count before they are used.
        # This holds a program back between two looks of the watch; the watch is what ends it.
        (resource.RLIMIT_DATA, 2 * spec["memory"] + spec["processes"] * _STACK),
        (resource.RLIMIT_NPROC, spec["processes"]),
        (resource.RLIMIT_FSIZE, spec["memory"]),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, _at_most(what, most))


def _at_most(what: int, most: int) -> tuple[int, int]:
    """(soft, hard) for `most`, or for as much of it as is allowed."""
    hard = resource.getrlimit(what)[1]
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    return most, most


def _loopback_up() -> None:
    """Where it fails nothing answers on 127.0.0.1, which is no reason not to run."""
    any_socket = _libc.socket(2, 2, 0)  # AF_INET, SOCK_DGRAM
    request = b"lo".ljust(16, b"\0") + (1).to_bytes(2, sys.byteorder).ljust(24, b"\0")  # IFF_UP
    _libc.ioctl(any_socket, ctypes.c_ulong(0x8914), request)  # SIOCSIFFLAGS
    if any_socket >= 0:
        os.close(any_socket)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None, refused: str) -> None:
    texts = (None if text is None else os.fsencode(text) for text in (source, target, kind))
    if _libc.mount(*texts, ctypes.c_ulong(flags), os.fsencode(data) if data else None) != 0:
        raise Refused(f"{refused} ({_reason()})")


def _reason() -> str:
    return os.strerror(ctypes.get_errno())


def _fail(status: int, what: str, error: OSError) -> NoReturn:
    _tell(status, "failed", f"{what}: {(error.strerror or str(error)).lower()}")
    os._exit(126)


def _tell(status: int, word: str, value: str) -> None:
    value = value.replace("\n", " ").replace("\t", " ")
    os.write(status, f"{word}\t{value}\n".encode(errors="surrogateescape"))


if __name__ == "__main__":
    with open(int(sys.argv[1]), "rb") as spec_file:  # closed before the program starts, which has no use for it
        given = marshal.load(spec_file)  # noqa: S302  # written by local.py, our own parent
    main(given, int(sys.argv[2]))
