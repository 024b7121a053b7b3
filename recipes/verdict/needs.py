"""Rules for programs that start and then lack something. Each returns what it saw, or None."""

from __future__ import annotations

from recipes.elf.markers import TEMP_MAKERS, Traits
from recipes.verdict.subject import Evidence, Subject

# Where Go and OpenSSL look. Source: crypto/x509/root_linux.go; OpenSSL's OPENSSLDIR as the distributions set it.
CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
CA_FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")
_TERMINFO_FOLDERS = ("/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo", "/usr/lib/terminfo")
_MUSL_STACK = 131072  # bytes; musl takes the larger of this and PT_GNU_STACK's
_TIME_MEMBERS = ("localtime.o", "mktime.o")
# 32-bit programs with 64-bit time have names of their own.
_LOCAL_TIME = ("localtime", "mktime", "tzset", "ctime", "timelocal", "__localtime64", "__mktime64", "__ctime64")
_LOCAL_TIME_AGAIN = ("localtime_r", "ctime_r", "__localtime64_r", "__ctime64_r")
_TEMP_FILES = ("tmpfile", "tmpfile64", "tmpnam", "tmpnam_r")
_WAITS = ("pause", "listen", "accept", "accept4", "epoll_wait", "epoll_pwait")
_HANDLES = (
    "sigaction",
    "signal",
    "bsd_signal",
    "__sysv_signal",
    "ssignal",
    "sigset",
    "signalfd",
    "sigwait",
    "sigwaitinfo",
)


def openssl_tls_roots(subject: Subject) -> Evidence | None:
    program = subject.traits
    folder = program.openssl_dir if "openssl" in program.strings else None
    call = subject.calls("SSL_CTX_set_default_verify_paths", "X509_STORE_set_default_paths")
    if folder is None and not call:
        return None
    named = subject.env.get("SSL_CERT_FILE")
    if named and subject.has_any(named):
        return None
    if folder is not None:
        if subject.has_any(f"{folder}/cert.pem") or subject.has_entries(f"{folder}/certs"):
            return None
        return Evidence(
            f"OpenSSL that reads {folder}/cert.pem, which the image lacks", "unable to get local issuer certificate"
        )
    if subject.has_any(*CA_FILES) or subject.has_entries(*CA_FOLDERS):
        return None
    return Evidence(f"{call}, and no CA bundle in the image", "unable to get local issuer certificate")


def gnutls_tls_roots(subject: Subject) -> Evidence | None:
    """GnuTLS reads one file, which is fixed when it is built: no variable leads it elsewhere."""
    names = ("gnutls_certificate_set_x509_system_trust", "gnutls_x509_trust_list_add_system_trust")
    if subject.has_any(*CA_FILES):
        return None
    call = subject.calls(*names)
    return Evidence(f"{call}, and no CA bundle in the image", "The certificate issuer is unknown.") if call else None


def c_time_zones(subject: Subject) -> Evidence | None:
    program = subject.traits
    # Every iostream program holds the path, whether it uses it or not: then only the linker knows.
    asking = next((subject.asked_for[name] for name in _TIME_MEMBERS if name in subject.asked_for), "")
    static = "zoneinfo" in program.strings and ("iostream" not in program.strings or asking)
    call = program.imports(*_LOCAL_TIME)
    # Logs call localtime_r in every other library; without TZ, from the image or from itself, UTC is what it asks for.
    if subject.env.get("TZ") or program.imports("setenv", "putenv"):
        call = call or program.imports(*_LOCAL_TIME_AGAIN)
    known = subject.has_entries(subject.env.get("TZDIR") or "/usr/share/zoneinfo") or subject.has_any("/etc/localtime")
    if program.go or known:
        return None
    evidence = "the string /usr/share/zoneinfo" if static else ""
    if call or asking:
        evidence = f"it calls {call}" if call else f"{asking} calls for glibc's local time"
    sure = bool(evidence)
    if not sure and subject.env.get("TZ"):
        evidence = subject.library_calls(*_LOCAL_TIME, *_LOCAL_TIME_AGAIN)
    message = "no error: times are UTC but labelled with the zone"
    return Evidence(f"{evidence}, and no zoneinfo in the image", message, sure) if evidence else None


def c_temp_files(subject: Subject) -> Evidence | None:
    """`tmpfile` and `tmpnam` know /tmp alone; `tempnam` takes TMPDIR first."""
    program = subject.traits
    if subject.root.is_folder("/tmp"):
        return None
    named = bool(subject.env.get("TMPDIR")) and subject.root.is_folder(subject.env["TMPDIR"])
    functions = (*_TEMP_FILES, *(() if named else ("tempnam",)))
    call, maker = _called(program, *functions), _called(program, *TEMP_MAKERS)
    known = {"tmpfile": "%.*s/%.*sXXXXXX", "musl-tmpfile": "/tmp/tmpfile_XXXXXX"}
    marker = next((text for name, text in known.items() if name in program.strings), "")
    if maker and not call and marker == known["tmpfile"]:
        marker = ""  # in glibc they share it
    evidence = f"it calls {call}" if call else f"the string {marker}" if marker else ""
    sure = bool(evidence)
    if maker and not (sure or named or program.strings.isdisjoint(("/tmp", "/tmp/"))):
        evidence = f"it calls {maker} and has the string /tmp"
    evidence = evidence or subject.library_calls(*functions)
    return Evidence(f"{evidence}, and no /tmp in the image", "No such file or directory", sure) if evidence else None


def _called(program: Traits, *names: str) -> str:
    """The first of `names` that a program imports, or, as a static one, has inside; "" for none."""
    return program.imports(*names) or next((name for name in names if name in program.symbols), "")


def sqlite_temp_files(subject: Subject) -> Evidence | None:
    """SQLite takes the first folder that it may write to, at last the working directory. Source: sqlite3, os_unix.c."""
    program = subject.traits
    call = program.imports("sqlite3_open", "sqlite3_open_v2", "sqlite3_open16")
    folders = (subject.env.get("SQLITE_TMPDIR", ""), subject.env.get("TMPDIR", ""), "/var/tmp", "/usr/tmp", "/tmp")
    known = any(folder and subject.root.is_folder(folder) for folder in folders)
    if known or not (call or "sqlite" in program.strings):
        return None
    evidence = f"it calls {call}" if call else "the string SQLITE_TMPDIR"
    return Evidence(f"{evidence}, and no /tmp in the image", "disk I/O error", sure=False)


def c_shell(subject: Subject) -> Evidence | None:
    program = subject.traits
    if program.go or subject.has_any("/bin/sh"):
        return None
    call = _called(program, "system", "popen")
    # In static glibc execvp names the shell too, but only system() has what system(NULL) tries it with.
    inside = program.names_file("/bin/sh") or {"/bin/sh", "exit-0"} <= program.strings
    evidence = f"it calls {call}" if call else "the string /bin/sh" if inside else ""
    evidence = evidence or subject.library_calls("system", "popen")
    if not evidence:
        return None
    returned = "-1" if subject.is_musl else "32512, exit code 127"
    ends = "popen returns NULL" if evidence.endswith("popen") else f"system returns {returned}"
    seen = f"{evidence}, and no /bin/sh in the image"
    return Evidence(seen, f"no error that says so: {ends}", sure=bool(call or inside))


def terminfo(subject: Subject) -> Evidence | None:
    program = subject.traits
    # Entries stand in folders that are named for their first letter: x, or 78. Source: ncurses, term(5).
    folders = (subject.env.get("TERMINFO", ""), *_TERMINFO_FOLDERS)
    if any(len(name) <= 2 for folder in folders if folder for name in subject.root.names(folder)):
        return None
    call = program.imports("initscr", "newterm")
    marker = "" if program.go or "curses" not in program.strings else "Error opening terminal"
    if call or marker:
        return Evidence(
            f"{f'it calls {call}' if call else f'the string {marker!r}'}, and no terminfo in the image",
            f"Error opening terminal: {subject.env.get('TERM') or '<terminal>'}.",
        )
    # These report that there is no entry, and many programs go on without one.
    asks = program.imports("setupterm", "tgetent")
    message = "terminals database is inaccessible"
    inside = "setupterm" in program.strings and not program.go
    evidence = f"it calls {asks}" if asks else f"the string {message!r}" if inside else ""
    evidence = evidence or subject.library_calls("initscr", "newterm")
    return Evidence(f"{evidence}, and no terminfo in the image", message, sure=False) if evidence else None


def musl_thread_stack(subject: Subject) -> Evidence | None:
    program = subject.traits
    threads = program.imports("pthread_create") or "pthread_create" in program.symbols
    if not threads or not subject.is_musl or (program.stack or 0) > _MUSL_STACK:
        return None
    return Evidence(
        f"musl, threads, and a stack size of {program.stack or 0} in PT_GNU_STACK: each thread gets 128 KiB",
        "Segmentation fault in a thread that needs more (exit code 139)",
    )


def pid1_signals(subject: Subject) -> Evidence | None:
    """As process 1 a program is not ended by a signal that it has no handler for."""
    program = subject.traits
    if program.go or (not program.dynamic.has_dynamic and not program.symbols):
        return None
    waits = program.imports(*_WAITS) or next((name for name in _WAITS if name in program.symbols), None)
    if waits is None or program.imports(*_HANDLES) or any(name in program.symbols for name in _HANDLES):
        return None
    return Evidence(
        f"it calls {waits} and nothing that installs a signal handler",
        "SIGTERM is ignored: `docker stop` waits for its time limit and kills it (exit code 137)",
    )
