"""Tests of recipes/verdict/entry.py and startup.py: the words of each verdict, whole.

What they predict is tried in test_judge.py, test_access.py and test_envline.py; here it is what is told of it, and what
no kernel of this machine can be asked, such as other CPUs.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from recipes.elf.facts import read_facts
from recipes.elf.markers import examine_reader
from recipes.elf.segments import BytesReader
from recipes.model import Environment, Finding, Level, Platform, Status, Verdict
from recipes.rootfs.root import RootFs
from recipes.verdict.entry import judge_entry
from recipes.verdict.judge import judge
from recipes.verdict.scripts import judge_script
from recipes.verdict.startup import LOADER_CODES
from tests.compilers import Compilers
from tests.elf.fixtures.make import DYN, EXEC, PIE, SONAME, make_elf
from tests.fuzz.targets import Files
from tests.loader.modes import Modes
from tests.verdict import programs
from tests.verdict.trial import Trial

AMD64 = Platform.parse("linux/amd64")
STATIC = make_elf(kind=EXEC)
USER = "65532:65532"


def entry(
    files: Mapping[str, bytes],
    *argv: str,
    modes: Mapping[str, int] | None = None,
    user: str = USER,
    env: Environment = (),
    workdir: str = "/",
) -> Verdict:
    return judge_entry(RootFs(Modes(files, modes)), argv, AMD64, user=user, env=env, workdir=workdir)


def refusal(verdict: Verdict) -> tuple[str, str, str, str]:
    """Code, evidence, message and fix of the one certain finding, which is all that is told."""
    assert verdict.status is Status.FAILS
    (finding,) = verdict.findings
    assert finding.level is Level.CERTAIN
    return finding.code, finding.evidence, finding.message, finding.fix


# ── the entry point ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_entry_point_that_cannot_be_started() -> None:
    """Each reason in full."""
    assert refusal(entry({"/app": STATIC})) == (
        "no-command", "neither entry point nor command in the image", "no command specified", "set one",
    )  # fmt: skip
    assert refusal(entry({"/app": STATIC}, "tool")) == (
        "entry-missing",
        "no tool that may be executed in any folder of PATH",
        'exec: "tool": executable file not found in $PATH',
        "name it with its whole path, or add it",
    )
    assert refusal(entry({"/app": STATIC}, "./bin/../tool", workdir="/srv")) == (
        "entry-missing",
        "the entry point ./bin/../tool is not in the image",
        'exec: "./bin/../tool": stat ./bin/../tool: no such file or directory',
        "add it, or correct the path",
    )
    assert refusal(entry({"/app": STATIC}, "/bin/sh", "-c", "/app")) == (
        "shell-missing",
        "the entry point is in shell form, and the image lacks /bin/sh",
        'exec: "/bin/sh": stat /bin/sh: no such file or directory',
        'write the entry point in exec form: ENTRYPOINT ["/app"]',
    )
    assert refusal(entry({"/app": STATIC}, "/app", "--now", modes={"/app": 0o644})) == (
        "not-executable", "/app is a file with mode 0644", 'exec: "/app": permission denied', "give it mode 0755",
    )  # fmt: skip
    assert refusal(entry({"/opt/app": STATIC}, "/opt"))[1:3] == ("/opt is a folder", 'exec: "/opt": permission denied')


def test_a_folder_that_the_user_may_not_pass() -> None:
    """A path is told with what is in the way; a name alone is only not found."""
    files, modes = {"/opt/app": STATIC}, {"/opt": 0o700}
    assert refusal(entry(files, "/opt/./app", "--now", modes=modes)) == (
        "not-executable",
        "/opt has mode 0700, and keeps the image's user from /opt/./app",
        'exec: "/opt/./app": stat /opt/./app: permission denied',
        "give the folder mode 0755",
    )
    assert refusal(entry(files, "app", modes=modes, env=(("PATH", "/opt"),)))[0] == "entry-missing"
    assert refusal(entry(files, "app", modes=modes, workdir="/opt"))[0] == "entry-missing"
    assert entry(files, "/opt/app", modes=modes, user="0:0").status is Status.RUNS
    assert entry(files, "./app", modes={"/opt": 0o711}, workdir="/opt").status is Status.RUNS


def test_where_a_name_is_looked_up() -> None:
    """In PATH, also where it is empty; in the usual one where the image sets none. Relative folders are refused."""
    files = {"/bin/app": STATIC, "/srv/own/tool": STATIC}
    assert entry(files, "app").status is Status.RUNS
    assert entry(files, "app", env=(("PATH", ""),)).status is Status.FAILS
    assert entry(files, "app", env=(("PATH", "/usr/bin:own"),)).status is Status.FAILS
    found = refusal(entry(files, "tool", env=(("PATH", "/usr/bin:own"),), workdir="/srv"))
    assert found[2] == 'exec: "tool": cannot run executable found relative to current directory'
    assert entry(files, "tool", env=(("PATH", "/usr/bin:own"),)).status is Status.FAILS


def test_a_user_that_the_image_does_not_know() -> None:
    """The engine's words, for a program, a script, and a file that is put into a base."""
    files = {"/app": STATIC, "/run": b"#!/app\n", "/etc/passwd": b"root:x:0:0::/:/bin/sh\n", "/etc/group": b"g:x:7:\n"}
    expected = (
        "unknown-user",
        "the image's user is 'me'",
        "unable to find user me: no matching entries in passwd file",
        "use numbers, such as 65532:65532, or add /etc/passwd and /etc/group",
    )
    for name in ("/app", "/run"):
        assert refusal(entry(files, name, user="me")) == expected
    reader = BytesReader(STATIC)
    assert (
        refusal(judge(examine_reader(reader), read_facts(reader), RootFs(Files(files)), AMD64, user="me")) == expected
    )
    assert entry(files, "/app", user="root:g").status is Status.RUNS
    assert entry(files, "/app", user="root:h").status is Status.FAILS


def test_an_account_at_the_end_of_a_long_list() -> None:
    """Names in any encoding, and lists longer than one reading."""
    files = {"/app": STATIC, "/etc/passwd": b"caf\xe9:x:7:7::/:\n" + b"#" * 60_000 + b"\nme:x:8:8::/:\n"}
    assert entry(files, "/app", user="me").status is Status.RUNS


# ── programs ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_not_a_program() -> None:
    """Text, and half of a program."""
    assert refusal(entry({"/app": b"echo hello\n"}, "/app")) == (
        "not-a-program",
        "/app: not an ELF file",
        "exec /app: exec format error",
        "a script starts with #! and its interpreter, a program is built for Linux",
    )
    code, _, message, fix = refusal(entry({"/app": STATIC[:100]}, "/app"))
    assert (code, message, fix) == ("truncated", "Segmentation fault (exit code 139)", "copy or build it again")


def test_a_program_for_another_cpu() -> None:
    """Both CPUs are named, and what to build or choose."""
    assert refusal(entry({"/app": make_elf(kind=EXEC, machine=183)}, "/app")) == (
        "wrong-cpu",
        "the file is for arm64, the image for linux/amd64",
        "exec /app: exec format error",
        "build it for linux/amd64, or choose --platform linux/arm64",
    )


@pytest.mark.parametrize(
    ("os_abi", "system"), [(0, ""), (2, "NetBSD"), (3, ""), (6, "Solaris"), (9, "FreeBSD"), (12, "OpenBSD"), (1, "")]
)
def test_the_systems_that_a_header_names(os_abi: int, system: str) -> None:
    """Linux does not look at it, so it is a doubt; a program with a loader is that loader's matter."""
    data = STATIC[:7] + bytes([os_abi]) + STATIC[8:]
    verdict = entry({"/app": data}, "/app")
    assert verdict.status is (Status.UNKNOWN if system else Status.RUNS)
    text = "Segmentation fault (exit code 139)"
    found = Finding(
        level=Level.POSSIBLE,
        code="wrong-system",
        evidence=f"its ELF header names {system}",
        message=text,
        fix="build it for Linux",
    )
    assert verdict.findings == ((found,) if system else ())
    dynamic = make_elf(interpreter=b"/none", flags_1=PIE)
    dynamic = dynamic[:7] + bytes([os_abi]) + dynamic[8:]
    assert [finding.code for finding in entry({"/app": dynamic}, "/app").findings] == ["interpreter-missing"]


def test_a_library_as_a_program() -> None:
    """Without an entry point it dies at once; with one nobody can tell."""
    fix = "link a program: without -shared, or with -static-pie"
    what, text = "ET_DYN without an interpreter, without DF_1_PIE", "Segmentation fault (exit code 139)"
    library = make_elf(kind=DYN, entry=0, names=((SONAME, b"liba.so"),))
    assert refusal(entry({"/app": library}, "/app")) == (
        "shared-library-as-program", f"{what}, and with entry point 0", text, fix,
    )  # fmt: skip
    entered = entry({"/app": make_elf(kind=DYN, entry=0x10000, names=((SONAME, b"liba.so"),))}, "/app")
    assert entered.status is Status.UNKNOWN
    assert entered.findings == (
        Finding(level=Level.POSSIBLE, code="shared-library-as-program", evidence=what, message=text, fix=fix),
    )
    pie = entry({"/app": make_elf(kind=DYN, entry=0, flags_1=PIE)}, "/app")
    assert refusal(pie)[0] == "shared-library-as-program"
    assert entry({"/app": make_elf(kind=EXEC, entry=0)}, "/app").status is Status.RUNS
    assert entry({"/app": make_elf(kind=DYN, entry=1, flags_1=PIE)}, "/app").status is Status.RUNS


def test_a_missing_loader() -> None:
    """The loader is named, and what to do."""
    assert refusal(entry({"/app": make_elf(interpreter=b"/lib/ld.so", flags_1=PIE)}, "/app")) == (
        "interpreter-missing",
        "it asks for the loader /lib/ld.so, which the image lacks",
        "exec /app: no such file or directory",
        "link it statically, or take a base that has that loader",
    )


def test_a_loader_that_the_user_may_not_reach() -> None:
    """It is there, and a folder is in the way: which one is told."""
    files = {"/app": make_elf(interpreter=b"/lib/ld.so", flags_1=PIE), "/lib/ld.so": make_elf()}
    code, evidence, message, _ = refusal(entry(files, "/app", modes={"/lib": 0o700}))
    assert (code, message) == ("interpreter-broken", "exec /app: permission denied")
    assert evidence == "/lib keeps the image's user from the loader /lib/ld.so"


def test_a_loader_of_neither_kind_is_unknown() -> None:
    """And so is a root that only a loader's rules could read: never a pass."""
    files = {"/app": make_elf(interpreter=b"/lib/ld.so", flags_1=PIE), "/lib/ld.so": make_elf(exports=(b"f",))}
    assert entry(files, "/app").status is Status.UNKNOWN


def test_a_root_without_a_loaders_view(compilers: Compilers, tmp_path: Path) -> None:
    """What a `Root` that is not a `RootFs` holds cannot be walked as a loader does."""
    trial = Trial(tmp_path / "root", compilers.c(programs.HELLO_C))
    trial.add("/lib64/ld-linux-x86-64.so.2")
    assert trial.verdict().status is Status.UNKNOWN


def test_programs_that_are_nearly_static(compilers: Compilers, tmp_path: Path) -> None:
    """What gave them away is told, and how to link them."""
    go = Trial(tmp_path / "go", compilers.go(programs.HELLO_GO, "-buildmode=pie")).predicted("go-pie-interpreter")
    start = "it asks for the loader /lib64/ld-linux-x86-64.so.2, which the image lacks"
    assert go.evidence == f"{start}, and for no library: Go with -buildmode=pie does this"
    assert go.fix == "build with -buildmode=exe, or link externally with -extldflags=-static-pie"
    half = Trial(tmp_path / "half", compilers.cpp(programs.HELLO_CPP, "-static-libstdc++", "-static-libgcc"))
    finding = half.predicted("partly-static")
    assert finding.evidence == f"{start}; libstdc++ is linked in, libc is not"
    assert finding.fix == "-static-libstdc++ leaves libc dynamic: link with -static"
    linked = compilers.go(
        programs.HELLO_GO, "-buildmode=pie", "-ldflags=-linkmode=external", env=(("CGO_ENABLED", "1"),)
    )
    assert Trial(tmp_path / "cgo", linked).predicted("interpreter-missing").evidence == start
    loader_only = entry({"/app": make_elf(interpreter=b"/lib/ld.so", flags_1=PIE)}, "/app")
    assert loader_only.findings[0].code == "interpreter-missing"


@pytest.mark.parametrize("library", ["libstdc++.so.6", "libc++.so.1", "libmine.so"])
def test_a_library_that_has_libstdcxx(compilers: Compilers, tmp_path: Path, library: str) -> None:
    """A program that asks for glibc's __newlocale has libstdc++ inside, unless it names a C++ library."""
    source = "void __newlocale(void); void _start(void) { __newlocale(); }"
    built = compilers.c("int f;", "-shared", "-nostdlib", f"-Wl,-soname,{library}")
    ignored = ("-Wl,--unresolved-symbols=ignore-all", "-Wl,--export-dynamic", "-Wl,--no-as-needed")
    program = compilers.linked_late(source, "-nostdlib", "-pie", *ignored, str(built))
    expected = "partly-static" if library == "libmine.so" else "interpreter-missing"
    assert expected in Trial(tmp_path / "root", program).codes()


def test_a_closed_top_is_told(compilers: Compilers) -> None:
    """What Docker and podman make of it, and of whom the mode is."""
    verdict = entry({"/app": STATIC}, "/app", modes={"/": 0o750})
    assert verdict.findings == (
        Finding(
            level=Level.POSSIBLE,
            code="root-closed",
            evidence="the layers give / mode 0750; Docker does not keep to that, podman does",
            message="exec /app: permission denied",
            fix="give the base's ./ mode 0755",
        ),
    )
    assert verdict.status is Status.RUNS


def test_a_program_out_of_its_users_reach() -> None:
    """A file that is put into a base whose folder is closed."""
    reader = BytesReader(STATIC)
    root = RootFs(Modes({"/opt/app": STATIC}, {"/opt": 0o750}))
    verdict = judge(examine_reader(reader), read_facts(reader), root, AMD64, user=USER, entry="/opt/app")
    assert refusal(verdict) == (
        "not-executable",
        "/opt has mode 0750, and keeps the image's user from /opt/app",
        "exec /opt/app: permission denied",
        "give the folder mode 0755",
    )


def test_each_problem_of_a_loader_has_a_documented_code() -> None:
    """Every code that a loader's problem becomes is a section of docs/hazards.md, and its fix says what to do."""
    pages = (Path(__file__).parents[2] / "docs/hazards.md").read_text()
    for code, fix in LOADER_CODES.values():
        assert re.search(rf"^#+ .*\b{code}\b", pages, re.MULTILINE), code
        assert re.match(r"(take|link|add|build)\b", fix), fix


@pytest.mark.parametrize(
    ("platform", "told"), [("linux/amd64", Level.POSSIBLE), ("linux/amd64/v1", Level.CERTAIN), ("linux/amd64/v4", None)]
)
@pytest.mark.parametrize("level", [2, 3, 4])
def test_each_level_that_a_program_asks_for(
    compilers: Compilers, tmp_path: Path, platform: str, told: Level | None, level: int
) -> None:
    """The note of a dynamic program, in the loader's words; a platform without a level says nothing of it."""
    program = compilers.c(programs.HELLO_C, f"-Wl,-z,x86-64-v{level}")
    findings = Trial(tmp_path / "root", program).verdict(platform=platform).findings
    expected = Finding(
        level=told or Level.CERTAIN,
        code="cpu-level",
        evidence=f"the note GNU_PROPERTY_X86_ISA_1_NEEDED asks for x86-64-v{level}",
        message="/app: CPU ISA level is lower than required",
        fix="link without -z x86-64-v…, compile for the baseline",
    )
    assert (expected in findings) is (told is not None)
    assert len([each for each in findings if each.code == "cpu-level"]) == (told is not None)


def test_the_level_of_a_go_program(compilers: Compilers, tmp_path: Path) -> None:
    """By its build information, in its runtime's words."""
    program = compilers.go(programs.PLAIN_GO, env=(("GOAMD64", "v3"),))
    finding = Trial(tmp_path / "root", program).predicted("cpu-level")
    assert finding.evidence == "Go build information: GOAMD64=v3"
    text = "This program can only be run on AMD64 processors with v3 microarchitecture support."
    assert (finding.message, finding.fix) == (text, "build with GOAMD64=v1")


def test_a_go_program_for_another_system(compilers: Compilers, tmp_path: Path) -> None:
    """Its build information is certain; android's Linux is Linux."""
    freebsd = compilers.go(programs.PLAIN_GO, env=(("GOOS", "freebsd"),))
    finding = Trial(tmp_path / "root", freebsd).predicted("wrong-system")
    assert (finding.level, finding.evidence) == (Level.CERTAIN, "Go build information: GOOS=freebsd")


# ── scripts ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def script(line: bytes, **more: bytes) -> Verdict:
    return entry({"/run": line + b"\nexit\n", **more}, "/run")


NOT_JUDGED = "what that starts was not judged"


def test_a_script_whose_interpreter_runs() -> None:
    """That is all that is known: what the script does is a doubt."""
    verdict = script(b"#!/bin/sh", **{"/bin/sh": STATIC})
    assert verdict.status is Status.RUNS
    assert verdict.findings == (
        Finding(
            level=Level.POSSIBLE,
            code="not-followed",
            evidence=f"/run is a script for /bin/sh: {NOT_JUDGED}",
            message="depends on the commands in it",
            fix="verify the programs that it starts, with this image as their base",
        ),
    )


@pytest.mark.parametrize(
    ("line", "interpreter"),
    [
        (b"#!/bin/sh", "/bin/sh"),
        (b"#! /bin/sh", "/bin/sh"),
        (b"#!\t/bin/sh\t-e", "/bin/sh"),
        (b"#! \t /bin/sh -e\t-u ", "/bin/sh"),
        (b"#!/bin/sh\t", "/bin/sh"),
        (b"#!/bin/s\xe9", "/bin/s\udce9"),
        (b"#!bin/sh", "/bin/sh"),
    ],
)
def test_the_interpreter_of_a_line(line: bytes, interpreter: str) -> None:
    """The first word between blanks and tabs, in any encoding."""
    assert script(line, **{interpreter: STATIC}).status is Status.RUNS
    assert script(line, **{"/bin/other": STATIC}).status is Status.FAILS


@pytest.mark.parametrize(("length", "rest"), [(255, ""), (256, ""), (256, " x"), (200, f" {100 * 'x'}")])
def test_the_longest_first_line(length: int, rest: str, tmp_path: Path) -> None:
    """The kernel looks at 256 bytes: a name that does not end there is none, an argument is cut without a word."""
    folder = tmp_path / "d"
    folder = Path(f"{folder}{'e' * (length - len(f'#!{folder}/f'))}")
    folder.mkdir()
    (folder / "f").symlink_to("/bin/true")
    script = tmp_path / "script"
    script.write_text(f"#!{folder}/f{rest}\n")
    script.chmod(0o755)
    try:
        seen = "" if subprocess.run([script], check=True).returncode == 0 else "failed"
    except OSError as error:
        seen = str(error.strerror).lower()
    verdict = entry({"/run": script.read_bytes(), f"{folder}/f": STATIC}, "/run")
    predicted = verdict.reason.removeprefix("exec /run: ") if verdict.status is Status.FAILS else ""
    assert predicted == seen == ("exec format error" if length > 255 else "")


def test_a_script_that_is_put_into_a_base() -> None:
    """It need not be in the root: its first line is enough, for the user and from the folder that the image has."""
    root = RootFs(Files({"/bin/sh": STATIC}))
    assert judge_script(root, b"#!bin/sh", "/app", AMD64).status is Status.RUNS
    assert judge_script(root, b"#!bin/sh", "/app", AMD64, workdir="/srv").status is Status.FAILS
    assert refusal(judge_script(root, b"#!/bin/sh", "/app", AMD64, user="me"))[0] == "unknown-user"


def test_a_script_that_the_kernel_refuses() -> None:
    """Each reason in full; the message names what was asked for, also where a script led to a script."""
    assert refusal(script(b"#!")) == (
        "not-a-program",
        "/run starts with #! and names no interpreter",
        "exec /run: exec format error",
        "name one, with its whole path",
    )
    assert refusal(script(b"#! \t")) == refusal(script(b"#!"))
    assert refusal(script(b"#!/bin/sh")) == (
        "script-interpreter-missing",
        "/run starts with #!'/bin/sh', which the image lacks",
        "exec /run: no such file or directory",
        "add /bin/sh, or make the entry point a program",
    )
    assert refusal(script(b"#!/bin/sh\r", **{"/bin/sh": STATIC})) == (
        "script-interpreter-missing",
        "/run starts with #!'/bin/sh\\r', which the image lacks",
        "exec /run: no such file or directory",
        "end its lines with LF alone: the kernel takes the CR for a part of the name",
    )
    assert refusal(entry({"/run": b"#!/bin/sh\n", "/bin/sh": STATIC}, "/run", modes={"/bin/sh": 0o644})) == (
        "not-executable",
        "/run starts with #!/bin/sh, which may not be executed",
        "exec /run: permission denied",
        "give it mode 0755",
    )
    assert refusal(entry({"/run": b"#!/bin/sh\n", "/bin/sh": STATIC}, "/run", modes={"/bin": 0o700})) == (
        "not-executable",
        "/run starts with #!/bin/sh, and /bin keeps the image's user from it",
        "exec /run: permission denied",
        "give the folder mode 0755",
    )
    assert refusal(entry({"/run": b"#!/bin/sh\n", "/bin/sh": STATIC}, "/run", modes={"/run": 0o711})) == (
        "script-unreadable",
        "/run has mode 0711, and its interpreter has to read it",
        "/run: Permission denied",
        "give it mode 0755",
    )
    assert refusal(script(b"#!/bin/a", **{"/bin/a": b"#!/bin/b\n"}))[1:3] == (
        "/bin/a starts with #!'/bin/b', which the image lacks",
        "exec /run: no such file or directory",
    )
    assert refusal(script(b"#!/bin/text", **{"/bin/text": b"text"}))[2] == "exec /run: exec format error"


@pytest.mark.parametrize(("scripts", "status"), [(5, Status.RUNS), (6, Status.FAILS)])
def test_scripts_for_scripts(scripts: int, status: Status) -> None:
    """The kernel follows five of them."""
    files = {f"/s{number}": f"#!/s{number + 1}\n".encode() for number in range(scripts)}
    verdict = entry({**files, f"/s{scripts}": STATIC}, "/s0")
    assert verdict.status is status
    if status is Status.FAILS:
        assert refusal(verdict) == (
            "script-loop",
            "/s0 is a script for a script, nested too deep",
            "exec /s0: too many levels of symbolic links",
            "use a program as the interpreter",
        )


def test_how_much_of_a_first_line_counts() -> None:
    """255 bytes of it: a name that ends there is whole, and of an argument no more is handed over."""
    name = "/" + "x" * 252
    assert script(f"#!{name}".encode(), **{name: STATIC}).status is Status.RUNS
    assert script(f"#!{name[:-1]}".encode(), **{name: STATIC}).status is Status.FAILS
    blanks = " " * (255 - len(f"#!{ENV}too"))
    files = {ENV: STATIC, "/bin/too": STATIC}
    assert entry({"/run": f"#!{ENV}{blanks}tool\n".encode(), **files}, "/run").status is Status.RUNS


@pytest.mark.parametrize("shell", ["sh", "ash", "bash", "dash", "busybox"])
def test_what_is_handed_to_a_shell(shell: str) -> None:
    """The command is told, and that it was not judged; of other programs -c is their own matter."""
    files = {f"/bin/{shell}": STATIC, "/bin/python": STATIC}
    verdict = entry(files, f"/bin/{shell}", "-c", "exec /app --now")
    assert verdict.status is Status.RUNS
    (finding,) = verdict.findings
    assert (finding.level, finding.code) == (Level.POSSIBLE, "not-followed")
    assert finding.evidence == f"the entry point hands 'exec /app --now' to a shell: {NOT_JUDGED}"
    assert entry(files, shell, "-c", "a", "b").findings[0].evidence.startswith("the entry point hands a to a shell")
    for argv in ((f"/bin/{shell}", "-e", "-c", "a"), (f"/bin/{shell}",), ("/bin/python", "-c", "a")):
        assert entry(files, *argv).findings == (), argv


# ── env ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

ENV = "/usr/bin/env"
COREUTILS = {ENV: STATIC}
BUSYBOX = {ENV: STATIC + b"BusyBox v1.36.1 (Debian)"}


def through_env(
    line: str, files: Mapping[str, bytes], modes: Mapping[str, int] | None = None, **settings: Environment
) -> Verdict:
    return entry({"/run": f"#!{ENV} {line}\n".encode(), **files}, "/run", modes=modes, **settings)  # type: ignore[arg-type]


def test_what_env_starts_is_followed() -> None:
    """By its name in PATH, Docker's own without one, by a path, with settings, and from the working folder."""
    hello = {**COREUTILS, "/usr/bin/tool": STATIC, "/opt/tool": STATIC}
    verdict = through_env("tool", hello)
    assert verdict.status is Status.RUNS
    assert verdict.findings[0].evidence == f"/run is a script for /usr/bin/tool: {NOT_JUDGED}"
    assert (
        through_env("tool", hello, env=(("PATH", "/opt"),)).findings[0].evidence.startswith("/run is a script for /opt")
    )
    assert through_env("opt/tool", hello).findings[0].evidence.startswith("/run is a script for /opt/tool")
    assert through_env("/opt/tool", hello).status is Status.RUNS


def test_the_argument_of_a_line() -> None:
    """All behind the interpreter and its blanks, in any encoding; without one env has nothing to start."""
    files = {**COREUTILS, "/bin/t\udce9st": STATIC}
    for line in (b"#!/usr/bin/env t\xe9st", b"#! /usr/bin/env t\xe9st", b"#!\t /usr/bin/env \t t\xe9st\t "):
        assert script(line, **files).status is Status.RUNS, line
    assert script(b"#!/usr/bin/env", **files).status is Status.UNKNOWN
    assert script(b"#!/usr/bin/env ", **files).status is Status.UNKNOWN


def test_what_env_does_not_find() -> None:
    """In the words of the env that is there: coreutils' or busybox's."""
    assert refusal(through_env("tool", COREUTILS)) == (
        "script-interpreter-missing",
        "/run asks /usr/bin/env for tool, which is in no folder of PATH",
        "/usr/bin/env: 'tool': No such file or directory",
        "add tool, or make the entry point a program",
    )
    denied = refusal(through_env("tool", {**COREUTILS, "/bin/tool": STATIC}, {"/bin/tool": 0o644}))
    assert denied[1:3] == (
        "/run asks /usr/bin/env for tool, which is in no folder of PATH that may be executed",
        "/usr/bin/env: 'tool': Permission denied",
    )
    closed = refusal(
        through_env("tool", {**COREUTILS, "/opt/tool": STATIC}, {"/opt": 0o700}, env=(("PATH", "/opt:/bin"),))
    )
    assert closed[2] == denied[2]
    assert refusal(through_env("tool", BUSYBOX))[2] == "env: can't execute 'tool': No such file or directory"
    assert refusal(through_env("-S tool", BUSYBOX)) == (
        "script-option-unknown",
        "/run starts with #!/usr/bin/env -S tool, and busybox's env does not know -S",
        "/usr/bin/env: invalid option -- 'S'",
        "name the interpreter with its whole path",
    )


def test_what_env_finds_and_cannot_start() -> None:
    """It looks on where a file is missing to start it, and no further where it is something else."""
    lost, text = b"#!/none\n", b"text"
    good = {**COREUTILS, "/bin/tool": STATIC}
    path: Environment = (("PATH", "/one:/bin"),)
    assert through_env("tool", {**good, "/one/tool": lost}, env=path).status is Status.RUNS
    two = through_env("tool", {**COREUTILS, "/one/tool": lost, "/bin/tool": b"#!/neither\n"}, env=path)
    code, evidence, message, _ = refusal(two)
    assert (code, evidence) == ("script-interpreter-missing", "/one/tool starts with #!'/none', which the image lacks")
    assert message == "/usr/bin/env: 'tool': No such file or directory"
    stopped = through_env("tool", {**good, "/one/tool": text}, env=path)
    assert stopped.status is Status.UNKNOWN  # a C library may hand it to /bin/sh
    assert [(finding.level, finding.code) for finding in stopped.findings] == [(Level.POSSIBLE, "not-a-program")]
    assert stopped.findings[0].message == "/usr/bin/env: 'tool': Exec format error"
    other = through_env("tool", {**good, "/one/tool": make_elf(kind=EXEC, machine=183)}, env=path)
    assert refusal(other)[0] == "wrong-cpu"
    cut = through_env("tool", {**good, "/one/tool": STATIC[:100]}, env=path)
    assert refusal(cut)[2] == "Segmentation fault (exit code 139)"  # not env's words: it was started


@pytest.mark.parametrize("line", ["-i tool", "-S 'a b'", "A=b"])
def test_lines_of_env_that_are_not_known(line: str) -> None:
    """That they were not followed is all that is told, and never a pass."""
    verdict = through_env(line, {**COREUTILS, "/bin/tool": STATIC})
    assert verdict.status is Status.UNKNOWN
    assert verdict.findings == (
        Finding(
            level=Level.POSSIBLE,
            code="not-followed",
            evidence=f"/run starts with #!/usr/bin/env {line}: what that starts could not be determined",
            message="depends on that line",
            fix="name the interpreter with its whole path",
        ),
    )


def test_scripts_that_env_leads_to_for_ever() -> None:
    """A script that has env start itself is given up after as many scripts as the kernel would follow."""
    assert through_env("run", COREUTILS, env=(("PATH", "/"),)).status is Status.UNKNOWN
    files = {f"/bin/s{number}": f"#!{ENV} s{number + 1}\n".encode() for number in range(9)}
    for scripts, status in ((5, Status.RUNS), (6, Status.UNKNOWN)):
        chain = {**COREUTILS, **{name: files[name] for name in list(files)[:scripts]}, f"/bin/s{scripts}": STATIC}
        assert entry(chain, "/bin/s0").status is status, scripts


def test_an_env_that_does_not_start_itself() -> None:
    """Then it is env that is told of, and nothing of what it would have started."""
    files = {"/run": f"#!{ENV} tool\n".encode(), ENV: make_elf(kind=EXEC, machine=183), "/bin/tool": STATIC}
    code, _, message, _ = refusal(entry(files, "/run"))
    assert (code, message) == ("wrong-cpu", "exec /run: exec format error")
