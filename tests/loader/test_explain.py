"""Tests of recipes/loader/explain.py, glibc.py and musl.py: each rule is tried with the real loader in a real root.

A root is this machine's loader and libc, and small libraries built for the case. `agrees` asks the root's loader what
it finds (it only lists) and fails on any difference, so every test here is about both: that we say what is claimed, and
that the loader does too.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from recipes.elf.dynamic import read_dynamic
from recipes.elf.facts import read_elf
from recipes.elf.markers import examine
from recipes.elf.segments import PT_DYNAMIC, PT_LOAD, PT_NOTE, FileReader, read_header
from recipes.loader.explain import explain, loader_kind
from recipes.loader.loading import Loading
from recipes.model import Command, Level, Platform, Status, Verdict
from recipes.rootfs.accounts import Account
from recipes.rootfs.root import RootFs
from recipes.support import shell
from recipes.verdict.entry import judge_entry
from recipes.verdict.judge import judge
from tests.compilers import Compilers
from tests.elf.fixtures.make import make_elf
from tests.need import need, need_tool
from tests.oracle.compare import Question, disagreements
from tests.oracle.roots import root as assembled
from tests.sharing import made_once

AMD64 = Platform.parse("linux/amd64")
LIB = "/lib/x86_64-linux-gnu"
LOADER = "/lib64/ld-linux-x86-64.so.2"
MUSL = "/lib/ld-musl-x86_64.so.1"


class Small:
    """A root in which `/app` is the program."""

    def __init__(self, folder: Path, compilers: Compilers) -> None:
        need(Platform.host().architecture == "amd64" and Path(f"{LIB}/libc.so.6").exists(), "Debian's glibc on x86-64")
        self.folder = folder
        self.compilers = compilers
        self.put(LOADER, Path(LOADER))
        self.put(f"{LIB}/libc.so.6", Path(f"{LIB}/libc.so.6"))

    def at(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def put(self, path: str, content: Path | bytes) -> Small:
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copy(content, self.at(path))
        else:
            self.at(path).write_bytes(content)
        return self

    def library(
        self, name: str, *needed: Path, flags: tuple[str, ...] = (), source: str = "", soname: str = ""
    ) -> Path:
        """A library that needs others, not yet in the root. Its soname is its name."""
        code = source or f"int from_{name.partition('.')[0].replace('-', '_')}(void) {{ return 1; }}"
        named = f"-Wl,-soname,{soname or name}"
        built = self.compilers.linked_late(
            code, "-shared", "-fPIC", named, "-Wl,--no-as-needed", *map(str, needed), *flags
        )
        return self._named(name, built)

    def program(
        self, *needed: Path, flags: tuple[str, ...] = (), source: str = "int main(void) { return 0; }"
    ) -> Small:
        built = self.compilers.linked_late(
            source,
            "-Wl,--no-as-needed",
            *map(str, needed),
            *flags,
            "-Wl,--unresolved-symbols=ignore-all",
            "-Wl,--export-dynamic",
        )
        self.put("/app", built)
        self.at("/app").chmod(0o755)
        return self

    def _named(self, name: str, built: Path) -> Path:
        folder = built.with_name(f"{built.name}-{name}")
        return made_once(folder, lambda beside: shutil.copy(built, beside / name)) / name

    def loading(self, env: Mapping[str, str] | None = None, platform: Platform = AMD64) -> Loading:
        with FileReader(self.at("/app")) as reader:
            return explain(reader, RootFs.from_directory(self.folder), env=env or {}, platform=platform)

    def agrees(self, env: Mapping[str, str] | None = None) -> Loading:
        """What we say, which is what the loader says."""
        with FileReader(self.at("/app")) as reader:
            asked = Question(self.at("/app"), "/app", read_dynamic(reader))
        root = RootFs.from_directory(self.folder)
        assert list(disagreements(self.folder, root, [asked], (), env or {})) == []
        return self.loading(env)

    def finds(self, name: str, env: Mapping[str, str] | None = None) -> str | None:
        return next(library.path for library in self.agrees(env).libraries if library.name == name)


@pytest.fixture
def small(tmp_path: Path, compilers: Compilers) -> Small:
    return Small(tmp_path / "root", compilers)


def rpath(text: str) -> tuple[str, ...]:
    return (f"-Wl,-rpath,{text}", "-Wl,--disable-new-dtags")


def runpath(text: str) -> tuple[str, ...]:
    return (f"-Wl,-rpath,{text}", "-Wl,--enable-new-dtags")


# ── glibc: where it looks ────────────────────────────────────────────────────────────────────────────────────────────


def test_built_in_folders_in_their_order(small: Small) -> None:
    """Multiarch folders come first, then /lib and /usr/lib; without a cache nothing else is looked into."""
    a = small.library("liba.so")
    small.program(a).put("/usr/lib/liba.so", a).put("/opt/liba.so", a).put("/etc/ld.so.conf", b"/opt\n")
    assert small.finds("liba.so") == "/usr/lib/liba.so"
    small.put("/usr/lib/x86_64-linux-gnu/liba.so", a)
    assert small.finds("liba.so") == "/usr/lib/x86_64-linux-gnu/liba.so"
    small.put(f"{LIB}/liba.so", a)
    assert small.finds("liba.so") == f"{LIB}/liba.so"


def test_a_missing_library_and_the_whole_search(small: Small) -> None:
    """The message is the loader's own, and every place is told in its order, also what is not set."""
    small.program(small.library("liba.so"), flags=runpath("/opt/lib"))
    loading = small.agrees()
    (problem,) = loading.problems
    text = (
        "/app: error while loading shared libraries: liba.so: cannot open shared object file: No such file or directory"
    )
    assert (problem.code, problem.message) == ("library-missing", text)
    run = shell.run(Command((need_tool("unshare"), "--map-root-user", "--root", str(small.folder), "/app")))
    assert run.stderr.decode().strip() == text
    missing = next(library for library in loading.libraries if library.path is None)
    assert [(step.path, step.why) for step in missing.searched] == [
        ("", "LD_LIBRARY_PATH"),
        ("/opt/lib/liba.so", "RUNPATH of /app"),
        ("/etc/ld.so.cache", "ld.so.cache"),
        *((f"{folder}/liba.so", "built-in folder") for folder in (LIB, f"/usr{LIB}", "/lib", "/usr/lib")),
    ]
    assert missing.searched[0].found == "not set"


def test_messages_name_the_program_as_it_was_called(small: Small) -> None:
    """argv[0], whatever path it was found at: for ENTRYPOINT ["app"] that has no slash."""
    small.program(small.library("liba.so"))
    called = Command((need_tool("bash"), "-c", f"exec -a app {small.at('/app')}"))
    root = RootFs.from_directory(small.folder)
    (finding,) = judge_entry(root, ("app",), AMD64, env=(("PATH", "/"),)).findings
    assert shell.run(called).stderr.decode().strip() == finding.message
    assert finding.evidence == "/app needs liba.so"


def test_rpath_is_inherited(small: Small) -> None:
    """What a library needs is looked for in the RPATH of those that had it loaded, up to the program."""
    b = small.library("libb.so")
    a = small.library("liba.so", b)
    small.program(a, flags=rpath("/opt")).put("/opt/liba.so", a).put("/opt/libb.so", b)
    assert small.finds("libb.so") == "/opt/libb.so"


def test_runpath_is_not_inherited(small: Small) -> None:
    """A RUNPATH serves its own object alone."""
    b = small.library("libb.so")
    a = small.library("liba.so", b)
    small.program(a, flags=runpath("/opt")).put("/opt/liba.so", a).put("/opt/libb.so", b)
    assert small.finds("liba.so") == "/opt/liba.so"
    assert small.finds("libb.so") is None


def test_a_runpath_ends_the_inheritance(small: Small) -> None:
    """An object with a RUNPATH does not use the RPATH of the program."""
    b = small.library("libb.so")
    a = small.library("liba.so", b, flags=runpath("/nowhere"))
    small.program(a, flags=rpath("/opt")).put("/opt/liba.so", a).put("/opt/libb.so", b)
    assert small.finds("libb.so") is None


def test_the_order_of_paths(small: Small) -> None:
    """RPATH, then LD_LIBRARY_PATH, then RUNPATH, then the built-in folders."""
    a = small.library("liba.so")
    small.put("/env/liba.so", a).put("/own/liba.so", a).put(f"{LIB}/liba.so", a)
    env = {"LD_LIBRARY_PATH": "/none:/env"}
    assert small.program(a, flags=rpath("/own")).finds("liba.so", env) == "/own/liba.so"
    assert small.program(a, flags=runpath("/own")).finds("liba.so", env) == "/env/liba.so"
    assert small.finds("liba.so") == "/own/liba.so"
    assert small.finds("liba.so", {"LD_LIBRARY_PATH": "/none;/env/"}) == "/env/liba.so"


@pytest.mark.parametrize("text", ["$ORIGIN/deps", "${ORIGIN}/deps", "/opt/$LIB/../deps", "/opt/$LIBDIR"])
def test_tokens(small: Small, text: str) -> None:
    """$ORIGIN and $LIB, with braces or without; a longer word is no token."""
    a = small.library("liba.so")
    small.program(a, flags=rpath(text)).put("/deps/liba.so", a).put("/opt/lib/deps/liba.so", a)
    small.put("/opt/$LIBDIR/liba.so", a)
    small.at("/opt/lib/x86_64-linux-gnu").mkdir()
    assert small.finds("liba.so") is not None


def test_the_platform_token(small: Small) -> None:
    """$PLATFORM is x86_64; Intel's newer CPUs, where it is haswell, are a promise that no platform's name makes."""
    a = small.library("liba.so")
    small.program(a, flags=rpath("/opt/$PLATFORM")).put("/opt/x86_64/liba.so", a).put("/opt/haswell/liba.so", a)
    assert [library.path for library in small.loading().libraries if library.name == "liba.so"] == [
        "/opt/x86_64/liba.so"
    ]


@pytest.mark.parametrize(
    ("flags", "env"), [(rpath("own"), {}), ((), {"LD_LIBRARY_PATH": "own"}), ((), {"LD_LIBRARY_PATH": "/no:"})]
)
def test_what_has_no_slash_in_front_starts_in_the_working_folder(
    small: Small, flags: tuple[str, ...], env: dict[str, str]
) -> None:
    """A relative folder, and an empty one, are the working folder's: the program starts in one and not in another."""
    a = small.library("liba.so")
    small.program(a, flags=flags).put("/srv/own/liba.so", a).put("/srv/liba.so", a)
    assert starts(small, "/srv", env)
    small.at("/elsewhere").mkdir()
    assert not starts(small, "/elsewhere", env)


@pytest.mark.parametrize(
    ("env", "flags", "place"),
    [
        ({"LD_LIBRARY_PATH": "/opt"}, (), "/opt"),
        ({"LD_PRELOAD": "/opt/libpre.so"}, (), LIB),
        ({}, ("-Wl,-rpath,/opt",), "/opt"),
        ({}, ("-Wl,-rpath,$ORIGIN/../opt",), "/opt"),
        ({}, ("-Wl,-rpath,$ORIGIN/../$LIB/own",), f"{LIB}/own"),
        ({}, ("-Wl,-rpath,/$ORIGIN/../$LIB/own",), f"{LIB}/own"),
    ],
)
@pytest.mark.parametrize("mode", [0o755, 0o4755, 0o2755, 0o2745])
def test_rights_that_a_program_lends(
    small: Small, env: dict[str, str], flags: tuple[str, ...], place: str, mode: int
) -> None:
    """Who starts a set-user-ID program does not choose what it loads, neither by variables nor by where it stands."""
    need(os.geteuid() == 0, "root, to start a program as another user")
    a = small.library("liba.so")
    small.program(a, flags=flags).put(f"{place}/liba.so", a).put("/opt/libpre.so", small.library("libpre.so"))
    small.put("/bin/app", small.at("/app")).at("/bin/app").chmod(mode)
    small.folder.chmod(0o755)
    root = RootFs.from_directory(small.folder).seen_by(Account(65532, 65532))
    with FileReader(small.at("/app")) as reader:
        loading = explain(reader, root, env=env, platform=AMD64, path="/bin/app")
    code = "import os, sys; os.chroot(sys.argv[1]); os.setgroups([]); os.setgid(65532); os.setuid(65532)"
    code += "; os.execve('/bin/app', ['/bin/app'], dict(each.split('=', 1) for each in sys.argv[2:]))"
    words = [f"{name}={value}" for name, value in env.items()]
    small.at("/proc").mkdir()  # where the loader reads what $ORIGIN is
    enter = (need_tool("unshare"), "--mount", "sh", "-c", 'mount --bind /proc "$4/proc" && exec "$0" "$@"')
    done = shell.run(Command((*enter, sys.executable, "-IS", "-c", code, str(small.folder), *words)))
    assert done.stderr.decode().splitlines() == [problem.message for problem in loading.problems]
    assert (done.exit_code == 0) == (loading.problems == ())
    if mode == 0o755:
        assert loading.problems == ()
    if "LD_PRELOAD" in env:
        loaded = "/opt/libpre.so" in {library.path for library in loading.libraries}
        assert loaded is not bool(mode & 0o4000 or mode & 0o2010 == 0o2010)


def test_loops_of_links_where_something_is_started(small: Small) -> None:
    """The kernel tells of a script's interpreter, and the loader, called as a program, of what it is to load."""
    small.program().put("/run", b"#!/loop\n").at("/run").chmod(0o755)
    small.at("/loop").symlink_to("loop")
    root = RootFs.from_directory(small.folder)
    (script,) = judge_entry(root, ("/run",), AMD64).findings
    (called,) = judge_entry(root, (LOADER, "/loop"), AMD64).findings
    enter = (need_tool("unshare"), "--map-root-user", "--root", str(small.folder))
    assert script.message == "exec /run: too many levels of symbolic links"
    assert shell.run(Command((*enter, "/run"))).stderr.decode().strip().endswith(": Too many levels of symbolic links")
    assert called.message == shell.run(Command((*enter, LOADER, "/loop"))).stderr.decode().strip()


def test_a_relative_interpreter(small: Small) -> None:
    """The kernel looks for it from the working folder, too."""
    small.program(flags=(f"-Wl,--dynamic-linker={LOADER.removeprefix('/')}",)).at("/srv").mkdir()
    assert starts(small, "/")
    assert not starts(small, "/srv")


def starts(small: Small, workdir: str, env: Mapping[str, str] | None = None) -> bool:
    """Whether /app starts in that working folder: what we say, which is what happens."""
    root = RootFs.from_directory(small.folder)
    verdict = judge(
        examine(small.at("/app")),
        read_elf(small.at("/app")),
        root,
        AMD64,
        env=tuple((env or {}).items()),
        workdir=workdir,
    )
    enter = (need_tool("unshare"), "--map-root-user", "--root", str(small.folder), "--wd", workdir)
    done = shell.run(Command((*enter, "/app")), environment=dict(env or {}))
    assert (done.exit_code == 0) == (verdict.status is Status.RUNS), (done, verdict)
    return done.exit_code == 0


def test_origin_of_a_library_is_where_it_was_found(small: Small) -> None:
    """$ORIGIN in a library's path is the library's folder, as it was found, through whatever link."""
    b = small.library("libb.so")
    a = small.library("liba.so", b, flags=runpath("$ORIGIN/deps"))
    small.program(a, flags=runpath("/link")).put("/opt/liba.so", a).put("/opt/deps/libb.so", b)
    small.at("/link").symlink_to("/opt")
    assert small.finds("libb.so") == "/link/deps/libb.so"


def test_the_cache(small: Small) -> None:
    """ld.so.cache is asked before the built-in folders; a path in it that is gone is passed over."""
    ldconfig = shutil.which("ldconfig", path="/sbin:/usr/sbin")
    need(ldconfig, "ldconfig")
    a = small.library("liba.so.1")
    small.program(a).put("/opt/liba.so.1", a).put("/usr/lib/liba.so.1", a).put("/etc/ld.so.conf", b"/opt\n")
    shell.check(Command((str(ldconfig), "-r", str(small.folder), "-X")))
    assert small.finds("liba.so.1") == "/opt/liba.so.1"
    small.at("/opt/liba.so.1").unlink()
    assert small.finds("liba.so.1") == "/usr/lib/liba.so.1"


def test_nodefaultlib(small: Small) -> None:
    """-z nodefaultlib: neither the built-in folders nor what the cache has of them."""
    ldconfig = shutil.which("ldconfig", path="/sbin:/usr/sbin")
    need(ldconfig, "ldconfig")
    a, b = small.library("liba.so.1"), small.library("libb.so.1")
    small.program(a, b, flags=("-Wl,-z,nodefaultlib", *runpath(LIB))).put("/usr/lib/liba.so.1", a)
    small.put("/opt/libb.so.1", b).put("/etc/ld.so.conf", b"/opt\n/usr/lib\n")
    assert small.finds("liba.so.1") is None
    shell.check(Command((str(ldconfig), "-r", str(small.folder), "-X")))
    assert small.finds("liba.so.1") is None
    assert small.finds("libb.so.1") == "/opt/libb.so.1"


def test_other_machines_are_passed_over(small: Small) -> None:
    """A library of another class or machine is no hit; if there is no other, the message names the class."""
    a = small.library("liba.so")
    wrong_class = make_elf(bits=32, machine=3)
    small.program(a, flags=runpath("/one:/two:/three"))
    small.put("/one/liba.so", wrong_class).put("/two/liba.so", make_elf(machine=183))
    problem = small.loading().problems[0]
    assert problem.message.endswith("liba.so: wrong ELF class: ELFCLASS32")
    small.put("/three/liba.so", a)
    assert small.finds("liba.so") == "/three/liba.so"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"INPUT(liba.so.1) " * 10, "invalid ELF header"), (b"\x7fELF", "file too short"), (b"", "file too short")],
)
def test_broken_files_end_the_search(small: Small, content: bytes, message: str) -> None:
    """A text file or a cut one under the name of a library is an error, even if a good one follows."""
    a = small.library("liba.so")
    small.program(a, flags=runpath("/one:/two")).put("/one/liba.so", content).put("/two/liba.so", a)
    problem = small.loading().problems[0]
    assert problem.code == "library-broken"
    run = shell.run(Command((need_tool("unshare"), "--map-root-user", "--root", str(small.folder), "/app")))
    assert run.stderr.decode().strip() == problem.message
    assert problem.message.endswith(f"/one/liba.so: {message}")


@pytest.mark.parametrize("kind", ["folder", "loop"])
@pytest.mark.parametrize(("first", "second"), [(LIB, "/usr/lib"), ("/one", "/two"), ("/one", LIB), (LIB, "/none")])
def test_what_cannot_be_opened(small: Small, kind: str, first: str, second: str) -> None:
    """A folder under a library's name ends the search, a loop of links that in one list of folders.

    The loader has numbers for these errors, not words.
    """
    a = small.library("liba.so")
    small.program(a, flags=runpath("/one:/two")).put(f"{second}/liba.so", a)
    small.at(first).mkdir(parents=True, exist_ok=True)
    if kind == "loop":
        small.at(f"{first}/liba.so").symlink_to("liba.so")
    else:
        small.at(f"{first}/liba.so").mkdir()
    messages = [problem.message for problem in small.loading().problems]
    done = _start(small)
    assert (done.exit_code, done.stderr.decode().splitlines()) == (127 if messages else 0, messages)


@pytest.mark.parametrize("kind", ["pie", "program", "static", "other-system", "no-dynamic"])
def test_files_that_are_no_libraries(small: Small, kind: str) -> None:
    """A program under a library's name, another system's library, and a file without a dynamic segment."""
    a = small.library("liba.so")
    small.program(a)
    if kind == "pie":
        file = small.compilers.c("int main(void) { return 0; }", "-pie").read_bytes()
    elif kind == "program":
        file = small.compilers.c("int main(void) { return 0; }", "-no-pie").read_bytes()
    elif kind == "static":
        file = small.compilers.c("int main(void) { return 0; }", "-static").read_bytes()
    elif kind == "other-system":
        file = a.read_bytes()[:7] + b"\x09" + a.read_bytes()[8:]
    else:
        file = make_elf(entry=0)
    (problem,) = small.put(f"{LIB}/liba.so", file).loading().problems
    assert problem.code == "library-broken"
    done = _start(small)
    assert (done.exit_code, done.stderr.decode().strip()) == (127, problem.message)


def test_hwcaps_folders(small: Small) -> None:
    """glibc-hwcaps is for CPUs of that level: the baseline passes it over, and this machine's loader does as we say."""
    a = small.library("liba.so")
    better = f"{LIB}/glibc-hwcaps/x86-64-v2/liba.so"
    small.program(a).put(better, a)
    assert small.finds("liba.so") is None
    assert small.loading(platform=Platform.parse("linux/amd64/v2")).libraries[0].path == better
    small.put(f"{LIB}/liba.so", a)
    assert small.finds("liba.so") == f"{LIB}/liba.so"


@pytest.mark.parametrize("baseline", ["missing", "good"])
def test_what_depends_on_the_machine_is_not_known(small: Small, baseline: str) -> None:
    """linux/amd64 does not say which CPU it will be: a library for v3 alone, or a broken one for v3, may matter or not;
    for a platform that names the level it is certain.
    """
    a = small.library("liba.so")
    small.program(a).put(f"{LIB}/glibc-hwcaps/x86-64-v3/liba.so", a if baseline == "missing" else b"no library" * 10)
    if baseline == "good":
        small.put(f"{LIB}/liba.so", a)
    verdict = _verdict_of(small, "linux/amd64")
    assert verdict.status is Status.UNKNOWN
    code = "library-missing" if baseline == "missing" else "library-broken"
    assert [(finding.code, finding.level) for finding in verdict.findings] == [(code, Level.POSSIBLE)]
    assert {_verdict_of(small, f"linux/amd64/{level}").status for level in ("v1", "v3")} == {Status.FAILS, Status.RUNS}


@pytest.mark.parametrize(
    ("folder", "flags", "v3", "v4"),
    [
        ("haswell", (), Status.UNKNOWN, Status.UNKNOWN),
        ("tls/xeon_phi", (), Status.UNKNOWN, Status.FAILS),
        ("haswell/avx512_1/x86_64", (), Status.FAILS, Status.UNKNOWN),
        ("p/haswell", runpath(f"{LIB}/p/$PLATFORM"), Status.UNKNOWN, Status.UNKNOWN),
    ],
)
def test_names_that_the_loader_has_for_some_of_intels(
    small: Small, folder: str, flags: tuple[str, ...], v3: Status, v4: Status
) -> None:
    """Which maker's the machine is no platform says: what is only in a folder for some may be found, or not."""
    a = small.library("liba.so")
    small.program(a, flags=flags).put(f"{LIB}/{folder}/liba.so", a)
    statuses = [_verdict_of(small, f"linux/amd64{variant}").status for variant in ("", "/v1", "/v3", "/v4")]
    assert statuses == [Status.UNKNOWN, Status.FAILS, v3, v4]
    small.put(f"{LIB}/liba.so", a)
    assert _verdict_of(small, "linux/amd64").status is Status.RUNS


def test_what_no_machine_finds_is_certain(small: Small) -> None:
    """Folders for better CPUs leave what is missing everywhere, and what is found everywhere, as certain as before."""
    a, b = small.library("liba.so"), small.library("libb.so")
    small.program(a, b).put(f"{LIB}/glibc-hwcaps/x86-64-v3/liba.so", a).put(f"{LIB}/liba.so", a)
    assert _verdict_of(small, "linux/amd64").status is Status.FAILS
    small.put(f"{LIB}/libb.so", b)
    assert _verdict_of(small, "linux/amd64").status is Status.RUNS


def _verdict_of(small: Small, platform: str) -> Verdict:
    app = small.at("/app")
    return judge(examine(app), read_elf(app), RootFs.from_directory(small.folder), Platform.parse(platform))


# ── glibc: which objects ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_soname_that_is_loaded_is_not_searched_for(small: Small) -> None:
    """An object answers to its DT_SONAME, under whatever name it was found."""
    new = small.library("libnew.so")
    small.program(new).put("/opt/other.so", new)
    loading = small.agrees({"LD_PRELOAD": "/opt/other.so"})
    assert [library.name for library in loading.libraries][:1] == ["/opt/other.so"]
    assert "libnew.so" not in [library.name for library in loading.libraries]


def test_the_same_file_is_loaded_once(small: Small) -> None:
    """Two names for one file, by symbolic or hard link, are one object."""
    a = small.library("liba.so")
    plain = small.compilers.linked_late("int plain;", "-shared", "-fPIC", "-nostdlib")
    small.program(a).put("/opt/first.so", plain)
    small.at(f"{LIB}/liba.so").symlink_to("/opt/first.so")
    small.at("/opt/second.so").hardlink_to(small.at("/opt/first.so"))
    loading = small.agrees({"LD_PRELOAD": "/opt/first.so /opt/second.so"})
    assert [library.path for library in loading.libraries][:3] == ["/opt/first.so", "/opt/second.so", f"{LIB}/liba.so"]


def test_a_needed_path(small: Small) -> None:
    """A name with a slash is a path, and nothing else is tried."""
    a = small.library("liba.so", soname="/opt/liba.so")
    small.program(a).put(f"{LIB}/liba.so", a)
    assert small.finds("/opt/liba.so") is None
    small.put("/opt/liba.so", a)
    assert small.finds("/opt/liba.so") == "/opt/liba.so"


def test_preloaded(small: Small) -> None:
    """LD_PRELOAD and /etc/ld.so.preload come before everything; what of them is missing is only a warning."""
    a, b = small.library("liba.so"), small.library("libb.so")
    small.program().put("/opt/liba.so", a).put(f"{LIB}/libb.so", b)
    loading = small.agrees({"LD_PRELOAD": "/opt/liba.so libnone.so:libb.so"})
    assert [library.path for library in loading.libraries][:2] == ["/opt/liba.so", f"{LIB}/libb.so"]
    assert loading.problems == ()
    assert "libnone.so" in loading.warnings[0]
    small.put("/etc/ld.so.preload", b"libb.so # a comment\n")
    assert small.agrees().libraries[0].name == "libb.so"


@pytest.mark.parametrize(("flag", "there"), [("-F", True), ("-F", False), ("-f", True), ("-f", False)])
def test_filters(small: Small, flag: str, there: bool) -> None:
    """Another library stands in for one (DT_FILTER, which must be there, or DT_AUXILIARY) and has what it lacks."""
    real = small.library("libreal.so", source="int foo(void) { return 0; }")
    named = small.library("liba.so", source="int bar(void) { return 0; }", flags=(f"-Wl,{flag},libreal.so",))
    source = "int foo(void); int main(void) { return foo(); }" if there else "int main(void) { return 0; }"
    small.program(named, source=source, flags=("-Wl,-z,now",)).put(f"{LIB}/liba.so", named)
    if there:
        small.put(f"{LIB}/libreal.so", real)
    assert starts(small, "/") == (there or flag == "-f")
    assert ("libreal.so" in [library.name for library in small.loading().libraries]) == (there or flag == "-F")


# ── glibc: whether they fit ──────────────────────────────────────────────────────────────────────────────────────────

VERSIONED = "int f(void) { return 1; } int g(void) { return 2; }"


def versioned(small: Small, tmp_path: Path, script: str) -> Path:
    (tmp_path / "map").write_text(script)
    return small.library(
        "libv.so", source=VERSIONED + f"/* {script} */", flags=(f"-Wl,--version-script={tmp_path}/map",)
    )


def test_versions(small: Small, tmp_path: Path) -> None:
    """A version that the library found does not define: the message, word by word, and the symbols that force it."""
    new = versioned(small, tmp_path, "V_1 { f; }; V_2 { g; };")
    source = "int f(void); int g(void); int main(void) { return f() + g(); }"
    small.program(new, source=source).put(f"{LIB}/libv.so", new)
    assert small.agrees().problems == ()
    small.put(f"{LIB}/libv.so", versioned(small, tmp_path, "V_1 { f; g; };"))
    (problem,) = small.agrees().problems
    text = f"/app: {LIB}/libv.so: version `V_2' not found (required by /app)"
    assert (problem.code, problem.message) == ("version-missing", text)
    assert "for g;" in problem.evidence
    run = shell.run(Command((need_tool("unshare"), "--map-root-user", "--root", str(small.folder), "/app")))
    assert run.stderr.decode().strip() == text
    assert run.exit_code == 1


def test_versions_of_a_library_without_any(small: Small, tmp_path: Path) -> None:
    """A library that defines no versions at all serves: there is a warning for each version, and the program runs."""
    new = versioned(small, tmp_path, "V_1 { f; }; V_2 { g; };")
    source = "int f(void); int g(void); int main(void) { return f() + g() - 3; }"
    small.program(new, source=source).put(f"{LIB}/libv.so", small.library("libv.so", source=VERSIONED))
    loading = small.agrees()
    assert loading.problems == ()
    assert loading.warnings == 2 * (f"/app: {LIB}/libv.so: no version information available (required by /app)",)
    run = shell.run(Command((need_tool("unshare"), "--map-root-user", "--root", str(small.folder), "/app")))
    assert (run.exit_code, tuple(run.stderr.decode().splitlines())) == (0, loading.warnings)


def test_weak_versions(small: Small, tmp_path: Path) -> None:
    """A version that only weak symbols need may be missing. GNU ld never writes that flag, others do."""
    new = versioned(small, tmp_path, "V_1 { f; }; V_2 { g; };")
    source = "int f(void); int g(void) __attribute__((weak)); int main(void) { return f() + (g ? g() : 0); }"
    small.program(new, source=source).put(f"{LIB}/libv.so", versioned(small, tmp_path, "V_1 { f; };"))
    assert [problem.code for problem in small.agrees().problems] == ["version-missing"]
    program, entry = small.at("/app").read_bytes(), struct.pack("<I", _elf_hash(b"V_2"))
    assert program.count(entry + b"\0\0") == 1
    small.put("/app", program.replace(entry + b"\0\0", entry + b"\2\0"))  # vna_hash, then vna_flags: VER_FLG_WEAK
    assert small.agrees().problems == ()


def _elf_hash(name: bytes) -> int:
    """Source: System V ABI, "Hash Table"."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        value = (value ^ (value & 0xF0000000) >> 24) & 0x0FFFFFFF
    return value


@pytest.mark.parametrize("flags", [("-Wl,-z,now",), ("-Wl,-z,lazy",)], ids=["now", "lazy"])
def test_a_function_that_the_library_has_lost(small: Small, flags: tuple[str, ...]) -> None:
    """A library of the right name without the function: fatal when the program starts, or when it makes the call."""
    library = small.library("liba.so.1", source="int other(void) { return 1; }")
    source = "int lost(void); int main(int n, char **v) { return n > 1 ? lost() : 0; }"
    small.put(f"{LIB}/liba.so.1", library).program(library, source=source, flags=flags)
    problems = small.agrees().problems
    done = _start(small)
    if "-Wl,-z,now" in flags:
        assert [problem.code for problem in problems] == ["symbol-undefined"]
        assert done.stderr.decode().strip() == problems[0].message
        assert done.exit_code == 127
        assert not small.loading().later
    else:
        assert not problems
        assert done.exit_code == 0
        (later,) = small.loading().later
        called = _start(small, "call it")
        assert (called.exit_code, called.stderr.decode().strip()) == (127, later.message)
        verdict = judge(
            examine(small.at("/app")), read_elf(small.at("/app")), RootFs.from_directory(small.folder), AMD64
        )
        assert verdict.status is Status.RUNS
        found = [(finding.code, finding.level) for finding in verdict.findings]
        assert ("symbol-missing-later", Level.POSSIBLE) in found
        assert not small.loading({"LD_BIND_NOW": "1"}).later


def test_a_variable_that_the_library_has_lost(small: Small) -> None:
    """Variables are looked up at once, however functions are bound; a weak one need not be there."""
    source = "extern int lost; extern int spare __attribute__((weak)); int *uses[] = {&lost, &spare};"
    library = small.library("liba.so.1", source=source)
    small.put(f"{LIB}/liba.so.1", library).program(library, flags=("-Wl,-z,lazy",))
    (problem,) = small.agrees().problems
    assert problem.library == "lost"
    assert _start(small).stderr.decode().strip() == problem.message


def test_indirect_and_hidden_symbols_are_defined(small: Small, tmp_path: Path) -> None:
    """glibc takes indirect functions, and old versions of a symbol that a new link would not get."""
    script = tmp_path / "map"
    script.write_text("A_1 { global: hidden; }; A_2 { global: picked; };")
    source = (
        "static int one(void) { return 0; } static void *pick(void) { return one; }"
        'int picked(void) __attribute__((ifunc("pick"))); int old(void) { return 0; }'
        '__asm__(".symver old,hidden@A_1");'
    )
    library = small.library("liba.so.1", source=source, flags=(f"-Wl,--version-script={script}",))
    small.put(f"{LIB}/liba.so.1", library)
    uses = "int hidden(void), picked(void); int main(void) { return hidden() + picked(); }"
    source = f'__asm__(".symver hidden,hidden@A_1"); {uses}'
    small.program(library, source=source, flags=("-Wl,-z,now",))
    assert not small.agrees().problems
    assert _start(small).exit_code == 0


@pytest.mark.parametrize("asked", ["a version", "none"])
def test_a_symbol_that_has_changed_its_version(small: Small, tmp_path: Path, asked: str) -> None:
    """The library has the version, and the symbol, and the symbol in another version: nothing is found."""
    new = versioned(small, tmp_path, "V_1 { }; V_2 { f; g; };")
    old = versioned(small, tmp_path, "V_1 { f; }; V_2 { g; };")
    if asked == "none":
        new = small.library("libv.so", source=VERSIONED)
        script = tmp_path / "hidden"
        script.write_text("V_1 { }; V_2 { g; }; V_3 { };")
        source = 'int f_3(void) { return 1; } __asm__(".symver f_3,f@V_3"); int g(void) { return 2; }'
        old = small.library("libv.so", source=source, flags=(f"-Wl,--version-script={script}",))
    source = "int f(void); int main(void) { return f() - 1; }"
    small.program(new, source=source, flags=("-Wl,-z,now",)).put(f"{LIB}/libv.so", new)
    assert starts(small, "/")
    small.put(f"{LIB}/libv.so", old)
    (problem,) = small.agrees().problems
    assert (problem.code, problem.library) == ("symbol-undefined", "f")
    assert not starts(small, "/")
    assert _start(small).stderr.decode().strip() == problem.message


def test_versions_of_a_library_that_nobody_has_loaded(small: Small, tmp_path: Path) -> None:
    """A DT_NEEDED that was taken out of the file leaves its versions behind, and the loader gives up."""
    library = versioned(small, tmp_path, "V_1 { f; g; };")
    small.program(library, source="int f(void); int main(void) { return f() - 1; }").put(f"{LIB}/libv.so", library)
    assert starts(small, "/")
    with FileReader(small.at("/app")) as reader:
        dynamic = read_header(reader).segment(PT_DYNAMIC)
    assert dynamic is not None
    program = bytearray(small.at("/app").read_bytes())
    assert struct.unpack_from("<Q", program, dynamic.offset) == (1,)
    struct.pack_into("<Q", program, dynamic.offset, 0x6FFFFEF1)
    small.put("/app", bytes(program))
    (problem,) = small.loading().problems
    assert (problem.code, problem.library) == ("library-missing", "libv.so")
    done = _start(small)
    assert done.exit_code == 127
    assert problem.message.rpartition(": ")[2] in done.stderr.decode()


PACKED = "static int a, b; static int *volatile table[] = {&a, &b, &a}; int sum(void) { return *table[0] + *table[2]; }"


def _start(small: Small, *args: str) -> shell.Completed:
    return shell.run(Command((need_tool("unshare"), "--map-root-user", "--root", str(small.folder), "/app", *args)))


def test_cpu_level_of_a_library(small: Small) -> None:
    """The note of a library counts as the program's does."""
    a = small.library("liba.so", flags=("-Wl,-z,x86-64-v4",))
    small.program(a).put(f"{LIB}/liba.so", a)
    (problem,) = small.agrees().problems or small.loading().problems
    assert (problem.code, problem.level) == ("cpu-level", 4)
    assert problem.message == f"{LIB}/liba.so: CPU ISA level is lower than required"
    assert small.loading(platform=Platform.parse("linux/amd64/v4")).problems == ()
    findings = {
        name: judge(
            examine(small.at("/app")), read_elf(small.at("/app")), RootFs.from_directory(small.folder), platform
        ).findings
        for name, platform in (("plain", AMD64), ("v2", Platform.parse("linux/amd64/v2")))
    }
    levels = {name: [each.level for each in found if each.code == "cpu-level"] for name, found in findings.items()}
    assert levels == {"plain": [Level.POSSIBLE], "v2": [Level.CERTAIN]}


def test_loaders_of_before_the_check_of_the_cpu_level(small: Small) -> None:
    """glibc asks for it since 2.33: an older loader starts the program, whatever its own note and a library's say."""
    a = small.library("liba.so", flags=("-Wl,-z,x86-64-v4",))
    small.program(a, flags=("-nostartfiles", "-Wl,-z,x86-64-v4"), source=BARE_START).put(f"{LIB}/liba.so", a)
    assert _verdict_of(small, "linux/amd64/v2").status is Status.FAILS
    folder = assembled("bullseye-cc")
    for path in (LOADER, f"{LIB}/libc.so.6"):
        inside = RootFs.from_directory(folder).resolve(path)
        small.put(path, Path(f"{folder}{inside}"))
    verdict = _verdict_of(small, "linux/amd64/v2")
    assert verdict.status is Status.RUNS
    assert [(each.code, each.level, each.message) for each in verdict.findings if each.code == "cpu-level"] == [
        ("cpu-level", Level.POSSIBLE, "Illegal instruction (exit code 132)")
    ]
    emulated = Command(
        (need_tool("qemu-x86_64-static"), "-cpu", "Nehalem", f"{small.at(LOADER)}", "--library-path",
         f"{small.at(LIB)}", str(small.at("/app")))
    )  # fmt: skip
    assert shell.run(emulated).exit_code == 7


OPENING = """
#include <dlfcn.h>
#include <stdio.h>
#define JSON "[{\\"soname\\":[\\"libb.so.1\\",\\"libb.so\\"]," \\
    "\\"feature\\":\\"colour\\",\\"priority\\":\\"suggested\\"}]"
__attribute__((used, section(".note.dlopen"))) _Alignas(4) static const struct {
    unsigned name_size, size, type; char name[4], json[sizeof JSON];
} note = {4, sizeof JSON, 0x407c0c0a, "FDO", JSON};
void open_it(void) {
    if (!dlopen("libb.so", RTLD_NOW) && !dlopen("libb.so.1", RTLD_NOW)) puts(dlerror());
}
"""
"""A library with a dlopen note, in which it names what it opens."""


def test_what_a_library_names_in_its_dlopen_note(small: Small) -> None:
    """It is looked up as the library's own dlopen does it, with its RUNPATH; that it is missing is possible."""
    a = small.library("liba.so", flags=runpath("/opt"), source=OPENING)
    source = "void open_it(void); int main(void) { open_it(); return 0; }"
    small.program(a, source=source).put(f"{LIB}/liba.so", a)
    verdict = _verdict_of(small, "linux/amd64")
    assert verdict.status is Status.RUNS
    (finding,) = (each for each in verdict.findings if each.code == "library-missing-later")
    assert finding.level is Level.POSSIBLE
    evidence = f"{LIB}/liba.so may open libb.so.1 or libb.so (for colour, suggested), which the image lacks"
    assert finding.evidence == evidence
    assert _start(small).stdout.decode().splitlines() == [finding.message]
    small.put("/opt/libb.so", small.library("libb.so"))
    assert "library-missing-later" not in {each.code for each in _verdict_of(small, "linux/amd64").findings}
    assert _start(small).stdout == b""


def test_a_cpu_level_hides_no_missing_symbol(small: Small) -> None:
    """The note is a question to the CPU; what the library lacks is lacking on all of them."""
    new = small.library("liba.so", source="int value;", flags=("-Wl,-z,x86-64-v2",))
    old = small.library("liba.so", source="int other;", flags=("-Wl,-z,x86-64-v2",))
    small.program(new, source="extern int value; int *use = &value; int main(void) { return 0; }")
    small.put(f"{LIB}/liba.so", old)
    assert [problem.code for problem in small.loading().problems] == ["symbol-undefined", "cpu-level"]


@pytest.mark.parametrize("table", ["strings", "dynamic"])
def test_tables_that_span_two_segments(small: Small, table: str) -> None:
    """Segments that are next to each other in memory are one to the loader, wherever each stands in the file."""
    names = "".join(f"int a_function_with_a_long_name_{number}(void) {{ return 1; }}" for number in range(1500))
    flags = ("-Wl,-z,norelro", "-Wl,--section-start=.dynamic=0x80ff80")
    small.program(source=f"{names} int main(void) {{ return 0; }}", flags=flags)
    data = small.at("/app").read_bytes()
    with FileReader(small.at("/app")) as reader:
        header = read_header(reader)
    dynamic = header.segment(PT_DYNAMIC)
    assert dynamic is not None
    start = data.index(b"a_function_with") if table == "strings" else dynamic.address
    loaded = (each for each in header.segments if each.type == PT_LOAD)
    whole = next(each for each in loaded if 0 <= start - each.address < each.file_size)
    middle = (start // 4096 + 1) * 4096
    assert middle < whole.address + whole.file_size
    small.put("/app", split(data, whole.address, middle))
    small.at("/app").chmod(0o755)
    assert starts(small, "/")
    assert small.agrees().problems == ()


def split(program: bytes, address: int, middle: int) -> bytes:
    """The program with the PT_LOAD at `address` cut in two; what is loaded from `middle` on stands at the file's end.

    The new header takes the place of the first PT_NOTE, which nothing here reads.
    """
    (table,), (count,) = struct.unpack_from("<Q", program, 32), struct.unpack_from("<H", program, 56)
    headers = [struct.unpack_from("<IIQQQQQQ", program, table + 56 * at) for at in range(count)]
    headers.remove(next(header for header in headers if header[0] == PT_NOTE))
    at = next(at for at, header in enumerate(headers) if header[0] == PT_LOAD and header[3] == address)
    kind, flags, offset, _, _, size, memory, align = headers[at]
    first = middle - address
    program += bytes(-len(program) % 4096)
    moved = program[offset + first : offset + size]
    headers[at : at + 1] = [
        (kind, flags, offset, address, address, first, first, align),
        (kind, flags, len(program), middle, middle, size - first, memory - first, align),
    ]
    body = bytearray(program + moved)
    body[offset + first : offset + size] = bytes(size - first)
    body[table : table + 56 * count] = b"".join(struct.pack("<IIQQQQQQ", *header) for header in headers)
    return bytes(body)


@pytest.mark.parametrize(
    ("variable", "value", "prints"),
    [
        ("LD_TRACE_LOADED_OBJECTS", "1", True),
        ("LD_TRACE_LOADED_OBJECTS", "", True),
        ("LD_DEBUG", "help", True),
        ("LD_DEBUG", "nosuch,help", True),
        ("LD_DEBUG", "nosuch", False),
        ("LD_DEBUG", "", False),
    ],
)
def test_a_loader_that_is_told_to_print(small: Small, variable: str, value: str, prints: bool) -> None:
    """It prints, ends without an error, and the program's own code is never reached."""
    small.program(source="int main(void) { return 7; }")
    root, env = RootFs.from_directory(small.folder), {variable: value}
    verdict = judge(examine(small.at("/app")), read_elf(small.at("/app")), root, AMD64, env=tuple(env.items()))
    assert [finding.code for finding in verdict.findings if finding.level is Level.CERTAIN] == (
        ["loader-only-prints"] if prints else []
    )
    done = started(small, env)
    assert done.exit_code == (0 if prints else 7)
    if prints and variable == "LD_DEBUG":
        assert verdict.findings[0].message in done.stdout.decode().splitlines()


BARE_START = "#include <unistd.h>\nvoid _start(void) { _exit(7); }"


def test_a_loader_that_calls_what_an_older_libc_lacks(small: Small) -> None:
    """glibc's loader calls libc at the end of its work, and gives up where libc has nothing to call."""
    small.program(source=BARE_START, flags=("-nostartfiles",))
    assert started(small, {}).exit_code == 7
    assert small.loading().problems == ()
    older = RootFs.from_directory(assembled("bullseye-cc"))
    small.put(f"{LIB}/libc.so.6", older.read(f"{LIB}/libc.so.6"))
    (problem,) = small.loading().problems
    done = started(small, {})
    assert (done.exit_code, done.stderr.decode().strip()) == (127, problem.message)
    assert "is of glibc 2." in problem.evidence
    verdict = judge(examine(small.at("/app")), read_elf(small.at("/app")), RootFs.from_directory(small.folder), AMD64)
    assert (verdict.status, verdict.findings[0].code) == (Status.FAILS, "glibc-mixed")
    small.put(LOADER, older.read(LOADER)).at(LOADER).chmod(0o755)
    assert started(small, {}).exit_code == 7
    assert (small.loading().problems, small.loading().doubts) == ((), ())


def test_loader_and_libc_of_different_releases(small: Small) -> None:
    """What becomes of them depends on both: nobody knows before it is tried."""
    small.program()
    libc = Path(f"{LIB}/libc.so.6").read_bytes()
    banner = re.search(rb"release version 2\.(\d+)", libc)
    assert banner is not None
    other = b"release version 2.%d" % (int(banner[1]) - 1)
    for content, status in ((libc, Status.RUNS), (libc.replace(banner[0], other), Status.UNKNOWN)):
        root = RootFs.from_directory(small.put(f"{LIB}/libc.so.6", content).folder)
        verdict = judge(examine(small.at("/app")), read_elf(small.at("/app")), root, AMD64)
        found = [finding.level for finding in verdict.findings if finding.code == "glibc-mixed"]
        assert (verdict.status, found) == (status, [Level.POSSIBLE] if status is Status.UNKNOWN else [])


def started(small: Small, env: Mapping[str, str]) -> shell.Completed:
    """The program's run with exactly `env`, which no program outside of the root sees."""
    code = "import os, sys; os.chroot(sys.argv[1]); os.chdir('/')"
    code += "; os.execve('/app', ['/app'], dict(each.split('=', 1) for each in sys.argv[2:]))"
    given = (f"{name}={value}" for name, value in env.items())
    unshare = (need_tool("unshare"), "--map-root-user", sys.executable, "-c", code, str(small.folder))
    return shell.run(Command((*unshare, *given)))


# ── the interpreter ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_interpreter(small: Small) -> None:
    """Missing, not executable, not an ELF file, of another machine: the kernel's words."""
    small.program()
    run = Command((need_tool("unshare"), "--map-root-user", "--root", str(small.folder), "/app"))
    cases: tuple[tuple[Callable[[Path], object], str], ...] = (
        (lambda path: path.chmod(0o644), "permission denied"),
        (lambda path: path.write_bytes(b"hello" * 100), "accessing a corrupted shared library"),
        (lambda path: path.write_bytes(make_elf(machine=183)), "accessing a corrupted shared library"),
        (lambda path: path.write_bytes(b""), "input/output error"),
        (lambda path: path.write_bytes(b"\x7fELF" + bytes(59)), "input/output error"),
        (lambda path: path.write_bytes(Path(LOADER).read_bytes()[:200]), "accessing a corrupted shared library"),
        (
            lambda path: path.write_bytes(_of_arm(Path(LOADER).read_bytes())[:9000]),
            "accessing a corrupted shared library",
        ),
        (lambda path: path.unlink(), "no such file or directory"),
        (lambda path: path.symlink_to(path.name), "too many levels of symbolic links"),
    )
    for spoil, ending in cases:
        if small.at(LOADER).exists():
            small.at(LOADER).chmod(0o755)
        spoil(small.at(LOADER))
        (problem,) = small.loading().problems
        assert problem.message == f"exec /app: {ending}"
        assert shell.run(run).stderr.decode().strip().lower().endswith(ending)


def _of_arm(program: bytes) -> bytes:
    return program[:18] + b"\xb7\0" + program[20:]


def test_a_loader_that_is_cut_off_behind_its_headers(small: Small) -> None:
    """The kernel has given up the old program by then: there is nobody left to whom it could tell."""
    small.program()
    small.put(LOADER, Path(LOADER).read_bytes()[:100000]).at(LOADER).chmod(0o755)
    (problem,) = small.loading().problems
    assert problem.message == "Segmentation fault (exit code 139)"
    assert started(small, {}).exit_code in (-11, 139)


def test_kinds_of_loaders(small: Small) -> None:
    """glibc's is told from others by what is in it; a static program has none; others are unknown and no pass."""
    root = RootFs.from_directory(small.folder)
    assert loader_kind(root, LOADER) == "glibc"
    assert loader_kind(root, "/none") == "none"
    assert loader_kind(root, f"{LIB}/libc.so.6") == "unknown"
    small.program(flags=("-static",))
    assert small.loading() == Loading("none")
    small.program(flags=(f"-Wl,--dynamic-linker={LIB}/libc.so.6",))
    assert small.loading().loader == "unknown"


# ── musl ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


BARE = ("-nostdlib", "-nostartfiles", f"-Wl,--dynamic-linker={MUSL}")
START = "void _start(void) { for (;;); }"


@pytest.fixture
def musl(small: Small) -> Small:
    """A root with musl's loader, for programs and libraries that were linked to no libc but to the names they need."""
    loader = assembled("musl") / MUSL.lstrip("/")
    shutil.rmtree(small.folder)
    return small.put(MUSL, loader.resolve())


def bare(
    musl: Small, name: str, *needed: Path, flags: tuple[str, ...] = (), source: str = "", soname: str = ""
) -> Path:
    return musl.library(name, *needed, flags=("-nostdlib", *flags), source=source, soname=soname)


def test_musl_folders(musl: Small) -> None:
    """/lib, /usr/local/lib, /usr/lib; or what /etc/ld-musl-x86_64.path says, with colons or in lines."""
    a = bare(musl, "liba.so")
    musl.program(a, flags=BARE, source=START).put("/usr/lib/liba.so", a)
    assert musl.finds("liba.so") == "/usr/lib/liba.so"
    musl.put("/usr/local/lib/liba.so", a)
    assert musl.finds("liba.so") == "/usr/local/lib/liba.so"
    musl.put("/etc/ld-musl-x86_64.path", b"/none\n/opt:/usr/lib\n")
    assert musl.finds("liba.so") == "/usr/lib/liba.so"
    musl.put("/etc/ld-musl-x86_64.path", b"")
    assert musl.finds("liba.so") is None


def test_musl_paths_are_inherited(musl: Small) -> None:
    """RPATH and RUNPATH are one rule, inherited, and come after LD_LIBRARY_PATH."""
    b = bare(musl, "libb.so")
    a = bare(musl, "liba.so", b)
    musl.program(a, flags=(*BARE, *runpath("$ORIGIN/opt")), source=START)
    musl.put("/opt/liba.so", a).put("/opt/libb.so", b).put("/env/libb.so", b)
    assert musl.finds("libb.so") == "/opt/libb.so"
    assert musl.finds("libb.so", {"LD_LIBRARY_PATH": "/none:/env"}) == "/env/libb.so"
    musl.program(a, flags=(*BARE, *runpath("/opt:$LIB")), source=START)
    assert musl.finds("liba.so") is None


def test_musl_is_its_own_libc(musl: Small) -> None:
    """libc.so, libpthread.so.0, libm.so.6 and the like are answered by the loader, whatever files there are."""
    names = [bare(musl, name) for name in ("libc.so", "libm.so.6", "libpthread.so.0", "libc.musl-x86_64.so.1")]
    musl.program(*names, flags=BARE, source=START)
    loading = musl.agrees()
    assert loading.problems == ()
    assert {library.path for library in loading.libraries} == {MUSL}


def test_musl_tells_all_that_is_missing(musl: Small) -> None:
    """Libraries first, then symbols, libraries' before the program's; weak ones are not missed."""
    a = bare(musl, "liba.so", source="int none_a(void); int a(void) { return none_a(); }")
    source = """int a(void), none_b(void), puts(const char *); extern int none_c __attribute__((weak));
        void _start(void) { a(); none_b(); puts(""); if (&none_c) none_c = 1; }"""
    musl.program(a, bare(musl, "libno.so"), bare(musl, "libc.so"), flags=BARE, source=source).put("/lib/liba.so", a)
    messages = [problem.message for problem in musl.agrees().problems]
    assert messages == [
        "Error loading shared library libno.so: No such file or directory (needed by /app)",
        "Error relocating /lib/liba.so: none_a: symbol not found",
        "Error relocating /app: none_b: symbol not found",
    ]


def test_musl_and_a_needed_path(musl: Small) -> None:
    """A name with a slash is a path, and what is said of it is what opening it said."""
    musl.program(bare(musl, "liba.so", soname="/opt/liba.so"), flags=BARE, source=START)
    musl.put("/etc/ld-musl-x86_64.path", b"/lib\n")  # so that no open fails before
    (problem,) = musl.agrees().problems
    assert problem.message == "Error loading shared library /opt/liba.so: No such file or directory (needed by /app)"
    musl.put("/opt/liba.so", bare(musl, "liba.so"))
    assert musl.finds("/opt/liba.so") == "/opt/liba.so"


def test_musl_without_libc_in_its_list(musl: Small) -> None:
    """A program that does not ask for libc does not get libc's symbols, although the loader is libc."""
    source = 'int puts(const char *); void _start(void) { puts(""); }'
    musl.program(bare(musl, "libm.so"), flags=BARE, source=source)
    assert musl.agrees().problems == ()
    musl.program(flags=(*BARE, "-pie"), source=source)
    assert [problem.library for problem in musl.agrees().problems] == ["puts"]


def test_musl_and_broken_files(musl: Small) -> None:
    """What is not an ELF file is found, refused, and nothing else is tried."""
    a = bare(musl, "liba.so")
    musl.program(a, flags=BARE, source=START).put("/lib/liba.so", b"text " * 100).put("/usr/lib/liba.so", a)
    (problem,) = musl.agrees().problems
    assert problem.message == "Error loading shared library liba.so: Exec format error (needed by /app)"


def test_musl_copied_variables(musl: Small) -> None:
    """A weak variable that the program holds a copy of must be somewhere; found by the oracle, with C++ programs."""
    defining = bare(musl, "libv.so", source="int variable __attribute__((weak)) = 1;")
    source = "extern int variable; void _start(void) { variable = 2; }"
    musl.program(defining, flags=(*BARE, "-no-pie", "-fno-pic"), source=source)
    with FileReader(musl.at("/app")) as reader:
        imports = read_dynamic(reader).imports
    need([symbol.weak for symbol in imports if symbol.name == "variable"] == [True], "a linker that copies")
    musl.put("/lib/libv.so", bare(musl, "libv.so", source="int other;"))
    assert [problem.library for problem in musl.agrees().problems] == ["variable"]


def test_musl_names_with_64(musl: Small) -> None:
    """open64 and others: symbols of musl 1.2.3, names that the loader knows in 1.2.4 and later."""
    declared = "int open64(void), readdir64_r(void), printf64(void);"
    source = f"{declared} void _start(void) {{ open64(); readdir64_r(); printf64(); }}"
    musl.program(bare(musl, "libc.so"), flags=BARE, source=source)
    assert [problem.library for problem in musl.agrees().problems] == ["printf64"]
    newer = assembled("trixie-musl")
    musl.put(MUSL, (newer / MUSL.lstrip("/")).resolve())
    assert [problem.library for problem in musl.agrees().problems] == ["printf64"]


def test_musl_and_packed_relocations(musl: Small) -> None:
    """musl before 1.2.4 passes them over; a newer one does not."""
    source = f'{PACKED} void _start(void) {{ sum(); __asm__("syscall" :: "a"(231), "D"(0)); }}'
    musl.program(flags=(*BARE, "-pie", "-Wl,-z,pack-relative-relocs"), source=source)
    assert not starts(musl, "/")
    musl.put(MUSL, (assembled("trixie-musl") / MUSL.lstrip("/")).resolve())
    assert starts(musl, "/")


def test_musl_preloaded(musl: Small) -> None:
    """LD_PRELOAD is loaded first; what of it is missing is passed over in silence."""
    a = bare(musl, "liba.so", source="int a(void) { return 1; }")
    musl.program(flags=(*BARE, "-pie"), source="int a(void); void _start(void) { a(); }").put("/lib/liba.so", a)
    assert [problem.library for problem in musl.agrees().problems] == ["a"]
    assert musl.agrees({"LD_PRELOAD": "libnone.so liba.so"}).problems == ()
    assert musl.finds("liba.so", {"LD_PRELOAD": "libnone.so liba.so"}) == "/lib/liba.so"


def test_a_glibc_program_on_musl_in_disguise(musl: Small, compilers: Compilers) -> None:
    """A compatibility link from glibc's loader to musl's: the names that musl lacks are told."""
    musl.put("/app", compilers.c('#include <stdio.h>\nint main(void) { puts("hello"); }', "-D_FORTIFY_SOURCE=2", "-O2"))
    musl.put(LOADER, musl.at(MUSL))
    assert musl.agrees().loader == "musl"
    source = '#include <stdlib.h>\n#include <error.h>\nint main(void) { error(1, 0, "x"); return random_r(0, 0); }'
    musl.put("/app", compilers.c(source, "-D_GNU_SOURCE"))
    messages = [problem.message for problem in musl.agrees().problems]
    assert "Error relocating /app: error: symbol not found" in messages
