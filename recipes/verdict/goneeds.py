"""Rules for Go programs that start and then lack something. Each returns what it saw, or None."""

from __future__ import annotations

from recipes.elf.golang import GoFacts
from recipes.verdict.needs import CA_FILES, CA_FOLDERS
from recipes.verdict.subject import Evidence, Subject

_ZONE_FOLDERS = ("/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_STAT = "stat {}: no such file or directory"


def tls_roots(subject: Subject) -> Evidence | None:
    go = subject.traits.go
    if go is None or not go.links("crypto/x509.loadSystemRoots") or go.links("crypto/x509.SetFallbackRoots"):
        return None
    named = subject.env.get("SSL_CERT_FILE")
    files = (named,) if named else CA_FILES
    if subject.has_any(*files) or subject.has_entries(*(subject.env.get("SSL_CERT_DIR", "").split(":")), *CA_FOLDERS):
        return None
    return Evidence(
        "the function crypto/x509.loadSystemRoots, and no CA bundle in the image",
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
    )


def time_zones(subject: Subject) -> Evidence | None:
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


def users(subject: Subject) -> Evidence | None:
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


def temp_files(subject: Subject) -> Evidence | None:
    """Whether it names a folder of its own to CreateTemp is in no table; nor what it does with os.TempDir's answer."""
    go = subject.traits.go
    made = next((name for name in ("os.CreateTemp", "os.MkdirTemp", "os.TempDir") if go and go.links(name)), None)
    folder = subject.env.get("TMPDIR") or "/tmp"
    if made is None or subject.root.is_folder(folder):
        return None
    message = _STAT.format(folder) if made == "os.MkdirTemp" else f"open {folder}/<name>: no such file or directory"
    return Evidence(f"the function {made}, and no {folder} in the image", message, sure=made != "os.TempDir")


def protocols(subject: Subject) -> Evidence | None:
    """Every program that dials can look up a protocol; only these two functions are for sockets of another than TCP
    and UDP. Go knows ICMP, IGMP, TCP and UDP itself. Source: net/lookup.go, protocols.
    """
    go = subject.traits.go
    asks = next((name for name in ("net.DialIP", "net.ListenIP") if go and go.links(name)), None)
    if asks is None or subject.has_any("/etc/protocols"):
        return None
    return Evidence(f"the function {asks}, and no /etc/protocols in the image", "unknown IP protocol specified")


def child_processes(subject: Subject) -> Evidence | None:
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


def cgo_stub(subject: Subject) -> Evidence | None:
    if subject.traits.go is None or not subject.traits.go.has_cgo_stub:
        return None
    message = "Binary was compiled with 'CGO_ENABLED=0'"
    return Evidence(f"the string {message!r} in a program without cgo: a package's stub", message)


def plugins(subject: Subject) -> Evidence | None:
    go = subject.traits.go
    if go is None or not go.links("plugin.open") or go.settings.get("CGO_ENABLED") == "1":
        return None
    return Evidence("the function plugin.open in a program without cgo", "plugin: not implemented")
