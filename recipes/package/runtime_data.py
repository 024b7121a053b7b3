"""The data that programs ask for at run time: which of it a program will miss, and the files that are the answer.

A rule of `verdict/hazards.py` says that something is missing; the table here says what would be the answer to it. What
the base has already, or the sample brings along itself, is never added.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from recipes import errors
from recipes.architecture import architecture
from recipes.errors import BadInput
from recipes.model import (
    Environment,
    FileEntry,
    Finding,
    ImageSettings,
    Need,
    Platform,
    RuntimeData,
    Status,
    Verdict,
)
from recipes.package.services import PROTOCOLS, SERVICES

CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
ZONES = "/usr/share/zoneinfo"
NSSWITCH = b"passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n"
TERMINFO = "/usr/share/terminfo"
"""Where every distribution's curses looks, though some keep their own entries elsewhere."""

UTF8_LOCALE = "/usr/lib/locale/C.utf8"
_NAMES_OF_UTF8 = {"C.UTF-8", "C.utf8"}
_TERMINALS = (
    *("ansi", "dumb", "linux", "screen", "screen-256color", "tmux", "tmux-256color"),
    *("vt100", "vt220", "xterm", "xterm-256color"),
)
"""What a container's terminal is called: by engines, by what people look at it with, and on a console."""

_THIS_MACHINES_TERMINFO = ("/etc/terminfo", "/lib/terminfo", TERMINFO, "/usr/lib/terminfo")
_NOBODY = 65534
_NO_LOGIN = "/sbin/nologin"

ANSWERS: dict[str, Need] = {
    "go-tls-roots": "ca-certificates",
    "openssl-tls-roots": "ca-certificates",
    "gnutls-tls-roots": "ca-certificates",
    "go-time-zones": "time-zones",
    "c-time-zones": "time-zones",
    "go-users": "users",
    "nss-users": "users",
    "unknown-user": "users",
    "nss-services": "services",
    "nss-protocols": "protocols",
    "go-protocols": "protocols",
    "nss-modules": "nsswitch",
    "go-temp-files": "tmp",
    "c-temp-files": "tmp",
    "sqlite-temp-files": "tmp",
    "terminfo": "terminfo",
    "c-locale": "utf8-locale",
}
"""The code of a finding → the data that answers it. A finding that is not here has another answer than data."""


class Lists(Protocol):
    """What has to be known of the root that the data goes into."""

    def is_file(self, path: str) -> bool: ...

    def read(self, path: str) -> bytes: ...


@dataclasses.dataclass(frozen=True, slots=True)
class Data:
    """One kind of data. `files` makes it from the image's settings and the root that it goes into.

    `would_help` False: this machine has none for that platform, or it is not what the finding says that is lacking.
    """

    what: str
    files: Callable[[ImageSettings, Lists], Iterable[FileEntry]]
    env: Environment = ()
    would_help: Callable[[Finding, ImageSettings, Platform], bool] = lambda finding, settings, platform: True


def choose(verdict: Verdict, settings: ImageSettings, platform: Platform) -> tuple[RuntimeData, ...]:
    """What has to be added: the sample's own choice, else what the verdict's findings ask for.

    A program that does not start needs no data, unless that is what keeps it from starting.
    """
    if settings.needs is not None:
        return tuple(RuntimeData(need, "the sample asks for it") for need in settings.needs)
    # A bundle of the base's does not have them, so it is not an answer, and there is no finding.
    found: dict[Need, str] = {"ca-certificates": "the sample adds certificate authorities"} if settings.ca else {}
    for finding in verdict.findings:
        need = ANSWERS.get(finding.code)
        if need is not None and NEEDS[need].would_help(finding, settings, platform):
            found.setdefault(need, _why(finding))
    if verdict.status is Status.FAILS and not all(finding.code in ANSWERS for finding in verdict.certain):
        return ()
    return tuple(RuntimeData(need, found[need]) for need in sorted(found))


def files(chosen: Iterable[RuntimeData], settings: ImageSettings, root: Lists) -> tuple[FileEntry, ...]:
    """The files of the chosen data. What the sample puts at the same path itself is left alone."""
    own = {entry.path for entry in settings.files}
    entries = (entry for each in chosen for entry in NEEDS[each.need].files(settings, root))
    return tuple(entry for entry in entries if entry.path not in own)


def environment(chosen: Iterable[RuntimeData], settings: ImageSettings) -> Environment:
    """The variables that lead programs to the data, without those that the sample sets itself."""
    set_already = dict(settings.env)
    pairs = (pair for each in chosen for pair in NEEDS[each.need].env)
    return tuple(pair for pair in pairs if pair[0] not in set_already)


def _why(finding: Finding) -> str:
    return f"{finding.evidence} ({finding.code})"


# ── each of them ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _ca_bundle(settings: ImageSettings, root: Lists) -> Iterable[FileEntry]:
    """Mozilla's authorities as certifi carries them, and the sample's own behind them, or behind those of the root."""
    import certifi

    extended = settings.ca and root.is_file(CA_BUNDLE)
    usual = root.read(CA_BUNDLE) if extended else Path(certifi.where()).read_bytes()
    yield FileEntry(CA_BUNDLE, b"\n".join((usual, *(_certificates(path) for path in settings.ca))), 0o644)


def _certificates(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read the certificate {str(path)!r}: {error.strerror}") from error
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise BadInput(f"{str(path)!r} holds no certificate", hint="it has to be in PEM form")
    return data


def _time_zones(settings: ImageSettings, root: Lists) -> Iterable[FileEntry]:
    """The tzdata wheel's compiled zones; with `zones`, those alone."""
    folder, known = _zoneinfo()
    for name in settings.zones:
        if name not in known:
            raise errors.unknown("time zone", name, known)
    # Beside the zones the tables, which std::chrono reads: only where all zones are meant.
    tables = () if settings.zones else ("iso3166.tab", "leapseconds", "tzdata.zi", "zone.tab", "zone1970.tab")
    for name in (*(settings.zones or known), *tables):
        if (folder / name).is_file():
            yield FileEntry(f"{ZONES}/{name}", folder / name, 0o644)


@functools.cache
def _zoneinfo() -> tuple[Path, tuple[str, ...]]:
    from importlib.util import find_spec

    spec = find_spec("tzdata")
    if spec is None or not spec.submodule_search_locations:
        raise errors.ToolMissing("the tzdata package is not installed", hint="pip install tzdata")
    package = Path(spec.submodule_search_locations[0])
    names = sorted((package / "zones").read_text(encoding="utf-8").split())
    return package / "zoneinfo", tuple(names)


def _users(settings: ImageSettings, root: Lists) -> Iterable[FileEntry]:
    """The lists of the root, if it has any, with root, nobody and the image's own user in them."""
    user, _, group = settings.user.partition(":")
    uid = int(user) if user.isdecimal() else 65532
    gid = int(group) if group.isdecimal() else uid
    name = user if user and not user.isdecimal() else {0: "root", _NOBODY: "nobody"}.get(uid, "nonroot")
    group_name = group if group and not group.isdecimal() else {0: "root", _NOBODY: "nogroup"}.get(gid, name)
    yield _list("/etc/passwd", root, {
        "root": f"root:x:0:0:root:/root:{_NO_LOGIN}",
        "nobody": f"nobody:x:{_NOBODY}:{_NOBODY}:nobody:/nonexistent:{_NO_LOGIN}",
        name: f"{name}:x:{uid}:{gid}:{name}:/:{_NO_LOGIN}",
    })  # fmt: skip
    yield _list("/etc/group", root, {
        "root": "root:x:0:", "nogroup": f"nogroup:x:{_NOBODY}:", group_name: f"{group_name}:x:{gid}:",
    })  # fmt: skip


def _list(path: str, root: Lists, wanted: Mapping[str, str]) -> FileEntry:
    lines = root.read(path).decode(errors="surrogateescape").splitlines() if root.is_file(path) else []
    present = {line.partition(":")[0] for line in lines}
    lines += [line for name, line in wanted.items() if name not in present]
    return FileEntry(path, "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"), 0o644)


def _temporary_folder(settings: ImageSettings, root: Lists) -> Iterable[FileEntry]:
    yield FileEntry("/tmp", None, 0o1777)


def _services(settings: ImageSettings, root: Lists) -> Iterable[FileEntry]:
    lines = [f"{name}\t{port}/{protocol}" for name, port, protocols in SERVICES for protocol in protocols.split()]
    yield FileEntry("/etc/services", "".join(f"{line}\n" for line in lines).encode(), 0o644)


def _protocols(settings: ImageSettings, root: Lists) -> Iterable[FileEntry]:
    """Each with its name in capital letters as an alias, as such lists have it."""
    lines = "".join(f"{name}\t{number}\t{name.upper()}\n" for name, number in PROTOCOLS)
    yield FileEntry("/etc/protocols", lines.encode(), 0o644)


def _terminals(settings: ImageSettings, root: Lists) -> Iterable[FileEntry]:
    """This machine's entries for the usual terminals. Source: term(5), "Storage Location"."""
    found = _terminal_entries()
    if not found:
        raise errors.ToolMissing("this machine has no terminfo", hint="on Debian the package is ncurses-base")
    for name, path in found:
        yield FileEntry(f"{TERMINFO}/{name[0]}/{name}", path, 0o644)


def _terminal_entries() -> tuple[tuple[str, Path], ...]:
    """The first entry that there is of each. They stand in folders that are named for their first letter."""
    places = ((name, Path(folder, name[0], name)) for name in _TERMINALS for folder in _THIS_MACHINES_TERMINFO)
    first: dict[str, Path] = {}
    for name, path in places:
        if name not in first and path.is_file():
            first[name] = path
    return tuple(first.items())


def _utf8_locale(settings: ImageSettings, root: Lists) -> Iterable[FileEntry]:
    """This machine's C.UTF-8. Source: glibc, NEWS for 2.35: it is a file like other locales, and in no program."""
    found = sorted(path for path in Path(UTF8_LOCALE).glob("**/*") if path.is_file())
    if not found:
        raise errors.ToolMissing("this machine has no locale C.UTF-8", hint="on Debian the package is libc-bin")
    for path in found:
        yield FileEntry(str(path), path, 0o644)


def _utf8_locale_helps(finding: Finding, settings: ImageSettings, platform: Platform) -> bool:
    """Whether it is C.UTF-8 that is lacking, the image names no other locale, and this machine has it in the CPU's byte
    order. A program that asks for en_US.UTF-8 alone, as zip does, never looks at another one.

    Source: localedef(1), --big-endian.
    """
    named = {value for name, value in settings.env if name in ("LC_ALL", "LC_CTYPE", "LANG") and value}
    readable = architecture(platform.architecture).little_endian is (sys.byteorder == "little")
    lacking = any(name in finding.evidence for name in _NAMES_OF_UTF8)
    return lacking and readable and named <= _NAMES_OF_UTF8 and Path(UTF8_LOCALE).is_dir()


def _name_switch(settings: ImageSettings, root: Lists) -> Iterable[FileEntry]:
    yield FileEntry("/etc/nsswitch.conf", NSSWITCH, 0o644)


NEEDS: dict[Need, Data] = {
    "ca-certificates": Data(
        "the CA bundle, at the place where Go looks, and SSL_CERT_FILE for OpenSSL",
        _ca_bundle,
        (("SSL_CERT_FILE", CA_BUNDLE),),
    ),
    "nsswitch": Data("/etc/nsswitch.conf with files and dns alone", _name_switch),
    "protocols": Data("/etc/protocols: names for IP's protocols", _protocols),
    "services": Data("/etc/services: names for ports", _services),
    "terminfo": Data(
        "this machine's terminfo entries for the usual terminals",
        _terminals,
        would_help=lambda finding, settings, platform: bool(_terminal_entries()),
    ),
    "time-zones": Data("/usr/share/zoneinfo", _time_zones),
    "tmp": Data("/tmp with mode 1777", _temporary_folder),
    "users": Data("/etc/passwd and /etc/group with the image's user", _users),
    "utf8-locale": Data(
        "this machine's locale C.UTF-8, and LANG", _utf8_locale, (("LANG", "C.UTF-8"),), _utf8_locale_helps
    ),
}
"""Everything that can be added, by the name that `needs` takes."""
