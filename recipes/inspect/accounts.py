"""Who an image's user is: the rules that Docker goes by, on the image's own lists.

Source: opencontainers/runc, `libcontainer/user`, GetExecUser.
"""

from __future__ import annotations

from dataclasses import dataclass


class UnknownAccount(Exception):
    """The message is the one that Docker shows."""


@dataclass(frozen=True, slots=True)
class Account:
    uid: int = 0
    gid: int = 0
    home: str = "/"


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
        return account
    listed = _find(group, group_name, columns=4)
    if listed is None and not group_name.isdecimal():
        raise UnknownAccount(f"unable to find group {group_name}: no matching entries in group file")
    return Account(account.uid, int(listed[2] if listed else group_name), account.home)


def _find(lines: bytes, wanted: str, columns: int) -> list[str] | None:
    for line in lines.decode(errors="replace").splitlines():
        entry = line.strip().split(":")
        entry += [""] * (columns - len(entry))
        numbers = entry[2:4] if columns == 7 else entry[2:3]
        if all(number.isdecimal() for number in numbers) and wanted in (entry[0], entry[2]):
            return entry
    return None
