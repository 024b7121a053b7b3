"""What the local engine starts: makes a container around a child, which becomes the program, and tells how it went.

It runs as `python -I -S start.py SPEC STATUS`, two descriptors: a marshalled dict to read, and lines `word\\tvalue` to
write: `refused` why a namespace or mount was not allowed, `failed` why the program could not be started, `stopped`
the limit that it met, `listens` the ports that were open when its time was over, `seconds` that it took. Its own exit
code is the program's, 128+n after signal n.

Three processes: this one, which makes the namespaces; process 1 of the first pid namespace, which builds the root and
watches; and process 1 of a second one within it, which becomes the program. The program sees the second one alone, so
it can neither signal nor trace what watches it, and both namespaces end with their first process.

The folder is a program of its own: it imports nothing of the project, and nothing that imports much, as it is started
for every run. Source: namespaces(7), pid_namespaces(7), user_namespaces(7).
"""

from __future__ import annotations

import marshal
import os
import resource
import select
import stat
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import kernel
import root
import sockets
from clock import Clock
from footprint import Footprint
from interpreters import interpreters
from kernel import Refused
from orders import Orders
from watch import Lifeline, wait

TYPE_CHECKING = False
if TYPE_CHECKING:  # without importing `typing`
    from typing import NoReturn

    from root import Spec

_HOST = b"fromscratch"
_STACK = 8 << 20
_FILES = 1 << 20
_NO_CORE = 1
"""Bytes: at 0 the kernel would still start the machine's program for cores, outside. Source: Linux, fs/coredump.c."""
_OURS = 2
"""Processes of the same user that are not the program's: this one, and the one that watches."""


def main(spec: Spec, status: int) -> NoReturn:
    """The outermost process: everything that has to be done before the namespaces, and the exit code after them."""
    if spec["terminal"]:
        import socket  # noqa: F401  # takes longer to import than the jail to build
    lifeline, held = os.pipe()  # nothing is ever written: its end tells process 1 that we are gone
    first = 0
    try:
        kernel.forget_keys()
        group = _open_group(spec)
        _leave_root(spec)
        _unshare(spec)
        kernel.die_with_parent()
        if os.getppid() != spec["parent"]:
            os._exit(1)  # it went before we could tie ourselves to it
        first = os.fork()
        if first == 0:
            os.close(held)
            _watch_over(spec, status, lifeline, group)
    except Refused as refused:
        _tell(status, "refused", str(refused))
    except Exception as error:  # whatever it is, it must read as "not run", never as the program's own failure
        _tell(status, "refused", f"the local engine itself failed ({type(error).__name__}: {error})")
    if first == 0:
        os._exit(1)
    os._exit(_exit_code(os.waitpid(first, 0)[1]))


def _watch_over(spec: Spec, status: int, lifeline: int, group: tuple[int, int] | None) -> NoReturn:
    """Process 1 of the outer namespace. With its end the kernel ends everything in there."""
    os.setsid()
    kernel.die_with_parent()
    if select.select([lifeline], [], [], 0)[0]:
        os._exit(1)  # it went before we could tie ourselves to it
    proc, memory = root.build(spec)
    kernel.set_host_name(_HOST)
    if not spec["shares_network"]:
        kernel.loopback_up()
    terminal = _open_terminal(spec["channel"]) if spec["terminal"] else -1
    program, listener = _start(spec, status, group, terminal)
    started = time.monotonic()
    footprint = Footprint(spec["memory"], proc, memory) if group is None else None
    clock = Clock(started, spec["seconds"], spec["listening"], proc)
    orders = Orders(spec["channel"], program, proc)
    asked = {listener: lambda: sockets.answer(listener, spec["families"])}
    if spec["channel"] >= 0:
        asked[spec["channel"]] = orders.take
    try:
        ending, stopped = wait(program, clock, lifeline, footprint, asked)
    except Lifeline:
        os._exit(1)
    if group is not None and _was_full(group[1]):
        stopped = "memory limit"
    if stopped:
        _tell(status, "stopped", stopped)
        _tell(status, "listens", " ".join(clock.ports))
    _tell(status, "seconds", repr(time.monotonic() - started))
    os._exit(128 + orders.ended_by if orders.ended_by else _exit_code(ending))


def _open_terminal(channel: int) -> int:
    """The program's end of a new terminal, one of the container's own; the other end goes to those who asked for it."""
    import socket  # which `main` has imported, as it is out of reach here

    try:
        ours, theirs = os.openpty()
    except OSError as error:
        raise Refused(f"no terminal can be made here ({error.strerror})") from error
    with socket.socket(fileno=os.dup(channel)) as place:
        socket.send_fds(place, [b"t"], [ours])
    os.close(ours)
    return theirs


def _start(spec: Spec, status: int, group: tuple[int, int] | None, terminal: int) -> tuple[int, int]:
    """(process, descriptor on which its filter asks), when it has become the program; else its end is ours."""
    begun, beginning = os.pipe()  # closed by exec
    going, go = os.pipe()
    kernel.unshare(kernel.NEWPID, "namespaces are not allowed here")
    program = os.fork()
    if program == 0:
        os.close(go)
        _become(spec, status, beginning, going, group, terminal)
    os.close(beginning)
    if terminal >= 0:
        os.close(terminal)  # with the last one that has it open ends what is shown of it
    kernel.keep_only_the_right_to_look()
    if number := os.read(begun, 16):
        listener = kernel.take_descriptor(os.pidfd_open(program), int(number))
        os.write(go, b"!")
        os.read(begun, 1)
        return program, listener
    os._exit(_exit_code(os.waitpid(program, 0)[1]))


def _become(
    spec: Spec, status: int, beginning: int, going: int, group: tuple[int, int] | None, terminal: int
) -> NoReturn:
    """Process 1 of the inner namespace, as which the program starts."""
    try:
        os.setsid()
        root.mount_proc()
        if group is not None:
            os.write(group[0], b"0")
        if terminal >= 0:
            os.login_tty(terminal)
        _close_all_but(status, beginning, going)
        _enter(spec["workdir"], status)
        for program in spec["programs"]:  # while all can be read
            _refuse_interpreters(program)
        _give_up_rights(spec, counted=group is not None)
        for program in spec["programs"]:
            _check(program, status)
        kernel.default_signals(kernel.SIGPIPE, kernel.SIGXFSZ)
        os.write(beginning, b"%d" % kernel.filter_calls(spec["filter"]))
        if os.read(going, 1):
            os.execve(spec["programs"][0], spec["argv"], spec["env"])  # noqa: S606  # which is what this program is for
    except Refused as refused:
        _tell(status, "refused", str(refused))
    except OSError as error:
        _fail(status, f"exec {spec['programs'][0]}", error)
    os._exit(1)


def _enter(workdir: str, status: int) -> None:
    try:
        place = kernel.open_path(workdir, os.O_DIRECTORY)
        root.refuse_kernels_own(place, workdir)
        os.fchdir(place)
    except OSError as error:
        _fail(status, f'chdir to cwd ("{workdir}") set in config.json failed', error)
    os.close(place)


def _refuse_interpreters(program: str) -> None:
    """Raises: Refused where what the kernel starts the program with is not the image's own, but ours through /proc."""
    for name in interpreters(program):
        try:
            os.close(_open_own(name))
        except OSError:
            return  # exec says why


def _open_own(program: str) -> int:
    """A descriptor of what is to be executed. Raises: Refused where it is not the image's own, OSError."""
    try:
        place = kernel.open_path(program)
    except OSError as error:
        if error.errno == 40 and os.path.exists(program):  # ELOOP of a link of /proc, which is not a link for stat
            raise Refused(f"{program} leads into /proc, where the local engine runs nothing") from error
        raise
    root.refuse_kernels_own(place, program)
    return place


def _check(program: str, status: int) -> None:
    """What runc looks at before it tries, so the messages are Docker's; and that the program is the image's own."""
    try:
        place = _open_own(program)
    except OSError as error:
        _fail(status, f'exec: "{program}": stat {program}', error)
    mode = os.fstat(place).st_mode
    os.close(place)
    if stat.S_ISDIR(mode) or not mode & 0o111:
        _fail(status, f'exec: "{program}"', PermissionError(13, "permission denied"))


def _leave_root(spec: Spec) -> None:
    """Real root first becomes a user without rights, so that limits bind and nothing of root's can be reached."""
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
        # Root of a user namespace that maps no other user is an ordinary user already.
    kernel.be_readable()


def _unshare(spec: Spec) -> None:
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(kernel.NEWUSER, "user namespaces are not allowed here")
    others = kernel.NEWNS | kernel.NEWPID | kernel.NEWIPC | kernel.NEWUTS
    if not spec["shares_network"]:
        others |= kernel.NEWNET
    kernel.unshare(others, "namespaces are not allowed here")
    kernel.unshare(kernel.NEWCGROUP)  # hides a path, no more
    maps = ("setgroups", "deny"), ("uid_map", f"{spec['uid']} {uid} 1"), ("gid_map", f"{spec['gid']} {gid} 1")
    for name, text in maps:
        try:
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        except OSError as error:
            raise Refused(f"users cannot be mapped here ({error.strerror})") from error


def _give_up_rights(spec: Spec, *, counted: bool) -> None:
    os.setresgid(spec["gid"], spec["gid"], spec["gid"])
    os.setresuid(spec["uid"], spec["uid"], spec["uid"])
    kernel.never_gain_rights()
    # Not RLIMIT_AS: Go reserves address space that it never uses. The stacks of threads count before they are used.
    # This holds a program back between two looks of the watch, which is what ends it; a control group needs no help.
    data = resource.RLIM_INFINITY if counted else 2 * spec["memory"] + spec["processes"] * _STACK
    for what, most in (
        (resource.RLIMIT_DATA, data),
        (resource.RLIMIT_NPROC, spec["processes"] + _OURS),
        (resource.RLIMIT_FSIZE, spec["memory"]),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_RTPRIO, 0),  # else it may take the processors from what watches it
        (resource.RLIMIT_NICE, 0),
        (resource.RLIMIT_CORE, _NO_CORE),
    ):
        resource.setrlimit(what, _at_most(what, most))


def _at_most(what: int, most: int) -> tuple[int, int]:
    """(soft, hard) for `most`, or for as much of it as is allowed."""
    bounded = [limit for limit in (most, resource.getrlimit(what)[1]) if limit != resource.RLIM_INFINITY]
    limit = min(bounded, default=resource.RLIM_INFINITY)
    return limit, limit


def _open_group(spec: Spec) -> tuple[int, int] | None:
    """Descriptors of the control group's `cgroup.procs` and `memory.events`, where there is one for this run."""
    folder = spec["group"]
    if not folder:
        return None
    return os.open(f"{folder}/cgroup.procs", os.O_WRONLY), os.open(f"{folder}/memory.events", os.O_RDONLY)


def _was_full(events: int) -> bool:
    counts = dict(line.split() for line in os.pread(events, 4096, 0).splitlines())
    return counts.get(b"oom_kill", b"0") != b"0"


def _close_all_but(*kept: int) -> None:
    """Nothing of ours may be reached through /proc/self/fd, not even on the way through exec."""
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2 and number not in kept:
            try:  # noqa: SIM105  # contextlib takes long to import
                os.close(number)
            except OSError:
                pass  # that of the list itself


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _fail(status: int, what: str, error: OSError) -> NoReturn:
    _tell(status, "failed", f"{what}: {(error.strerror or str(error)).lower()}")
    os._exit(126)


def _tell(status: int, word: str, value: str) -> None:
    value = value.replace("\n", " ").replace("\t", " ")
    os.write(status, f"{word}\t{value}\n".encode(errors="surrogateescape"))


if __name__ == "__main__":
    with open(int(sys.argv[1]), "rb") as spec_file:
        given = marshal.load(spec_file)  # noqa: S302  # written by local.py, our own parent
    told = int(sys.argv[2])
    os.set_inheritable(told, False)
    _close_all_but(told, given["channel"])
    main(given, told)
