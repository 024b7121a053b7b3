"""Tests of recipes/loader/glibc.py, glibcpaths.py and objects.py that go on from those of test_explain.py.

First with the real loader, as there: what it says is compared. Then with small files that no compiler of this machine
writes, for classes, byte orders and CPUs of which there is no loader here.
"""

from __future__ import annotations

import errno
import re
import shutil
import struct
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest

from recipes.architecture import ARCHITECTURES
from recipes.elf.facts import read_elf
from recipes.elf.markers import examine
from recipes.elf.segments import PT_DYNAMIC, PT_LOAD, BytesReader, FileReader, read_header
from recipes.loader.explain import explain, loader_kind
from recipes.loader.glibcpaths import machine_of, release_number
from recipes.loader.loading import Loading, Problem
from recipes.model import Command, Library, Platform, Searched
from recipes.rootfs.accounts import Account
from recipes.rootfs.root import RootFs
from recipes.support import shell
from recipes.verdict.judge import judge
from tests.compilers import Compilers
from tests.elf.fixtures.make import EXEC, PIE, RPATH, RUNPATH, SONAME, make_elf
from tests.fuzz.targets import Files
from tests.loader.modes import Modes
from tests.loader.test_explain import (
    AMD64,
    LIB,
    LOADER,
    PACKED,
    Small,
    _elf_hash,
    _start,
    rpath,
    runpath,
    starts,
    versioned,
)
from tests.need import need_tool
from tests.oracle.roots import root as assembled

FOLDERS = (LIB, f"/usr{LIB}", "/lib", "/usr/lib")


@pytest.fixture
def small(tmp_path: Path, compilers: Compilers) -> Small:
    return Small(tmp_path / "root", compilers)


def search_of(loading: Loading, name: str) -> list[tuple[str, str, str]]:
    """Every step of the search for a library: the place, why there, and what was met."""
    library = next(library for library in loading.libraries if library.name == name)
    return [(step.path, step.why, step.found) for step in library.searched]


# ── with the real loader ─────────────────────────────────────────────────────────────────────────────────────────────


def test_rpath_of_each_object_on_the_way(small: Small) -> None:
    """The RPATH of the object that asks, then of the one that had it loaded, up to the program: each is told once."""
    c = small.library("libc_.so")
    b = small.library("libb.so", c, flags=rpath("/of-b"))
    a = small.library("liba.so", b, flags=rpath("/of-a"))
    small.program(a, flags=rpath("/of-app")).put("/of-app/liba.so", a).put("/of-a/libb.so", b)
    assert search_of(small.agrees(), "libc_.so")[:4] == [
        ("/of-b/libc_.so", "RPATH of /of-a/libb.so", "no such file"),
        ("/of-a/libc_.so", "RPATH of /of-app/liba.so", "no such file"),
        ("/of-app/libc_.so", "RPATH of /app", "no such file"),
        ("", "LD_LIBRARY_PATH", "not set"),
    ]
    for folder in ("/of-app", "/of-a", "/of-b"):  # the later ones first
        small.put(f"{folder}/libc_.so", c)
        assert small.finds("libc_.so") == f"{folder}/libc_.so"


def test_the_search_without_and_with_a_cache(small: Small) -> None:
    """What was met is told of each place: a cache that is not there, or that has no such name, or that has it."""
    a = small.library("liba.so.1")
    small.program(a)
    built_in = [(f"{folder}/liba.so.1", "built-in folder", "no such file") for folder in FOLDERS]
    start = ("", "LD_LIBRARY_PATH", "not set")
    without = ("/etc/ld.so.cache", "ld.so.cache", "no such file, and without it ld.so.conf is not read")
    assert search_of(small.agrees(), "liba.so.1") == [start, without, *built_in]
    small.put("/etc/ld.so.cache", cache_of("libother.so", "/opt/libother.so"))
    names_none = ("/etc/ld.so.cache", "ld.so.cache", "names no liba.so.1")
    assert search_of(small.agrees(), "liba.so.1") == [start, names_none, *built_in]
    small.put("/etc/ld.so.cache", cache_of("liba.so.1", "/opt/liba.so.1")).put("/opt/liba.so.1", a)
    assert search_of(small.agrees(), "liba.so.1") == [start, ("/opt/liba.so.1", "ld.so.cache", "found")]


def test_the_search_of_nodefaultlib(small: Small) -> None:
    """-z nodefaultlib leaves out built-in folders, also where the cache names them; other folders it does not."""
    a = small.library("liba.so.1")
    small.program(a, flags=("-Wl,-z,nodefaultlib", *runpath(LIB))).put("/usr/lib/liba.so.1", a)
    passed_over = "not used: it was linked with -z nodefaultlib"
    small.put("/etc/ld.so.cache", cache_of("liba.so.1", "/usr/lib/liba.so.1"))
    assert search_of(small.agrees(), "liba.so.1") == [
        ("", "LD_LIBRARY_PATH", "not set"),
        (f"{LIB}/liba.so.1", "RUNPATH of /app", "no such file"),
        ("/usr/lib/liba.so.1", "ld.so.cache", passed_over),
        ("", "built-in folders", passed_over),
    ]
    small.program(a).put("/etc/ld.so.cache", cache_of("liba.so.1", "/usr/lib/liba.so.1"))
    assert search_of(small.agrees(), "liba.so.1")[-1] == ("/usr/lib/liba.so.1", "ld.so.cache", "found")


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("folder", ["", "/odd"])
def test_why_a_library_without_built_in_folders_is_not_found(small: Small, folder: str, cached: bool) -> None:
    """The message has the reason of the last call that failed: a folder's, the cache's own, or of none."""
    small.program(small.library("liba.so.1"), flags=("-Wl,-z,nodefaultlib", *(runpath(folder) if folder else ())))
    if folder:
        small.at(folder).mkdir()
        small.at(f"{folder}/liba.so.1").symlink_to("liba.so.1")
    if cached:
        small.put("/etc/ld.so.cache", cache_of("libb.so.1", "/opt/libb.so.1"))
    told = small.loading().problems[0].message
    assert told == _start(small).stderr.decode().strip()
    reason = "" if cached else ": No such file or directory"
    if folder and cached:
        reason = f": Error {errno.ELOOP}"
    assert told.endswith(f"liba.so.1: cannot open shared object file{reason}")
    # What was preloaded in vain has had the cache opened, which is not tried again.
    again = small.loading({"LD_PRELOAD": "libnothere.so"})
    done = shell.run(
        Command((need_tool("unshare"), "--map-root-user", "--root", str(small.folder), "/app")),
        environment={"LD_PRELOAD": "libnothere.so"},
    )
    assert done.stderr.decode().splitlines()[-1] == again.problems[0].message


def cache_of(name: str, path: str, flags: int = 0x0303, marks: int = 0) -> bytes:
    """An ld.so.cache of glibc's own format with one entry; `marks` are those of hardware."""
    names = f"{name}\0{path}\0".encode()
    entry = struct.pack("<iIIIQ", flags, 72, 72 + len(name) + 1, 0, marks)
    return b"glibc-ld.so.cache1.1" + struct.pack("<IIB3xI12x", 1, len(names), 2, 0) + entry + names


def test_origin_of_a_program_behind_a_link(small: Small) -> None:
    """$ORIGIN is the folder of the file itself, not of the link by which it was started."""
    a = small.library("liba.so")
    small.program(a, flags=runpath("$ORIGIN/lib")).put("/opt/tool", small.at("/app").read_bytes())
    small.put("/opt/lib/liba.so", a).at("/app").unlink()
    small.at("/app").symlink_to("opt/tool")
    small.at("/opt/tool").chmod(0o755)
    assert small.finds("liba.so") == "/opt/lib/liba.so"


def test_a_folder_under_a_librarys_name(small: Small) -> None:
    """Opening it works, reading it does not, and that ends the search."""
    a = small.library("liba.so")
    small.program(a, flags=runpath("/one:/two")).put("/two/liba.so", a).at("/one/liba.so").mkdir(parents=True)
    (problem,) = small.loading().problems
    assert (problem.code, problem.library, problem.needed_by) == ("library-broken", "liba.so", "/app")
    assert problem.evidence == "/app needs liba.so, and /one/liba.so is a folder"
    said = "/app: error while loading shared libraries: /one/liba.so: cannot read file data: "
    assert problem.message.startswith(said)
    assert _start(small).stderr.decode().startswith(said)


def test_a_library_that_two_ask_for_is_missed_once(small: Small) -> None:
    """The first who asks is named, as the loader stops there."""
    lost = small.library("liblost.so")
    a, b = small.library("liba.so", lost), small.library("libb.so", lost)
    small.program(a, b).put(f"{LIB}/liba.so", a).put(f"{LIB}/libb.so", b)
    (problem,) = small.agrees().problems
    assert (problem.library, problem.needed_by) == ("liblost.so", f"{LIB}/liba.so")
    assert problem.evidence == f"{LIB}/liba.so needs liblost.so"
    assert _start(small).stderr.decode().strip() == problem.message


def test_a_library_answers_to_the_name_it_was_found_under(small: Small) -> None:
    """Also one whose soname is another, and for objects that have no path to it."""
    a = small.library("liba.so")
    b = small.library("libb.so", a)
    small.program(a, b, flags=runpath("/opt")).put("/opt/liba.so", small.library("libz.so")).put(f"{LIB}/libb.so", b)
    assert small.agrees().problems == ()


def test_what_the_user_may_not_read() -> None:
    """It is passed over and told as such, and the last place decides the message."""
    denied, closed = "not readable by the image's user; skipped", {"/lib/liba.so": 0o600}
    for folder in ("/usr/lib", "/opt"):
        files = {"/ld.so": make_elf(exports=(b"_rtld_global",)) + NAMES, "/lib/liba.so": LIBRARY}
        root = RootFs(Modes({**files, f"{folder}/liba.so": LIBRARY}, closed)).seen_by(Account(65532, 65532))
        loading = loading_of(PROGRAM, root, "linux/amd64")
        assert ("/lib/liba.so", "built-in folder", denied) in search_of(loading, "liba.so")
        text = "liba.so: cannot open shared object file: No such file or directory"
        assert [problem.message.endswith(text) for problem in loading.problems] == [True] * (folder == "/opt")


LOADERS = {"bullseye-cc": "", "cc": "2.36", "trixie-musl": "2.41"}
"""Roots with a loader of glibc, and the release that it names."""


@pytest.fixture(params=LOADERS)
def of_release(small: Small, request: pytest.FixtureRequest) -> tuple[Small, tuple[int, ...]]:
    """A root with the loader and the libc of a release of glibc."""
    folder = assembled(request.param)
    for path in (LOADER, f"{LIB}/libc.so.6"):
        small.put(path, RootFs.from_directory(folder).read(path))
        small.at(path).chmod(0o755)
    return small, release_number(LOADERS[request.param])


def test_folders_of_older_releases_for_some_hardware(of_release: tuple[Small, tuple[int, ...]]) -> None:
    """Up to 2.36 the loader looks beneath each folder for what its hardware is called, and for tls, in this order."""
    small, release = of_release
    a = small.library("liba.so")
    for folder, flags in (("/opt", runpath("/opt")), (f"/usr{LIB}", ())):
        small.program(a, flags=flags)
        for below in ("", "/x86_64", "/tls", "/tls/x86_64"):
            small.put(f"{folder}{below}/liba.so", a)
            known = release < (2, 37) or not below
            assert small.finds("liba.so") == (f"{folder}{below}/liba.so" if known else f"{folder}/liba.so")
        shutil.rmtree(small.at(folder))


@pytest.mark.parametrize(
    ("marks", "last"), [(0, (9,)), (1 << 63, (2, 39)), (2, (2, 39)), (1 << 63 | 2, (2, 39)), (1, ())]
)
def test_entries_of_the_cache_for_some_hardware(
    of_release: tuple[Small, tuple[int, ...]], marks: int, last: tuple[int, ...]
) -> None:
    """Up to 2.39 the loader takes those whose marks a CPU has: of x86-64 that is its own, and that of tls."""
    small, release = of_release
    a = small.library("liba.so")
    small.program(a).put("/opt/liba.so", a).put("/etc/ld.so.cache", cache_of("liba.so", "/opt/liba.so", marks=marks))
    assert small.finds("liba.so") == ("/opt/liba.so" if release <= last and last else None)


@pytest.mark.parametrize(
    ("name", "release", "below"),
    [
        ("amd64", (2, 36), ["tls/x86_64/x86_64/", "tls/x86_64/", "tls/x86_64/", "tls/", "x86_64/x86_64/"]),
        ("386", (), ["tls/i686/sse2/", "tls/i686/", "tls/sse2/", "tls/", "i686/sse2/", "i686/", "sse2/"]),
        ("arm64", (2, 36), ["tls/aarch64/", "tls/", "aarch64/"]),
        ("riscv64", (2, 36), ["tls/"]),
        ("mipsle", (2, 36), ["tls/"]),
        ("ppc64le", (2, 36), ["tls/power8/altivec/dfp/", "tls/power8/altivec/", "tls/power8/dfp/", "tls/power8/"]),
        ("amd64", (2, 37), []),
    ],
)
def test_the_names_of_each_cpu(name: str, release: tuple[int, ...], below: list[str]) -> None:
    """All choices of the names, the last name first: what a counter of bits gives that goes down."""
    row = ARCHITECTURES[name]
    found = machine_of((), row.kinds[0], row.elf_machine, release).legacy
    assert list(found[: len(below)]) == below
    assert bool(found) is bool(below)


def test_what_an_empty_folder_makes_of_a_name(small: Small) -> None:
    """It has no slash, unlike that of the working folder under its own name."""
    small.program(small.library("liba.so")).put("/liba.so", b"text" * 20)
    for folders, path in (
        (":", "liba.so"),
        ("/none;", "liba.so"),
        (".", "./liba.so"),
        ("./", "./liba.so"),
        ("/", "/liba.so"),
    ):
        env = {"LD_LIBRARY_PATH": folders}
        (problem,) = small.loading(env).problems
        assert problem.message == f"/app: error while loading shared libraries: {path}: invalid ELF header"
        assert started(small, env).stderr.decode().strip() == problem.message


def test_a_folder_that_is_a_loop_of_links(small: Small) -> None:
    """It is as one that is not there; a loop under the library's own name ends the search in that list."""
    a = small.library("liba.so")
    small.program(a, flags=runpath("/loop:/opt")).put("/opt/liba.so", a).at("/loop").symlink_to("loop")
    assert small.finds("liba.so") == "/opt/liba.so"
    small.at("/loop").unlink()
    small.at("/loop").mkdir()
    small.at("/loop/liba.so").symlink_to("liba.so")
    assert small.finds("liba.so") is None


def test_a_path_through_a_file(small: Small) -> None:
    """The loader has no words for that error."""
    small.program(small.library("liba.so", soname="/app/liba.so"))
    (problem,) = small.agrees().problems
    assert problem.message.endswith("/app/liba.so: cannot open shared object file: Error 20")
    assert started(small).stderr.decode().strip() == problem.message


def test_a_token_that_has_no_value() -> None:
    """Linux tells the loader of no platform on RISC-V: a path with it is dropped, and so is a library."""
    build = partial(make_elf, machine=243)
    names = ((RPATH, b"/a/$PLATFORM:/b:${PLATFORM}"),)
    program = build(interpreter=b"/ld.so", needed=(b"$PLATFORM/liba.so", b"libb.so"), names=names, flags_1=PIE)
    loading = loading_of(program, glibc_root({}, build=build), "linux/riscv64")
    assert [library.name for library in loading.libraries] == ["libb.so"]
    assert loading.libraries[0].searched[0].path == "/b/libb.so"
    assert loading.libraries[0].searched[1].why == "LD_LIBRARY_PATH"


UNLOADABLE = {
    "/opt/none.so": None,
    "/opt/short.so": b"short",
    "/opt/text.so": b"text" * 20,
    "/opt/text.so/none.so": None,
    "/opt/$ORIGIN/none.so": None,
    "/opt/other.so": make_elf(bits=32, machine=3, entry=0, names=((SONAME, b"other.so"),)),
    "/opt/system.so": b"\x7fELF\2\1\1\x09" + bytes(8) + b"\3\0\x3e\0\1" + bytes(60),
    "/opt/machine.so": b"\x7fELF\2\1\1\x09" + bytes(8) + b"\3\0\xb7\0\1" + bytes(60),
}


def test_the_words_for_what_cannot_be_preloaded(small: Small) -> None:
    """Those of the loader, without the system's; only a space and a colon part the names of the variable."""
    small.program().at("/opt/folder.so").mkdir(parents=True)
    for path, content in UNLOADABLE.items():
        if content is not None:
            small.put(path, content)
    small.at("/opt/loop.so").symlink_to("loop.so")
    for name in (*UNLOADABLE, "/opt/folder.so", "/opt/loop.so", "/app", "libnone.so", "/a\t/b\n/c", "/a /b:/c::  /d"):
        env = {"LD_PRELOAD": name}
        assert started(small, env).stderr.decode() == "".join(f"{line}\n" for line in small.loading(env).warnings)
        assert small.loading(env).warnings or name == "/app"


@pytest.mark.parametrize(
    "content",
    [
        b"# c1\n/p1 /p2:/p3\t/p4 # x /p5\n  /p6\n/p7#y\n",
        b"/p1\r\n/p2\r\n",
        b"/p1 /p2",
        b"# only a comment",
        b"/p1\n/p2 # last",
        b"",
        b"/p1\0/p2\n/p3 /p4\0/p5",
        b"# one\n# two\n# three\n/p1\n",
    ],
)
def test_the_list_of_what_is_preloaded(small: Small, content: bytes) -> None:
    """As the loader reads it: with the comments that it finds, and a last name that no line ends."""
    small.program().put("/etc/ld.so.preload", content)
    assert started(small).stderr.decode() == "".join(f"{line}\n" for line in small.loading().warnings)


@pytest.mark.parametrize("by", ["need", "preload"])
def test_a_library_without_its_last_page(small: Small, by: str) -> None:
    """The loader maps it, clears what follows its data, and dies of that: no word is said."""
    library = small.library("liba.so", source="int data[4099] = {1}; int more[999];")
    small.program(*([library] if by == "need" else [])).put(f"{LIB}/liba.so", library)
    env = {"LD_PRELOAD": "liba.so"} if by == "preload" else {}
    assert started(small, env).exit_code == 0
    cut = library.read_bytes()
    small.put(f"{LIB}/liba.so", cut[:12288])
    (problem,) = small.loading(env).problems
    assert (problem.code, problem.message) == ("library-broken", "Bus error (exit code 135)")
    assert f"{LIB}/liba.so is cut: a segment ends at byte" in problem.evidence
    assert (started(small, env).exit_code, started(small, env).stderr) == (135, b"")


def test_a_library_that_is_cut_where_it_may_not_matter(small: Small) -> None:
    """In its sections it does not; within its last page, what is lost reads as 0; without all pages it is fatal."""
    library = small.library("liba.so", source="int data[4099] = {1}; int more[999];")
    whole = library.read_bytes()
    with FileReader(library) as reader:
        end = max(each.offset + each.file_size for each in read_header(reader).segments if each.type == PT_LOAD)
    small.program(library).put(f"{LIB}/liba.so", whole[:end])
    assert (small.agrees().problems, small.loading().doubts) == ((), ())
    small.put(f"{LIB}/liba.so", whole[: end - 4])
    (doubt,) = small.agrees().doubts
    assert doubt.evidence.endswith(f"and {LIB}/liba.so is cut: the end of its last page reads as zeros")
    assert small.loading().problems == ()
    assert started(small).exit_code == 0
    small.put(f"{LIB}/liba.so", whole[:4096])
    assert started(small).exit_code == 135


def test_a_loader_that_is_cut_within_its_last_page(small: Small) -> None:
    """The kernel maps it; whether that matters, no file tells."""
    small.program()
    whole = small.at(LOADER).read_bytes()
    with FileReader(small.at(LOADER)) as reader:
        end = max(each.offset + each.file_size for each in read_header(reader).segments if each.type == PT_LOAD)
    small.put(LOADER, whole[: end - 4])
    loading = small.loading()
    assert (loading.loader, loading.problems) == ("glibc", ())
    assert [doubt.needed_by for doubt in loading.doubts] == ["/app"]
    assert started(small).exit_code in (0, 139)
    small.put(LOADER, whole[:4096])
    assert [problem.message for problem in small.loading().problems] == ["Segmentation fault (exit code 139)"]
    assert started(small).exit_code == 139


def test_a_library_in_which_no_symbol_has_a_version(of_release: tuple[Small, tuple[int, ...]], tmp_path: Path) -> None:
    """Up to glibc 2.40 the loader ends where it finds in it what is wanted in a version of it."""
    small, release = of_release
    new = versioned(small, tmp_path, "V_1 { f; }; V_2 { g; };")
    bare = small.library("libv.so", source="int f(void) { return 1; } int g(void) { return 2; }", flags=("-nostdlib",))
    source = """int f(void); int g(void);
        void _start(void) { __asm__ volatile("syscall" :: "a"(60), "D"(f() + g() - 3)); }"""
    small.put(f"{LIB}/libv.so", bare)
    for when in ("now", "lazy"):
        small.program(new, source=source, flags=("-nostdlib", "-nostartfiles", f"-Wl,-z,{when}"))
        loading, done = small.loading(), started(small)
        told = loading.problems if when == "now" else loading.later
        assert [problem.code for problem in told] == ["symbol-undefined"] * (release < (2, 41))
        lines = [re.sub(r"(dl-lookup.c: )\d+: ", r"\1", line) for line in done.stderr.decode().splitlines()]
        assert lines == [*loading.warnings, *(problem.message for problem in told)]
        assert done.exit_code == (127 if told else 0)


def started(small: Small, env: Mapping[str, str] | None = None) -> shell.Completed:
    """What comes of /app in its root, where nothing but /app has this environment."""
    code = "import os, sys; os.chroot(sys.argv[1]); os.chdir('/')"
    code += "; os.execve('/app', ['/app'], dict(each.split('=', 1) for each in sys.argv[2:]))"
    words = [f"{name}={value}" for name, value in (env or {}).items()]
    enter = (need_tool("unshare"), "--map-root-user", sys.executable, "-IS", "-c", code)
    return shell.run(Command((*enter, str(small.folder), *words)))


def test_libraries_that_need_each_other(small: Small) -> None:
    """A circle is walked once."""
    first = small.library("liba.so")
    b = small.library("libb.so", first)
    a = small.library("liba.so", b, source="int again(void) { return 2; }")
    small.program(a).put(f"{LIB}/liba.so", a).put(f"{LIB}/libb.so", b)
    loading = small.agrees()
    assert loading.problems == ()
    assert [library.name for library in loading.libraries] == [
        "liba.so", "libc.so.6", "libb.so", "ld-linux-x86-64.so.2",
    ]  # fmt: skip


def test_what_cannot_be_preloaded_is_a_warning(small: Small) -> None:
    """For each of the two places that name such libraries, in the loader's order; comments are none."""
    small.program().put("/etc/ld.so.preload", b"liblist.so # libcomment.so\n").put("/opt/libtext.so", b"text" * 40)
    env = {"LD_PRELOAD": "libnone.so:/opt/libtext.so"}
    enter = ("unshare", "--map-root-user", "--root", str(small.folder), "/app")
    done = shell.run(Command(enter), environment=env)
    theirs, ours = done.stderr.decode().splitlines()[-3:], small.agrees(env).warnings  # before: what unshare had
    assert ours[1] == theirs[1]
    assert [text.partition(" (")[0] for text in ours] == [text.partition(" (")[0] for text in theirs]
    assert all(text.endswith("): ignored.") for text in ours)


def test_what_was_preloaded_in_vain_is_still_missed(small: Small) -> None:
    """A library that the program needs as well is first a warning, then the end."""
    small.program(small.library("liba.so"))
    (problem,) = small.agrees({"LD_PRELOAD": "liba.so"}).problems
    assert (problem.library, problem.needed_by) == ("liba.so", "/app")
    assert [library.name for library in small.loading({"LD_PRELOAD": "liba.so"}).libraries].count("liba.so") == 1


def test_what_is_preloaded_brings_what_it_needs(small: Small) -> None:
    """Its libraries are loaded, too; one that they lack ends the program."""
    b = small.library("libb.so")
    a = small.library("liba.so", b)
    small.program().put("/opt/liba.so", a).put(f"{LIB}/libb.so", b)
    env = {"LD_PRELOAD": "/opt/liba.so"}
    assert small.finds("libb.so", env) == f"{LIB}/libb.so"
    small.at(f"{LIB}/libb.so").unlink()
    (problem,) = small.agrees(env).problems
    assert (problem.library, problem.needed_by) == ("libb.so", "/opt/liba.so")


def test_a_library_that_one_may_lack_and_another_may_not(small: Small) -> None:
    """DT_AUXILIARY forgives for its own object alone."""
    lost = small.library("liblost.so")
    a = small.library("liba.so", flags=("-Wl,-f,liblost.so",))
    small.put(f"{LIB}/liba.so", a)
    small.program(a)
    assert starts(small, "/")
    for needed in ((a, lost), (lost, a)):
        (problem,) = small.program(*needed).agrees().problems
        assert (problem.library, problem.needed_by) == ("liblost.so", "/app")
        assert _start(small).stderr.decode().strip() == problem.message


def test_a_name_with_a_slash_is_opened(small: Small) -> None:
    """One step, told as such."""
    a = small.library("liba.so", soname="/opt/liba.so")
    small.program(a)
    steps = [("/opt/liba.so", "its name is a path", "no such file")]
    assert search_of(small.agrees(), "/opt/liba.so") == steps
    small.put("/opt/liba.so", a)
    assert search_of(small.agrees(), "/opt/liba.so") == [("/opt/liba.so", "its name is a path", "found")]


def test_the_loader_may_be_preloaded_and_needed(small: Small) -> None:
    """It is there already, under its soname too."""
    small.program()
    loading = small.agrees({"LD_PRELOAD": f"{LOADER} ld-linux-x86-64.so.2"})
    assert (loading.problems, loading.warnings) == ((), ())
    itself = (Searched(LOADER, "the loader itself", "found"),)
    assert loading.libraries[0] == Library(LOADER, LOADER, "/app", itself)


def test_a_renamed_loader(small: Small) -> None:
    """A program may name its loader by any path; libc needs it by its soname, and it is not searched for."""
    small.put("/opt/ld.so", Path(LOADER)).at(LOADER).unlink()
    small.at("/opt/loader").symlink_to("ld.so")
    small.program(flags=("-Wl,--dynamic-linker=/opt/loader",))
    assert small.agrees().problems == ()
    assert {library.path for library in small.loading().libraries} == {"/opt/loader", f"{LIB}/libc.so.6"}


# ── with the real loader: versions, symbols, relocations ─────────────────────────────────────────────────────────────


def test_who_forces_a_version(small: Small, tmp_path: Path) -> None:
    """Up to three of the symbols are named, and the others counted; those of other libraries' versions are not."""
    names = [f"f{number}" for number in range(5)]
    body = " ".join(f"int {name}(void) {{ return 1; }}" for name in names)
    for count, told in ((3, "f0, f1, f2"), (4, "f0, f1, f2 and 1 more"), (5, "f0, f1, f2 and 2 more")):
        (tmp_path / "map").write_text("V_1 { }; V_2 { f*; };")
        flags = (f"-Wl,--version-script={tmp_path}/map",)
        new = small.library("libv.so", source=body, flags=flags)
        used = [f"{name}()" for name in names[:count]]
        uses = f"int {', '.join(used)}; int main(void) {{ return {' + '.join(used)}; }}"
        small.program(new, source=uses)
        (tmp_path / "map").write_text("V_1 { f*; };")
        old = small.library("libv.so", source=f"{body} /* old */", flags=flags)
        (problem,) = small.put(f"{LIB}/libv.so", old).agrees().problems
        evidence = f"/app needs the version V_2 of libv.so for {told}; {LIB}/libv.so does not provide it"
        assert (problem.evidence, problem.library, problem.needed_by) == (evidence, "libv.so", "/app")


def test_a_version_of_two_libraries(small: Small, tmp_path: Path) -> None:
    """Two libraries may have a version of one name: the symbols of the one that lacks it are told."""
    (tmp_path / "map").write_text("V_1 { }; V_2 { f; };")
    flags = (f"-Wl,--version-script={tmp_path}/map",)
    first = small.library("libv.so", source="int f(void) { return 1; }", flags=flags)
    (tmp_path / "map").write_text("V_1 { }; V_2 { g; };")
    other = small.library("libw.so", source="int g(void) { return 1; } /* w */", flags=flags)
    small.program(first, other, source="int f(void); int g(void); int main(void) { return f() + g(); }")
    (tmp_path / "map").write_text("V_1 { f; };")
    old = small.library("libv.so", source="int f(void) { return 1; } /* old */", flags=flags)
    (problem,) = small.put(f"{LIB}/libv.so", old).put(f"{LIB}/libw.so", other).agrees().problems
    assert " for f;" in problem.evidence


def test_a_weak_version_is_a_warning(small: Small, tmp_path: Path) -> None:
    """Told, word by word, and the program goes on."""
    new = versioned(small, tmp_path, "V_1 { f; }; V_2 { g; };")
    source = """int f(void); int g(void) __attribute__((weak));
        int main(void) { int (*volatile use)(void) = g; return f() - 1; }"""
    small.program(new, source=source).put(f"{LIB}/libv.so", versioned(small, tmp_path, "V_1 { f; };"))
    hashed = struct.pack("<I", _elf_hash(b"V_2"))
    program = small.at("/app").read_bytes()
    assert program.count(hashed + b"\0\0") == 1
    small.put("/app", program.replace(hashed + b"\0\0", hashed + b"\2\0"))
    loading = small.agrees()
    assert loading.warnings == (f"/app: {LIB}/libv.so: weak version `V_2' not found (required by /app)",)
    done = _start(small)
    assert (done.exit_code, done.stderr.decode().strip()) == (0, loading.warnings[0])


def test_how_many_symbols_are_told(small: Small) -> None:
    """The message has the first that the loader looks for; the evidence three, and how many more."""
    names = [f"lost{number}" for number in range(5)]
    for count, told in ((3, "lost0, lost1, lost2"), (4, "lost0, lost1, lost2 and 1 more"), (5, "and 2 more")):
        declared = " ".join(f"extern int {name};" for name in names[:count])
        source = f"{declared} int *uses[] = {{{', '.join(f'&{name}' for name in names[:count])}}};"
        library = small.library("liba.so", source=source)
        (problem,) = small.program(library).put(f"{LIB}/liba.so", library).agrees().problems
        assert problem.evidence.startswith(f"{LIB}/liba.so needs lost0, lost1, lost2")
        assert _start(small).stderr.decode().strip() == problem.message
        assert f"{told}, which no library that is loaded defines" in problem.evidence


def test_a_library_that_is_lost_hides_what_it_would_define(small: Small) -> None:
    """The loader gives up before it looks for symbols, and without `checks` nothing of them is asked."""
    lost = small.library("liblost.so", source="int value;")
    small.program(lost, source="extern int value; int *use = &value; int main(void) { return 0; }")
    assert [problem.code for problem in small.agrees().problems] == ["library-missing"]
    small.put(f"{LIB}/liblost.so", small.library("liblost.so", source="int other;"))
    assert [problem.code for problem in small.agrees().problems] == ["symbol-undefined"]
    with FileReader(small.at("/app")) as reader:
        loading = explain(reader, RootFs.from_directory(small.folder), platform=AMD64, checks=False)
    assert (loading.problems, loading.later) == ((), ())


def test_what_is_lost_later_is_not_told_of_a_program_that_does_not_start(small: Small) -> None:
    """A variable that is looked up at once ends it before the call of a function could."""
    source = "extern int lost; int *use = &lost; int gone(void); int call(void) { return gone(); }"
    library = small.library("liba.so", source=source, flags=("-Wl,-z,lazy",))
    loading = small.program(library).put(f"{LIB}/liba.so", library).agrees()
    assert [problem.library for problem in loading.problems] == ["lost"]
    assert loading.later == ()


def test_what_a_program_defines_serves_its_libraries(small: Small) -> None:
    """As a plugin's host does it."""
    library = small.library("liba.so", source="int mine(void); int a(void) { return mine(); }", flags=("-Wl,-z,now",))
    small.put(f"{LIB}/liba.so", library)
    small.program(library, source="int mine(void) { return 0; } int main(void) { return mine(); }")
    assert starts(small, "/")
    small.program(library)
    assert not starts(small, "/")


def test_a_copied_variable_that_the_library_has_lost(small: Small) -> None:
    """The program has room for it, and that is no definition."""
    library = small.library("libv.so", source="int variable = 1;")
    source = "extern int variable; int main(void) { return variable - 1; }"
    small.program(library, source=source, flags=("-no-pie",)).put(f"{LIB}/libv.so", library)
    assert starts(small, "/")
    small.put(f"{LIB}/libv.so", small.library("libv.so", source="int other;"))
    if small.agrees().problems == ():  # a compiler that copies nothing
        pytest.skip("needs a compiler that copies variables")
    assert not starts(small, "/")


def test_programs_of_one_root_do_not_share_what_is_lacking(small: Small) -> None:
    """A library that has what it needs with one program lacks it with the next."""
    helper = small.library("libhelper.so", source="int help(void) { return 0; }")
    library = small.library("liba.so", source="int help(void); int a(void) { return help(); }", flags=("-Wl,-z,now",))
    small.put(f"{LIB}/liba.so", library).put(f"{LIB}/libhelper.so", helper)
    root = RootFs.from_directory(small.folder)
    for needed, lacking in (((library, helper), []), ((library,), ["help"]), ((library, helper), [])):
        with FileReader(small.program(*needed).at("/app")) as reader:
            loading = explain(reader, root, platform=AMD64)
        assert [problem.library for problem in loading.problems] == lacking


def test_a_library_whose_symbols_cannot_be_read_may_define_any(small: Small) -> None:
    """Nothing is said of symbols then."""
    lost = small.library("liba.so", source="int lost;")
    small.program(lost, source="extern int lost; int *use = &lost; int main(void) { return 0; }")
    whole = make_elf(entry=0, names=((SONAME, b"liba.so"),), exports=(b"f",))
    assert [problem.library for problem in small.put(f"{LIB}/liba.so", whole).loading().problems] == ["lost"]
    head, count, tail = whole.rpartition(struct.pack("<II", 0, 2))
    assert count
    small.put(f"{LIB}/liba.so", head + struct.pack("<II", 0, 1 << 20) + tail)
    assert small.loading().problems == ()


def test_a_missing_library_leaves_no_time_to_warn_of_versions(small: Small, tmp_path: Path) -> None:
    """The loader gives up before it compares versions, and says of another library what it lacks, and no more."""
    new = versioned(small, tmp_path, "V_1 { f; }; V_2 { g; };")
    lost = small.library("liblost.so")
    source = "int f(void); int g(void); int main(void) { return f() + g() - 3; }"
    small.program(new, lost, source=source).put(f"{LIB}/libv.so", small.library("libv.so"))
    loading = small.loading()
    assert (loading.warnings, len(loading.problems)) == ((), 1)
    assert _start(small).stderr.decode().splitlines() == [loading.problems[0].message]


def test_versions_of_a_library_that_is_not_loaded(small: Small, tmp_path: Path) -> None:
    """A DT_NEEDED that was taken out of the file leaves two of its versions behind: that is told once."""
    library = versioned(small, tmp_path, "V_1 { f; }; V_2 { g; };")
    small.program(library, source="int f(void); int g(void); int main(void) { return f() + g(); }")
    with FileReader(small.at("/app")) as reader:
        dynamic = read_header(reader).segment(PT_DYNAMIC)
    assert dynamic is not None
    program = bytearray(small.at("/app").read_bytes())
    struct.pack_into("<Q", program, dynamic.offset, 0x6FFFFEF1)
    (problem,) = small.put("/app", bytes(program)).loading().problems
    assert problem == Problem(
        "library-missing",
        "Inconsistency detected by ld.so: dl-version.c: _dl_check_map_versions: Assertion `needed != NULL' failed!",
        f"/app wants the version {problem.evidence.split()[4]} of libv.so, which is not among the loaded libraries",
        "libv.so",
        "/app",
    )
    assert problem.evidence.split()[4] in ("V_1", "V_2")


def test_versions_of_a_library_under_another_name(small: Small, tmp_path: Path) -> None:
    """What was preloaded by a path answers to its soname, and to a name that leads to the same file."""
    library = versioned(small, tmp_path, "V_1 { f; g; };")
    small.program(library, source="int f(void); int main(void) { return f() - 1; }").put("/opt/other.so", library)
    loading = small.agrees({"LD_PRELOAD": "/opt/other.so"})
    assert (loading.problems, loading.warnings) == ((), ())
    (tmp_path / "map").write_text("V_1 { f; g; };")
    flags = (f"-Wl,--version-script={tmp_path}/map",)
    renamed = small.library("libw.so", source="int f(void) { return 1; } int g(void) { return 2; }", flags=flags)
    small.put("/opt/other.so", renamed).at(f"{LIB}/libv.so").symlink_to("/opt/other.so")
    loading = small.agrees({"LD_PRELOAD": "/opt/other.so"})
    assert (loading.problems, loading.warnings) == ((), ())


NO_START = 'void _start(void) { __asm__("syscall" :: "a"(231), "D"(sum())); }'


def test_packed_relocations_that_nothing_tells(small: Small) -> None:
    """A library without libc has no version that says it needs a glibc that knows them: an old one passes them over."""
    flags = ("-nostdlib", "-Wl,-z,pack-relative-relocs")
    library = small.library("liba.so", source=PACKED, flags=flags)
    small.program(library, source=f"int sum(void); {NO_START}", flags=("-nostartfiles",))
    small.put(f"{LIB}/liba.so", library)
    old = RootFs.from_directory(assembled("bullseye-cc"))
    for path in (LOADER, f"{LIB}/libc.so.6"):
        small.put(path, old.read(path))
    (problem,) = small.loading().problems
    assert problem == Problem(
        "relocations-unknown",
        "Segmentation fault (exit code 139)",
        f"{LIB}/liba.so has packed relative relocations (DT_RELR), and {LIB}/libc.so.6 lacks GLIBC_ABI_DT_RELR",
        f"{LIB}/liba.so",
        f"{LIB}/liba.so",
    )
    assert _start(small).exit_code == 139
    small.put(LOADER, Path(LOADER)).put(f"{LIB}/libc.so.6", Path(f"{LIB}/libc.so.6"))
    assert starts(small, "/")


def test_packed_relocations_that_a_version_tells(small: Small) -> None:
    """A program that was linked with libc asks for the version that stands for them."""
    source = f"{PACKED} void *malloc(unsigned long); {NO_START.replace('sum()', 'sum() + !malloc(1)')}"
    small.program(source=source, flags=("-nostartfiles", "-Wl,-z,pack-relative-relocs"))
    old = RootFs.from_directory(assembled("bullseye-cc"))
    for path in (LOADER, f"{LIB}/libc.so.6"):
        small.put(path, old.read(path))
    (problem,) = small.agrees().problems
    assert problem.code == "version-missing"
    assert problem.evidence == (
        "/app needs the version GLIBC_ABI_DT_RELR of libc.so.6 for its packed relative relocations; "
        f"{LIB}/libc.so.6 does not provide it"
    )
    assert _start(small).stderr.decode().strip() == problem.message
    verdict = judge(examine(small.at("/app")), read_elf(small.at("/app")), RootFs.from_directory(small.folder), AMD64)
    assert [finding.code for finding in verdict.certain] == ["relr-unsupported"]


def test_the_level_of_the_loader_and_of_libraries_for_other_cpus(small: Small) -> None:
    """v2 and v3 are asked for by their own bits; a machine of that level has nothing against it."""
    for level in (2, 3):
        a = small.library("liba.so", flags=(f"-Wl,-z,x86-64-v{level}",))
        small.program(a).put(f"{LIB}/liba.so", a)
        (problem,) = small.loading().problems
        assert problem == Problem(
            "cpu-level",
            f"{LIB}/liba.so: CPU ISA level is lower than required",
            f"the note GNU_PROPERTY_X86_ISA_1_NEEDED of {LIB}/liba.so asks for x86-64-v{level}",
            f"{LIB}/liba.so",
            f"{LIB}/liba.so",
            level,
        )
        assert small.loading(platform=Platform.parse(f"linux/amd64/v{level}")).problems == ()


# ── files that no compiler of this machine writes ────────────────────────────────────────────────────────────────────

I386 = "/lib/ld-linux.so.2"
NAMES = b"\0/lib/i386-linux-gnu/\0/usr/lib/i386-linux-gnu/\0/lib/\0/usr/lib/\0"
BANNER = b"\0ld.so (small) stable release version %s.\n\0"


def glibc_root(
    files: Mapping[str, bytes],
    interpreter: str = "/ld.so",
    build: Callable[..., bytes] = make_elf,
    release: bytes = b"2.41",
) -> RootFs:
    """A root with these files, and a loader that is glibc's by what it defines; without a release it is an old one."""
    loader = build(names=((SONAME, b"ld.so"),), exports=(b"_rtld_global",)) + NAMES + (release and BANNER % release)
    return RootFs(Files({interpreter: loader, **files}))


def loading_of(program: bytes, root: RootFs, platform: str, env: dict[str, str] | None = None) -> Loading:
    return explain(BytesReader(program), root, env=env or {}, platform=Platform.parse(platform))


PROGRAM = make_elf(interpreter=b"/ld.so", needed=(b"liba.so",), flags_1=PIE)
LIBRARY = make_elf(entry=0, names=((SONAME, b"liba.so"),))
make_386 = partial(make_elf, bits=32, machine=3)
PROGRAM_386 = make_386(interpreter=I386.encode(), needed=(b"liba.so",), flags_1=PIE)
LIBRARY_386 = make_386(entry=0, names=((SONAME, b"liba.so"),))


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/386"])
def test_a_program_of_32_bits_has_its_own_entries_of_the_cache(platform: str) -> None:
    """On either platform the cache's 386 entries are its, and amd64's and x32's are not."""
    for flags, found in ((0x0003, "/opt/liba.so"), (0x0303, None), (0x0803, None)):
        files = {"/opt/liba.so": LIBRARY_386, "/etc/ld.so.cache": cache_of("liba.so", "/opt/liba.so", flags)}
        loading = loading_of(PROGRAM_386, glibc_root(files, I386, make_386), platform)
        assert [library.path for library in loading.libraries] == [found], flags


@pytest.mark.parametrize(("flags", "found"), [(0x0903, "/opt/liba.so"), (0x0B03, None), (0x0003, "/opt/liba.so")])
def test_another_cpu_of_32_bits(flags: int, found: str | None) -> None:
    """A loader for hard float takes what is marked so, or not at all. Source: glibc, arm/dl-cache.h."""
    make_arm = partial(make_elf, bits=32, machine=40, flags=0x5000400)
    files = {
        "/opt/liba.so": make_arm(entry=0, names=((SONAME, b"liba.so"),)),
        "/etc/ld.so.cache": cache_of("liba.so", "/opt/liba.so", flags),
    }
    program = make_arm(interpreter=b"/lib/ld-linux-armhf.so.3", needed=(b"liba.so",), flags_1=PIE)
    root = glibc_root(files, "/lib/ld-linux-armhf.so.3", make_arm)
    assert [library.path for library in loading_of(program, root, "linux/arm/v7").libraries] == [found]


def test_a_library_of_64_bits_for_a_program_of_32() -> None:
    """It is skipped, and the class of the program that wants another is in the message."""
    root = glibc_root({"/lib/liba.so": LIBRARY}, I386, make_386)
    (problem,) = loading_of(PROGRAM_386, root, "linux/amd64").problems
    assert problem.message.endswith("liba.so: wrong ELF class: ELFCLASS64")
    (library,) = loading_of(PROGRAM_386, root, "linux/amd64").libraries
    assert ("/lib/liba.so", "an ELF file of another class; skipped") in [
        (step.path, step.found) for step in library.searched
    ]


@pytest.mark.parametrize("length", [0, 51, 52])
def test_how_short_a_file_may_be(length: int) -> None:
    """A file that is shorter than the header of the program's class is too short; else it is looked at."""
    root = glibc_root({"/lib/liba.so": b"\x7fELF".ljust(length, b"\1")[:length]}, I386, make_386)
    (problem,) = loading_of(PROGRAM_386, root, "linux/amd64").problems
    assert problem.message.endswith("/lib/liba.so: file too short") == (length < 52)
    if length < 52:
        assert problem.evidence == f"/app needs liba.so, and /lib/liba.so is a file of {length} bytes"


def _with(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("content", "error", "is_a"),
    [
        (make_elf(kind=1), "only ET_DYN and ET_EXEC can be loaded", "not a library"),
        (_with(make_elf(), 5, 2), "ELF file data encoding not little-endian", "an ELF file of the other byte order"),
        (b"\x7fELF" + b"\2\1\1" + bytes(9) + struct.pack("<HH", 3, 62) + bytes(44),
         "ELF file version does not match current one", "an ELF file for another system"),
        (_with(make_elf(), 6, 2), "ELF file version ident does not match current one",
         "an ELF file for another system"),
        (_with(make_elf(), 7, 64), "ELF file OS ABI invalid", "an ELF file for another system"),
        (_with(make_elf(), 8, 1), "ELF file ABI version invalid", "an ELF file for another system"),
        (_with(make_elf(), 9, 1), "nonzero padding in e_ident", "an ELF file for another system"),
        (_with(make_elf(), 54, 32), "ELF file's phentsize not the expected size", "a broken ELF file"),
        (_with(make_elf(), 56, 0), "object file has no loadable segments", "a broken ELF file"),
        (_with(make_elf(), 36, 1), "cannot read file data", "a broken ELF file"),
        (b"text" * 16, "invalid ELF header", "not an ELF file"),
        (b"text" * 15 + b"123", "file too short", "a file of 63 bytes"),
        (make_elf(names=((SONAME, b"a"),), flags_1=PIE), "cannot dynamically load position-independent executable",
         "an ELF file that is not a library"),
        (make_elf(kind=EXEC, names=((SONAME, b"a"),)), "cannot dynamically load executable",
         "an ELF file that is not a library"),
        (make_elf(), "object file has no dynamic section", "an ELF file that is not a library"),
        (_with(make_elf(names=((SONAME, b"a"),)), 7, 9), "ELF file OS ABI invalid", "an ELF file for another system"),
    ],
)  # fmt: skip
def test_what_a_file_may_be(content: bytes, error: str | None, is_a: str) -> None:
    """What the loader says of it, and what the evidence calls it."""
    root = glibc_root({"/lib/liba.so": content})
    (problem,) = loading_of(PROGRAM, root, "linux/amd64").problems
    assert problem.code == "library-broken"
    assert error is None or problem.message.endswith(f": {error}")
    assert problem.evidence == f"/app needs liba.so, and /lib/liba.so is {is_a}"


def test_a_library_of_another_machine_is_skipped() -> None:
    """As if it were not there, and the search says what it is. An OS ABI of 3 is Linux, and no hindrance."""
    root = glibc_root({"/lib/liba.so": make_elf(machine=183)})
    loading = loading_of(PROGRAM, root, "linux/amd64")
    assert ("/lib/liba.so", "an ELF file for another machine; skipped") in [
        (step.path, step.found) for step in loading.libraries[0].searched
    ]
    assert loading.problems[0].message.endswith("liba.so: cannot open shared object file: No such file or directory")
    library = _with(LIBRARY, 7, 3)
    root = glibc_root({"/lib/liba.so": library})
    assert loading_of(PROGRAM, root, "linux/amd64").problems == ()


def test_a_cpu_of_the_other_byte_order() -> None:
    """Its library is found; one of this machine's order, whose number is then another one, is passed over. One that has
    the number and claims the other order is an error.
    """
    make_s390x = partial(make_elf, machine=22, little=False)
    program = make_s390x(interpreter=b"/lib/ld64.so.1", needed=(b"liba.so",), flags_1=PIE)
    library = make_s390x(entry=0, names=((SONAME, b"liba.so"),))
    root = glibc_root({"/lib/liba.so": library}, "/lib/ld64.so.1", make_s390x)
    loading = loading_of(program, root, "linux/s390x")
    assert (loading.problems, loading.libraries[0].path) == ((), "/lib/liba.so")
    other = make_elf(machine=22, entry=0, names=((SONAME, b"liba.so"),))
    root = glibc_root({"/lib/liba.so": other, "/usr/lib/liba.so": library}, "/lib/ld64.so.1", make_s390x)
    assert loading_of(program, root, "linux/s390x").libraries[0].path == "/usr/lib/liba.so"
    root = glibc_root({"/lib/liba.so": _with(library, 5, 1)}, "/lib/ld64.so.1", make_s390x)
    (problem,) = loading_of(program, root, "linux/s390x").problems
    assert problem.message.endswith("/lib/liba.so: ELF file data encoding not big-endian")


def test_hwcaps_folders_are_of_one_cpu_alone() -> None:
    """x86-64's levels mean nothing to another machine, whatever variant its platform has."""
    program = make_elf(machine=183, interpreter=b"/ld.so", needed=(b"liba.so",), flags_1=PIE)
    library = make_elf(machine=183, entry=0, names=((SONAME, b"liba.so"),))
    files = {"/lib/glibc-hwcaps/x86-64-v2/liba.so": library}
    root = glibc_root(files, build=partial(make_elf, machine=183))
    assert loading_of(program, root, "linux/arm64/v8").problems[0].code == "library-missing"
    files = {f"/lib/glibc-hwcaps/x86-64-v{level}/liba.so": LIBRARY for level in (2, 3, 4)}
    root = glibc_root(files)
    for level in (2, 3, 4):
        loading = loading_of(PROGRAM, root, f"linux/amd64/v{level}")
        looked = [step.path for step in loading.libraries[0].searched if step.why == "built-in folder"]
        assert looked[-1:] == [f"/lib/glibc-hwcaps/x86-64-v{level}/liba.so"]
        assert not [path for path in looked[:-1] if "hwcaps" in path]  # folders that have no such folder
        assert loading.libraries[0].path == f"/lib/glibc-hwcaps/x86-64-v{level}/liba.so"


def test_an_object_with_both_paths_has_a_runpath_alone() -> None:
    """Its RPATH serves neither itself nor what it has loaded."""
    program = make_elf(interpreter=b"/ld.so", needed=(b"liba.so",), names=((RPATH, b"/r"),), flags_1=PIE)
    both = make_elf(entry=0, needed=(b"libb.so",), names=((SONAME, b"liba.so"), (RPATH, b"/of-a"), (RUNPATH, b"/run")))
    files = {"/r/liba.so": both, "/of-a/libb.so": make_elf(entry=0, names=((SONAME, b"libb.so"),))}
    root = glibc_root(files)
    loading = loading_of(program, root, "linux/amd64")
    assert [(library.name, library.path) for library in loading.libraries] == [
        ("liba.so", "/r/liba.so"),
        ("libb.so", None),
    ]
    steps = [(step.path, step.why) for step in loading.libraries[1].searched]
    assert steps[:2] == [("", "LD_LIBRARY_PATH"), ("/run/libb.so", "RUNPATH of /r/liba.so")]
    middle = make_elf(entry=0, needed=(b"libb.so",), names=((SONAME, b"liba.so"),))
    program = make_elf(
        interpreter=b"/ld.so", needed=(b"liba.so",), names=((RPATH, b"/of-a"), (RUNPATH, b"/r")), flags_1=PIE
    )
    root = glibc_root({**files, "/r/liba.so": middle})
    assert loading_of(program, root, "linux/amd64").libraries[1].path is None


@pytest.mark.parametrize(
    ("built_in", "first"),
    [
        (b"/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0", "lib/x86_64-linux-gnu"),
        (b"/usr/lib64/\0/lib64/\0", "lib64"),
        (b"/usr/lib32/\0/lib32/\0", "lib32"),
        (b"/libx32/\0", "libx32"),
        (b"/proc/self/\0/etc/\0", "lib64"),  # folders of something else: what most systems have
        (b"no folders at all", "lib64"),
    ],
)
def test_folders_that_were_built_into_a_loader(built_in: bytes, first: str) -> None:
    """Read from its data, and the first is what $LIB stands for."""
    loader = make_elf(exports=(b"_rtld_global",)) + b"\0" + built_in
    program = make_elf(interpreter=b"/ld.so", needed=(b"liba.so",), names=((RPATH, b"/top/$LIB"),), flags_1=PIE)
    loading = loading_of(program, RootFs(Files({"/ld.so": loader})), "linux/amd64")
    steps = loading.libraries[0].searched
    assert (steps[0].path, steps[0].why) == (f"/top/{first}/liba.so", "RPATH of /app")
    expected = [part for part in built_in.split(b"\0") if part]
    if first == "lib64" and b"lib64" not in built_in:
        expected = [b"/lib64/", b"/usr/lib64/"]
    found = [step.path for step in steps if step.why == "built-in folder"]
    assert found == [f"{part.decode()}liba.so" for part in expected]


def test_paths_that_are_split() -> None:
    """An empty part is the working folder, a slash at the end changes nothing, and each folder is looked into once."""
    program = make_elf(interpreter=b"/ld.so", needed=(b"liba.so",), names=((RPATH, b"/a:/a/:;/b::c"),), flags_1=PIE)
    root = glibc_root({})
    steps = loading_of(program, root, "linux/amd64", {"LD_LIBRARY_PATH": "/d;/e:/d"}).libraries[0].searched
    assert [step.path for step in steps if step.why == "RPATH of /app"] == [
        "/a/liba.so", ";/b/liba.so", "liba.so", "c/liba.so",
    ]  # fmt: skip
    assert [step.path for step in steps if step.why == "LD_LIBRARY_PATH"] == ["/d/liba.so", "/e/liba.so"]
    assert loading_of(program, glibc_root({"/c/liba.so": LIBRARY}), "linux/amd64").libraries[0].path == "c/liba.so"


# ── the interpreter ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_said_of_an_interpreter() -> None:
    """Missing, a folder, of another machine, neither of the two that are known: code, words and evidence."""
    cases: tuple[tuple[dict[str, bytes], Problem], ...] = (
        (
            {"/other": b""},
            Problem(
                "interpreter-missing",
                "exec /app: no such file or directory",
                "it asks for the loader /ld.so, which the image lacks",
                "/ld.so",
                "/app",
            ),
        ),
        (
            {"/ld.so/file": b""},
            Problem(
                "interpreter-broken",
                "exec /app: permission denied",
                "/ld.so is a dir with mode 0755 of 0:0",
                "/ld.so",
                "/app",
            ),
        ),
        (
            {"/ld.so": make_elf(machine=183)},
            Problem(
                "interpreter-broken",
                "exec /app: accessing a corrupted shared library",
                "/ld.so is an ELF file for another machine; skipped",
                "/ld.so",
                "/app",
            ),
        ),
    )
    for files, problem in cases:
        loading = loading_of(PROGRAM, RootFs(Files(files)), "linux/amd64")
        assert loading == Loading("unknown", (Library("/ld.so", None, "/app", ()),), (problem,))
    other = loading_of(PROGRAM, RootFs(Files({"/ld.so": make_elf(exports=(b"_start",))})), "linux/amd64")
    where = (Searched("/ld.so", "PT_INTERP", "neither glibc's loader nor musl's"),)
    assert other == Loading("unknown", (Library("/ld.so", "/ld.so", "/app", where),))
    assert loader_kind(RootFs(Files({"/ld.so": b"text"})), "/ld.so") == "unknown"


@pytest.mark.parametrize("name", [name for name, row in ARCHITECTURES.items() if row.kinds[0].at_platform])
def test_the_platform_token_of_each_cpu(name: str) -> None:
    """$PLATFORM is what the kernel tells the loader of that CPU."""
    row = ARCHITECTURES[name]
    build = partial(make_elf, bits=row.bits, machine=row.elf_machine, little=row.little_endian)
    program = build(interpreter=b"/ld.so", needed=(b"liba.so",), names=((RPATH, b"/p/${PLATFORM}"),), flags_1=PIE)
    loading = loading_of(program, glibc_root({}, build=build), f"linux/{name}")
    assert loading.libraries[0].searched[0].path == f"/p/{row.kinds[0].at_platform}/liba.so"
