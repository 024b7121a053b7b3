"""Who an image's user is: the rules that Docker goes by, on the image's own lists.

Source: opencontainers/runc, `libcontainer/user`, GetExecUser.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from recipes.rootfs.tree import Entry


class UnknownAccount(Exception):
    """The message is the one that Docker shows."""


@dataclass(frozen=True, slots=True)
class Account:
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
    user, _, group_name = text.partition(":")
    account = Account()
    listed = _find(passwd, user, columns=7) if user else _find(passwd, "0", columns=7)
    if listed is not None:
        account = Account(int(listed[2]), int(listed[3]), listed[5] or "/")
    elif user.isdecimal():
        account = Account(uid=int(user))
    elif user:
        raise UnknownAccount(f"unable to find user {user}: no matching entries in passwd file")
    if not group_name:
        return replace(account, groups=_groups(group, listed[0])) if user and listed is not None else account
    listed = _find(group, group_name, columns=4)
    if listed is None and not group_name.isdecimal():
        raise UnknownAccount(f"unable to find group {group_name}: no matching entries in group file")
    return Account(account.uid, int(listed[2] if listed else group_name), account.home)


def _groups(lines: bytes, name: str) -> tuple[int, ...]:
    entries = (line.strip().split(":") for line in lines.decode(errors="replace").splitlines())
    return tuple(
        int(entry[2]) for entry in entries if len(entry) == 4 and entry[2].isdecimal() and name in entry[3].split(",")
    )


def _find(lines: bytes, wanted: str, columns: int) -> list[str] | None:
    for line in lines.decode(errors="replace").splitlines():
        entry = line.strip().split(":")
        entry += [""] * (columns - len(entry))
        numbers = entry[2:4] if columns == 7 else entry[2:3]
        if all(number.isdecimal() for number in numbers) and wanted in (entry[0], entry[2]):
            return entry
    return None
