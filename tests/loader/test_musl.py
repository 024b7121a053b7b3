"""Tests of recipes/loader/musl.py that go on from those of test_explain.py, with the real loader where it has words."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from recipes.elf.segments import BytesReader
from recipes.loader.explain import explain
from recipes.loader.loading import Loading, Problem
from recipes.model import Command, Library, Platform
from recipes.rootfs.accounts import Account
from recipes.rootfs.root import RootFs
from recipes.support import shell
from tests.compilers import Compilers
from tests.elf.fixtures.make import PIE, RPATH, RUNPATH, SONAME, make_elf
from tests.loader.modes import Modes
from tests.loader.test_explain import BARE, MUSL, OPENING, PACKED, START, Small, bare, rpath, runpath
from tests.need import need_tool
from tests.oracle.roots import root as assembled

ABSENT = "No such file or directory"
PATH_FILE = "/etc/ld-musl-x86_64.path"


@pytest.fixture
def musl(tmp_path: Path, compilers: Compilers) -> Small:
    small = Small(tmp_path / "root", compilers)
    shutil.rmtree(small.folder)
    return small.put(MUSL, (assembled("musl") / MUSL.lstrip("/")).resolve())


def search_of(loading: Loading, name: str) -> list[tuple[str, str, str]]:
    """Every step of the search for a library: the place, why there, and what was met."""
    library = next(library for library in loading.libraries if library.name == name)
    return [(step.path, step.why, step.found) for step in library.searched]


def told(loading: Loading) -> list[str]:
    return [problem.message for problem in loading.problems]


# ── with the real loader ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_whole_search(musl: Small) -> None:
    """LD_LIBRARY_PATH, the paths of the object and of those that had it loaded, and the system's folders."""
    lost = bare(musl, "liblost.so")
    a = bare(musl, "liba.so", lost, flags=rpath("/of-a"))
    musl.program(a, flags=(*BARE, *runpath("/of-app")), source=START).put("/of-app/liba.so", a)
    system = [
        (f"{folder}/liblost.so", "built-in folder", "no such file") for folder in ("/lib", "/usr/local/lib", "/usr/lib")
    ]
    assert search_of(musl.agrees(), "liblost.so") == [
        ("", "LD_LIBRARY_PATH", "not set"),
        ("/of-a/liblost.so", "RPATH of /of-app/liba.so", "no such file"),
        ("/of-app/liblost.so", "RUNPATH of /app", "no such file"),
        *system,
    ]
    assert search_of(musl.agrees({"LD_LIBRARY_PATH": "/env"}), "liblost.so")[0] == (
        "/env/liblost.so", "LD_LIBRARY_PATH", "no such file",
    )  # fmt: skip
    musl.put(PATH_FILE, b"/listed\n")
    assert search_of(musl.agrees(), "liblost.so")[3:] == [("/listed/liblost.so", PATH_FILE, "no such file")]
    (problem,) = musl.agrees().problems
    assert problem == Problem(
        "library-missing",
        f"Error loading shared library liblost.so: {ABSENT} (needed by /of-app/liba.so)",
        "/of-app/liba.so needs liblost.so",
        "liblost.so",
        "/of-app/liba.so",
    )
    musl.put("/listed/liblost.so", lost)
    assert search_of(musl.agrees(), "liblost.so")[-1] == ("/listed/liblost.so", PATH_FILE, "found")


@pytest.mark.parametrize("kind", ["text", "folder"])
def test_what_is_found_and_is_not_a_library(musl: Small, kind: str) -> None:
    """It ends the search; what is said is what reading it said."""
    a = bare(musl, "liba.so")
    musl.program(a, flags=(*BARE, *runpath("/none")), source=START).put("/usr/lib/liba.so", a)
    if kind == "folder":
        musl.at("/lib/liba.so").mkdir()
    else:
        musl.put("/lib/liba.so", b"text " * 100)
    loading = musl.agrees()
    (problem,) = loading.problems
    why = "Is a directory" if kind == "folder" else "Exec format error"
    assert problem.message == f"Error loading shared library liba.so: {why} (needed by /app)"
    assert problem.code == "library-broken"
    found = {"text": "not a library", "folder": "a dir"}[kind]
    assert search_of(loading, "liba.so")[2:] == [("/lib/liba.so", "built-in folder", found)]


def test_a_folder_under_a_path_that_is_needed(musl: Small) -> None:
    """A name with a slash that leads to a folder."""
    musl.program(bare(musl, "liba.so", soname="/opt/liba.so"), flags=BARE, source=START)
    musl.at("/opt/liba.so").mkdir(parents=True)
    assert told(musl.agrees()) == ["Error loading shared library /opt/liba.so: Is a directory (needed by /app)"]
    assert search_of(musl.loading(), "/opt/liba.so") == [("/opt/liba.so", "its name is a path", "a dir")]


@pytest.mark.parametrize(
    "name", ["libc.so", "libpthread.so.0", "librt.so.1", "libm.so", "libdl.so.2", "libutil.so.1", "libxnet.so"]
)
def test_names_that_the_loader_answers_to(musl: Small, name: str) -> None:
    """Whatever files there are: it is libc, with all that others split from it."""
    library = bare(musl, name, source="int nothing;")
    musl.program(library, flags=BARE, source=START).put(f"/lib/{name}", library)
    assert musl.finds(name) == MUSL


@pytest.mark.parametrize("name", ["libcc.so", "c.so", "librtx.so", "xlibc.so", "abcm.so"])
def test_names_that_only_look_like_them(musl: Small, name: str) -> None:
    """These are searched for as any other."""
    library = bare(musl, name)
    musl.program(library, flags=BARE, source=START).put(f"/lib/{name}", library)
    assert musl.finds(name) == f"/lib/{name}"


def test_the_loader_by_its_own_path(musl: Small) -> None:
    """A DT_NEEDED that is PT_INTERP's path is the loader."""
    source = 'int puts(const char *); void _start(void) { puts(""); }'
    musl.program(bare(musl, "liba.so", soname=MUSL), flags=BARE, source=source)
    loading = musl.agrees()
    assert loading.problems == ()
    assert loading.libraries == (Library(MUSL, MUSL, "/app"),)  # without a search


def test_a_second_libc_is_not_loaded(musl: Small) -> None:
    """A library that defines what only libc does is answered by the loader."""
    other = bare(musl, "libother.so", source="int __libc_start_main, stdin;")
    half = bare(musl, "libhalf.so", source="int __libc_start_main, half;")
    source = 'extern int half; int puts(const char *); void _start(void) { puts(""); half = 1; }'
    musl.program(other, half, flags=BARE, source=source).put("/lib/libother.so", other).put("/lib/libhalf.so", half)
    loading = musl.agrees()
    assert loading.problems == ()
    assert [(library.name, library.path) for library in loading.libraries] == [
        ("libother.so", MUSL),
        ("libhalf.so", "/lib/libhalf.so"),
    ]


def test_one_file_under_two_names(musl: Small) -> None:
    """It is loaded once; one that was loaded by its path has a short name once it was searched for."""
    a = bare(musl, "liba.so", source="int a(void) { return 1; }")
    b = bare(musl, "libb.so", a)
    source = "int a(void); void _start(void) { a(); }"
    musl.program(b, a, flags=(*BARE, *runpath("/one")), source=source).put("/one/libb.so", b).put("/one/liba.so", a)
    musl.at("/two").symlink_to("one")
    loading = musl.agrees({"LD_PRELOAD": "/two/liba.so"})
    assert loading.problems == ()
    assert [library.path for library in loading.libraries] == ["/two/liba.so", "/one/libb.so", "/two/liba.so"]
    hard = musl.at("/one/libhard.so")
    os.link(musl.at("/one/liba.so"), hard)
    assert musl.agrees({"LD_PRELOAD": "/one/libhard.so /one/liba.so"}).problems == ()


def test_a_short_name(musl: Small) -> None:
    """What was found by a search answers to its name wherever it is; what was opened by its path does not."""
    a = bare(musl, "liba.so")
    b, d = bare(musl, "libb.so", a, flags=runpath("/one")), bare(musl, "libd.so", a)
    musl.program(b, d, flags=(*BARE, "-pie"), source=START).put("/lib/libb.so", b).put("/lib/libd.so", d)
    musl.put("/one/liba.so", a)
    assert musl.agrees().problems == ()
    assert musl.agrees({"LD_PRELOAD": "/one/liba.so"}).problems == ()
    musl.put("/lib/libb.so", bare(musl, "libb.so"))
    assert [problem.needed_by for problem in musl.agrees({"LD_PRELOAD": "/one/liba.so"}).problems] == ["/lib/libd.so"]
    os.link(musl.at("/one/liba.so"), musl.at("/one/libhard.so"))
    twice = {"LD_PRELOAD": "/one/liba.so /one/libhard.so"}
    assert [problem.needed_by for problem in musl.agrees(twice).problems] == ["/lib/libd.so"]


def test_origin(musl: Small) -> None:
    """Of a library as it was found; of the program, which the kernel has mapped, its file and not the link to it."""
    b = bare(musl, "libb.so")
    a = bare(musl, "liba.so", b, flags=runpath("$ORIGIN/deps:/none"))
    musl.program(a, flags=(*BARE, *runpath("${ORIGIN}/lib")), source=START)
    musl.put("/lib/liba.so", a).put("/lib/deps/libb.so", b)
    assert musl.finds("liba.so") == "/lib/liba.so"
    assert musl.finds("libb.so") == "/lib/deps/libb.so"
    musl.at("/link").symlink_to("lib")
    musl.program(a, flags=(*BARE, *runpath("/link")), source=START)
    assert musl.finds("libb.so") == "/link/deps/libb.so"
    musl.program(a, flags=(*BARE, *runpath("${ORIGIN}/lib")), source=START)
    musl.put("/opt/tool", musl.at("/app").read_bytes()).put("/opt/lib/liba.so", a).at("/app").unlink()
    musl.at("/app").symlink_to("opt/tool")
    # Told to list it, the loader maps it by itself, and takes the link's folder.
    assert [library.path for library in musl.loading().libraries] == ["/opt/lib/liba.so", None]


def test_a_program_of_its_own_symbols(musl: Small) -> None:
    """What the program defines serves its libraries; what nobody defines is told with who needs it."""
    a = bare(musl, "liba.so", source="int mine(void), lost(void); int a(void) { return mine() + lost(); }")
    source = "int a(void); int mine(void) { return 1; } void _start(void) { a(); }"
    musl.program(a, flags=BARE, source=source).put("/lib/liba.so", a)
    assert musl.agrees().problems == (
        Problem(
            "symbol-missing",
            "Error relocating /lib/liba.so: lost: symbol not found",
            "/lib/liba.so needs lost, which neither musl nor another library has",
            "lost",
            "/lib/liba.so",
        ),
    )


def test_the_longest_of_the_names_with_64(musl: Small) -> None:
    """A newer musl compares no more than fifteen letters of a name that it knows with 64 behind it."""
    musl.put(MUSL, (assembled("trixie-musl") / MUSL.lstrip("/")).resolve())
    names = ("open64", "posix_fadvise64", "posix_fallocate64")
    source = f"int {', '.join(f'{name}(void)' for name in names)};"
    source += f" void _start(void) {{ {' '.join(f'{name}();' for name in names)} }}"
    musl.program(bare(musl, "libc.so"), flags=BARE, source=source)
    assert [problem.library for problem in musl.agrees().problems] == ["posix_fallocate64"]


def test_packed_relocations_of_a_library(musl: Small) -> None:
    """Told of the object that has them, unless something else ends the program before."""
    library = bare(musl, "liba.so", source=PACKED, flags=("-Wl,-z,pack-relative-relocs",))
    source = f"int sum(void); {START.replace('for', 'sum(); for')}"
    musl.program(library, flags=BARE, source=source).put("/lib/liba.so", library)
    (problem,) = musl.loading().problems
    assert problem == Problem(
        "relocations-unknown",
        "Segmentation fault (exit code 139)",
        "/lib/liba.so has packed relative relocations (DT_RELR), and musl is older than 1.2.4",
        "/lib/liba.so",
        "/lib/liba.so",
    )
    musl.program(library, bare(musl, "liblost.so"), flags=BARE, source=source)
    assert [problem.code for problem in musl.loading().problems] == ["library-missing"]


LEAVES = 'void _start(void) { __asm__("mov $60, %eax; xor %edi, %edi; syscall"); }'
"""A program without a C library that ends at once."""


@pytest.mark.parametrize("kind", ["folder", "empty", "loop", "dangling", "nul", "below a file"])
def test_a_list_of_folders_that_is_not_a_file_of_folders(musl: Small, kind: str) -> None:
    """Only one that is not there leaves the built-in folders; the error of another is told, if it is the last."""
    a, b = bare(musl, "liba.so"), bare(musl, "libb.so")
    musl.program(a, b, flags=BARE, source=LEAVES).put("/lib/liba.so", a).put("/lib/libb.so", b)
    file = musl.at(PATH_FILE)
    file.parent.mkdir()
    if kind == "folder":
        file.mkdir()
    elif kind == "below a file":
        file.parent.rmdir()
        file.parent.write_bytes(b"")
    elif kind in ("loop", "dangling"):
        file.symlink_to(file.name if kind == "loop" else "/nowhere")
    else:
        file.write_bytes({"empty": b"", "nul": b"/nowhere\n\0/lib\n"}[kind])
    found = ["/lib/liba.so", "/lib/libb.so"] if kind == "dangling" else []
    for env in ({}, {"LD_LIBRARY_PATH": "/none"}):
        loading = musl.agrees(env)
        assert [library.path for library in loading.libraries if library.path] == found
        done = _start(musl, env)
        assert (done.exit_code, done.stderr.decode().splitlines()) == (0 if found else 127, told(loading))


def test_a_loop_of_links_ends_the_search(musl: Small) -> None:
    """Other files that cannot be opened do not; nor does a folder that is a file."""
    a = bare(musl, "liba.so")
    musl.program(a, flags=(*BARE, *runpath("/app:/loop")), source=LEAVES).put("/lib/liba.so", a)
    musl.at("/loop").mkdir()
    assert musl.finds("liba.so") == "/lib/liba.so"
    musl.at("/loop/liba.so").symlink_to("liba.so")
    assert told(musl.agrees()) == ["Error loading shared library liba.so: Symbolic link loop (needed by /app)"]
    assert _start(musl, {}).stderr.decode().splitlines() == told(musl.loading())
    musl.program(bare(musl, "liba.so", soname="/app/liba.so"), flags=BARE, source=LEAVES)
    assert told(musl.agrees()) == ["Error loading shared library /app/liba.so: Not a directory (needed by /app)"]


def test_names_with_64_of_a_program_without_libc(musl: Small) -> None:
    """A newer musl answers them from its loader, whether anybody needs libc or not; other names it does not."""
    musl.put(MUSL, (assembled("trixie-musl") / MUSL.lstrip("/")).resolve())
    source = f"extern char open64, creat; char *volatile uses[] = {{&open64, &creat}}; {LEAVES}"
    musl.program(flags=BARE, source=source)
    assert [problem.library for problem in musl.agrees().problems] == ["creat"]
    musl.program(flags=BARE, source=source.replace(", creat", "").replace(", &creat", ""))
    assert _start(musl, {}).exit_code == 0
    assert musl.agrees().problems == ()


@pytest.mark.parametrize("by", ["need", "preload"])
def test_a_library_without_its_last_page(musl: Small, by: str) -> None:
    """musl maps it, clears what follows its data, and dies of that."""
    library = bare(musl, "liba.so", source="int data[4099] = {1}; int more[999];")
    musl.program(*([library] if by == "need" else []), flags=BARE, source=LEAVES)
    env = {"LD_PRELOAD": "liba.so"} if by == "preload" else {}
    musl.put("/lib/liba.so", library)
    assert _start(musl, env).exit_code == 0
    musl.put("/lib/liba.so", library.read_bytes()[:8192])
    (problem,) = musl.loading(env).problems
    assert (problem.code, problem.message) == ("library-broken", "Bus error (exit code 135)")
    assert _start(musl, env).exit_code == 135


def test_a_library_without_pages_that_it_may_not_need(musl: Small) -> None:
    """Where nothing has to be cleared, only who uses what is lost dies: that is not certain."""
    library = bare(musl, "liba.so", source="int data[4096] = {1};")
    musl.program(library, flags=BARE, source=LEAVES).put("/lib/liba.so", library.read_bytes()[:16384])
    loading = musl.loading()
    assert loading.problems == ()
    (doubt,) = loading.doubts
    assert (doubt.code, doubt.message) == ("library-broken", "Bus error (exit code 135)")
    assert _start(musl, {}).exit_code == 0


@pytest.mark.parametrize(
    ("at", "value", "claim"),
    [
        (0, b"no!", "not an ELF file"),
        (4, b"\1", "32-bit little-endian for amd64"),
        (5, b"\2", "64-bit big-endian for 15872"),
        (18, b"\xb7\0", "64-bit little-endian for arm64"),
    ],
    ids=["magic", "class", "byte order", "machine"],
)
def test_a_library_whose_header_claims_another_kind(musl: Small, at: int, value: bytes, claim: str) -> None:
    """musl takes every file for one of its own kind. That its code is for this CPU is not certain then."""
    used = "extern int number; int *volatile used = &number;"
    library = bare(musl, "liba.so", source="int number = 7; int *volatile itself = &number;")
    musl.program(library, flags=(*BARE, "-pie"), source=f"{used} {LEAVES}")
    content = library.read_bytes()
    musl.put("/lib/liba.so", content[:at] + value + content[at + len(value) :])
    assert _start(musl, {}).exit_code == 0
    loading = musl.agrees()
    assert [library.path for library in loading.libraries] == ["/lib/liba.so"]
    assert loading.problems == ()
    (doubt,) = loading.doubts
    assert (doubt.code, doubt.message) == ("library-broken", "no error, or Illegal instruction (exit code 132)")
    assert doubt.evidence == f"musl loads /lib/liba.so without a look at its header, which says that it is {claim}"


@pytest.mark.parametrize("target", ["aarch64", "powerpc64le", "x86", "s390x"])
def test_a_library_of_another_cpu(musl: Small, target: str) -> None:
    """One of the same class and byte order is mapped; that it is another's shows by its relocations."""
    source = "int number = 7; int *volatile itself = &number; static int own; int *volatile ours = &own;"
    shared = ("-nostdlib", "-shared", "-fPIC", "-fno-unwind-tables", "-Wl,-soname,liba.so")
    foreign = musl.compilers.zig(source, f"{target}-linux-musl", *shared)
    musl.program(bare(musl, "liba.so"), flags=BARE, source=LEAVES).put("/lib/liba.so", foreign)
    loading = musl.agrees()
    done = _start(musl, {})
    assert done.exit_code == 127
    assert sorted(set(done.stderr.decode().splitlines())) == sorted(told(loading))
    assert {problem.code for problem in loading.problems} == {"library-broken"}
    assert not loading.doubts


def test_a_library_without_a_dynamic_segment(musl: Small) -> None:
    """It is not one to musl."""
    static = musl.compilers.c(LEAVES, "-nostdlib", "-static")
    musl.program(bare(musl, "liba.so"), flags=BARE, source=LEAVES).put("/lib/liba.so", static)
    assert told(musl.agrees()) == ["Error loading shared library liba.so: Exec format error (needed by /app)"]
    assert _start(musl, {}).stderr.decode().splitlines() == told(musl.loading())


def test_relocations_that_musl_does_not_know(musl: Small) -> None:
    """What a library asks glibc's loader to choose when it is loaded (an indirect function) is beyond musl."""
    source = "static int one(void) { return 1; } static void *choose(void) { return one; }"
    source += ' static int chosen(void) __attribute__((ifunc("choose"))); int a(void) { return chosen(); }'
    library = bare(musl, "liba.so", source=source)
    musl.program(library, flags=BARE, source=LEAVES).put("/lib/liba.so", library)
    assert _start(musl, {}).stderr.decode().splitlines() == told(musl.agrees())
    (problem,) = musl.loading().problems
    assert (problem.code, problem.message) == (
        "symbol-missing",
        "Error relocating /lib/liba.so: unsupported relocation type 37",
    )


def test_what_a_library_names_in_its_dlopen_note(musl: Small) -> None:
    """musl looks for it where the program's dlopen does, whoever calls it: a library's own RUNPATH does not count."""
    a = bare(musl, "liba.so", source=OPENING.partition("void open_it")[0], flags=runpath("/opt"))
    musl.program(a, flags=BARE, source=LEAVES).put("/lib/liba.so", a).put("/opt/libb.so", a)
    (later,) = musl.agrees().later
    assert (later.code, later.library, later.needed_by) == ("opened-later-missing", "libb.so.1", "/lib/liba.so")
    assert later.message == f"Error loading shared library libb.so.1: {ABSENT}"
    musl.put("/usr/lib/libb.so", bare(musl, "libb.so"))
    assert musl.agrees().later == ()


def _start(musl: Small, env: Mapping[str, str]) -> shell.Completed:
    enter = (need_tool("unshare"), "--map-root-user", "--root", str(musl.folder), "/app")
    return shell.run(Command(enter), environment=env)


# ── files that no compiler of this machine writes ────────────────────────────────────────────────────────────────────

LOADER = make_elf(entry=0, exports=(b"puts",)) + b"\0/etc/ld-musl-x86_64.path\0"


def loading_of(
    files: Mapping[str, bytes],
    program: bytes,
    env: Mapping[str, str] | None = None,
    workdir: str = "/",
    closed: Mapping[str, int] | None = None,
) -> Loading:
    """What an ordinary user's program loads from these files, of which some have a mode of their own."""
    root = RootFs(Modes({MUSL: LOADER, **files}, closed)).seen_by(Account(65532, 65532))
    amd64 = Platform("linux", "amd64")
    return explain(BytesReader(program), root, env=env or {}, platform=amd64, workdir=workdir)


def program(*needed: bytes, names: tuple[tuple[int, bytes], ...] = (), loader: str = MUSL) -> bytes:
    return make_elf(interpreter=loader.encode(), needed=needed, names=names, flags_1=PIE)


def test_a_runpath_comes_before_an_rpath() -> None:
    """Of an object with both only the RUNPATH counts."""
    loading = loading_of({}, program(b"liba.so", names=((RPATH, b"/r"), (RUNPATH, b"/run"))))
    assert search_of(loading, "liba.so")[1] == ("/run/liba.so", "RUNPATH of /app", "no such file")
    assert len(search_of(loading, "liba.so")) == 5


@pytest.mark.parametrize(("length", "searched"), [(255, True), (256, False)])
def test_how_long_a_name_may_be(length: int, searched: bool) -> None:
    """NAME_MAX is 255: a longer name is not searched for."""
    name = ("lib" + "x" * length)[:length]
    loading = loading_of({}, program(name.encode()))
    assert bool(loading.libraries) is searched
    # Without a search nothing was opened, not even the list of folders.
    why = ABSENT if searched else "No error information"
    assert told(loading) == [f"Error loading shared library {name}: {why} (needed by /app)"]


@pytest.mark.parametrize("mode", [0o755, 0o4755])
def test_rights_that_a_program_lends(mode: int) -> None:
    """Who starts a set-user-ID program does not choose what it loads: variables do not count, nor where it stands."""
    library = make_elf(entry=0, names=((SONAME, b"liba.so"),))
    asking = program(b"liba.so", b"libb.so", names=((RUNPATH, b"$ORIGIN/own"),))
    files = {"/app": asking, "/env/liba.so": library, "/own/libb.so": library}
    loading = loading_of(files, asking, {"LD_LIBRARY_PATH": "/env"}, closed={"/app": mode})
    found = [library.path for library in loading.libraries]
    assert found == ([None, None] if mode == 0o4755 else ["/env/liba.so", "/own/libb.so"])


def test_an_error_before_the_first_open() -> None:
    """musl says what the last failed open said; with its list of folders there and no search, there was none."""
    loading = loading_of({PATH_FILE: b"/lib\n"}, program(b"x" * 300))
    assert told(loading) == [f"Error loading shared library {'x' * 300}: No error information (needed by /app)"]


def test_a_found_library_leaves_no_error_behind() -> None:
    """What is opened at the first try is not a failed open."""
    files = {PATH_FILE: b"/lib\n", "/lib/liba.so": make_elf(entry=0, names=((SONAME, b"liba.so"),))}
    assert told(loading_of(files, program(b"liba.so", b"x" * 300))) == [
        f"Error loading shared library {'x' * 300}: No error information (needed by /app)"
    ]


def test_what_the_user_may_not_read() -> None:
    """It is passed over in a search, and a path to it fails; the error lasts until another open fails."""
    library = make_elf(entry=0, names=((SONAME, b"liba.so"),))
    files = {"/opt/liba.so": library, "/usr/lib/liba.so": library, PATH_FILE: b"/opt:/usr/lib"}
    closed = {"/opt/liba.so": 0o600}
    denied = "not readable by the image's user; skipped"
    loading = loading_of(files, program(b"liba.so"), closed=closed)
    assert loading.problems == ()
    assert search_of(loading, "liba.so")[1] == ("/opt/liba.so", PATH_FILE, denied)
    loading = loading_of(files, program(b"/opt/liba.so", b"x" * 300), closed=closed)
    assert told(loading) == [
        "Error loading shared library /opt/liba.so: Permission denied (needed by /app)",
        f"Error loading shared library {'x' * 300}: Permission denied (needed by /app)",
    ]
    assert search_of(loading, "/opt/liba.so") == [("/opt/liba.so", "its name is a path", denied)]


def test_the_list_of_folders_is_the_loaders_own() -> None:
    """It lies beside the loader's folder: two names are taken off its path, and a relative one has none."""
    library = make_elf(entry=0, names=((SONAME, b"liba.so"),))
    files = {"/opt/lib/ld.so": LOADER, "/opt/etc/ld-musl-x86_64.path": b"/listed", "/listed/liba.so": library}
    elsewhere = program(b"liba.so", loader="/opt/lib/ld.so")
    assert loading_of(files, elsewhere).libraries[0].path == "/listed/liba.so"
    files = {"/opt/lib/ld.so": LOADER, PATH_FILE: b"/listed", "/listed/liba.so": library}
    relative = program(b"liba.so", loader="lib/ld.so")
    assert loading_of(files, relative, workdir="/opt").libraries[0].path == "/listed/liba.so"


def test_a_relative_name_and_a_relative_folder() -> None:
    """Both start in the working folder; $ORIGIN of what was found by a relative path is relative, too."""
    library = make_elf(entry=0, needed=(b"libb.so",), names=((SONAME, b"liba.so"), (RUNPATH, b"$ORIGIN/deps")))
    files = {"/srv/own/liba.so": library, "/srv/own/deps/libb.so": make_elf(entry=0, names=((SONAME, b"libb.so"),))}
    loading = loading_of(files, program(b"own/liba.so"), workdir="/srv")
    assert [(each.name, each.path) for each in loading.libraries] == [
        ("own/liba.so", "own/liba.so"),
        ("libb.so", "own/deps/libb.so"),
    ]
    loading = loading_of(files, program(b"liba.so", names=((RUNPATH, b"own"),)), workdir="/srv")
    assert loading.libraries[0].path == "own/liba.so"


def test_other_tokens_spoil_a_path() -> None:
    """$LIB is glibc's: musl then ignores all of the path, also the folders without it."""
    library = make_elf(entry=0, names=((SONAME, b"liba.so"),))
    for text, found in ((b"/opt", "/opt/liba.so"), (b"/opt:$LIB", None), (b"$ORIGIN:/opt:$LIB", None)):
        loading = loading_of({"/opt/liba.so": library}, program(b"liba.so", names=((RUNPATH, text),)))
        assert loading.libraries[0].path == found


def test_a_library_of_32_bits() -> None:
    """musl takes it for one of 64 bits, whose headers stand elsewhere, and finds nothing there."""
    loading = loading_of({"/lib/liba.so": make_elf(bits=32, machine=62, entry=0)}, program(b"liba.so"))
    assert told(loading) == ["Error loading shared library liba.so: Exec format error (needed by /app)"]


def test_preloaded_names_are_split_at_blanks_and_colons() -> None:
    """Of any kind; one that needs no search has no step in it."""
    library = make_elf(entry=0, names=((SONAME, b"liba.so"),))
    files = {f"/lib/lib{name}.so": library + bytes([ord(name)]) for name in "abcdef"}
    names = "liba.so:libb.so libc_.so\tlibd.so\nlibe.so\rlibf.so"
    loading = loading_of(files, program(), {"LD_PRELOAD": names})
    assert [library.name for library in loading.libraries] == ["liba.so", "libb.so", "libd.so", "libe.so", "libf.so"]
    assert {library.needed_by for library in loading.libraries} == {"/app"}
