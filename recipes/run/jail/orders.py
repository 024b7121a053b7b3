"""Signals for the program, from the process that started us.

A process 1 gets no signal for which it has no handler, as the kernel spares it. What Linux would do with any other
program is then done here. Source: pid_namespaces(7), "The namespace init process"; proc_pid_status(5), SigCgt.
"""

from __future__ import annotations

import os

from kernel import SIGKILL
from watch import Lifeline

_FROM_TERMINAL = 0x80  # the program's terminal has sent it already, to those in its foreground
_PARENT_GROUP, _GROUP_IN_FRONT = 2, 5  # of the fields of `stat` behind the name


class Orders:
    """What comes in by `channel` for `program`; `proc` is a /proc that shows it."""

    def __init__(self, channel: int, program: int, proc: int) -> None:
        self.ended_by = 0
        """The signal that has ended the program, where it was ended here in the kernel's place."""
        self._channel, self._program, self._proc = channel, program, proc

    def take(self) -> None:
        """Pass on one signal. Raises: Lifeline where nobody is left to send any."""
        data = os.read(self._channel, 1)
        if not data:
            raise Lifeline
        number = data[0] & ~_FROM_TERMINAL
        if self._minds(number):
            if not data[0] & _FROM_TERMINAL:
                os.kill(self._program, number)
        elif not data[0] & _FROM_TERMINAL or self._is_in_front():
            self.ended_by = number
            os.kill(self._program, SIGKILL)

    def _minds(self, number: int) -> bool:
        """Whether the program catches the signal, ignores it, or has it wait."""
        lines = dict(line.partition(b":\t")[::2] for line in self._read("status").splitlines())
        masks = (int(lines.get(name, b"0"), 16) for name in (b"SigCgt", b"SigIgn", b"SigBlk"))
        return any(mask >> (number - 1) & 1 for mask in masks)

    def _is_in_front(self) -> bool:
        """Whether the program's own group has the terminal, and not one of a job that it has started."""
        fields = self._read("stat").rpartition(b")")[2].split()
        return fields[_PARENT_GROUP] == fields[_GROUP_IN_FRONT]

    def _read(self, name: str) -> bytes:
        file = os.open(f"{self._program}/{name}", os.O_RDONLY, dir_fd=self._proc)
        try:
            return os.read(file, 1 << 16)
        finally:
            os.close(file)
