"""Rules for programs that start and then lack something. Each returns what it saw, or None."""

from __future__ import annotations

from recipes.elf.golang import GoFacts
from recipes.verdict.subject import Evidence, Subject

# Where Go and OpenSSL look. Source: crypto/x509/root_linux.go; OpenSSL's OPENSSLDIR as the distributions set it.
_CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_CA_FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")
_ZONE_FOLDERS = ("/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo")
_TERMINFO_FOLDERS = ("/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo", "/usr/lib/terminfo")
_MUSL_STACK = 131072  # bytes; musl takes the larger of this and PT_GNU_STACK's
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_STAT = "stat {}: no such file or directory"
_TIME_MEMBERS = ("localtime.o", "mktime.o")
# 32-bit programs with 64-bit time have names of their own.
_LOCAL_TIME = ("localtime", "mktime", "tzset", "ctime", "timelocal", "__localtime64", "__mktime64", "__ctime64")
_LOCAL_TIME_AGAIN = ("localtime_r", "ctime_r", "__localtime64_r", "__ctime64_r")
_USERS = (
    *("getpwnam", "getpwnam_r", "getpwuid", "getpwuid_r", "getpwent", "getpwent_r"),
    *("getgrnam", "getgrnam_r", "getgrgid", "getgrgid_r", "getgrent", "getgrent_r"),
    *("initgroups", "getgrouplist"),
)
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


def go_tls_roots(subject: Subject) -> Evidence | None:
    go = subject.traits.go
    if go is None or not go.links("crypto/x509.loadSystemRoots") or go.links("crypto/x509.SetFallbackRoots"):
        return None
    named = subject.env.get("SSL_CERT_FILE")
    files = (named,) if named else _CA_FILES
    if subject.has_any(*files) or subject.has_entries(*(subject.env.get("SSL_CERT_DIR", "").split(":")), *_CA_FOLDERS):
        return None
    return Evidence(
        "the function crypto/x509.loadSystemRoots, and no CA bundle in the image",
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
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
    if subject.has_any(*_CA_FILES) or subject.has_entries(*_CA_FOLDERS):
        return None
    return Evidence(f"{call}, and no CA bundle in the image", "unable to get local issuer certificate")


def gnutls_tls_roots(subject: Subject) -> Evidence | None:
    """GnuTLS reads one file, which is fixed when it is built: no variable leads it elsewhere."""
    names = ("gnutls_certificate_set_x509_system_trust", "gnutls_x509_trust_list_add_system_trust")
    if subject.has_any(*_CA_FILES):
        return None
    call = subject.calls(*names)
    return Evidence(f"{call}, and no CA bundle in the image", "The certificate issuer is unknown.") if call else None


def go_time_zones(subject: Subject) -> Evidence | None:
    go = subject.traits.go
    if go is None or go.links_package("time/tzdata"):
        return None
    loads = go.links("time.LoadLocation")
    if loads and not subject.has_any(subject.env.get("ZONEINFO", "")) and not subject.has_entries(*_ZONE_FOLDERS):
        return Evidence(
            "the function time.LoadLocation, and no zoneinfo in the program or the image", "unknown time zone <zone>"
        )
    zone = _go_local_zone(subject)
    if not go.links("time.initLocal") or not zone or subject.has_any(*zone):
        return None
    return Evidence(
        f"TZ={subject.env['TZ']} and the function time.initLocal, and no {zone[0]} in the image",
        "no error: local times are UTC",
    )


def _go_local_zone(subject: Subject) -> tuple[str, ...]:
    """The files of which Go takes local time's zone, where TZ names one. Source: time/zoneinfo_unix.go, initLocal."""
    name = subject.env.get("TZ", "").removeprefix(":")
    if name in ("", "UTC"):
        return ()
    return (name,) if name.startswith("/") else tuple(f"{folder}/{name}" for folder in _ZONE_FOLDERS)


def c_time_zones(subject: Subject) -> Evidence | None:
    program = subject.traits
    # Every iostream program holds the path, whether it uses it or not: then only the linker knows.
    asking = next((subject.asked_for[name] for name in _TIME_MEMBERS if name in subject.asked_for), "")
    static = "zoneinfo" in program.strings and ("iostream" not in program.strings or asking)
    call = program.imports(*_LOCAL_TIME)
    # Logs call localtime_r in every other library; without TZ, from the image or from itself, UTC is what it asks for.
    if subject.env.get("TZ") or program.imports("setenv", "putenv"):
        call = call or program.imports(*_LOCAL_TIME_AGAIN)
    if program.go or not (static or call) or subject.has_entries(subject.env.get("TZDIR") or "/usr/share/zoneinfo"):
        return None
    if subject.has_any("/etc/localtime"):
        return None
    evidence = "the string /usr/share/zoneinfo"
    if call or asking:
        evidence = f"it calls {call}" if call else f"{asking} calls for glibc's local time"
    return Evidence(
        f"{evidence}, and no zoneinfo in the image",
        "no error: times are UTC but labelled with the zone",
    )


def go_users(subject: Subject) -> Evidence | None:
    go = subject.traits.go
    if go is None:
        return None
    # Only the half of os/user that calls the C library has this function; its words are others.
    through_c = go.links("os/user.retryWithBuffer")
    files, messages = [], []
    users = ("os/user.lookupUser", "os/user.lookupUserId", "os/user.lookupUnixUid")
    if _links_either(go, *users) and not subject.has_any("/etc/passwd"):
        files.append("/etc/passwd")
        if through_c:
            messages.append("user: unknown userid <number>")
            messages += ["user: unknown user <name>"] * go.links("os/user.lookupUser")
        else:
            if not subject.env.get("USER"):
                messages.append("user: Current requires cgo or $USER set in environment")
            messages.append("open /etc/passwd: no such file or directory")
    if _links_either(go, "os/user.lookupGroup", "os/user.lookupGroupId") and not subject.has_any("/etc/group"):
        files.append("/etc/group")
        messages.append("group: unknown group <name>" if through_c else "open /etc/group: no such file or directory")
    if not files:
        return None
    package = "the package os/user" if through_c else "the package os/user without cgo"
    return Evidence(f"{package}, and no {' or '.join(files)} in the image", "; ".join(messages))


def _links_either(go: GoFacts, *functions: str) -> bool:
    return any(go.links(function) for function in functions)


def nss_users(subject: Subject) -> Evidence | None:
    program = subject.traits
    call = program.imports(*_USERS)
    marker = next((name for name in ("passwd", "group") if name in program.strings), None)
    named = next((path for path in ("/etc/passwd", "/etc/group") if program.names_file(path)), None)
    if not (call or marker or named) or subject.has_any("/etc/passwd"):
        return None
    evidence = f"it calls {call}" if call else f"the string {f'__nss_{marker}_lookup2' if marker else named}"
    return Evidence(f"{evidence}, and no /etc/passwd in the image", "No such file or directory")


def nss_services(subject: Subject) -> Evidence | None:
    program = subject.traits
    # Go's package net has getaddrinfo for host names; it knows the usual services itself, and has other words.
    through_net = program.go is not None and program.go.links_package("net")
    call = program.imports(*(() if through_net else ("getaddrinfo",)), "getservbyname", "getservbyname_r")
    marker = "__nss_services_lookup2" if "services" in program.strings and not through_net else ""
    if not marker and program.names_file("/etc/services"):
        marker = "/etc/services"
    if not (call or marker) or subject.has_any("/etc/services"):
        return None
    evidence = f"it calls {call}" if call else f"the string {marker}"
    return Evidence(f"{evidence}, and no /etc/services in the image", "Servname not supported for ai_socktype")


def nss_protocols(subject: Subject) -> Evidence | None:
    """glibc reads the names of IP's protocols from a file; musl has them inside."""
    program = subject.traits
    call = program.imports("getprotobyname", "getprotobyname_r", "getprotobynumber", "getprotobynumber_r")
    marker = "__nss_protocols_lookup2" if "protocols" in program.strings else ""
    if not (call or marker) or is_musl(subject) or subject.has_any("/etc/protocols"):
        return None
    evidence = f"it calls {call}" if call else f"the string {marker}"
    return Evidence(f"{evidence}, and no /etc/protocols in the image", "No such file or directory")


def nss_modules(subject: Subject) -> Evidence | None:
    """A static program would load shared modules, of a glibc that need not be its own."""
    program = subject.traits
    databases = {"passwd", "group", "services", "hosts"} & program.strings
    if not program.is_static or not databases:
        return None
    for line in subject.text("/etc/nsswitch.conf").splitlines():
        database, _, services = line.partition("#")[0].partition(":")
        modules = [word for word in services.split() if word[0] not in "[!" and word[-1] != "]"]
        odd = [module for module in modules if module not in ("files", "dns")]
        if database.strip() in databases and odd:
            return Evidence(
                f"/etc/nsswitch.conf of the image: {line.strip()!r}",
                f"libnss_{odd[0]}.so.2 is loaded at run time where it exists, else skipped; no error",
            )
    return None


def go_temp_files(subject: Subject) -> Evidence | None:
    go = subject.traits.go
    made = next((name for name in ("os.CreateTemp", "os.MkdirTemp") if go and go.links(name)), None)
    folder = subject.env.get("TMPDIR") or "/tmp"
    if made is None or subject.root.is_folder(folder):
        return None
    message = f"open {folder}/<name>: no such file or directory" if made == "os.CreateTemp" else _STAT.format(folder)
    return Evidence(f"the function {made}, and no {folder} in the image", message)


def c_temp_files(subject: Subject) -> Evidence | None:
    call = subject.traits.imports("tmpfile", "tmpfile64")
    known = {"tmpfile": "%.*s/%.*sXXXXXX", "musl-tmpfile": "/tmp/tmpfile_XXXXXX"}
    marker = next((text for name, text in known.items() if name in subject.traits.strings), None)
    if not (call or marker) or subject.root.is_folder("/tmp"):
        return None
    evidence = f"it calls {call}" if call else f"the string {marker}"
    return Evidence(f"{evidence}, and no /tmp in the image", "No such file or directory")


def c_shell(subject: Subject) -> Evidence | None:
    program = subject.traits
    if program.go or subject.has_any("/bin/sh"):
        return None
    call = program.imports("system", "popen") or next(
        (name for name in ("system", "popen") if name in program.symbols), ""
    )
    # In static glibc execvp names the shell too, but only system() has what system(NULL) tries it with.
    inside = program.names_file("/bin/sh") or {"/bin/sh", "exit-0"} <= program.strings
    if not call and not inside:
        return None
    returned = "-1" if is_musl(subject) else "32512, exit code 127"
    return Evidence(
        f"{f'it calls {call}' if call else 'the string /bin/sh'}, and no /bin/sh in the image",
        "no error that says so: " + ("popen returns NULL" if call == "popen" else f"system returns {returned}"),
    )


def go_child_processes(subject: Subject) -> Evidence | None:
    go = subject.traits.go
    folders = (subject.env.get("PATH") or _DEFAULT_PATH).split(":")
    functions = ("os/exec.Command", "os/exec.LookPath", "os.StartProcess")
    found = next((name for name in functions if go and go.links(name)), None)
    if found is None or subject.has_entries(*folders):
        return None
    looks_up = 'exec: "<program>": executable file not found in $PATH'
    return Evidence(
        f"the function {found}, and no program on the image's PATH",
        "fork/exec <program>: no such file or directory" if found == "os.StartProcess" else looks_up,
    )


def go_cgo_stub(subject: Subject) -> Evidence | None:
    if subject.traits.go is None or not subject.traits.go.has_cgo_stub:
        return None
    message = "Binary was compiled with 'CGO_ENABLED=0'"
    return Evidence(f"the string {message!r} in a program without cgo: a package's stub", message)


def go_plugins(subject: Subject) -> Evidence | None:
    go = subject.traits.go
    if go is None or not go.links("plugin.open") or go.settings.get("CGO_ENABLED") == "1":
        return None
    return Evidence("the function plugin.open in a program without cgo", "plugin: not implemented")


def named_locale(subject: Subject) -> Evidence | None:
    program = subject.traits
    call = program.imports("_ZNSt6localeC1EPKc", "_ZNSt6localeC2EPKc")
    if not (call or "named-locale" in program.strings) or subject.has_entries("/usr/lib/locale"):
        return None
    evidence = "it calls std::locale(name)" if call else "the string 'locale::locale null not valid'"
    return Evidence(f"{evidence}, and no locales in the image", "locale::facet::_S_create_c_locale name not valid")


def terminfo(subject: Subject) -> Evidence | None:
    program = subject.traits
    call = program.imports("initscr", "newterm")
    marker = "" if program.go or "curses" not in program.strings else "Error opening terminal"
    # Entries stand in folders that are named for their first letter: x, or 78. Source: ncurses, term(5).
    folders = (subject.env.get("TERMINFO", ""), *_TERMINFO_FOLDERS)
    known = any(len(name) <= 2 for folder in folders if folder for name in subject.root.names(folder))
    if not (call or marker) or known:
        return None
    return Evidence(
        f"{f'it calls {call}' if call else f'the string {marker!r}'}, and no terminfo in the image",
        f"Error opening terminal: {subject.env.get('TERM') or '<terminal>'}.",
    )


def musl_thread_stack(subject: Subject) -> Evidence | None:
    program = subject.traits
    threads = program.imports("pthread_create") or "pthread_create" in program.symbols
    if not threads or not is_musl(subject) or (program.stack or 0) > _MUSL_STACK:
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


def is_musl(subject: Subject) -> bool:
    interpreter = subject.traits.dynamic.interpreter
    return subject.traits.libc == "musl" or (interpreter is not None and "/ld-musl-" in interpreter)
