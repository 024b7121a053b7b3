"""Sockets for programs of 32 bits on x86, which ask for them with arguments in memory, where a filter cannot look.

The filter asks us instead. We read the arguments once and make the socket ourselves, so it does not matter what the
program writes over them meanwhile. Source: seccomp_unotify(2), socketcall(2).
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

import kernel

_RECEIVE, _SEND, _IS_VALID, _ADD = 0xC0502100, 0xC0182101, 0x40082102, 0x40182103
_REQUEST = struct.Struct("=QIIiIQ6Q")  # struct seccomp_notif: id, pid, flags, and a struct seccomp_data
_CLOEXEC = 0o2000000  # of a socket's type, and of a descriptor


def answer(listener: int, families: tuple[int, ...]) -> None:
    """Answer one call. A caller that has ended gets no answer."""
    request = bytearray(_REQUEST.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, request)
        number, pid, _, _, _, _, _, place, *_ = _REQUEST.unpack(request)
        arguments = kernel.read_memory(pid, place, 12)
        fcntl.ioctl(listener, _IS_VALID, struct.pack("=Q", number))  # else it was another process's memory
    except OSError:
        return
    try:
        family, kind, protocol = struct.unpack("=3i", arguments)
        if family not in families:
            raise OSError(errno.EAFNOSUPPORT, "")
        made = kernel.new_socket(family, kind, protocol)
        try:
            # 2: the call returns at once, with the descriptor.
            fcntl.ioctl(listener, _ADD, struct.pack("=QIIII", number, 2, made, 0, kind & _CLOEXEC))
        finally:
            os.close(made)
    except (OSError, struct.error) as error:
        code = error.errno or errno.EIO if isinstance(error, OSError) else errno.EFAULT
        try:  # noqa: SIM105  # contextlib takes long to import
            fcntl.ioctl(listener, _SEND, struct.pack("=QqiI", number, 0, -code, 0))
        except OSError:
            pass  # it has ended meanwhile
