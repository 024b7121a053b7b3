"""Tests of recipes/verdict/needs.py and doubts.py: each call and marker that shows a need, and all that answers it.

What comes of a need is tried in test_hazards.py, once for each rule. The programs here are real, and small: they call
what the loader would have to find, or define what a static C library would, and are only looked at.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from recipes.model import Command, Environment, Finding, Level
from tests.compilers import Compilers
from tests.verdict import programs
from tests.verdict.trial import Trial

MUSL = "/lib/ld-musl-x86_64.so.1"
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs/any.pem",
    "/etc/pki/tls/certs/any.pem",
)
SMALL = "-ldflags=-s -w"

# The code, the calls that show the need, what each of them is told to do, and what answers the need.
CALLS: tuple[tuple[str, tuple[str, ...], str, tuple[str, ...]], ...] = (
    (
        "nss-users",
        ("getpwnam", "getpwnam_r", "getpwuid", "getpwuid_r", "getgrnam", "getgrnam_r", "getgrgid"),
        "it calls {}, and no /etc/passwd in the image",
        ("/etc/passwd",),
    ),
    (
        "nss-services",
        ("getaddrinfo", "getservbyname", "getservbyname_r"),
        "it calls {}, and no /etc/services in the image",
        ("/etc/services",),
    ),
    (
        "c-time-zones",
        ("localtime", "mktime", "tzset", "ctime"),
        "it calls {}, and no zoneinfo in the image",
        ("/usr/share/zoneinfo/UTC", "/etc/localtime"),
    ),
    ("c-temp-files", ("tmpfile", "tmpfile64"), "it calls {}, and no /tmp in the image", ("/tmp/",)),
    (
        "openssl-tls-roots",
        ("SSL_CTX_set_default_verify_paths", "X509_STORE_set_default_paths"),
        "it calls {}, and no CA bundle in the image",
        BUNDLES,
    ),
    (
        "named-locale",
        ("_ZNSt6localeC1EPKc", "_ZNSt6localeC2EPKc"),
        "it calls std::locale(name), and no locales in the image",
        ("/usr/lib/locale/locale-archive",),
    ),
    (
        "pid1-signals",
        ("pause", "listen", "accept", "accept4", "epoll_wait", "epoll_pwait"),
        "it calls {} and nothing that installs a signal handler",
        (),
    ),
)
MESSAGES = {
    "nss-users": "No such file or directory",
    "nss-services": "Servname not supported for ai_socktype",
    "c-time-zones": "no error: times are UTC but labelled with the zone",
    "c-temp-files": "No such file or directory",
    "openssl-tls-roots": "unable to get local issuer certificate",
    "named-locale": "locale::facet::_S_create_c_locale name not valid",
    "pid1-signals": "SIGTERM is ignored: `docker stop` waits for its time limit and kills it (exit code 137)",
}
HANDLERS = (
    "sigaction", "signal", "bsd_signal", "__sysv_signal", "ssignal", "sigset", "signalfd", "sigwait", "sigwaitinfo",
)  # fmt: skip


def calling(compilers: Compilers, *names: str, flags: tuple[str, ...] = ()) -> Path:
    """A dynamic program that calls functions of libraries that it does not name."""
    declared = " ".join(f"void {name}(void);" for name in names)
    called = " ".join(f"{name}();" for name in names)
    source = f"{declared} void _start(void) {{ {called} }}"
    ignore = ("-Wl,--unresolved-symbols=ignore-all", "-Wl,--export-dynamic")
    return compilers.c(source, "-w", "-fno-builtin", "-pie", "-fPIC", "-nostdlib", *ignore, *flags)


def defining(compilers: Compilers, *names: str, strings: tuple[str, ...] = (), flags: tuple[str, ...] = ()) -> Path:
    """A static program that defines these functions and holds these strings, as one with a C library inside does."""
    functions = " ".join(f"void {name}(void) {{}}" for name in names)
    texts = " ".join(f'const char text{number}[] = "{text}";' for number, text in enumerate(strings))
    return compilers.c(
        f"{functions} {texts} void _start(void) {{}}", "-w", "-fno-builtin", "-static", "-nostdlib", *flags
    )


GLIBC, MUSLS = "GLIBC_TUNABLES", "No error information"


def only(trial: Trial, code: str, **settings: object) -> Finding:
    """The finding of this code, which is the only one that a rule for needs and doubts has made."""
    verdict = trial.verdict(**settings)  # type: ignore[arg-type]
    found = [finding for finding in verdict.findings if finding.level is not Level.CERTAIN]
    assert [finding.code for finding in found] == [code]
    return found[0]


# ── what a dynamic program calls ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("code", "call", "evidence"),
    [(code, call, evidence.format(call)) for code, calls, evidence, _ in CALLS for call in calls],
)
def test_each_call(compilers: Compilers, tmp_path: Path, code: str, call: str, evidence: str) -> None:
    """One call is enough, and the evidence names it."""
    finding = only(Trial(tmp_path / "root", calling(compilers, call)), code)
    assert (finding.evidence, finding.message) == (evidence, MESSAGES[code])


@pytest.mark.parametrize(
    ("code", "call", "answer"), [(code, calls[0], answer) for code, calls, _, answers in CALLS for answer in answers]
)
def test_each_answer(compilers: Compilers, tmp_path: Path, code: str, call: str, answer: str) -> None:
    """One file, or a folder that holds something, is enough; an empty folder is none."""
    trial = Trial(tmp_path / "root", calling(compilers, call))
    if not answer.endswith("/"):
        trial.add(f"{answer.rpartition('/')[0]}/")
        assert code in trial.codes()
    assert code not in trial.add(answer).codes()


@pytest.mark.parametrize(
    ("code", "call", "env", "file"),
    [
        ("openssl-tls-roots", "X509_STORE_set_default_paths", (("SSL_CERT_FILE", "/my/bundle")), "/my/bundle"),
        ("c-time-zones", "localtime", (("TZDIR", "/my/zones")), "/my/zones/UTC"),
    ],
)
def test_variables_that_lead_to_an_answer(
    compilers: Compilers, tmp_path: Path, code: str, call: str, env: tuple[str, str], file: str
) -> None:
    """The variable alone answers nothing, and neither does the file without it."""
    trial = Trial(tmp_path / "root", calling(compilers, call))
    assert code in trial.codes(env=(env,))
    assert code in trial.add(file).codes()
    assert code not in trial.codes(env=(env,))


def test_tzdir_takes_the_place_of_the_usual_folder(compilers: Compilers, tmp_path: Path) -> None:
    """Zones that TZDIR does not lead to are no answer."""
    trial = Trial(tmp_path / "root", calling(compilers, "localtime")).add("/usr/share/zoneinfo/UTC")
    assert trial.codes(env=(("TZDIR", "/none"),)) == {"interpreter-missing", "c-time-zones"}


@pytest.mark.parametrize("handler", HANDLERS)
def test_each_way_to_hear_a_signal(compilers: Compilers, tmp_path: Path, handler: str) -> None:
    """A program that waits and can handle signals has nothing to be told, dynamic or static."""
    assert "pid1-signals" not in Trial(tmp_path / "a", calling(compilers, "pause", handler)).codes()
    assert "pid1-signals" not in Trial(tmp_path / "b", defining(compilers, "pause", handler)).codes()


# ── what a static program holds ──────────────────────────────────────────────────────────────────────────────────────

HOLDS: tuple[tuple[str, tuple[str, ...], tuple[str, ...], str], ...] = (  # code, symbols, strings, evidence
    ("nss-users", (), (GLIBC, "__nss_passwd_lookup2"),
     "the string __nss_passwd_lookup2, and no /etc/passwd in the image"),
    ("nss-users", (), (GLIBC, "__nss_group_lookup2"),
     "the string __nss_group_lookup2, and no /etc/passwd in the image"),
    ("nss-users", (), (MUSLS, "/etc/passwd"), "the string /etc/passwd, and no /etc/passwd in the image"),
    ("nss-users", (), (MUSLS, "/etc/group"), "the string /etc/group, and no /etc/passwd in the image"),
    ("nss-services", (), (GLIBC, "__nss_services_lookup2"),
     "the string __nss_services_lookup2, and no /etc/services in the image"),
    ("nss-services", (), (MUSLS, "/etc/services"), "the string /etc/services, and no /etc/services in the image"),
    ("c-time-zones", (), ("/usr/share/zoneinfo",), "the string /usr/share/zoneinfo, and no zoneinfo in the image"),
    ("c-temp-files", (), ("%.*s/%.*sXXXXXX",), "the string %.*s/%.*sXXXXXX, and no /tmp in the image"),
    ("c-temp-files", (), ("/tmp/tmpfile_XXXXXX",), "the string /tmp/tmpfile_XXXXXX, and no /tmp in the image"),
    ("named-locale", (), ("locale::locale null not valid",),
     "the string 'locale::locale null not valid', and no locales in the image"),
    ("openssl-tls-roots", (), ("SSL_CERT_FILE", "/my/ssl/cert.pem"),
     "OpenSSL that reads /my/ssl/cert.pem, which the image lacks"),
    ("pid1-signals", ("accept4",), (), "it calls accept4 and nothing that installs a signal handler"),
    ("musl-thread-stack", ("pthread_create",), (MUSLS,),
     "musl, threads, and a stack size of 0 in PT_GNU_STACK: each thread gets 128 KiB"),
    ("static-iconv", ("iconv_open",), (GLIBC,), "the symbol iconv_open, and no gconv folder in the image"),
)  # fmt: skip


@pytest.mark.parametrize(("code", "symbols", "strings", "evidence"), HOLDS)
def test_each_marker(
    compilers: Compilers, tmp_path: Path, code: str, symbols: tuple[str, ...], strings: tuple[str, ...], evidence: str
) -> None:
    """One marker is enough, and the evidence names it."""
    assert only(Trial(tmp_path / "root", defining(compilers, *symbols, strings=strings)), code).evidence == evidence


@pytest.mark.parametrize(
    ("symbols", "strings"),
    [
        ((), (GLIBC, "/etc/passwd", "/etc/group", "/etc/services")),  # every glibc program has these
        ((), ("/usr/share/zoneinfo", "basic_string")),  # every iostream program has the zones' path
        ((), ("/my/ssl/cert.pem",)),  # not OpenSSL's
        (("iconv_open",), (GLIBC, "basic_string")),
        (("iconv_open",), (MUSLS,)),
        (("pthread_create",), (GLIBC,)),
        (("malloc",), (MUSLS,)),
        ((), ()),
    ],
)
def test_what_shows_nothing(
    compilers: Compilers, tmp_path: Path, symbols: tuple[str, ...], strings: tuple[str, ...]
) -> None:
    """Markers that decide nothing by themselves, or are another C library's."""
    assert Trial(tmp_path / "root", defining(compilers, *symbols, strings=strings)).codes() == set()


def test_openssl_in_its_own_folder(compilers: Compilers, tmp_path: Path) -> None:
    """Its bundle, or certificates beside it; another folder's are no answer, and a variable is one."""
    program = defining(compilers, strings=("SSL_CERT_FILE", "/my/ssl/cert.pem"))
    code = "openssl-tls-roots"
    assert code in Trial(tmp_path / "none", program).add("/etc/ssl/certs/ca-certificates.crt").codes()
    for name, answer in (("file", "/my/ssl/cert.pem"), ("folder", "/my/ssl/certs/hash.0")):
        assert code not in Trial(tmp_path / name, program).add(answer).codes()
    trial = Trial(tmp_path / "named", program).add("/named")
    assert code in trial.codes(env=(("SSL_CERT_FILE", "/none"),))
    assert code not in trial.codes(env=(("SSL_CERT_FILE", "/named"),))


@pytest.mark.parametrize("database", ["passwd", "group", "services", "protocols", "hosts"])
def test_other_modules_of_each_database(compilers: Compilers, tmp_path: Path, database: str) -> None:
    """The line of a database that the program asks; a static program alone has its own glibc for them."""
    trial = Trial(tmp_path / "root", defining(compilers, strings=(GLIBC, f"__nss_{database}_lookup2")))
    trial.add("/etc/passwd").add("/etc/services").add("/etc/protocols")
    trial.add("/etc/nsswitch.conf", f"{database}: dns myhostname\n".encode())
    finding = only(trial, "nss-modules")
    assert finding.evidence == f"/etc/nsswitch.conf of the image: '{database}: dns myhostname'"
    assert finding.message == "libnss_myhostname.so.2 is loaded at run time where it exists, else skipped; no error"
    dynamic = Trial(tmp_path / "dynamic", calling(compilers, "getpwnam"))
    dynamic.add("/etc/passwd").add("/etc/nsswitch.conf", b"passwd: systemd\n")
    assert "nss-modules" not in dynamic.codes()


@pytest.mark.parametrize(
    ("line", "odd"),
    [
        ("passwd: files dns", ""),
        ("passwd: files [!UNAVAIL=return SUCCESS=continue] dns", ""),
        ("passwd:", ""),
        ("  passwd :\tfiles\tldap sss", "ldap"),
        ("passwd files ldap", "ldap"),
        ("#passwd: ldap", ""),
        ("passwd_compat: ldap", ""),
        # An action of several words, and one that stands close to its module.
        ("passwd: files [NOTFOUND=continue UNAVAIL=continue TRYAGAIN=continue] dns", ""),
        ("passwd: files[SUCCESS=return NOTFOUND=continue UNAVAIL=return]ldap", "ldap"),
        ("passwd: files [ notfound = Continue ] ldap", "ldap"),
        # What comes behind an answer that ends the look-up is never asked: there is an /etc/passwd.
        ("passwd: files [NOTFOUND=return] ldap", ""),
        ("passwd: files [!UNAVAIL=return] ldap", ""),
        ("passwd: files [UNAVAIL=return] ldap", "ldap"),
        ("passwd: dns [NOTFOUND=return] ldap", "ldap"),
        ("passwd: dns [!SUCCESS=return] ldap", ""),
        # Since 2.33 a # ends no line.
        ("passwd: files #ldap", "#ldap"),
        # The last line counts, and a line that is wrong spoils the file.
        ("passwd: ldap\npasswd: files", ""),
        ("passwd: ldap\ngroup: files [FOUND=return]", ""),
        ("passwd: ldap [NOTFOUND=return", ""),
        ("passwd: ldap []", ""),
        ("passwd: ldap\nsudoers: files [FOUND=return]", "ldap"),
        ("passwd: files [NOTFOUND=continue] [UNAVAIL=return] ldap", ""),
    ],
)
def test_lines_of_nsswitch(compilers: Compilers, tmp_path: Path, line: str, odd: str) -> None:
    """Modules are the words that are not an action in brackets; the first that is asked and not built in is named."""
    trial = Trial(tmp_path / "root", defining(compilers, strings=(GLIBC, "__nss_passwd_lookup2"))).add("/etc/passwd")
    trial.add("/etc/nsswitch.conf", f"{line}\n".encode())
    messages = [finding.message.partition(" ")[0] for finding in trial.verdict().findings]
    assert messages == ([f"libnss_{odd}.so.2"] if odd else [])


def test_an_action_without_the_file(compilers: Compilers, tmp_path: Path) -> None:
    """Without /etc/passwd the module `files` is unavailable, which is not the same as that it finds nothing."""
    trial = Trial(tmp_path / "root", defining(compilers, strings=(GLIBC, "__nss_passwd_lookup2")))
    trial.add("/etc/nsswitch.conf", b"passwd: files [NOTFOUND=return] ldap\n")
    assert trial.codes() == {"nss-users", "nss-modules"}


# ── musl ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("size", "told"), [(0, True), (131072, True), (131073, False), (8388608, False)])
def test_the_stack_of_musls_threads(compilers: Compilers, tmp_path: Path, size: int, told: bool) -> None:
    """128 KiB is what musl gives anyway: only more is an answer."""
    flags = (f"-Wl,-z,stack-size={size}", f"-Wl,--dynamic-linker={MUSL}")
    trial = Trial(tmp_path / "root", calling(compilers, "pthread_create", flags=flags))
    assert ("musl-thread-stack" in trial.codes()) is told
    if told:
        finding = trial.predicted("musl-thread-stack")
        assert f"a stack size of {size} in PT_GNU_STACK" in finding.evidence
        assert finding.message == "Segmentation fault in a thread that needs more (exit code 139)"


def test_a_program_without_a_stack_size_at_all(compilers: Compilers, tmp_path: Path) -> None:
    """A file without PT_GNU_STACK asks for nothing."""
    data = bytearray(defining(compilers, "pthread_create", strings=(MUSLS,)).read_bytes())
    start, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    (at,) = [at for at in range(start, start + 56 * count, 56) if data[at : at + 4] == b"\x51\xe5\x74\x64"]
    data[at : at + 4] = bytes(4)  # PT_NULL
    (tmp_path / "program").write_bytes(data)
    trial = Trial(tmp_path / "root", tmp_path / "program")
    assert "a stack size of 0 in" in trial.predicted("musl-thread-stack").evidence


@pytest.mark.parametrize(
    ("names", "static", "told"),
    [
        (("pthread_create", "malloc"), False, True),
        (("pthread_create",), False, False),
        (("malloc",), False, False),
        (("pthread_create", "__malloc_context"), True, True),
        (("pthread_create", "malloc"), True, False),  # its own, or zig's
        (("__malloc_context",), True, False),
    ],
)
def test_musls_malloc(compilers: Compilers, tmp_path: Path, names: tuple[str, ...], static: bool, told: bool) -> None:
    """Threads and musl's allocator, by what is called or by what is inside; not a program for glibc."""
    large = "-Wl,-z,stack-size=8388608"
    musl = (large, f"-Wl,--dynamic-linker={MUSL}")
    program = (
        defining(compilers, *names, strings=(MUSLS,), flags=(large,))
        if static
        else calling(compilers, *names, flags=musl)
    )
    trial = Trial(tmp_path / "root", program)
    assert ("musl-malloc" in trial.codes()) is told
    if told:
        finding = trial.predicted("musl-malloc")
        assert finding.evidence == "musl's own malloc in a program with threads"
        assert finding.message == "no error: allocation in threads is many times slower"
    other = defining(compilers, *names, strings=(GLIBC,)) if static else calling(compilers, *names)
    assert "musl-malloc" not in Trial(tmp_path / "glibc", other).codes()


# ── what only the build knows ────────────────────────────────────────────────────────────────────────────────────────

IOSTREAM = "basic_string"


def test_the_linkers_map_knows_who_asked(compilers: Compilers, tmp_path: Path) -> None:
    """An iostream program holds all of this whether it uses it or not: the object that called for it is named."""
    for member, code, evidence in (
        ("localtime.o", "c-time-zones", "clock.o calls for glibc's local time, and no zoneinfo in the image"),
        ("mktime.o", "c-time-zones", "clock.o calls for glibc's local time, and no zoneinfo in the image"),
        ("iconv_open.o", "static-iconv", "clock.o calls iconv_open, and no gconv folder in the image"),
    ):
        linker_map = tmp_path / f"{member}.map"
        linker_map.write_text(f"/usr/lib/libc.a({member})  /tmp/clock.o (it)\n")
        program = defining(compilers, strings=(GLIBC, IOSTREAM, "/usr/share/zoneinfo"))
        trial = Trial(tmp_path / member, program)
        assert trial.codes() == set()
        assert only(trial, code, linker_map=linker_map).evidence == evidence


@pytest.mark.parametrize(
    "folder", ["/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]
)
def test_each_folder_of_converters(compilers: Compilers, tmp_path: Path, folder: str) -> None:
    """A gconv folder that holds something answers iconv_open."""
    trial = Trial(tmp_path / "root", defining(compilers, "iconv_open", strings=(GLIBC,)))
    assert trial.add(f"{folder}/gconv/").codes() == {"static-iconv"}
    assert trial.add(f"{folder}/gconv/UTF-16.so").codes() == set()


def test_other_warnings_of_the_linker(compilers: Compilers, tmp_path: Path) -> None:
    """Only the one about dlopen is a doubt, and it is told as the linker wrote it."""
    trial = Trial(tmp_path / "root", defining(compilers))
    other = "warning: Using 'getaddrinfo' in statically linked applications requires at runtime the shared libraries"
    assert trial.codes(warnings=(other,)) == set()
    warning = "  main.o: warning: Using 'dlopen' in statically linked applications requires …"
    finding = only(trial, "static-dlopen", warnings=(other, warning))
    assert finding.evidence == f"the linker warned: {warning.strip()}"


@pytest.mark.parametrize(
    ("words", "platform", "told"),
    [
        (("-march=native",), "linux/amd64", "-march=native"),
        (("-march=haswell",), "linux/amd64/v4", "-march=haswell"),
        (("-mcpu=znver3",), "linux/amd64", "-mcpu=znver3"),
        (("-march=x86-64-v2",), "linux/amd64", "-march=x86-64-v2"),
        (("-march=x86-64-v3",), "linux/amd64/v2", "-march=x86-64-v3"),
        (("-march=x86-64-v3",), "linux/amd64/v3", ""),
        (("-march=x86-64-v2",), "linux/amd64/v3", ""),
        (("-march=x86-64",), "linux/amd64", ""),
        (("-mcpu=x86_64",), "linux/amd64", ""),
        (("-mcpu=baseline",), "linux/amd64", ""),
        (("-mcpu=generic",), "linux/amd64", ""),
        (("-march=armv8-a",), "linux/amd64", ""),
        (("-march=rv64gc",), "linux/amd64", ""),
        (("-O2", "-march=x86-64", "-march=native"), "linux/amd64", "-march=native"),
        (("-march=x86-64-v2", "-march=x86-64-v4"), "linux/amd64/v3", "-march=x86-64-v4"),
        (("-O2", "main-march=native.c"), "linux/amd64", ""),
    ],
)
def test_each_cpu_that_is_compiled_for(
    compilers: Compilers, tmp_path: Path, words: tuple[str, ...], platform: str, told: str
) -> None:
    """A baseline is no doubt, and neither is a level that the platform promises."""
    trial = Trial(tmp_path / "root", defining(compilers))
    commands = (Command(("gcc", *words)),)
    verdict = trial.verdict(platform=platform, commands=commands)
    found = [(finding.evidence, finding.message) for finding in verdict.findings if finding.code == "cpu-flags"]
    text = "Illegal instruction on an older CPU (exit code 132)"
    assert found == ([(f"it was compiled with {told}", text)] if told else [])


def test_weak_names_of_threads(compilers: Compilers, tmp_path: Path) -> None:
    """Three of them are named; other weak names are no doubt, and neither are musl's, where they are the same."""
    names = [f"pthread_{name}" for name in ("create", "join", "key_create", "once")]
    for count in (1, 3, 4):
        program = weakly(compilers, GLIBC, *names[:count], "my_own")
        finding = only(Trial(tmp_path / str(count), program), "weak-pthread")
        told = ", ".join(names[:3][:count])
        assert finding.evidence == f"weak symbols that nothing defines: {told}"
        text = "Segmentation fault when a thread is made, if glibc is older than 2.34 (exit code 139)"
        assert finding.message == text
    assert Trial(tmp_path / "other", weakly(compilers, GLIBC, "my_own")).codes() == set()
    assert "weak-pthread" not in Trial(tmp_path / "musl", weakly(compilers, MUSLS, *names)).codes()


def weakly(compilers: Compilers, libc: str, *names: str) -> Path:
    """A static program that refers to these names weakly, and keeps them in its table of symbols, as gold does."""
    uses = " ".join(f"extern void {name}(void) __attribute__((weak)); void *u_{name} = {name};" for name in names)
    source = f'const char libc[] = "{libc}"; {uses} void _start(void) {{}}'
    return compilers.c(source, "-w", "-static", "-nostdlib", "-fuse-ld=gold")


# ── Go ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_answer_to_gos_tls(compilers: Compilers, tmp_path: Path) -> None:
    """Each file and folder that crypto/x509 reads on Linux, and the two variables."""
    program = compilers.go(programs.GO_TLS, SMALL)
    code = "go-tls-roots"
    trial = Trial(tmp_path / "none", program)
    assert trial.predicted(code).evidence == ("the function crypto/x509.loadSystemRoots, and no CA bundle in the image")
    for number, answer in enumerate(BUNDLES):
        assert code not in Trial(tmp_path / str(number), program).add(answer).codes(), answer
    trial.add("/mine/ca.pem")
    assert code in trial.codes()
    for name, value, answered in (
        ("SSL_CERT_FILE", "/mine/ca.pem", True),
        ("SSL_CERT_FILE", "/none", False),
        ("SSL_CERT_DIR", "/none:/mine", True),
        ("SSL_CERT_DIR", "/none:/none/too", False),
    ):
        assert (code not in trial.codes(env=((name, value),))) is answered, (name, value)
    trial.add("/etc/ssl/cert.pem")
    assert code in trial.codes(env=(("SSL_CERT_FILE", "/none"),))  # it takes the place of the files


def test_roots_inside_the_program_answer_gos_tls(compilers: Compilers, tmp_path: Path) -> None:
    """A program that sets its own fallback roots needs no bundle."""
    source = programs.GO_TLS.replace("key, e :=", "x509.SetFallbackRoots(x509.NewCertPool())\nkey, e :=", 1)
    assert "go-tls-roots" not in Trial(tmp_path / "root", compilers.go(source, SMALL)).codes()


def test_each_answer_to_gos_zones(compilers: Compilers, tmp_path: Path) -> None:
    """Each folder that package time reads, and ZONEINFO."""
    program = compilers.go(programs.GO_ZONE, SMALL)
    code = "go-time-zones"
    trial = Trial(tmp_path / "none", program).add("/my.zip")
    assert trial.predicted(code).evidence == (
        "the function time.LoadLocation, and no zoneinfo in the program or the image"
    )
    assert code in trial.codes(env=(("ZONEINFO", "/none"),))
    assert code not in trial.codes(env=(("ZONEINFO", "/my.zip"),))
    for number, folder in enumerate(
        ("/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo")
    ):
        assert code not in Trial(tmp_path / str(number), program).add(f"{folder}/UTC").codes(), folder


@pytest.mark.parametrize("call", ['user.Lookup("root")', 'user.LookupId("0")'])
def test_each_way_to_ask_for_users(compilers: Compilers, tmp_path: Path, call: str) -> None:
    """By name or by number."""
    source = f'package main\n\nimport "os/user"\n\nfunc main() {{ _, e := {call}; if e != nil {{ panic(e) }} }}\n'
    finding = Trial(tmp_path / "root", compilers.go(source, SMALL)).predicted("go-users")
    assert finding.evidence == "the package os/user without cgo, and no /etc/passwd in the image"


def test_variables_of_go_programs(compilers: Compilers, tmp_path: Path) -> None:
    """TMPDIR names the folder that is needed, PATH where other programs are looked for; the words follow them."""
    for source, function, message in (
        (programs.GO_TEMP_FILE, "os.CreateTemp", "open /mine/<name>: no such file or directory"),
        (programs.GO_TEMP_FOLDER, "os.MkdirTemp", "stat /mine: no such file or directory"),
    ):
        trial = Trial(tmp_path / function, compilers.go(source, SMALL)).add("/tmp/")
        mine: Environment = (("TMPDIR", "/mine"),)
        finding = trial.predicted("go-temp-files", env=mine)
        assert (finding.evidence, finding.message) == (f"the function {function}, and no /mine in the image", message)
        assert "go-temp-files" not in trial.add("/mine/").codes(env=mine)
    trial = Trial(tmp_path / "exec", compilers.go(programs.GO_EXEC, SMALL)).add("/opt/child")
    finding = trial.predicted("go-child-processes")
    assert finding.evidence == "the function os/exec.Command, and no program on the image's PATH"
    assert "go-child-processes" not in trial.codes(env=(("PATH", "/none:/opt"),))
    trial.add("/usr/bin/child")
    assert "go-child-processes" in trial.codes(env=(("PATH", "/none"),))


def test_plugins_of_a_program_with_cgo(compilers: Compilers, tmp_path: Path) -> None:
    """They are what cgo is for."""
    trial = Trial(tmp_path / "root", compilers.go(programs.GO_PLUGIN, SMALL))
    assert trial.predicted("go-plugins").evidence == "the function plugin.open in a program without cgo"
    with_cgo = compilers.go(programs.GO_PLUGIN, SMALL, env=(("CGO_ENABLED", "1"),))
    assert "go-plugins" not in Trial(tmp_path / "cgo", with_cgo).codes()
