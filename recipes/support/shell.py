"""The only door to other processes: argv, environment, time-out, captured output.

Each process gets its own process group, so that ending it ends what it started. `stop_all` ends everything that is
still running, and `stopping` lets nothing new begin meanwhile; both are for ^C, where the children would otherwise
outlive the task.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from recipes.errors import CommandFailed, RecipeError, ToolMissing
from recipes.support import console

if TYPE_CHECKING:
    from recipes.model import Command

_running: set[subprocess.Popen[bytes]] = set()
_running_lock = threading.Lock()
_stoppers = 0
"""How many blocks of `stopping` there are. What is started belongs to `_running` or is refused: one lock for both."""
_slots: threading.Semaphore | None = None

_NO_PROGRAM = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENOEXEC)
"""Why exec refuses a file. What else it says is about the call: too many words, too many processes."""


class Completed(NamedTuple):
    """How a process ended. `exit_code` is 128+n after signal n; `stopped` names the limit that ended it, or is ""."""

    command: Command
    exit_code: int
    stdout: bytes
    stderr: bytes
    seconds: float
    stopped: str = ""


def which(program: str, *more_folders: str) -> str | None:
    """Where `program` is: in the absolute folders of the caller's PATH, then in `more_folders`.

    Unlike shutil.which it passes over relative folders: a result must not depend on the current one.
    """
    for folder in (*os.environ.get("PATH", os.defpath).split(os.pathsep), *more_folders):
        path = os.path.join(folder, program)
        if os.path.isabs(path) and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


def run(
    command: Command,
    *,
    stdin: bytes = b"",
    timeout: float | None = None,
    output_limit: int | None = None,
    echo: bool = False,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    program: str | None = None,
    watch: Callable[[bytes], None] | None = None,
    merged: bool = False,
) -> Completed:
    """Run `command` to its end, or end it at `timeout` seconds or `output_limit` bytes per stream.

    `environment` replaces the caller's; `command.env` goes on top of it. What was written before a limit is kept.
    `program` is the file that is executed, where that is not the first word's. `watch` is told what it writes, in
    pieces, as they come; `merged` gives all of that as stdout, in one order.
    Raises: ToolMissing where the program is missing or not executable; CommandFailed where it cannot be started;
    KeyboardInterrupt while everything is being stopped.
    """
    with _slots or contextlib.nullcontext():
        started = time.perf_counter()
        process = _start(
            command, os.environ if environment is None else environment, pass_fds, bool(stdin), program, merged
        )
        try:
            if echo:
                console.command(str(command))
            deadline = None if timeout is None else started + timeout
            stdout, stderr, stopped = _converse(process, stdin, deadline, output_limit, watch)
            code = process.wait()
        finally:
            _kill(process)
            with _running_lock:
                _running.discard(process)
    return Completed(command, 128 - code if code < 0 else code, stdout, stderr, time.perf_counter() - started, stopped)


class Started:
    """What goes on beside us until `stop`. Its output is kept, as far as it may tell why it has ended.

    Its stdin is a pipe to which nothing is written, and which ends when we do.
    """

    def __init__(self, command: Command) -> None:
        """Raises: as `run`."""
        self._process = _start(command, os.environ, (), True, None, True)
        self._last = b""
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        with cast(IO[bytes], self._process.stdout) as output:
            for line in output:
                self._last = line

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> str:
        """End it; returns the last line that it wrote."""
        _kill(self._process)
        self._process.wait()
        cast(IO[bytes], self._process.stdin).close()
        self._thread.join()
        with _running_lock:
            _running.discard(self._process)
        return self._last.decode(errors="replace").strip()


def _start(
    command: Command,
    environment: Mapping[str, str],
    pass_fds: Sequence[int],
    has_input: bool,
    program: str | None,
    merged: bool,
) -> subprocess.Popen[bytes]:
    with _running_lock:
        if _stoppers:
            raise KeyboardInterrupt
        try:
            process = subprocess.Popen(
                command.argv,
                executable=program,
                cwd=command.cwd,
                env={**environment, **dict(command.env)},
                stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merged else subprocess.PIPE,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise _cannot_start(command, error) from error
        _running.add(process)
    return process


def _cannot_start(command: Command, error: OSError | ValueError) -> RecipeError:
    if command.cwd is not None and not command.cwd.is_dir():
        return CommandFailed(f"the folder {str(command.cwd)!r} is gone")
    if not isinstance(error, OSError):  # a NUL in a word
        return CommandFailed(f"{command.argv[0]} cannot be run: {error}")
    kind = ToolMissing if error.errno in _NO_PROGRAM else CommandFailed
    return kind(f"{command.argv[0]} cannot be run: {error.strerror}")


def check(
    command: Command,
    *,
    what: str = "",
    timeout: float | None = None,
    echo: bool = False,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Completed:
    """`run`, but an exit code other than 0 is a CommandFailed that carries the command's own message, whole."""
    done = run(command, timeout=timeout, echo=echo, environment=environment, pass_fds=pass_fds)
    if done.exit_code != 0 or done.stopped:
        ending = done.stopped or f"exit code {done.exit_code}"
        output = (done.stderr or done.stdout).decode(errors="replace")
        raise CommandFailed(
            f"{what or Path(command.argv[0]).name} failed ({ending})", f"the command was: {command}", output
        )
    return done


def attach(
    command: Command,
    *,
    stdin: bytes | None,
    environment: Mapping[str, str],
    pass_fds: Sequence[int],
    program: str,
    pass_on: Callable[[int], None],
    connect: Callable[[], None] | None = None,
) -> int:
    """Run `command` for the caller, as long as it takes: what it writes goes out as it comes, to stdout and stderr.

    `stdin` is what it reads, None the caller's own. Signals that would end us go to `pass_on`, until the second one.
    With `connect` it has its streams by another way, which that opens: only what it writes itself is copied.
    Returns: its exit code, 128+n after signal n. Raises: as `run`, and what `streams.passing_on` raises.
    """
    from recipes.support import streams

    process = _start(command, environment, pass_fds, True, program, False)
    into, out, err = (cast(IO[bytes], stream) for stream in (process.stdin, process.stdout, process.stderr))
    pairs = (out, streams.OUT), (err, streams.ERR)
    outputs = [threading.Thread(target=_copy_out, args=(*pair, pass_on)) for pair in pairs]
    try:
        with streams.passing_on(pass_on):
            for output in outputs:
                output.start()
            if connect is None:
                streams.feed(stdin, partial(streams.write_all, into.fileno()), into.close)
            else:
                into.close()
                connect()
            code = process.wait()
            for output in outputs:
                output.join()
    finally:
        _kill(process)
        process.wait()
        with _running_lock:
            _running.discard(process)
    return 128 - code if code < 0 else code


def _copy_out(source: IO[bytes], target: int, pass_on: Callable[[int], None]) -> None:
    from recipes.support import streams

    def write(data: bytes) -> None:
        try:
            streams.write_all(target, data)
        except BrokenPipeError:
            pass_on(signal.SIGPIPE)
            raise

    streams.copy(source.fileno(), write)
    source.close()  # at its end, or as nothing reads any more: the program then hears of it when it writes


def stop_all() -> None:
    """End every process that `run` started and that is still there, with all that they started."""
    with _running_lock:
        processes = tuple(_running)
    for process in processes:
        _kill(process)


@contextlib.contextmanager
def stopping() -> Iterator[None]:
    """End all that runs, and start nothing until the block ends, which is where pools wait for their threads.

    A thread that would start something meanwhile gets a KeyboardInterrupt, as if ^C had come to it.
    """
    global _stoppers
    with _running_lock:
        _stoppers += 1
    try:
        stop_all()
        yield
    finally:
        with _running_lock:
            _stoppers -= 1


@contextlib.contextmanager
def at_most(jobs: int) -> Iterator[None]:
    """While the block runs, `jobs` processes run side by side at most, whichever threads start them."""
    global _slots
    before, _slots = _slots, threading.Semaphore(jobs)
    try:
        yield
    finally:
        _slots = before


def _converse(
    process: subprocess.Popen[bytes],
    stdin: bytes,
    deadline: float | None,
    limit: int | None,
    watch: Callable[[bytes], None] | None,
) -> tuple[bytes, bytes, str]:
    """Feed stdin and collect both outputs until they close; returns them and the limit that was met, if any.

    Once the process itself has ended, a background child that holds the pipes is not waited for.
    """
    out, err = cast(IO[bytes], process.stdout), process.stderr
    chunks: dict[IO[bytes], bytearray] = {stream: bytearray() for stream in (out, err) if stream is not None}
    pending = memoryview(stdin)
    stopped = ""
    with selectors.DefaultSelector() as selector:
        for stream in chunks:
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            left = None if deadline is None else deadline - time.perf_counter()
            if left is not None and left <= 0:
                stopped = "time limit"
                break
            # Once the process is gone, whatever is in the pipes is read and nothing more is waited for.
            gone = process.poll() is not None
            ready = selector.select(0 if gone else min(0.25, left) if left is not None else 0.25)
            if gone and not ready:
                break
            for key, _ in ready:
                stream = cast(IO[bytes], key.fileobj)
                if stream is process.stdin:
                    try:
                        pending = pending[os.write(stream.fileno(), pending[:65536]) :]
                    except BlockingIOError:
                        continue
                    except OSError:
                        pending = memoryview(b"")
                    if not pending:
                        selector.unregister(stream)
                        with contextlib.suppress(OSError):
                            stream.close()
                    continue
                data = os.read(stream.fileno(), 65536)
                if not data:
                    selector.unregister(stream)
                    continue
                chunks[stream] += data
                if watch is not None:
                    watch(data)
                if limit is not None and len(chunks[stream]) > limit:
                    del chunks[stream][limit:]
                    stopped = "output limit"
            if stopped:
                break
    if stopped:
        _kill(process)
    for pipe in (process.stdin, out, err):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    return bytes(chunks[out]), bytes(chunks[err]) if err is not None else b"", stopped


def _kill(process: subprocess.Popen[bytes]) -> None:
    # The group is ours alone (start_new_session), so this reaches what the process left behind and nothing else.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
