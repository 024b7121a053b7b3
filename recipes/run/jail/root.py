"""The root that the program gets: the layers, and what Docker would put into them."""

from __future__ import annotations

import os

import kernel
from kernel import BIND, NODEV, NOEXEC, NOSUID, PRIVATE, RDONLY, REC, REMOUNT, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:  # without importing `typing`
    from typing import Any

    Spec = dict[str, Any]
    Contents = list[tuple[str, str, int, str]]

_QUIET = NOSUID | NODEV | NOEXEC
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"))
_KERNELS_OWN = ("/proc", "/sys", "/dev", "/dev/shm", "/dev/pts")
# As in Docker: files that tell of the machine and not of the container.
_HIDDEN = (
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/sys/devices/virtual/powercap", "/sys/firmware"),
)
_PORTS = "sys/net/ipv4/ip_unprivileged_port_start"


def build(spec: Spec) -> tuple[int, list[int]]:
    """Make and enter the root; (descriptor of a /proc that shows this process, those of all file systems in memory)."""
    kernel.mount("none", "/", None, REC | PRIVATE, None, "mounts cannot be made private here")
    lower = ":".join(path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,") for path in spec["lower"])
    root = spec["mountpoint"]
    options = f"lowerdir={lower}"
    kernel.mount("overlay", root, "overlay", RDONLY | NOSUID | NODEV, options, "overlays are not allowed here")
    for name in spec["binds"]:
        kernel.bind_for_reading(f"/{name}", f"{root}/{name}")
    kernel.mount("proc", f"{root}/proc", "proc", _QUIET, None, "/proc cannot be mounted here")
    proc = os.open(f"{root}/proc", os.O_RDONLY | os.O_DIRECTORY)
    if not spec["shares_network"]:
        _open_ports(proc)
    # A container that hides parts of /sys forbids to mount a fresh one: then the program does without.
    kernel.mount("sysfs", f"{root}/sys", "sysfs", _QUIET | RDONLY, None, "")
    _mount_devices(f"{root}/dev")
    os.chdir(root)
    kernel.pivot_root()
    memory = [os.open(path, os.O_PATH | os.O_DIRECTORY) for path in ("/dev", "/dev/shm")]
    return proc, memory + _mount_writable(spec)


def mount_proc() -> None:
    """The /proc of the program's own processes, over the one that shows what watches them."""
    kernel.mount("proc", "/proc", "proc", _QUIET, None, "/proc cannot be mounted here")
    for path in filter(os.path.lexists, _HIDDEN):
        if os.path.isdir(path):
            kernel.mount("none", path, "tmpfs", _QUIET | RDONLY, "size=4k", f"{path} cannot be hidden here")
        else:
            kernel.mount("/dev/null", path, None, BIND, None, f"{path} cannot be hidden here")


def refuse_kernels_own(place: int, path: str) -> None:
    """Raises: Refused where the descriptor `place`, which was opened as `path`, is in /proc, /sys or /dev."""
    own = {os.stat(name).st_dev for name in _KERNELS_OWN} - {os.stat("/").st_dev}
    if os.fstat(place).st_dev in own:
        raise _in_kernels_own(path)


def _in_kernels_own(path: str) -> Refused:
    return Refused(f"{path} leads into /proc, /sys or /dev, where the local engine runs and writes nothing")


def _open_ports(proc: int) -> None:
    """Every port may be bound, as in Docker. Where that cannot be said, those from 1024 on."""
    try:
        place = os.open(_PORTS, os.O_WRONLY, dir_fd=proc)
        os.write(place, b"0")
        os.close(place)
    except OSError:
        pass


def _mount_writable(spec: Spec) -> list[int]:
    """/tmp and the volumes, each where the links of the new root lead to."""
    # All are opened before anything is mounted: one may be in another.
    origins = {path: _open_folder(path) for path in (*spec["writable"], *spec["volumes"])}
    mounted = []
    for path in spec["writable"]:
        if not os.path.samestat(os.fstat(origins[path]), os.stat("/")):  # what is put over the root is out of reach
            mounted.append(_mount_memory(path, "mode=1777,size=64m"))
        os.close(origins[path])
    for path, (mode, contents) in spec["volumes"].items():
        os.makedirs(path, exist_ok=True)
        mounted.append(_mount_memory(path, f"mode=755,size={spec['memory']}"))
        _fill(path, origins[path], contents)
        os.chmod(path, mode)
    try:  # noqa: SIM105  # contextlib takes long to import
        os.makedirs(spec["workdir"], exist_ok=True)  # it may be in a volume
    except OSError:
        pass  # then the change into it says why
    return mounted


def _open_folder(path: str) -> int:
    try:
        return kernel.open_path(path, os.O_DIRECTORY, one_mount=True)
    except OSError as error:
        if error.errno in (18, 40):  # EXDEV, ELOOP
            raise _in_kernels_own(path) from error
        raise Refused(f"{path} is not a folder of the image ({error.strerror})") from error


def _mount_memory(path: str, options: str) -> int:
    kernel.mount("tmpfs", path, "tmpfs", NOSUID | NODEV, options, f"a tmpfs cannot be mounted at {path}")
    return os.open(path, os.O_PATH | os.O_DIRECTORY)


def _fill(path: str, origin: int, contents: Contents) -> None:
    """Write what the image has at `path`, which is read from the descriptor `origin`."""
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


def _copy(source: int, place: str) -> None:
    out = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    while os.sendfile(out, source, None, 1 << 20):
        pass
    os.close(out)
    os.close(source)


def _mount_devices(dev: str) -> None:
    kernel.mount("tmpfs", dev, "tmpfs", NOSUID | NOEXEC, "mode=755,size=64k", "a tmpfs is not allowed here")
    for name in _DEVICES:
        os.close(os.open(f"{dev}/{name}", os.O_CREAT | os.O_WRONLY, 0o666))
        kernel.mount(f"/dev/{name}", f"{dev}/{name}", None, BIND, None, f"/dev/{name} cannot be bound here")
    for name, target in _LINKS:
        os.symlink(f"/proc/self/{target}", f"{dev}/{name}")
    os.mkdir(f"{dev}/shm")
    kernel.mount("shm", f"{dev}/shm", "tmpfs", _QUIET, "mode=1777,size=64m", "a tmpfs is not allowed here")
    os.mkdir(f"{dev}/pts")
    kernel.mount("devpts", f"{dev}/pts", "devpts", NOSUID | NOEXEC, "newinstance,ptmxmode=0666,mode=0620", "")
    if os.path.lexists(f"{dev}/pts/ptmx"):
        os.symlink("pts/ptmx", f"{dev}/ptmx")
    # In Docker it belongs to root, and the program is another user; here both are the caller.
    flags = REMOUNT | BIND | RDONLY | NOSUID | NOEXEC
    kernel.mount("none", dev, None, flags, None, "/dev cannot be made read-only here")
