"""Who an image's user is: the rules that Docker goes by, on the image's own lists.

Source: opencontainers/runc, `libcontainer/user`, GetExecUser. The engine goes by it, and then runc with the numbers
that the engine has found.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from recipes.rootfs.tree import Entry

_HIGHEST = (1 << 31) - 1
_RANGE = f"uids and gids must be in range 0-{_HIGHEST}"
_LOWEST = -(1 << 63)
_ALL_BITS = (1 << 32) - 1
_NUMBER = re.compile(r"(?P<sign>[+-]?)0*(?P<digits>[0-9]*)(?<=[0-9])")
_MOST_DIGITS = 20  # more are out of range in any case


class UnknownAccount(Exception):
    """The message is the one that Docker shows."""


class Account(NamedTuple):
    uid: int = 0
    gid: int = 0
    home: str = "/"
    groups: tuple[int, ...] = ()
    """others that it is a member of"""

    def may(self, entry: Entry, wanted: int) -> bool:
        """Whether the entry's mode allows `wanted` (4 read, 2 write, 1 execute, or pass through a folder).

        The first class that fits decides, even where a later one allows more. Root is asked for nothing but that a file
        may be executed by anybody. Source: path_resolution(7).
        """
        if self.uid == 0:
            return entry.kind == "dir" or wanted != 1 or bool(entry.mode & 0o111)
        if entry.uid == self.uid:
            return entry.mode >> 6 & wanted == wanted
        if entry.gid in (self.gid, *self.groups):
            return entry.mode >> 3 & wanted == wanted
        return entry.mode & wanted == wanted


def look_up(text: str, passwd: bytes = b"", group: bytes = b"") -> Account:
    """`text` is `user`, `user:group` or "", each a name or a number; numbers need not be listed.

    Raises: UnknownAccount.
    """
    user, group_name = [*text.split(":"), ""][:2]
    users, groups = _lines(passwd, 7), _lines(group, 4)
    account = Account()
    listed = _find(users, user or "0")
    if listed is not None:
        account = Account(_id(_listed(listed[2]), users), _id(_listed(listed[3]), groups), listed[5] or "/")
    elif user:
        account = Account(uid=_unlisted("user", user, "passwd"))
    if group_name:
        listed = _find(groups, group_name)
        gid = _unlisted("group", group_name, "group") if listed is None else _id(_listed(listed[2]), groups)
        return Account(account.uid, gid, account.home)
    return account._replace(groups=_groups_of(groups, listed[0])) if user and listed is not None else account


def _lines(text: bytes, columns: int) -> list[list[str]]:
    lines = (line.strip().split(":") for line in text.decode(errors="replace").splitlines() if line.strip())
    return [line + [""] * (columns - len(line)) for line in lines]


def _find(lines: list[list[str]], wanted: str) -> list[str] | None:
    """The first line for an account: what can be read as a number is always one, and never a name."""
    number = _number(wanted)
    if number is None:
        return next((line for line in lines if line[0] == wanted), None)
    return next((line for line in lines if _listed(line[2]) == number), None)


def _groups_of(lines: list[list[str]], name: str) -> tuple[int, ...]:
    return tuple(_listed(line[2]) & _ALL_BITS for line in lines if name in line[3].split(","))


def _number(text: str) -> int | None:
    """What Go's `strconv.Atoi` makes of a text; None where it refuses it, as it does a number of more than 64 bits."""
    number = _unbounded(text)
    return number if number is not None and _LOWEST <= number < -_LOWEST else None


def _listed(text: str) -> int:
    """A number in a list, where what is none counts as 0, and what is too large as the largest."""
    return max(_LOWEST, min(_unbounded(text) or 0, -_LOWEST - 1))


def _unbounded(text: str) -> int | None:
    match = _NUMBER.fullmatch(text)
    return None if match is None else int(match["sign"] + (match["digits"][:_MOST_DIGITS] or "0"))


def _unlisted(kind: str, text: str, file: str) -> int:
    number = _number(text)
    if number is None:
        raise UnknownAccount(f"unable to find {kind} {text}: no matching entries in {file} file")
    if not 0 <= number <= _HIGHEST:
        raise UnknownAccount(_RANGE)
    return number


def _id(listed: int, lines: list[list[str]]) -> int:
    """The ID that a process gets: 32 bits of the listed one, which runc holds to the lists once more."""
    number = listed & _ALL_BITS
    if number > _HIGHEST and all(_listed(line[2]) != number for line in lines):
        raise UnknownAccount(_RANGE)
    return number
