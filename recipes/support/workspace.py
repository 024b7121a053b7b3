"""What lies where under `build/`, and how it gets there: beside its place first, then renamed into it.

After a kill, a full disk, ^C or a loss of power there is the old file or the new one, never half of one. Whatever an
ended process left in `build/tmp` is removed by the next one that needs a temporary folder; a file that it left half
written, by one that later writes into the same folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from recipes.errors import CannotWrite
from recipes.support import disk

_PART = r"(?s)\..+\.\d+\.[0-9a-f]{8}\.part"
_PART_SECONDS = 3600
"""What is empty and younger is left alone: its lock may not be there yet. It is there before anything is written."""

_SEAL_BYTES = 10
"""A check sum on a line of its own."""

_swept: set[Path] = set()


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders of one project. `root` is where its tasks.py stands."""

    root: Path

    @property
    def build(self) -> Path:
        return self.root / "build"

    @property
    def images(self) -> Path:
        """The OCI image layout with every built image."""
        return self.build / "images"

    @property
    def cache(self) -> Path:
        """What is kept by content: compiled objects, binaries, toolchain probes, layer indexes."""
        return self.build / "cache"

    @property
    def bases(self) -> Path:
        """What is known of each base image: one JSON file per reference and platform. Their blobs are in `images`."""
        return self.build / "bases"

    @property
    def registries(self) -> Path:
        """Which repositories hold which blobs, as far as it was seen: one JSON file per registry."""
        return self.build / "registries"

    @property
    def roots(self) -> Path:
        """Unpacked root file systems for the local engine, by chain of diff IDs."""
        return self.build / "roots"

    @property
    def samples(self) -> Path:
        return self.root / "samples"

    @contextlib.contextmanager
    def temporary(self, purpose: str) -> Iterator[Path]:
        """A fresh folder on the same file system as everything else here, removed at the end whatever happens."""
        parent = self.build / "tmp"
        make_folder(parent)
        _sweep(parent)
        folder = parent / f"{os.getpid()}-{threading.get_ident()}-{purpose}-{os.urandom(4).hex()}"
        # The lock tells a living owner from a dead one, also across pid namespaces, where pids mean nothing.
        with open_locked(Path(f"{folder}.lock")) as lock:
            make_folder(folder)
            try:
                yield folder
            finally:
                remove_tree(folder)
                drop(Path(lock.name))


def make_folder(path: Path) -> None:
    """Raises: CannotWrite."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"cannot write to {str(path)!r}: {error.strerror}", hint=_what_to_do(error)) from error


def open_to_others(*folders: Path) -> None:
    """Root gives its rights up before it mounts, so they have to be open to others, whatever the umask was."""
    if os.geteuid() == 0:
        for folder in folders:
            if folder.stat().st_mode & 0o777 != 0o755:
                folder.chmod(0o755)


def write_atomically(path: Path, data: bytes, mode: int = 0o644, *, sync: bool = True) -> None:
    """Put `data` at `path`: beside it first, then renamed into place."""
    with replacing(path, mode, sync=sync) as file:
        file.write(data)


def keep(path: Path, data: bytes) -> None:
    """Put at `path` what only saves work the next time. Where that cannot be, the next time is slower, no more.

    All that is kept goes through here and `keeping`; what others need is written so that a failure is an error.
    """
    with contextlib.suppress(CannotWrite):
        write_atomically(path, sealed(data), sync=False)


def kept(path: Path) -> bytes:
    """What was kept at `path`. Raises: OSError; ValueError where it is not exactly that, as after a disk's error."""
    whole = path.read_bytes()
    data = whole[:-_SEAL_BYTES]
    if whole != sealed(data):
        raise ValueError(f"{str(path)!r} is damaged")
    return data


def sealed(data: bytes) -> bytes:
    """`data` with a check sum at its end, as `kept` wants it."""
    return data + b"\n%08x\n" % zlib.crc32(data)


def drop(path: Path) -> None:
    """Take away what was kept at `path`, if that can be."""
    with contextlib.suppress(OSError):
        path.unlink()


@contextlib.contextmanager
def keeping(path: Path) -> Iterator[None]:
    """`locked`, for finding out what will be kept: where nothing can be, each finds it out without waiting."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(CannotWrite):
            stack.enter_context(locked(path))
        yield


@contextlib.contextmanager
def replacing(
    path: Path, mode: int = 0o644, *, sync: bool = True, becomes: Callable[[], Path] | None = None
) -> Iterator[IO[bytes]]:
    """A file object that becomes `path` when the block ends well, and vanishes otherwise.

    `becomes` gives another name in the same folder, where that is known only at the end. Without `sync` a loss of power
    may leave an empty file: for what its readers check anyway, or what is temporary.
    """
    make_folder(path.parent)
    sweep_parts(path.parent)
    # The name must fit even where the final one is as long as a name may be.
    beside = path.parent / f".{path.name[:100]}.{os.getpid()}.{os.urandom(4).hex()}.part"
    try:
        with open(beside, "xb") as file:
            with contextlib.suppress(OSError):  # some file systems have no locks; then nothing is swept there
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            if sync:
                disk.sync_file(file)
            os.replace(beside, becomes() if becomes else path)  # while it is locked: what is not may be swept
        if sync:
            disk.sync_folder(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        drop(beside)


@contextlib.contextmanager
def output(path: Path) -> Iterator[IO[bytes]]:
    """A file object for what the user wants at `path`.

    A plain file is replaced as by `replacing`, keeps its mode, and may be reached by links; a pipe or a device is
    written to as it is.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG | 0o644
    except OSError as error:
        raise _cannot_write(path, error) from error
    if stat.S_ISREG(mode):
        with replacing(Path(os.path.realpath(path)), stat.S_IMODE(mode)) as file:
            yield file
        return
    try:
        with open(path, "wb") as file:
            yield file
    except OSError as error:
        raise _cannot_write(path, error) from error


def append(path: Path, data: bytes) -> None:
    """Add to a file that belongs to others, too. Raises: CannotWrite."""
    try:
        with open(path, "ab") as file:
            file.write(data)
    except OSError as error:
        raise _cannot_write(path, error) from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`: one holder at a time among all processes and threads. The kernel frees it on death."""
    make_folder(path.parent)
    with open_locked(path):
        yield


@contextlib.contextmanager
def open_locked(path: Path, *, wait: bool = True) -> Iterator[IO[bytes]]:
    """Raises BlockingIOError with wait=False where it is held already."""
    try:
        file = open(path, "ab")  # noqa: SIM115  # closed below; only opening it may fail as 'cannot write'
    except OSError as error:
        raise _cannot_write(path, error) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield file


def _cannot_write(path: Path, error: OSError) -> CannotWrite:
    return CannotWrite(f"cannot write {str(path)!r}: {error.strerror or error}", hint=_what_to_do(error))


def _what_to_do(error: OSError) -> str:
    if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST):
        return "there is already something else of that name, there or on the way; name another place"
    if error.errno in (errno.EACCES, errno.EPERM, errno.ENOENT):
        return "name a place that you may write to; XDG_CACHE_HOME does that for what is kept outside of a project"
    return "is the disk full or read-only?"


def remove_tree(path: Path) -> bool:
    """Remove a folder also where its own modes forbid it, as unpacked layers do. A missing one is fine.

    Returns: whether it was tried. A folder with something mounted in it is left alone: that may be the machine's own.
    """
    if _holds_mounts(path):
        return False

    def open_up_and_retry(function: object, name: str, error: object) -> None:
        with contextlib.suppress(OSError):
            os.chmod(os.path.dirname(name), 0o700)
            if os.path.isdir(name) and not os.path.islink(name):
                os.chmod(name, 0o700)
                shutil.rmtree(name, ignore_errors=True)
            else:
                os.unlink(name)

    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path, onerror=open_up_and_retry)
    return True


def _holds_mounts(path: Path) -> bool:
    """Whether anything is mounted on a folder or in it. Source: proc_pid_mountinfo(5): field 5 has blanks escaped."""
    folder = os.fsencode(os.path.realpath(path))
    with open("/proc/self/mountinfo", "rb") as lines:
        places = [re.sub(rb"\\(\d{3})", lambda code: bytes([int(code[1], 8)]), line.split(b" ")[4]) for line in lines]
    return any(place == folder or place.startswith(folder + b"/") for place in places)


def _sweep(parent: Path) -> None:
    for lock in parent.glob("*.lock"):
        with contextlib.suppress(BlockingIOError, FileNotFoundError, CannotWrite), open_locked(lock, wait=False):
            if remove_tree(lock.with_suffix("")):
                lock.unlink(missing_ok=True)


def sweep_parts(folder: Path) -> None:
    """Remove what an ended process left half written, once in a process; a living one holds a lock on it."""
    if folder in _swept:
        return
    _swept.add(folder)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not re.fullmatch(_PART, entry.name):
                continue
            with contextlib.suppress(OSError):  # its owner lives, or another process has swept
                status = entry.stat(follow_symlinks=False)
                if status.st_size or time.time() - status.st_mtime > _PART_SECONDS:
                    with open(entry, "rb") as file:
                        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                        os.unlink(entry)
