"""What the loaders call the system's errors."""

from __future__ import annotations

import errno
import os

_KNOWN_TO_GLIBC = (errno.ENOMEM, errno.EINVAL, errno.ENOENT, errno.EPERM, errno.EIO, errno.EACCES)
_OF_MUSL = {0: "No error information", errno.ELOOP: "Symbolic link loop"}


def words_of_glibc(number: int) -> str:
    """Its loader has words for few of them. Source: glibc, `elf/dl-minimal.c`, `__strerror_r`."""
    return os.strerror(number) if number in _KNOWN_TO_GLIBC else f"Error {number}"


def words_of_musl(number: int) -> str:
    """Source: musl, `src/errno/__strerror.h`, which for most has glibc's own words."""
    return _OF_MUSL.get(number) or os.strerror(number)
