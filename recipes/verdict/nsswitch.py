"""/etc/nsswitch.conf as glibc reads it since 2.33. Source: glibc, nss/nss_database.c and nss/nss_action_parse.c."""

from __future__ import annotations

import re
from typing import NamedTuple

_LINE = re.compile(r"\s*(?P<database>[^\s:]+)(?:\s*:|\s)(?P<services>.*)")
_MODULE = re.compile(r"\s*([^\s\[]+)\s*")
_STATUSES = frozenset(("success", "notfound", "unavail", "tryagain"))
_ACTION = re.compile(rf"\s*(!?)({'|'.join(sorted(_STATUSES))})\s*=\s*(return|continue|merge)\s*", re.IGNORECASE)
_ACTIONS = re.compile(rf"\[((?:{_ACTION.pattern})+)\]", re.IGNORECASE)


# The databases of glibc; lines for others, such as sudoers, are not read.
_KNOWN = frozenset((
    *("aliases", "ethers", "group", "group_compat", "gshadow", "hosts", "initgroups", "netgroup", "networks"),
    *("passwd", "passwd_compat", "protocols", "publickey", "rpc", "services", "shadow", "shadow_compat"),
))  # fmt: skip


class Service(NamedTuple):
    """A module that a database is looked up with, and the results of it after which no further one is asked."""

    module: str
    ends_on: frozenset[str]


class Line(NamedTuple):
    text: str
    services: tuple[Service, ...]


def line_for(text: str, database: str) -> Line | None:
    """What the last line for a database says; None where there is none, so that glibc's defaults hold: files, dns.

    One line that is wrong makes glibc refuse the whole file, which counts as none. A # starts a comment at the start of
    a line alone, where it makes a name that is no database's.
    """
    lines = {}
    for match in filter(None, map(_LINE.match, text.splitlines())):
        if match["database"] in _KNOWN:
            services = _services(match["services"])
            if services is None:
                return None
            lines[match["database"]] = Line(match[0].strip(), services)
    return lines.get(database)


def _services(text: str) -> tuple[Service, ...] | None:
    """None where it has actions that glibc refuses."""
    found, at = [], 0
    while match := _MODULE.match(text, at):
        at = match.end()
        ends_on = frozenset(("success",))
        if text.startswith("[", at):
            actions = _ACTIONS.match(text, at)
            if actions is None:
                return None
            at = actions.end()
            for other, status, action in _ACTION.findall(actions[1]):
                meant = _STATUSES - {status.lower()} if other else {status.lower()}
                ends_on = ends_on - meant if action.lower() == "continue" else ends_on | meant
        found.append(Service(match[1], ends_on))
    return tuple(found)
