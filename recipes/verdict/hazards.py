"""The table of hazards that are not the loader's: what a program misses once it runs, and what no file can tell.

A rule is one row: a stable code, a level, the fix, and a function that returns what it saw and what the user would see,
or None. Every code is explained in docs/hazards.md. A rule is silent where the root already answers it, and never asks
for what engines put into every container: /dev, /proc, /sys, /etc/{hostname,hosts,mtab,resolv.conf}, PATH and HOME.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from recipes.model import Finding, Level
from recipes.verdict import doubts, goneeds, locales, needs, nss
from recipes.verdict.subject import Evidence, Subject


@dataclass(frozen=True, slots=True)
class Rule:
    """One hazard. `check` returns evidence and message where the hazard is there, else None."""

    code: str
    level: Level
    check: Callable[[Subject], Evidence | None]
    fix: str


_NEEDS, _POSSIBLE = Level.NEEDS_DATA, Level.POSSIBLE

RULES = (
    Rule(
        "go-tls-roots",
        _NEEDS,
        goneeds.tls_roots,
        "add a CA bundle at /etc/ssl/certs/ca-certificates.crt, or import golang.org/x/crypto/x509roots/fallback",
    ),
    Rule(
        "openssl-tls-roots",
        _NEEDS,
        needs.openssl_tls_roots,
        "add a CA bundle at that path, or set SSL_CERT_FILE to one",
    ),
    Rule(
        "gnutls-tls-roots",
        _NEEDS,
        needs.gnutls_tls_roots,
        "add a CA bundle at the path that GnuTLS was built with, such as /etc/ssl/certs/ca-certificates.crt",
    ),
    Rule(
        "go-time-zones",
        _NEEDS,
        goneeds.time_zones,
        "add /usr/share/zoneinfo, or build with -tags timetzdata; nothing, if UTC is all that it loads",
    ),
    Rule("c-time-zones", _NEEDS, needs.c_time_zones, "add /usr/share/zoneinfo, or keep to UTC"),
    Rule("go-users", _NEEDS, goneeds.users, "add /etc/passwd and /etc/group, or set USER in the image"),
    Rule("nss-users", _NEEDS, nss.users, "add /etc/passwd and /etc/group"),
    Rule("nss-services", _NEEDS, nss.services, "use a port number, or add /etc/services"),
    Rule("nss-protocols", _NEEDS, nss.protocols, "use the protocol's number, or add /etc/protocols"),
    Rule("nss-modules", _NEEDS, nss.modules, "keep /etc/nsswitch.conf to files and dns, or link with musl"),
    Rule(
        "go-temp-files",
        _NEEDS,
        goneeds.temp_files,
        "add /tmp with mode 1777, or set TMPDIR to a folder that is there; nothing, if it names folders of its own",
    ),
    Rule("c-temp-files", _NEEDS, needs.c_temp_files, "add /tmp with mode 1777"),
    Rule("sqlite-temp-files", _POSSIBLE, needs.sqlite_temp_files, "add /tmp with mode 1777, or set SQLITE_TMPDIR"),
    Rule("c-shell", _NEEDS, needs.c_shell, "add a shell at /bin/sh, or start the program itself: posix_spawn"),
    Rule("go-child-processes", _NEEDS, goneeds.child_processes, "add the programs that it starts, on the image's PATH"),
    Rule("go-cgo-stub", _NEEDS, goneeds.cgo_stub, "build it with cgo: the recipe go-cgo-static"),
    Rule("go-plugins", _NEEDS, goneeds.plugins, "plugins need cgo and a dynamic program: link the code in instead"),
    Rule("named-locale", _NEEDS, locales.named_locale, 'use the locale "C", or link with musl'),
    Rule(
        "c-locale",
        _NEEDS,
        locales.c_locale,
        "add the locale's folder below /usr/lib/locale, such as Debian's C.utf8 with LANG=C.UTF-8, or link with musl",
    ),
    Rule(
        "terminfo",
        _NEEDS,
        needs.terminfo,
        "add the terminal's entry, such as /usr/share/terminfo/x/xterm, which Debian's ncurses-base has",
    ),
    Rule(
        "musl-thread-stack",
        _NEEDS,
        needs.musl_thread_stack,
        "link with -Wl,-z,stack-size=8388608, or ask for a stack size when the thread is made",
    ),
    Rule("pid1-signals", _NEEDS, needs.pid1_signals, "install a handler for SIGTERM, or run the container with --init"),
    Rule(
        "static-dlopen",
        _POSSIBLE,
        doubts.static_dlopen,
        "link the code in, or, for plugins, `invoke bundle` with --dlopen FOLDER",
    ),
    Rule("static-iconv", _POSSIBLE, doubts.static_iconv, "link with musl, or add glibc's gconv folder"),
    Rule("iconv-modules", _POSSIBLE, locales.iconv_modules, "keep to UTF-8, or add glibc's gconv folder"),
    Rule("go-protocols", _POSSIBLE, goneeds.protocols, "use the protocol's number, or add /etc/protocols"),
    Rule("cpu-flags", _POSSIBLE, doubts.cpu_flags, "compile without -march, or for the baseline"),
    Rule(
        "weak-pthread", _POSSIBLE, doubts.weak_pthread, "link with -Wl,--whole-archive -lpthread -Wl,--no-whole-archive"
    ),
    Rule(
        "musl-malloc", _POSSIBLE, doubts.musl_malloc, "use zig's C library, or link another allocator such as mimalloc"
    ),
)


def find_hazards(subject: Subject) -> Iterator[Finding]:
    """The findings of all rules, in the order of the table."""
    for rule in RULES:
        evidence = rule.check(subject)
        if evidence is not None:
            level = rule.level if evidence.sure else _POSSIBLE
            yield Finding(level=level, code=rule.code, evidence=evidence.seen, message=evidence.message, fix=rule.fix)
