"""The caller's own streams, terminal and signals, lent to a program that runs elsewhere: in a jail, or in an engine.

They are copied and passed on, never given away: a descriptor of the caller's leads back to its file or terminal.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from types import FrameType

IN, OUT, ERR = 0, 1, 2
"""The caller's own descriptors, which tests and other programs may have put elsewhere than sys.stdin and its like."""

_CHUNK = 1 << 16
_ENDING = (signal.SIGINT, signal.SIGTERM)
_OTHERS = (signal.SIGHUP, signal.SIGQUIT)


def copy(source: int, write: Callable[[bytes], object]) -> None:
    """Everything that comes from `source`, until it ends or nothing takes it any more."""
    with contextlib.suppress(OSError):  # EIO where the other side of a terminal is closed, EPIPE of who reads no more
        while True:
            try:
                data = os.read(source, _CHUNK)
            except BlockingIOError:  # whoever shares it may have made it so
                select.select([source], [], [])
                continue
            if not data:
                return
            write(data)


def write_all(target: int, data: bytes) -> None:
    """Raises: OSError."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(target, left) :]
        except BlockingIOError:
            select.select([], [target], [])


def feed(data: bytes | None, write: Callable[[bytes], object], done: Callable[[], object]) -> None:
    """In the background: hand `data`, or what comes in on the caller's stdin, to `write`; `done` at its end.

    Nothing waits for it: a program may end without having read what nobody has typed yet.
    """

    def work() -> None:
        with contextlib.suppress(OSError):
            if data is None:
                copy(IN, write)
            else:
                write(data)
        with contextlib.suppress(OSError):
            done()

    threading.Thread(target=work, daemon=True).start()


@contextlib.contextmanager
def passing_on(send: Callable[[int], None]) -> Iterator[None]:
    """While the block runs, what would end us goes to `send` instead: the program decides what it does about it.

    The second ^C or SIGTERM is for us, as a KeyboardInterrupt or SystemExit. What is ignored stays so, as under nohup.
    """
    ending = 0

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal ending
        ending += number in _ENDING
        if number not in _ENDING or ending == 1:
            send(number)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            sys.exit(128 + number)

    before = {number: signal.getsignal(number) for number in (*_ENDING, *_OTHERS)}
    taken = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    # In the background nothing may be read from a terminal: that is an error then, and no reason to be stopped.
    taken[signal.SIGTTIN] = signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    try:
        for number in taken.keys() - {signal.SIGTTIN}:
            signal.signal(number, handle)
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler or signal.SIG_DFL)


def is_terminal() -> bool:
    return os.isatty(IN)


def size() -> tuple[int, int]:
    """Rows and columns of the caller's terminal."""
    return termios.tcgetwinsize(IN)


@contextlib.contextmanager
def raw_terminal(resize: Callable[[], None]) -> Iterator[None]:
    """While the block runs, the caller's terminal hands over each key as it is; changes of its size call `resize`.

    It is as before afterwards, however the block ends.
    """
    before = termios.tcgetattr(IN)
    handler = signal.signal(signal.SIGWINCH, lambda number, frame: resize())
    try:
        tty.setraw(IN, termios.TCSADRAIN)
        resize()
        yield
    finally:
        termios.tcsetattr(IN, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, handler or signal.SIG_DFL)


def signal_of(data: bytes, terminal: int) -> int:
    """The signal that these keys make the program's `terminal` send, 0 where none. Source: termios(3), ISIG."""
    flags, characters = termios.tcgetattr(terminal)[3], termios.tcgetattr(terminal)[6]
    if not flags & termios.ISIG:
        return 0
    keys = {characters[termios.VINTR]: signal.SIGINT, characters[termios.VQUIT]: signal.SIGQUIT}
    return next((number for key, number in keys.items() if key != b"\0" and key in data), 0)
