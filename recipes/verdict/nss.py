"""Rules for what a C library looks up by name: users, services, protocols. Each returns what it saw, or None."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from recipes.verdict import nsswitch
from recipes.verdict.subject import Evidence, Subject

_USERS = (
    *("getpwnam", "getpwnam_r", "getpwuid", "getpwuid_r", "getpwent", "getpwent_r"),
    *("getgrnam", "getgrnam_r", "getgrgid", "getgrgid_r", "getgrent", "getgrent_r"),
    *("initgroups", "getgrouplist"),
)
_SERVICES = ("getservbyname", "getservbyname_r", "getservbyport", "getservbyport_r", "getservent", "getservent_r")
_PROTOCOLS = (
    *("getprotobyname", "getprotobyname_r", "getprotobynumber", "getprotobynumber_r"),
    *("getprotoent", "getprotoent_r"),
)
_ABSENT = "No such file or directory"
# The modules that glibc has inside.
_BUILT_IN = ("files", "dns")


def users(subject: Subject) -> Evidence | None:
    program = subject.traits
    if subject.has_any("/etc/passwd"):
        return None
    call = program.imports(*_USERS)
    marker = next((name for name in ("passwd", "group") if name in program.strings), None)
    named = next((path for path in ("/etc/passwd", "/etc/group") if program.names_file(path)), None)
    held = f"__nss_{marker}_lookup2" if marker else named
    return _lacking(subject, "/etc/passwd", call, held, _USERS, _ABSENT)


def services(subject: Subject) -> Evidence | None:
    program = subject.traits
    if subject.has_any("/etc/services"):
        return None
    # Go's package net has getaddrinfo for host names; it knows the usual services itself, and has other words.
    through_net = program.go is not None and program.go.links_package("net")
    call = program.imports(*(() if through_net else ("getaddrinfo",)), *_SERVICES)
    held = "__nss_services_lookup2" if "services" in program.strings and not through_net else None
    if not held and program.names_file("/etc/services"):
        held = "/etc/services"
    # A library asks getaddrinfo for hosts, with the port as a number.
    message = "Servname not supported for ai_socktype" if call or held else _ABSENT
    return _lacking(subject, "/etc/services", call, held, _SERVICES, message)


def protocols(subject: Subject) -> Evidence | None:
    """glibc reads the names of IP's protocols from a file; musl has them inside."""
    program = subject.traits
    if subject.is_musl or subject.has_any("/etc/protocols"):
        return None
    held = "__nss_protocols_lookup2" if "protocols" in program.strings else None
    return _lacking(subject, "/etc/protocols", program.imports(*_PROTOCOLS), held, _PROTOCOLS, _ABSENT)


def _lacking(
    subject: Subject, file: str, call: str | None, held: str | None, names: Iterable[str], message: str
) -> Evidence | None:
    """What shows that a file is missed: a call of the program's, a string that it holds, or a library's call."""
    seen = f"it calls {call}" if call else f"the string {held}" if held else subject.library_calls(*names)
    return Evidence(f"{seen}, and no {file} in the image", message, sure=bool(call or held)) if seen else None


def modules(subject: Subject) -> Evidence | None:
    """A static program would load shared modules, of a glibc that need not be its own."""
    program = subject.traits
    databases = sorted({"passwd", "group", "services", "protocols", "hosts"} & program.strings)
    if not program.is_static or not databases:
        return None
    text = subject.text("/etc/nsswitch.conf")
    for database in databases:
        line = nsswitch.line_for(text, database)
        asked = _asked(subject, database, line.services) if line else ()
        odd = next((module for module in asked if module not in _BUILT_IN), None)
        if line and odd:
            return Evidence(
                f"/etc/nsswitch.conf of the image: {line.text!r}",
                f"libnss_{odd}.so.2 is loaded at run time where it exists, else skipped; no error",
            )
    return None


def _asked(subject: Subject, database: str, services: Iterable[nsswitch.Service]) -> Iterator[str]:
    """The modules that a look-up can come to: not those behind one that answers and ends it, whatever it finds."""
    for service in services:
        yield service.module
        has_file = database == "hosts" or subject.has_any(f"/etc/{database}")  # engines give each container /etc/hosts
        results = {"notfound"} if service.module == "files" and has_file else {"notfound", "unavail", "tryagain"}
        if results <= service.ends_on:
            return
