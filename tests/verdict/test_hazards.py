"""Tests of recipes/verdict/hazards.py: each builds a real program, predicts, runs it, and compares the messages."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from recipes.compile.recipe import RECIPES
from recipes.elf.facts import read_elf
from recipes.elf.markers import examine
from recipes.model import Command, ImageSettings, Level, Platform, RuntimeData, Status
from recipes.package import runtime_data
from recipes.rootfs.root import RootFs
from recipes.support import shell
from recipes.verdict import nsswitch
from recipes.verdict.hazards import RULES
from recipes.verdict.judge import judge
from tests.compilers import Compilers
from tests.fixtures_debian import Assembled
from tests.need import need, need_tool
from tests.verdict import programs
from tests.verdict.test_libraries import with_libraries
from tests.verdict.trial import Trial

STATIC = ("-static", "-O2")
SMALL = "-ldflags=-s -w"
TMP = "/tmp/"
AMD64 = Platform.parse("linux/amd64")


def test_plain_programs_have_no_findings(compilers: Compilers, tmp_path: Path) -> None:
    """A static iostream program, a static C program and a Go program that only print are not given a single doubt."""
    for name, program in {
        "iostream": compilers.cpp(programs.HELLO_CPP, *STATIC),
        "c": compilers.c(programs.HELLO_C, *STATIC),
        "go": compilers.go(programs.HELLO_GO, SMALL),
    }.items():
        for file in (program, compilers.stripped(program)):
            trial = Trial(tmp_path / name, file)
            assert trial.verdict().findings == (), name
            assert trial.verdict().status is Status.RUNS
            assert trial.run().exit_code == 0


def test_codes_are_unique() -> None:
    """Every code of the table stands once in it."""
    codes = [rule.code for rule in RULES]
    assert len(codes) == len(set(codes))


# ── Go ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_go_tls_roots(compilers: Compilers, tmp_path: Path) -> None:
    """Go's TLS client without a CA bundle: the message is predicted, and the bundle answers it."""
    trial = Trial(tmp_path / "root", compilers.go(programs.GO_TLS, SMALL))
    finding = trial.predicted("go-tls-roots")
    assert finding.level is Level.NEEDS_DATA
    assert finding.message in trial.output()
    assert "go-tls-roots" not in trial.codes(env=(("SSL_CERT_FILE", "/app"),))
    assert "go-tls-roots" not in trial.add("/etc/ssl/certs/ca-certificates.crt").codes()


def test_go_time_zones(compilers: Compilers, tmp_path: Path) -> None:
    """time.LoadLocation without zoneinfo; printing local time alone is no hazard; -tags timetzdata answers it."""
    trial = Trial(tmp_path / "root", compilers.go(programs.GO_ZONE, SMALL))
    assert trial.predicted("go-time-zones").message.replace("<zone>", "Europe/Berlin") in trial.output()
    inside = Trial(tmp_path / "inside", compilers.go(programs.GO_ZONE, SMALL, "-tags=timetzdata"))
    assert "go-time-zones" not in inside.codes()
    assert inside.run().exit_code == 0
    zone = Path("/usr/share/zoneinfo/Europe/Berlin")
    need(zone.exists(), "zoneinfo")
    trial.add("/usr/share/zoneinfo/Europe/Berlin", zone.read_bytes())
    assert "go-time-zones" not in trial.codes()
    assert trial.run().exit_code == 0


@pytest.mark.parametrize("name", ["Europe/Berlin", ":Europe/Berlin", "/usr/share/zoneinfo/Europe/Berlin"])
def test_go_local_time(compilers: Compilers, tmp_path: Path, name: str) -> None:
    """With a zone in TZ and without its file Go prints UTC without a word; without TZ, or with UTC, that is right."""
    zone = (("TZ", name),)
    trial = Trial(tmp_path / "root", compilers.go(programs.GO_LOCAL, SMALL))
    assert "go-time-zones" not in trial.codes()
    assert "go-time-zones" not in trial.codes(env=(("TZ", "UTC"),))
    assert trial.predicted("go-time-zones", env=zone).message == "no error: local times are UTC"
    assert trial.output(env=zone) == "22:13\n"
    data = Path("/usr/share/zoneinfo/Europe/Berlin")
    need(data.exists(), "zoneinfo")
    trial.add("/usr/share/zoneinfo/Europe/Berlin", data.read_bytes())
    assert "go-time-zones" not in trial.codes(env=zone)
    assert trial.output(env=zone) == "23:13\n"


def test_go_users(compilers: Compilers, tmp_path: Path) -> None:
    """os/user without /etc/passwd: both messages; USER in the image leaves only the second."""
    trial = Trial(tmp_path / "root", compilers.go(programs.GO_USER, SMALL))
    current, lookup = trial.predicted("go-users").message.split("; ")
    assert current in trial.output()
    assert lookup in trial.output("root")
    user = (("USER", "me"),)
    assert trial.predicted("go-users", env=user).message == lookup
    assert trial.run(env=user).exit_code == 0
    trial.add("/etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")
    assert "go-users" not in trial.codes()
    assert trial.run("root").exit_code == 0


@pytest.mark.parametrize("source", [programs.GO_GROUP, programs.GO_GROUP_ID])
def test_go_groups(compilers: Compilers, tmp_path: Path, source: str) -> None:
    """os/user without /etc/group, whether or not there is /etc/passwd; a program that looks up groups alone."""
    trial = Trial(tmp_path / "root", compilers.go(source, SMALL)).add("/etc/passwd")
    finding = trial.predicted("go-users")
    assert finding.message == trial.output().strip()
    assert "no /etc/group" in finding.evidence
    trial.add("/etc/group", b"root:x:0:\n")
    assert "go-users" not in trial.codes()
    assert trial.run().exit_code == 0


@pytest.mark.parametrize("source", [programs.GO_USER, programs.GO_CURRENT_USER, programs.GO_GROUP])
def test_go_users_and_groups_through_the_c_library(compilers: Compilers, tmp_path: Path, source: str) -> None:
    """With cgo the words of os/user are others, and user.Current does not ask for USER."""
    flags = f"{SMALL} -linkmode=external -extldflags=-static"
    trial = Trial(tmp_path / "root", compilers.go(source, flags, env=(("CGO_ENABLED", "1"),)))
    messages = trial.predicted("go-users").message.replace("<name>", "root").replace("<number>", "0").split("; ")
    assert {trial.output().strip(), trial.output("root").strip()} == set(messages)
    trial.add("/etc/passwd", b"root:x:0:0:root:/:/bin/sh\n").add("/etc/group", b"root:x:0:\n")
    assert "go-users" not in trial.codes()
    assert trial.run("root").exit_code == 0


@pytest.mark.parametrize("flags", [SMALL, f"{SMALL} -linkmode=external -extldflags=-static"])
def test_go_knows_services_itself(compilers: Compilers, tmp_path: Path, flags: str) -> None:
    """With cgo a Go program has getaddrinfo for the names of hosts; the usual services are in the package net."""
    trial = Trial(tmp_path / "root", compilers.go(programs.GO_PORT, flags, env=(("CGO_ENABLED", "1"),)))
    assert "nss-services" not in trial.codes()
    if "-static" in flags:
        assert trial.run("ftp").exit_code == 0


@pytest.mark.parametrize(("argument", "source"), [("file", programs.GO_TEMP_FILE), ("folder", programs.GO_TEMP_FOLDER)])
def test_go_temp_files(compilers: Compilers, tmp_path: Path, argument: str, source: str) -> None:
    """os.CreateTemp and os.MkdirTemp without /tmp."""
    trial = Trial(tmp_path / argument, compilers.go(source, SMALL))
    output = trial.output()
    for part in trial.predicted("go-temp-files").message.split("<name>"):
        assert part in output
    trial.add(TMP)
    assert "go-temp-files" not in trial.codes()
    assert trial.run().exit_code == 0


def test_go_temp_folder_by_name(compilers: Compilers, tmp_path: Path) -> None:
    """os.TempDir alone: what the program does with the name is not known, so it is only possible."""
    trial = Trial(tmp_path / "root", compilers.go(programs.GO_TEMP_NAME, SMALL))
    finding = trial.predicted("go-temp-files")
    assert finding.level is Level.POSSIBLE
    assert finding.message.replace("<name>", "x") == trial.output().strip()
    assert trial.add(TMP).codes() == set()
    assert trial.run().exit_code == 0


def test_go_protocols(compilers: Compilers, tmp_path: Path) -> None:
    """Sockets for a protocol by name; Go knows the usual ones; a program that dials UDP says nothing."""
    trial = Trial(tmp_path / "root", compilers.go(programs.GO_LISTEN_IP, SMALL))
    finding = trial.predicted("go-protocols")
    assert finding.level is Level.POSSIBLE
    assert finding.message in trial.output("ip4:ospf")
    assert finding.message not in trial.output("ip4:udp")
    answer = RuntimeData(runtime_data.ANSWERS["go-protocols"], "")
    for entry in runtime_data.files([answer], ImageSettings(), RootFs.from_layers(())):
        assert isinstance(entry.source, bytes)
        trial.add(entry.path, entry.source)
    assert trial.codes() == set()
    assert finding.message not in trial.output("ip4:ospf")
    assert "go-protocols" not in Trial(tmp_path / "dial", compilers.go(programs.GO_DIAL, SMALL)).codes()


@pytest.mark.parametrize(
    ("source", "program"),
    [(programs.GO_EXEC, "child"), (programs.GO_LOOK_PATH, "child"), (programs.GO_START, "/bin/child")],
)
def test_go_child_processes(compilers: Compilers, tmp_path: Path, source: str, program: str) -> None:
    """os/exec, its LookPath alone, and os.StartProcess where PATH leads to nothing."""
    trial = Trial(tmp_path / "root", compilers.go(source, SMALL))
    assert trial.predicted("go-child-processes").message.replace("<program>", program) in trial.output()
    child = compilers.c(programs.HELLO_C, *STATIC)
    trial.add("/bin/child", child.read_bytes()).add("/dev/null", b"")  # every engine gives the latter
    (trial.folder / "bin/child").chmod(0o755)
    assert "go-child-processes" not in trial.codes()
    assert trial.run().exit_code == 0


def test_go_cgo_stub(compilers: Compilers, tmp_path: Path) -> None:
    """What packages say that need cgo and were built without: the finding names the recipe that builds with it."""
    trial = Trial(tmp_path / "root", compilers.go(programs.GO_STUB, SMALL))
    finding = trial.predicted("go-cgo-stub")
    assert finding.message in trial.output()
    assert finding.fix.rpartition(" ")[2] in RECIPES
    with_cgo = compilers.go(programs.GO_STUB, SMALL, env=(("CGO_ENABLED", "1"),))
    assert "go-cgo-stub" not in Trial(tmp_path / "cgo", with_cgo).codes()


def test_go_plugins(compilers: Compilers, tmp_path: Path) -> None:
    """plugin.Open in a program without cgo."""
    trial = Trial(tmp_path / "root", compilers.go(programs.GO_PLUGIN, SMALL))
    assert trial.predicted("go-plugins").message in trial.output()


# ── C and C++ ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("strip", [False, True])
def test_static_users(compilers: Compilers, tmp_path: Path, strip: bool) -> None:
    """getpwnam in a static program without /etc/passwd, stripped or not."""
    program = compilers.c(programs.C_USER, *STATIC)
    trial = Trial(tmp_path / "root", compilers.stripped(program) if strip else program)
    assert trial.predicted("nss-users").message in trial.output("root")
    trial.add("/etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")
    assert "nss-users" not in trial.codes()
    assert trial.run("root").exit_code == 0


def test_all_users(compilers: Compilers, tmp_path: Path) -> None:
    """getpwent, which reads the list from its start, static and dynamic."""
    trial = Trial(tmp_path / "root", compilers.stripped(compilers.c(programs.C_USERS, *STATIC)))
    assert trial.predicted("nss-users").message == trial.output().strip()
    assert "nss-users" in Trial(tmp_path / "dynamic", compilers.c(programs.C_USERS)).codes()


def test_static_service_names(compilers: Compilers, tmp_path: Path) -> None:
    """getaddrinfo with a service by name, without /etc/services; by number it works, as its name says."""
    trial = Trial(tmp_path / "root", compilers.stripped(compilers.c(programs.C_SERVICE, *STATIC)))
    assert trial.predicted("nss-services").message in trial.output("http")
    assert trial.run("80").exit_code == 0
    trial.add("/etc/services", b"http 80/tcp\n")
    assert "nss-services" not in trial.codes()
    assert trial.run("http").exit_code == 0


def test_protocol_names(compilers: Compilers, tmp_path: Path) -> None:
    """getprotobyname without /etc/protocols, static and dynamic; the file that images get answers it."""
    trial = Trial(tmp_path / "root", compilers.stripped(compilers.c(programs.C_PROTOCOL, *STATIC)))
    assert trial.predicted("nss-protocols").message == trial.output().strip()
    assert "nss-protocols" in Trial(tmp_path / "dynamic", compilers.c(programs.C_PROTOCOL)).codes()
    answer = RuntimeData(runtime_data.ANSWERS["nss-protocols"], "")
    for entry in runtime_data.files([answer], ImageSettings(), RootFs.from_layers(())):
        assert isinstance(entry.source, bytes)
        trial.add(entry.path, entry.source)
    assert "nss-protocols" not in trial.codes()
    assert {name: trial.run(name).exit_code for name in ("tcp", "UDP", "icmp")} == {"tcp": 0, "UDP": 0, "icmp": 0}


@pytest.mark.slow
def test_musl_knows_protocols_itself(compilers: Compilers, tmp_path: Path) -> None:
    """musl reads no /etc/protocols."""
    trial = Trial(tmp_path / "root", compilers.zig_small(programs.C_PROTOCOL))
    assert trial.codes() == set()
    assert trial.run().exit_code == 0


def test_other_nss_modules(compilers: Compilers, tmp_path: Path) -> None:
    """Only modules beyond files and dns, only for what the program asks, and only in static programs."""
    trial = Trial(tmp_path / "root", compilers.stripped(compilers.c(programs.C_USER, *STATIC)))
    trial.add("/etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")
    for line, odd in (
        (b"passwd: files systemd\n", True),
        (b"passwd: files [!UNAVAIL=return] # systemd\n", False),
        (b"hosts: files mdns4 dns\n", False),
    ):
        trial.add("/etc/nsswitch.conf", line)
        assert ("nss-modules" in trial.codes()) is odd, line
    trial.add("/etc/nsswitch.conf", b"passwd: files systemd\n")
    assert "libnss_systemd.so.2" in trial.predicted("nss-modules").message
    opened = _opened(trial, "nobody-here")
    need(opened, "strace")
    assert "libnss_systemd.so.2" in opened


@pytest.mark.parametrize(
    "line",
    [
        "passwd: db files ldap",
        "passwd db ldap",
        "passwd : db ldap",
        "passwd:db[NOTFOUND=continue UNAVAIL=continue TRYAGAIN=continue]ldap",
        "passwd: db [UNAVAIL=return] ldap",
        "passwd: db [!UNAVAIL=continue] ldap",
        "passwd: db [ unavail = Continue ] ldap",
        "passwd: db #ldap",
        "#passwd: db",
        "passwd: db [BOGUS=return]",
        "passwd: db [UNAVAIL=return",
        "passwd: db []",
        "passwd: [UNAVAIL=return] db",
        "passwd: ldap\npasswd: db",
        "passwd: db\ngroup: files [x]",
        "passwd: db\nsudoers: files [x]",
    ],
)
def test_the_modules_that_glibc_asks_for(compilers: Compilers, tmp_path: Path, line: str) -> None:
    """What glibc's loader says that it looks for is what the file is read as."""
    trial = with_libraries(Trial(tmp_path / "root", compilers.c(programs.C_USER)))
    trial.add("/etc/nsswitch.conf", f"{line}\n".encode())
    told = trial.output("nobody-here", env=(("LD_DEBUG", "libs"),))
    asked = list(dict.fromkeys(re.findall(r"find library=libnss_(\S+)\.so\.2", told)))
    read = nsswitch.line_for(f"{line}\n", "passwd")
    modules = [service.module for service in read.services if service.module != "files"] if read else []
    assert asked == modules[: len(asked)]
    assert bool(asked) is bool(modules)
    assert len(asked) == len(modules) or "unavail" in (read.services[0].ends_on if read else ())


def _opened(trial: Trial, *args: str) -> str:
    """What strace saw it open; "" where there is no strace."""
    strace = shutil.which("strace")
    if strace is None:
        return ""
    enter = ("unshare", "--map-root-user", strace, "-f", "-e", "trace=openat")
    command = Command((*enter, "unshare", "--root", str(trial.folder), "/app", *args))
    return shell.run(command).stderr.decode(errors="replace")


def test_c_time_zones(compilers: Compilers, tmp_path: Path) -> None:
    """localtime without zoneinfo says nothing and prints UTC under the zone's name; iostream alone is not a hazard."""
    zone = (("TZ", "Europe/Berlin"),)
    trial = Trial(tmp_path / "root", compilers.stripped(compilers.c(programs.C_ZONE, *STATIC)))
    assert "UTC but labelled with the zone" in trial.predicted("c-time-zones").message
    assert trial.output(env=zone) == "22:13 Europe\n"
    data = Path("/usr/share/zoneinfo/Europe/Berlin")
    need(data.exists(), "zoneinfo")
    trial.add("/usr/share/zoneinfo/Europe/Berlin", data.read_bytes())
    assert "c-time-zones" not in trial.codes()
    assert trial.output(env=zone) == "23:13 CET\n"


def test_c_time_without_a_zone(compilers: Compilers, tmp_path: Path) -> None:
    """localtime_r without TZ is UTC, and says so: only a zone makes it a hazard."""
    zone = (("TZ", "Europe/Berlin"),)
    trial = Trial(tmp_path / "root", compilers.c(programs.C_ZONE_R))
    assert "c-time-zones" not in trial.codes()
    assert "c-time-zones" in trial.codes(env=zone)
    static = Trial(tmp_path / "static", compilers.c(programs.C_ZONE_R, *STATIC))
    assert static.output() == "22:13 UTC\n"
    assert static.output(env=zone) == "22:13 Europe\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "platform"),
    [
        ("arm-linux-gnueabihf.2.34", "linux/arm/v7"),
        ("arm-linux-musleabihf", "linux/arm/v7"),
        ("x86-linux-gnu.2.34", "linux/386"),
    ],
)
def test_names_of_64_bit_time(compilers: Compilers, tmp_path: Path, target: str, platform: str) -> None:
    """32-bit programs call other functions for the same: each of them is known."""
    flags = ("-dynamic", "-D_FILE_OFFSET_BITS=64", "-D_TIME_BITS=64")
    for number, source in enumerate((programs.C_ZONE, programs.C_CTIME, programs.C_ZONE_R)):
        trial = Trial(tmp_path / str(number), compilers.zig(source, target, *flags))
        called = {symbol.name for symbol in examine(trial.program).dynamic.imports}
        assert any(name.endswith(("64", "64_r")) for name in called), called
        finding = trial.predicted("c-time-zones", env=(("TZ", "Europe/Berlin"),), platform=platform)
        assert finding.evidence.startswith("it calls __")


def test_c_time_as_text(compilers: Compilers, tmp_path: Path) -> None:
    """ctime prints local time too."""
    assert "c-time-zones" in Trial(tmp_path / "dynamic", compilers.c(programs.C_CTIME)).codes()
    static = Trial(tmp_path / "static", compilers.c(programs.C_CTIME, *STATIC))
    assert "c-time-zones" in static.codes()
    assert static.output(env=(("TZ", "Europe/Berlin"),)) == "Tue Nov 14 22:13:20 2023\n"


def test_c_temp_files(compilers: Compilers, tmp_path: Path) -> None:
    """tmpfile() without /tmp."""
    trial = Trial(tmp_path / "root", compilers.stripped(compilers.c(programs.C_TEMP, *STATIC)))
    assert trial.predicted("c-temp-files").message in trial.output()
    trial.add(TMP)
    assert "c-temp-files" not in trial.codes()
    assert trial.run().exit_code == 0


@pytest.mark.parametrize("flags", [STATIC, ()])
def test_temp_files_by_name(compilers: Compilers, tmp_path: Path, flags: tuple[str, ...]) -> None:
    """mkstemp in a program that names /tmp is possible; without that name it says nothing."""
    trial = with_libraries(Trial(tmp_path / "root", compilers.c(programs.C_MKSTEMP, *flags)))
    finding = trial.predicted("c-temp-files")
    assert finding.level is Level.POSSIBLE
    assert finding.message in trial.output()
    assert trial.add(TMP).codes() == set()
    assert trial.run().exit_code == 0
    other = compilers.c(programs.C_MKSTEMP.replace("/tmp/", "/data/tmp"), *flags)
    assert Trial(tmp_path / "other", other).codes() <= {"interpreter-missing"}


def test_temp_files_where_tmpdir_leads(compilers: Compilers, tmp_path: Path) -> None:
    """tempnam takes TMPDIR, if that is a folder; tmpfile does not."""
    mine = (("TMPDIR", "/mine"),)
    trial = with_libraries(Trial(tmp_path / "root", compilers.c(programs.C_TEMPNAM)))
    assert trial.predicted("c-temp-files", env=mine).level is Level.NEEDS_DATA
    assert trial.predicted("c-temp-files", env=mine).message in trial.output(env=mine)
    assert trial.add("/mine/").codes(env=mine) == set()
    assert trial.run(env=mine).exit_code == 0
    other = with_libraries(Trial(tmp_path / "other", compilers.c(programs.C_TEMP))).add("/mine/")
    assert other.predicted("c-temp-files", env=mine).message in other.output(env=mine)


def test_sqlite_temp_files(compilers: Compilers, tmp_path: Path) -> None:
    """SQLite that may write nowhere cannot sort much; each of its folders answers it."""
    need(Path("/usr/include/sqlite3.h").exists(), "SQLite's headers and static library")
    program = compilers.linked_late(programs.C_SQLITE, "-static", "-lsqlite3", "-lm")
    trial = Trial(tmp_path / "root", program)
    finding = trial.predicted("sqlite-temp-files")
    assert finding.level is Level.POSSIBLE
    dynamic = Trial(tmp_path / "dynamic", compilers.linked_late(programs.C_SQLITE, "-lsqlite3"))
    assert dynamic.predicted("sqlite-temp-files").evidence == "it calls sqlite3_open, and no /tmp in the image"
    for folder, env in (("/tmp/", ()), ("/var/tmp/", ()), ("/mine/", (("SQLITE_TMPDIR", "/mine"),))):
        answered = Trial(tmp_path / folder.replace("/", "_"), program)
        assert "sqlite-temp-files" in answered.codes(env=env)
        assert "sqlite-temp-files" not in answered.add(folder).codes(env=env)
        assert answered.run(env=env).exit_code == 0


def test_c_shell(compilers: Compilers, tmp_path: Path) -> None:
    """system() and popen() without /bin/sh, static and dynamic; a shell answers it."""
    system, popen = (compilers.c(source, *STATIC) for source in (programs.C_SYSTEM, programs.C_POPEN))
    shell = Path("/bin/sh").read_bytes()
    for name, program in {"stripped": compilers.stripped(system), "whole": system}.items():
        trial = Trial(tmp_path / name, program)
        assert trial.output() == "system returns 32512\n"
        assert "system returns 32512" in trial.predicted("c-shell").message
        assert "c-shell" not in trial.add("/bin/sh", shell).codes()
    trial = Trial(tmp_path / "popen", popen)
    assert trial.output().strip() in trial.predicted("c-shell").message
    for source in (programs.C_SYSTEM, programs.C_POPEN):
        assert "c-shell" in Trial(tmp_path / "dynamic", compilers.c(source)).codes()


def test_starting_a_program_is_not_calling_a_shell(compilers: Compilers, tmp_path: Path) -> None:
    """execvp and posix_spawnp in a static program name the shell, for scripts without a first line alone."""
    program = compilers.c(programs.C_SPAWN, *STATIC)
    for name, file in {"stripped": compilers.stripped(program), "whole": program}.items():
        assert Trial(tmp_path / name, file).verdict().findings == ()


@pytest.mark.slow
def test_c_shell_of_musl(compilers: Compilers, tmp_path: Path) -> None:
    """musl names the shell in system() and popen() alone."""
    trial = Trial(tmp_path / "root", compilers.zig_small(programs.C_SYSTEM))
    assert trial.output().strip() in trial.predicted("c-shell").message
    assert "c-shell" not in Trial(tmp_path / "spawning", compilers.zig_small(programs.C_SPAWN)).codes()


@pytest.mark.parametrize("flags", [("-static",), ()])
def test_openssl_tls_roots(compilers: Compilers, tmp_path: Path, flags: tuple[str, ...]) -> None:
    """OpenSSL without a CA bundle: the message is predicted; a bundle in its folder answers it."""
    need(Path("/usr/include/openssl/ssl.h").exists(), "OpenSSL's headers and static libraries")
    program = compilers.linked_late(programs.C_OPENSSL, *flags, "-lssl", "-lcrypto")
    trial = Trial(tmp_path / "root", program)
    assert trial.predicted("openssl-tls-roots").level is Level.NEEDS_DATA
    if flags:
        assert trial.predicted("openssl-tls-roots").message in trial.output()
    folder = "/usr/lib/ssl" if flags else "/etc/ssl"
    assert folder in trial.predicted("openssl-tls-roots").evidence or not flags
    trial.add(f"{folder}/certs/ca-certificates.crt")
    assert "openssl-tls-roots" not in trial.codes()


def test_a_library_asks_for_tls_roots(compilers: Compilers, tmp_path: Path) -> None:
    """The program itself calls nothing of OpenSSL: its library does, and is named; OpenSSL's own calls do not count."""
    need(Path("/usr/include/openssl/ssl.h").exists(), "OpenSSL's headers")
    link = ("-shared", "-Wl,-soname,libverify.so.1", "-lcrypto")
    library = compilers.linked_late(programs.C_OPENSSL, *link, compile_with=("-fPIC", "-Dmain=verify"))
    for name, rest, asks in (("asks", (str(library),), True), ("idle", ("-Wl,--no-as-needed", "-lssl"), False)):
        source = programs.C_LIBRARY_CALLER if asks else programs.HELLO_C
        trial = Trial(tmp_path / name, compilers.linked_late(source, *rest))
        _add_libraries(trial, library)
        judged = judge(examine(trial.program), read_elf(trial.program), RootFs.from_directory(trial.folder), AMD64)
        assert judged.status is Status.RUNS
        found = [finding for finding in judged.findings if finding.code == "openssl-tls-roots"]
        assert bool(found) is asks
        if asks:
            assert "its library libverify.so.1 calls X509_STORE_set_default_paths" in found[0].evidence
            assert found[0].message == trial.output().strip()


def _add_libraries(trial: Trial, library: Path) -> None:
    """The loader, and every library that ldd sees, at their own places."""
    environment = {"LD_LIBRARY_PATH": str(library.parent)}
    trial.add("/lib/x86_64-linux-gnu/libverify.so.1", library.read_bytes())
    for program in (trial.program, library):
        listed = shell.run(Command((need_tool("ldd"), str(program))), environment=environment).stdout.decode()
        for path in re.findall(r"(/\S*lib\S*) \(0x", listed):
            trial.add(path, Path(path).read_bytes())
            (trial.folder / path.strip("/")).chmod(0o755)


def test_gnutls_tls_roots(compilers: Compilers, tmp_path: Path) -> None:
    """GnuTLS finds no authority without its file, and SSL_CERT_FILE does not help; certifi's bundle there does."""
    need(Path("/usr/include/gnutls/gnutls.h").exists(), "GnuTLS's headers")
    trial = Trial(tmp_path / "root", compilers.linked_late(programs.C_GNUTLS, "-lgnutls"))
    _add_libraries(trial, trial.program)
    elsewhere = (("SSL_CERT_FILE", "/bundle.pem"),)
    trial.add("/bundle.pem")
    assert trial.predicted("gnutls-tls-roots", env=elsewhere).message in trial.output(env=elsewhere)
    bundle = RuntimeData(runtime_data.ANSWERS["gnutls-tls-roots"], "")
    for entry in runtime_data.files([bundle], ImageSettings(), RootFs.from_layers(())):
        assert isinstance(entry.source, bytes)
        trial.add(entry.path, entry.source)
    assert "gnutls-tls-roots" not in trial.codes()
    assert trial.run().exit_code == 0


def test_terminfo(compilers: Compilers, tmp_path: Path) -> None:
    """curses without terminfo, static and dynamic; the terminal's entry answers it."""
    need(Path("/usr/include/ncurses.h").exists(), "ncurses' headers and static libraries")
    program = compilers.linked_late(programs.C_CURSES, "-static", "-lncurses", "-ltinfo")
    trial = Trial(tmp_path / "root", compilers.stripped(program))
    terminal = (("TERM", "xterm"),)
    assert trial.predicted("terminfo", env=terminal).message == trial.output(env=terminal).strip()
    dynamic = Trial(tmp_path / "dynamic", compilers.linked_late(programs.C_CURSES, "-lncurses", "-ltinfo"))
    assert dynamic.predicted("terminfo").message == "Error opening terminal: <terminal>."
    entry = next((path for path in Path("/").glob("*/terminfo/x/xterm")), Path("/usr/share/terminfo/x/xterm"))
    need(entry.exists(), "terminfo")
    assert "terminfo" in trial.add("/etc/terminfo/README").codes()
    trial.add("/usr/share/terminfo/x/xterm", entry.read_bytes())
    assert "terminfo" not in trial.codes()
    assert trial.run(env=terminal).exit_code == 0


def test_setupterm(compilers: Compilers, tmp_path: Path) -> None:
    """A program that asks for an entry by itself may go on without; this one leaves the words to curses."""
    need(Path("/usr/include/term.h").exists(), "ncurses' headers")
    trial = Trial(tmp_path / "root", compilers.linked_late(programs.C_SETUPTERM, "-ltinfo"))
    _add_libraries(trial, trial.program)
    finding = trial.predicted("terminfo")
    assert finding.level is Level.POSSIBLE
    assert finding.evidence == "it calls setupterm, and no terminfo in the image"
    assert finding.message in trial.output(env=(("TERM", "xterm"),))
    static = Trial(tmp_path / "static", compilers.linked_late(programs.C_SETUPTERM, "-static", "-ltinfo"))
    inside = static.predicted("terminfo")
    assert inside.level is Level.POSSIBLE
    assert inside.evidence == "the string 'terminals database is inaccessible', and no terminfo in the image"
    assert inside.message in static.output(env=(("TERM", "xterm"),))


def test_named_locale(compilers: Compilers, tmp_path: Path) -> None:
    """std::locale(name) in a static glibc program: it throws; a program that names no locale has no finding."""
    trial = Trial(tmp_path / "root", compilers.stripped(compilers.cpp(programs.CPP_LOCALE, *STATIC)))
    assert trial.predicted("named-locale").message in trial.output()


def test_static_dlopen_is_known_by_the_linker(compilers: Compilers, tmp_path: Path) -> None:
    """Every static glibc program holds dlopen; the linker's warning tells the one that calls it."""
    program = compilers.c(programs.C_DLOPEN, *STATIC)
    trial = Trial(tmp_path / "root", program)
    assert "static-dlopen" not in trial.codes()
    finding = trial.predicted("static-dlopen", warnings=compilers.warnings(program))
    assert finding.level is Level.POSSIBLE
    assert finding.message.replace("<library>", "libm.so.6") in trial.output()


def test_static_iconv(compilers: Compilers, tmp_path: Path) -> None:
    """iconv_open in a static C program without glibc's gconv modules."""
    trial = Trial(tmp_path / "root", compilers.c(programs.C_ICONV, *STATIC))
    finding = trial.predicted("static-iconv")
    assert finding.level is Level.POSSIBLE
    assert finding.message in trial.output()


def test_cpu_flags_are_known_by_the_build(compilers: Compilers, tmp_path: Path) -> None:
    """-march leaves no mark: only the commands tell; it dies of SIGILL on an older CPU."""
    program = compilers.c(programs.C_AVX2, *STATIC, "-march=x86-64-v3")
    trial = Trial(tmp_path / "root", program)
    command = Command(("g++", "-march=x86-64-v3", "-c", "main.c"))
    assert trial.codes() == set()
    finding = trial.predicted("cpu-flags", commands=(command,))
    assert "exit code 132" in finding.message
    assert not trial.verdict(commands=(command,), platform="linux/amd64/v3").findings
    old = shell.run(Command((need_tool("qemu-x86_64-static"), "-cpu", "qemu64", str(program))))
    assert old.exit_code == 132


def test_weak_pthread(compilers: Compilers, tmp_path: Path) -> None:
    """A weak pthread symbol that nothing defines is a null pointer: calling it is a segmentation fault.

    GNU ld drops such symbols from the table where it can; gold keeps them, as older linkers do.
    """
    need_tool("ld.gold")
    trial = Trial(tmp_path / "root", compilers.c(programs.C_WEAK, *STATIC, "-fuse-ld=gold"))
    finding = trial.predicted("weak-pthread")
    assert finding.level is Level.POSSIBLE
    assert "exit code 139" in finding.message
    assert trial.run().exit_code == 139


@pytest.fixture
def musl(assembled: Assembled) -> Path:
    """A root with Debian's musl, to link with."""
    return assembled.root("mmdebstrap:files:musl-dev")


@pytest.mark.slow
@pytest.mark.parametrize("size", ["0", "4096"])
def test_musl_thread_stack(compilers: Compilers, musl: Path, tmp_path: Path, size: str) -> None:
    """musl gives threads 128 KiB unless the file asks for more: a larger frame is a segmentation fault."""
    small = Trial(tmp_path / "small", compilers.musl(programs.C_THREAD, musl, f"-Wl,-z,stack-size={size}"))
    assert "exit code 139" in small.predicted("musl-thread-stack").message
    assert small.run().exit_code == 139
    asked = Trial(tmp_path / "asked", compilers.musl(programs.C_THREAD, musl, "-Wl,-z,stack-size=2097152"))
    assert "musl-thread-stack" not in asked.codes()
    assert asked.run().exit_code == 0


@pytest.mark.slow
def test_zigs_thread_stack(compilers: Compilers, tmp_path: Path) -> None:
    """zig's programs with musl ask for more than a thread needs."""
    trial = Trial(tmp_path / "root", compilers.zig_small(programs.C_THREAD))
    assert trial.codes() == set()
    assert (examine(trial.program).stack or 0) > 1 << 20
    assert trial.run().exit_code == 0


@pytest.mark.slow
def test_musl_malloc(compilers: Compilers, musl: Path, tmp_path: Path) -> None:
    """musl's malloc under threads is a doubt, from its loader or linked in; not where a program has another one."""
    for name, program in {
        "shared": compilers.zig(programs.C_THREAD, "x86_64-linux-musl", "-dynamic"),
        "static": compilers.musl(programs.C_THREAD, musl),
    }.items():
        assert Trial(tmp_path / name, program).predicted("musl-malloc").level is Level.POSSIBLE
    own = compilers.musl(f"{programs.C_THREAD}{programs.C_ALLOCATOR}", musl)
    assert Trial(tmp_path / "own", own).codes() == {"musl-thread-stack"}


@pytest.mark.slow
def test_zig_links_a_malloc_of_its_own(compilers: Compilers) -> None:
    """musl's is in none of the libraries that zig links with, though its threads are."""
    program = compilers.zig_small(programs.C_THREAD)
    (line,) = (line for line in compilers.warnings(program) if line.startswith("ld.lld "))
    libraries = b"".join((program.parent / word).read_bytes() for word in line.split() if word.endswith(".a"))
    assert b"pthread_create" in libraries
    assert b"__malloc_context" not in libraries


@pytest.mark.slow
def test_pid1_signals(compilers: Compilers, musl: Path, tmp_path: Path) -> None:
    """A program that waits and handles nothing outlives SIGTERM as process 1; with a handler it ends."""
    for name, source, ends in (("pause", programs.C_PAUSE, False), ("handler", programs.C_HANDLER, True)):
        shared = Trial(tmp_path / f"{name}-shared", compilers.c(source))
        assert ("pid1-signals" in shared.codes()) is not ends, name
        trial = Trial(tmp_path / name, compilers.musl(source, musl))
        assert ("pid1-signals" in trial.codes()) is not ends, name
        assert _ends_on_sigterm(trial) is ends, name


_STOP = """
unshare --map-root-user --pid --fork --kill-child --root "$1" /app &
parent=$!
until child=$(cat /proc/$parent/task/$parent/children) && [ -n "$child" ] &&
    [ "$(cat /proc/${child% }/comm)" = app ] && grep -q 'State:.S' /proc/${child% }/status; do :; done 2>/dev/null
kill -TERM $child
for try in $(seq 20); do [ -d /proc/${child% } ] || break; sleep 0.05; done
[ -d /proc/${child% } ] && echo alive || echo ended
kill -KILL $child 2>/dev/null
wait
"""


def _ends_on_sigterm(trial: Trial) -> bool:
    """Start it as process 1 of its own namespace, send SIGTERM, and look for it for a second."""
    done = shell.run(Command(("/bin/sh", "-c", _STOP, "sh", str(trial.folder))), timeout=30)
    assert done.stdout in (b"alive\n", b"ended\n"), done
    return done.stdout == b"ended\n"
