"""What the libraries that a program calls ask for: it is possible, and told under the need's own code.

The libraries are real, and do what the programs of tests/verdict/programs.py do; each run shows what was predicted.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recipes.elf.facts import read_elf
from recipes.elf.markers import examine
from recipes.model import Command, Environment, Finding, Level, Platform, Status
from recipes.package.runtime_data import ANSWERS
from recipes.rootfs.root import RootFs
from recipes.support import shell
from recipes.verdict.judge import judge
from tests.compilers import Compilers
from tests.need import need_tool
from tests.verdict import programs
from tests.verdict.trial import Trial

CALLER = "int ask(int, char **);\nint main(int count, char **args) { return ask(count, args); }\n"
MIDDLE = "int ask(int, char **);\nint middle(int count, char **args) { return ask(count, args); }\n"
TZ: Environment = (("TZ", "Europe/Berlin"),)


def library(compilers: Compilers, source: str, soname: str, *needed: str) -> Path:
    return compilers.linked_late(
        source, "-shared", f"-Wl,-soname,{soname}", *needed, compile_with=("-fPIC", "-Dmain=ask")
    )


def with_libraries(trial: Trial, **libraries: Path) -> Trial:
    """The loader and libc of this machine at their places, and libraries beside them as lib<name>.so."""
    listed = shell.run(Command((need_tool("ldd"), "/bin/true"))).stdout.decode()
    paths = re.findall(r"(/\S+) \(0x", listed)
    for path in paths:
        trial.add(path, Path(path).read_bytes())
    folder = next(path for path in paths if "/libc.so" in path).rpartition("/")[0]
    for name, file in libraries.items():
        trial.add(f"{folder}/lib{name}.so", file.read_bytes())
    for file in trial.folder.rglob("*.so*"):
        file.chmod(0o755)
    return trial


def findings(trial: Trial, env: Environment = ()) -> list[Finding]:
    root = RootFs.from_directory(trial.folder)
    verdict = judge(examine(trial.program), read_elf(trial.program), root, Platform.parse("linux/amd64"), env=env)
    assert verdict.status is Status.RUNS
    return list(verdict.findings)


@pytest.mark.parametrize(
    ("source", "code", "call", "env"),
    [
        (programs.C_USER, "nss-users", "getpwnam", ()),
        (programs.C_USERS, "nss-users", "getpwent", ()),
        (programs.C_PROTOCOL, "nss-protocols", "getprotobyname", ()),
        (programs.C_SERVICE_NAME, "nss-services", "getservbyname", ()),
        (programs.C_TEMP, "c-temp-files", "tmpfile", ()),
        (programs.C_POPEN, "c-shell", "popen", ()),
        (programs.C_ICONV, "iconv-modules", "iconv_open", ()),
        (programs.C_ZONE, "c-time-zones", "localtime", TZ),
    ],
)
def test_what_a_library_calls(
    compilers: Compilers,
    tmp_path: Path,
    source: str,
    code: str,
    call: str,
    env: Environment,
) -> None:
    """The library is named, what happens is what was said, and the same call of the program's own is more than that."""
    asks = library(compilers, source, "libasks.so")
    trial = with_libraries(Trial(tmp_path / "root", compilers.linked_late(CALLER, str(asks))), asks=asks)
    (finding,) = findings(trial, env)
    assert (finding.code, finding.level) == (code, Level.POSSIBLE)
    assert finding.evidence.startswith(f"its library libasks.so calls {call}, and no ")
    output = trial.output(env=env)
    if code == "c-time-zones":
        assert output == "22:13 Europe\n"
        assert findings(trial) == []  # without TZ, UTC is what it asks for
    else:
        assert output.strip().removeprefix("tmpfile: ") in finding.message
    own = findings(with_libraries(Trial(tmp_path / "own", compilers.linked_late(source))), env)
    assert [each.level for each in own] == [Level.POSSIBLE if code == "iconv-modules" else Level.NEEDS_DATA]
    assert own[0].evidence.startswith(f"it calls {call}, and no ")


def test_libraries_that_the_program_does_not_call(compilers: Compilers, tmp_path: Path) -> None:
    """One that is only loaded, and one that only another library calls, are not asked."""
    asks = library(compilers, programs.C_USER, "libasks.so")
    idle = compilers.linked_late(programs.HELLO_C, "-Wl,--no-as-needed", str(asks))
    assert findings(with_libraries(Trial(tmp_path / "idle", idle), asks=asks)) == []
    middle = library(compilers, MIDDLE, "libmiddle.so", str(asks))
    source = CALLER.replace("ask", "middle")
    program = compilers.linked_late(
        source, str(middle), f"-Wl,-rpath-link,{asks.parent}", "-Wl,--allow-shlib-undefined"
    )
    assert findings(with_libraries(Trial(tmp_path / "far", program), asks=asks, middle=middle)) == []


def test_a_library_that_offers_what_it_calls(compilers: Compilers, tmp_path: Path) -> None:
    """A library with its own getpwnam, which calls getpwuid, is a way to look up users: its user decides."""
    own = programs.C_USER + "\nstruct passwd *getpwuid(uid_t id) { return getpwnam(id ? 0 : 0); }\n"
    asks = library(compilers, own, "libasks.so")
    program = compilers.linked_late(CALLER, str(asks))
    assert findings(with_libraries(Trial(tmp_path / "root", program), asks=asks)) == []


def test_data_answers_what_libraries_ask_for(compilers: Compilers, tmp_path: Path) -> None:
    """A possible need gets its data as a sure one does: it is small."""
    asks = library(compilers, programs.C_USER, "libasks.so")
    trial = with_libraries(Trial(tmp_path / "root", compilers.linked_late(CALLER, str(asks))), asks=asks)
    assert [ANSWERS[finding.code] for finding in findings(trial)] == ["users"]
    trial.add("/etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")
    assert findings(trial) == []
    assert trial.run().exit_code == 0
