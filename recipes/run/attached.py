"""A program of the jail, tied to the caller: its streams or its terminal, and the signals that are meant for it."""

from __future__ import annotations

import contextlib
import os
import socket
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial

from recipes.model import Command
from recipes.support import shell, streams

_FROM_TERMINAL = 0x80
"""Says of a signal that the program's own terminal has sent it already."""


class Attachment:
    """For one run. What goes in by `descriptor` is the number of a signal; what comes out of it is a terminal's master.

    `stdin` is what the program reads, None the caller's own; with `terminal` it has one of its own, which is shown on
    the caller's.
    """

    def __init__(self, stdin: bytes | None, *, terminal: bool) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._stdin, self._terminal = stdin, terminal
        self.descriptor = self._theirs.fileno()

    def run(
        self, command: Command, *, program: str, environment: Mapping[str, str], pass_fds: Sequence[int]
    ) -> shell.Completed:
        """Start the jail, and wait for it. What the program writes is not kept."""
        started = time.perf_counter()
        with contextlib.ExitStack() as undo:
            undo.enter_context(self._ours)
            undo.enter_context(self._theirs)
            code = shell.attach(
                command,
                stdin=self._stdin,
                program=program,
                environment=environment,
                pass_fds=(*pass_fds, self.descriptor),
                pass_on=self._send,
                connect=partial(self._connect, undo) if self._terminal else None,
            )
        return shell.Completed(command, code, b"", b"", time.perf_counter() - started)

    def _send(self, number: int) -> None:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            self._ours.send(bytes([number]))

    def _connect(self, undo: contextlib.ExitStack) -> None:
        self._theirs.close()  # else there would be no end where the jail sends nothing
        with contextlib.suppress(OSError):
            _, descriptors, *_ = socket.recv_fds(self._ours, 1, 1)
            if descriptors:
                self._show(descriptors[0], undo)

    def _show(self, master: int, undo: contextlib.ExitStack) -> None:
        def resize() -> None:
            with contextlib.suppress(OSError, termios.error):  # the program has ended
                termios.tcsetwinsize(master, streams.size())

        def type_in(data: bytes) -> None:
            number = streams.signal_of(data, master)
            streams.write_all(master, data)
            if number:
                self._send(number | _FROM_TERMINAL)

        undo.enter_context(streams.raw_terminal(resize))
        output = threading.Thread(target=streams.copy, args=(master, partial(streams.write_all, streams.OUT)))
        output.start()
        undo.callback(output.join)
        # The master stays open: whoever types may be waited for longer than the program lives.
        streams.feed(None, type_in, lambda: os.write(master, b"\x04"))
