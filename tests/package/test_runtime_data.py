"""Tests of recipes/package/runtime_data.py: which data a verdict asks for, and what is in it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import certifi
import pytest

from recipes.errors import BadInput, ToolMissing
from recipes.model import (
    Environment,
    FileEntry,
    Finding,
    ImageSettings,
    Level,
    Need,
    Platform,
    RuntimeData,
    Status,
    Verdict,
)
from recipes.package import runtime_data
from recipes.package.runtime_data import ANSWERS, CA_BUNDLE, NEEDS, UTF8_LOCALE, choose, environment, files
from tests.need import need

MINE = b"-----BEGIN CERTIFICATE-----\nmine\n-----END CERTIFICATE-----\n"


class Root(dict[str, bytes]):
    """What has to be known of a root: files by path."""

    def is_file(self, path: str) -> bool:
        return path in self

    def read(self, path: str) -> bytes:
        return self[path]


def finding(code: str, level: Level = Level.NEEDS_DATA, evidence: str = "it asks") -> Finding:
    return Finding(level=level, code=code, evidence=evidence, message="m", fix="f")


LACKS_UTF8 = finding("c-locale", evidence="it names the locale C.UTF-8 or de_DE.UTF-8, which the image lacks")


def chosen(
    *findings: Finding,
    status: Status = Status.RUNS,
    settings: ImageSettings | None = None,
    platform: Platform | None = None,
) -> dict[str, str]:
    """What is added, and why."""
    verdict = Verdict(status, findings)
    found = choose(verdict, settings or ImageSettings(), platform or Platform.host())
    return {each.need: each.reason for each in found}


def made(
    need: Need, settings: ImageSettings | None = None, root: Mapping[str, bytes] | None = None
) -> dict[str, FileEntry]:
    found = files([RuntimeData(need, "")], settings or ImageSettings(), Root(root or {}))
    return {entry.path: entry for entry in found}


def text(entries: Mapping[str, FileEntry], path: str) -> str:
    source = entries[path].source
    assert isinstance(source, bytes)
    return source.decode(errors="surrogateescape")


# ── what is added ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_finding_asks_for_is_added_once() -> None:
    """In a fixed order, with the evidence of the first finding; what no data answers is left to its own advice."""
    found = chosen(
        finding("nss-users", evidence="first"), finding("go-users", evidence="second"),
        finding("c-temp-files"), finding("thread-stack"),
    )  # fmt: skip
    assert list(found) == ["tmp", "users"]
    assert found["users"] == "first (nss-users)"


def test_the_sample_has_the_last_word() -> None:
    """Exactly what it lists, in its order, or nothing at all."""
    asked = finding("go-tls-roots")
    assert chosen(asked, settings=ImageSettings(needs=("users", "tmp"))) == dict.fromkeys(
        ("users", "tmp"), "the sample asks for it"
    )
    assert chosen(asked, settings=ImageSettings(needs=())) == {}


def test_what_does_not_start_needs_no_data() -> None:
    """Unless that is what keeps it from starting, and nothing else."""
    missing, user = finding("interpreter-missing", Level.CERTAIN), finding("unknown-user", Level.CERTAIN)
    assert chosen(missing, finding("go-tls-roots"), status=Status.FAILS) == {}
    assert list(chosen(user, finding("go-tls-roots"), status=Status.FAILS)) == ["ca-certificates", "users"]
    assert chosen(missing, user, status=Status.FAILS) == {}


def test_authorities_of_its_own_need_no_finding() -> None:
    """A base whose bundle is complete does not have them."""
    assert chosen(settings=ImageSettings(ca=(Path("ca.pem"),))) == {
        "ca-certificates": "the sample adds certificate authorities"
    }


def test_what_the_sample_brings_along_is_left_alone() -> None:
    """Its own file is not replaced, its own variable not set again; the rest is added."""
    own = ImageSettings(files=(FileEntry("/etc/passwd", b"own", 0o644),), env=(("SSL_CERT_FILE", "/own"),))
    assert list(made("users", own)) == ["/etc/group"]
    data = [RuntimeData("ca-certificates", ""), RuntimeData("tmp", "")]
    assert environment(data, own) == ()
    assert environment(data, ImageSettings()) == (("SSL_CERT_FILE", CA_BUNDLE),)


def test_each_answer_can_be_made() -> None:
    """For an empty root and usual settings each kind of data has a file or folder, at an absolute path."""
    need(Path("/lib/terminfo").exists() or Path("/usr/share/terminfo/x").exists(), "ncurses-base")
    need(Path(UTF8_LOCALE).is_dir(), "the locale C.UTF-8")
    for answer in set(ANSWERS.values()):
        assert all(path.startswith("/") for path in made(answer)), answer
        assert made(answer), answer
    assert set(ANSWERS.values()) == set(NEEDS) == set(get_args(Need))


# ── terminals and text ───────────────────────────────────────────────────────────────────────────────────────────────


def test_terminals() -> None:
    """What containers' terminals are called is there, each in the folder of its first letter."""
    need(Path("/lib/terminfo/x/xterm").exists() or Path("/usr/share/terminfo/x/xterm").exists(), "ncurses-base")
    found = made("terminfo")
    assert {"/usr/share/terminfo/x/xterm", "/usr/share/terminfo/l/linux", "/usr/share/terminfo/v/vt100"} <= {*found}
    assert list(chosen(finding("terminfo"))) == ["terminfo"]


@pytest.mark.parametrize(
    ("env", "added"),
    [
        ((), True),
        ((("LANG", "C.UTF-8"),), True),
        ((("LC_ALL", ""), ("LC_CTYPE", "C.utf8")), True),
        ((("LC_ALL", "de_DE.UTF-8"),), False),
        ((("LANG", "C.UTF-8"), ("LC_CTYPE", "ja_JP.UTF-8")), False),
    ],
)
def test_a_utf8_locale(env: Environment, added: bool) -> None:
    """C.UTF-8 answers what lacks a locale, and not what is told to take another one."""
    need(Path(UTF8_LOCALE).is_dir(), "the locale C.UTF-8")
    assert bool(chosen(LACKS_UTF8, settings=ImageSettings(env=env))) is added
    named = finding("c-locale", evidence="LANG=C.utf8 and a call of setlocale, and no such locale in the image")
    assert bool(chosen(named, settings=ImageSettings(env=env))) is added
    other = finding("c-locale", evidence="it names the locale en_US.UTF-8, which the image lacks")
    assert chosen(other, settings=ImageSettings(env=env)) == {}
    assert f"{UTF8_LOCALE}/LC_CTYPE" in made("utf8-locale")
    assert environment([RuntimeData("utf8-locale", "")], ImageSettings()) == (("LANG", "C.UTF-8"),)


def test_the_terminals_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two entries the first place's; where there is none, the finding stays, and asking for them is an error."""
    places = [tmp_path / name for name in ("one", "two")]
    monkeypatch.setattr(runtime_data, "_THIS_MACHINES_TERMINFO", places)
    with pytest.raises(ToolMissing, match="no terminfo"):
        made("terminfo")
    assert chosen(finding("terminfo")) == {}
    for name in ("two/x/xterm", "one/x/xterm", "two/x/xterm-256color", "two/x/xfce"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "two/l/linux").mkdir(parents=True)
    assert {path: entry.source for path, entry in made("terminfo").items()} == {
        "/usr/share/terminfo/x/xterm": tmp_path / "one/x/xterm",
        "/usr/share/terminfo/x/xterm-256color": tmp_path / "two/x/xterm-256color",
    }
    assert list(chosen(finding("terminfo"))) == ["terminfo"]


def test_the_locale_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files, in a fixed order, and not its folders; where there is none, the finding stays."""
    monkeypatch.setattr(runtime_data, "UTF8_LOCALE", str(tmp_path / "C.utf8"))
    with pytest.raises(ToolMissing, match="no locale"):
        made("utf8-locale")
    assert chosen(LACKS_UTF8) == {}
    names = ("LC_TIME", "LC_CTYPE", "LC_MESSAGES/SYS_LC_MESSAGES")
    for name in names:
        (tmp_path / "C.utf8" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "C.utf8" / name).touch()
    assert list(made("utf8-locale")) == [str(tmp_path / "C.utf8" / name) for name in sorted(names)]
    assert list(chosen(LACKS_UTF8)) == ["utf8-locale"]


@pytest.mark.parametrize("cpu", ["amd64", "s390x", "ppc64", "riscv64"])
def test_a_locale_is_for_one_byte_order(cpu: str) -> None:
    """glibc takes no locale whose numbers stand the other way round."""
    need(Path(UTF8_LOCALE).is_dir(), "the locale C.UTF-8")
    platform = Platform("linux", cpu)
    order = "little" if cpu in ("amd64", "riscv64") else "big"
    assert bool(chosen(LACKS_UTF8, platform=platform)) is (order == sys.byteorder)


# ── certificates ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("present", "own", "expected"),
    [
        (b"", False, [b"usual"]),
        (b"", True, [b"usual", MINE]),
        (b"base's", True, [b"base's", MINE]),  # what the base trusts stays trusted
        (b"base's", False, [b"usual"]),  # it was judged not to be enough
    ],
)
def test_whose_authorities(tmp_path: Path, present: bytes, own: bool, expected: Sequence[bytes]) -> None:
    """Mozilla's, or the base's where the sample only adds its own to them."""
    (tmp_path / "ca.pem").write_bytes(MINE)
    settings = ImageSettings(ca=(tmp_path / "ca.pem",) * own)
    usual = Path(certifi.where()).read_bytes()
    found = made("ca-certificates", settings, {CA_BUNDLE: present} if present else {})
    assert found[CA_BUNDLE].source == b"\n".join(usual if each == b"usual" else each for each in expected)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot read the certificate"), (b"-----BEGIN KEY-----", "holds no certificate")]
)
def test_a_certificate_that_is_none(tmp_path: Path, content: bytes | None, message: str) -> None:
    """Not there, or something else: an error, not a bundle that silently lacks it."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=message):
        made("ca-certificates", ImageSettings(ca=(path,)))


# ── users ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("user", "passwd", "group"),
    [
        ("", "nonroot:x:65532:65532:nonroot:/:/sbin/nologin", "nonroot:x:65532:"),
        ("7:8", "nonroot:x:7:8:nonroot:/:/sbin/nologin", "nonroot:x:8:"),
        ("7", "nonroot:x:7:7:nonroot:/:/sbin/nologin", "nonroot:x:7:"),
        ("web", "web:x:65532:65532:web:/:/sbin/nologin", "web:x:65532:"),
        ("web:www", "web:x:65532:65532:web:/:/sbin/nologin", "www:x:65532:"),
        ("web:9", "web:x:65532:9:web:/:/sbin/nologin", "web:x:9:"),
    ],
)
def test_the_images_own_user_gets_an_entry(user: str, passwd: str, group: str) -> None:
    """By name or number, with a group of its own where none is named; root and nobody are there too."""
    found = made("users", ImageSettings(user=user))
    users, groups = text(found, "/etc/passwd").splitlines(), text(found, "/etc/group").splitlines()
    assert users == [
        "root:x:0:0:root:/root:/sbin/nologin", "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin", passwd
    ]  # fmt: skip
    assert groups == ["root:x:0:", "nogroup:x:65534:", group]


@pytest.mark.parametrize("user", ["0:0", "65534:65534"])
def test_a_user_that_everybody_knows_is_there_once(user: str) -> None:
    """root and nobody keep their names."""
    found = made("users", ImageSettings(user=user))
    assert [line.partition(":")[0] for line in text(found, "/etc/passwd").splitlines()] == ["root", "nobody"]
    assert [line.partition(":")[0] for line in text(found, "/etc/group").splitlines()] == ["root", "nogroup"]


def test_the_lists_of_the_base_are_kept() -> None:
    """Its lines stay as they are, also where they are not UTF-8 or do not end; only who is missing is added."""
    base = {"/etc/passwd": b"root:x:0:0:\xff:/:/bin/sh\ndaemon:x:1:1::/:", "/etc/group": b""}
    found = made("users", ImageSettings(user="daemon"), base)
    source = found["/etc/passwd"].source
    assert source == (
        b"root:x:0:0:\xff:/:/bin/sh\ndaemon:x:1:1::/:\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
    )


# ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_zones_with_and_without_their_tables() -> None:
    """Named ones alone; else all of them, with the tables that std::chrono reads; a wrong name has the nearest."""
    assert list(made("time-zones", ImageSettings(zones=("Europe/Berlin", "UTC")))) == [
        "/usr/share/zoneinfo/Europe/Berlin", "/usr/share/zoneinfo/UTC"
    ]  # fmt: skip
    everything = made("time-zones")
    assert len(everything) > 400
    assert "/usr/share/zoneinfo/tzdata.zi" in everything
    with pytest.raises(BadInput, match="unknown time zone 'Europe/Berln'") as caught:
        made("time-zones", ImageSettings(zones=("Europe/Berln",)))
    assert caught.value.hint == "did you mean 'Europe/Berlin'?"


def test_lists_of_names() -> None:
    """A line for each service and protocol of it, as getservbyname and getprotobyname read them."""
    services = text(made("services"), "/etc/services").splitlines()
    assert {"https\t443/tcp", "domain\t53/tcp", "domain\t53/udp"} <= set(services)
    assert "tcp\t6\tTCP" in text(made("protocols"), "/etc/protocols").splitlines()
    assert "hosts: files dns" in text(made("nsswitch"), "/etc/nsswitch.conf").splitlines()


def test_the_folder_for_temporary_files() -> None:
    """Everybody may write there, and nobody may delete what another has written."""
    assert made("tmp") == {"/tmp": FileEntry("/tmp", None, 0o1777)}
