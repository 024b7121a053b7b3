"""The `[image]` table of a sample.toml, and `--set KEY=VALUE` on the command line, which says the same.

[image]
path = "/usr/bin/hello"                  # where the program stands, if not at /app
install = true                           # take along what the project installs beside its program
user = "65532:65532"                     # numbers, or names that /etc/passwd has
workdir = "/"
cmd = ["--verbose"]
ports = ["8080", "53/udp"]
volumes = ["/data"]
stop_signal = "SIGINT"
env = { LANG = "C" }
labels = { team = "us" }
annotations = { "org.opencontainers.image.source" = "https://example.org/hello" }
needs = "auto"                           # or [] for nothing, or a list of those that are meant
zones = ["Europe/Berlin"]                # the time zones that are meant, if not all
ca = ["ca.pem"]                          # certificates that the CA bundle holds beside the usual ones
healthcheck = { http = "http://127.0.0.1:8080/healthz", interval = 10 }   # or { test = ["/app", "--health"] }
[image.files]
"/etc/app.conf" = "app.conf"             # a file or a folder of the sample
"/etc/key" = { source = "key", mode = "0400", owner = "65532:65532" }
"/etc/motd" = { text = "hello" }
"/data" = { mode = "1777" }              # a folder
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from recipes.errors import BadInput, unknown
from recipes.model import PROGRAM, Environment, FileEntry, HealthCheck, ImageSettings, Need
from recipes.support.settings import Table, is_absolute, is_text, is_texts

KEYS = (
    *("path", "install", "user", "workdir", "cmd", "env", "ports", "volumes", "stop_signal"),
    *("healthcheck", "labels", "annotations", "files", "needs", "zones", "ca"),
)
_LISTS = ("cmd", "ports", "volumes", "zones", "ca", "needs")
_TABLES = ("env", "labels", "annotations", "files", "healthcheck")
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(?:tcp|udp|sctp))?", re.ASCII)
_REAL_TIME_SIGNAL = re.compile(r"SIGRT(?:MIN\+(?:[1-9]|1[0-5])|MAX-(?:[1-9]|1[0-4]))")
_ACCOUNT = re.compile(r"[^\s:,/-][^\s:,/]*")
_HIGHEST_ID = 2**31 - 1
"""What engines take for a user or a group."""
_OWNER = re.compile(r"(\d{1,7}):(\d{1,7})")
_PROBE = "/probe"
_KERNELS_OWN = ("/proc", "/sys", "/dev")
_KERNELS_OWN_HINT = "/proc, /sys and /dev belong to the kernel in every container: choose another folder"

Locate = Callable[[str, str], Path]
"""(path as it was written, key) → where it is. Raises: BadInput."""


def read(table: Table, locate: Locate, start: ImageSettings | None = None) -> ImageSettings:
    """The settings that the table changes, on top of `start`. Raises: BadInput."""
    start = start or ImageSettings()
    table.only(*KEYS)
    files = {entry.path: entry for entry in (*start.files, *_files(table.table("files"), locate))}
    health = _health(table, start.healthcheck)
    volumes, workdir = _volumes(table, start.volumes), _workdir(table, start.workdir)
    folders = [*(("volumes", path) for path in volumes), ("workdir", workdir)]
    path, called = _path(table, start)
    places = {name: "where the program is" for name in (path or PROGRAM, called) if name}
    _check_places(table, files, folders, {**places, **_probe(health)})
    return replace(
        start,
        path=path,
        called=called,
        install=_install(table, start.install),
        user=_user(table, start.user),
        workdir=workdir,
        cmd=table.texts("cmd", start.cmd),
        env=_over(start.env, _variables(table)),
        ports=_ports(table, start.ports),
        volumes=volumes,
        stop_signal=_signal(table, start.stop_signal),
        healthcheck=health,
        labels=_over(start.labels, table.pairs("labels")),
        annotations=_over(start.annotations, table.pairs("annotations")),
        files=tuple(files[path] for path in sorted(files)),
        needs=_needs(table, start.needs),
        zones=table.texts("zones", start.zones),
        ca=(*start.ca, *(locate(path, "image.ca") for path in table.texts("ca"))),
    )


def from_command_line(words: Iterable[str], start: ImageSettings) -> ImageSettings:
    """`KEY=VALUE` or `TABLE.NAME=VALUE`, with VALUE as text, or as TOML where it starts as a list, table or string.

    Paths are taken from the current folder. Raises: BadInput.
    """
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        key, dot, inner = name.partition(".")
        whole = key in _TABLES and text.startswith("{")
        if key not in KEYS:
            raise BadInput(f"not a setting of an image: {word!r}", unknown("key", key, KEYS).hint)
        if not equals or (bool(dot) != (key in _TABLES) and not (whole and not dot)):
            example = f"{key}.NAME=VALUE" if key in _TABLES else "user=1000:1000"
            raise BadInput(f"not a setting of an image: {word!r}", hint=f"write it as --set {example}")
        value = _value(text, as_list=key in _LISTS and text not in ("auto", "none"))
        if key in _TABLES:
            values.setdefault(key, {}).update({inner: value} if dot else value)
        else:
            values[key] = value
    return read(Table("--set", values), lambda path, key: Path(path).absolute(), start)


def _value(text: str, *, as_list: bool) -> Any:
    if text[:1] in ("[", "{", '"', "'"):
        import tomllib

        try:
            return tomllib.loads(f"value = {text}")["value"]
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise BadInput(f"not TOML: {text!r}: {error}") from error
    if as_list:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _over(start: Environment, more: dict[str, str]) -> Environment:
    return tuple({**dict(start), **more}.items())


def _user(table: Table, start: str) -> str:
    """A name or a number, and perhaps a colon and a group as one of both; or "" for the root."""
    value = table.text("user", start)
    for part in value.split(":", 1) if value else ():
        if not _ACCOUNT.fullmatch(part) or (part.isdecimal() and (len(part) > 10 or int(part) > _HIGHEST_ID)):
            raise table.wrong("user", f"is {value!r}", hint="for example 65532:65532, or a name")
    return value


def _variables(table: Table) -> dict[str, str]:
    pairs = table.pairs("env")
    for name in pairs:
        if not name or "=" in name:
            raise table.wrong("env", f"has {name!r}, which is not a valid variable name", hint='for example LANG = "C"')
    return pairs


def _ports(table: Table, start: tuple[str, ...]) -> tuple[str, ...]:
    values = table.texts("ports", start)
    for value in values:
        match = _PORT.fullmatch(value)
        if match is None or not 1 <= int(match[1]) <= int(match[2] or match[1]) <= 65535:
            raise table.wrong("ports", f"has {value!r}, which is not a port, such as 8080 or 53/udp")
    return values


def _volumes(table: Table, start: tuple[str, ...]) -> tuple[str, ...]:
    values = table.texts("volumes", start)
    for value in values:
        if not is_absolute(value) or posixpath.normpath(value) == "/":
            raise table.wrong("volumes", f"has {value!r}, which is not an absolute path of a folder")
        if _is_kernels_own(value):
            raise table.wrong("volumes", f"has {value!r}", hint=_KERNELS_OWN_HINT)
    return values


def _path(table: Table, start: ImageSettings) -> tuple[str, str]:
    """Where the program stands, and what else it is called: no longer that, where another place is given."""
    value = table.text("path", start.path)
    if "path" not in table.values:
        return start.path, start.called
    if not _is_plain(value) or _is_kernels_own(value) or _deletes(value):
        raise table.wrong("path", f"is {value!r}", hint='an absolute path of a file, for example "/usr/bin/hello"')
    return value, ""


def _install(table: Table, start: bool) -> bool:
    value = table.values.get("install", start)
    if value not in (True, False, "true", "false"):
        raise table.wrong("install", "has to be true or false")
    return value in (True, "true")


def _probe(health: HealthCheck | None) -> dict[str, str]:
    return {_PROBE: "where the probe is"} if health is not None and health.http else {}


def _is_plain(path: str) -> bool:
    return is_absolute(path) and path == posixpath.normpath(path) and path != "/" and path[:2] != "//"


def _workdir(table: Table, start: str) -> str:
    value = str(table.get("workdir", is_absolute, "an absolute path", start))
    if _is_kernels_own(value):
        raise table.wrong("workdir", f"is {value!r}", hint=_KERNELS_OWN_HINT)
    return value


def _is_kernels_own(path: str) -> bool:
    # Not collapsed by normpath: exactly two slashes at the start would stay.
    place = PurePosixPath(posixpath.normpath(f"/{path.strip('/')}"))
    return any(place.is_relative_to(own) for own in _KERNELS_OWN)


def _signal(table: Table, start: str) -> str:
    value = table.text("stop_signal", start)
    known = value in signal.Signals.__members__ or _REAL_TIME_SIGNAL.fullmatch(value)
    if value and not known and value not in map(str, range(1, signal.SIGRTMAX + 1)):
        raise table.wrong("stop_signal", f"is {value!r}", hint="for example SIGTERM")
    return value


def _needs(table: Table, start: tuple[Need, ...] | None) -> tuple[Need, ...] | None:
    if "needs" not in table.values:
        return start
    value = table.values["needs"]
    if value in ("auto", "none"):
        return None if value == "auto" else ()
    if not is_texts(value):
        raise table.wrong("needs", 'has to be "auto", "none" or a list of strings')
    for name in value:
        if name not in get_args(Need):
            raise table.wrong("needs", f"has {name!r}", unknown("need", name, get_args(Need)).hint)
    return tuple(dict.fromkeys(value))


def _health(table: Table, start: HealthCheck | None) -> HealthCheck | None:
    if "healthcheck" not in table.values:
        return start
    health = table.table("healthcheck")
    health.only("test", "http", "interval", "timeout", "start_period", "retries")
    test, http = health.texts("test"), health.text("http")
    if bool(test) == bool(http):
        raise health.wrong("test", "or http: exactly one of them is required")
    address = re.fullmatch(r"http://(?:127\.0\.0\.1|localhost):(\d{1,5})(?:/[!-~]*)?", http, re.ASCII)
    if http and not (address and 1 <= int(address[1]) <= 65535):
        raise health.wrong("http", f"is {http!r}", hint="for example http://127.0.0.1:8080/healthz")
    standard = HealthCheck()

    def seconds(key: str, default: float) -> float:
        value = _number(health.values.get(key, default))
        if value is None or not 0 <= value <= 86400:
            raise health.wrong(key, "has to be a number of seconds")
        return value

    retries = _number(health.values.get("retries", standard.retries))
    if retries is None or not 1 <= retries <= 1000 or retries != int(retries):
        raise health.wrong("retries", "has to be a positive integer")
    return HealthCheck(
        test or (_PROBE, http),
        http,
        seconds("interval", standard.interval),
        seconds("timeout", standard.timeout),
        seconds("start_period", standard.start_period),
        int(retries),
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _files(table: Table, locate: Locate) -> Iterator[FileEntry]:
    for path, value in table.values.items():
        if not _is_plain(path):
            raise table.wrong(path, "has to be an absolute path, without . and ..")
        if is_text(value):
            yield from _copied(path, locate(value, table.prefix + path), None, (0, 0), table)
            continue
        if not isinstance(value, dict):
            raise table.wrong(path, "has to be a path, or a table with source, text, mode and owner")
        entry = Table(table.where, value, f"{table.prefix}{json.dumps(path)}.")
        entry.only("source", "text", "mode", "owner")
        mode, owner = _mode(entry), _owner(entry)
        if "text" in value and "source" in value:
            raise entry.wrong("text", "and source exclude each other")
        if "source" in value:
            yield from _copied(path, locate(entry.text("source"), f"{entry.prefix}source"), mode, owner, table)
        elif "text" in value:
            yield FileEntry(path, entry.text("text").encode(), 0o644 if mode is None else mode, *owner)
        else:
            yield FileEntry(path, None, 0o755 if mode is None else mode, *owner)


def _check_places(
    table: Table, files: Mapping[str, FileEntry], folders: Iterable[tuple[str, str]], taken: Mapping[str, str]
) -> None:
    """Raises: BadInput where two things would be at one place, or one below another that is not a folder.

    `folders` are paths that have to be folders, with the keys that they come from; `taken` are files of ours.
    """
    closed = {path: "which is a file" for path, entry in files.items() if entry.source is not None} | {**taken}
    for path in files:
        if _deletes(path):
            raise table.wrong("files", f"has {path!r}, and names with .wh. would delete files of the base")
        if path in taken:
            raise table.wrong("files", f"has {path!r}, {taken[path]}")
    for key, path in (*(("files", path) for path in files), *folders):
        place = posixpath.normpath(path)
        if key != "files" and place in closed:
            raise table.wrong(key, f"has {path!r}, {closed[place]}")
        for above in map(str, PurePosixPath(place).parents):
            if above in closed:
                raise table.wrong(key, f"has {path!r} below {above!r}, {closed[above]}")


def _deletes(path: str) -> bool:
    """Whether a layer with this name in it takes something out of the layers below."""
    return any(name.startswith(".wh.") for name in path.split("/"))


def _copied(path: str, source: Path, mode: int | None, owner: tuple[int, int], table: Table) -> Iterator[FileEntry]:
    """A file; or a folder with all that is in it, where `mode` and `owner` are for its files."""
    try:
        yield from _found(path, source, mode, owner, table)
    except OSError as error:
        raise table.wrong(path, f"names {str(source)!r}, which cannot be read: {error.strerror}") from error


def _found(path: str, source: Path, mode: int | None, owner: tuple[int, int], table: Table) -> Iterator[FileEntry]:
    if source.is_dir():
        yield FileEntry(path, None, 0o755, *owner)
        for name in sorted(os.listdir(source)):
            yield from _copied(f"{path}/{name}", source / name, mode, owner, table)
    elif source.is_file():
        # Of the mode on disk only "executable" is meant: the rest depends on the umask.
        usual = 0o755 if os.access(source, os.X_OK) else 0o644
        yield FileEntry(path, source, usual if mode is None else mode, *owner)
    else:
        raise table.wrong(path, f"names {str(source)!r}, which does not exist")


def _mode(table: Table) -> int | None:
    text = table.get("mode", is_text, 'a string such as "0644"', None)
    if text is None:
        return None
    if not re.fullmatch(r"[0-7]{3,4}", text):
        raise table.wrong("mode", f"is {text!r}", hint='for example "0644"')
    return int(text, 8)


def _owner(table: Table) -> tuple[int, int]:
    text = table.text("owner", "0:0")
    match = _OWNER.fullmatch(text)
    if match is None:
        raise table.wrong("owner", f"is {text!r}", hint='in numbers, for example "65532:65532"')
    return int(match[1]), int(match[2])
