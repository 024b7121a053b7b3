"""Tests of recipes/loader/closure.py: what a program needs of a root, and where it has to lie in an empty one.

What is said of the new root is tried: a root is made of the places alone, and the program starts in it, or does not.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from recipes.elf.dynamic import read_dynamic
from recipes.elf.segments import FileReader
from recipes.errors import BadInput
from recipes.loader.closure import LOADED_LATER, Closure, close_over
from recipes.model import Command
from recipes.rootfs.root import RootFs
from recipes.support import shell
from tests.compilers import Compilers
from tests.loader.test_explain import AMD64, BARE, LIB, LOADER, MUSL, OPENING, START, Small, bare, rpath, runpath
from tests.need import need, need_tool
from tests.oracle.roots import root as assembled

NUMBER = "int number(void) { return 42; }"
ASKS = "int number(void); int main(void) { return number() - 42; }"
LIBC = f"{LIB}/libc.so.6"


@pytest.fixture
def small(tmp_path: Path, compilers: Compilers) -> Small:
    return Small(tmp_path / "root", compilers)


def closed(
    small: Small,
    *named: str,
    path: str = "/app",
    env: Mapping[str, str] | None = None,
    new_env: Mapping[str, str] | None = None,
) -> Closure:
    with FileReader(small.at(path)) as reader:
        program = read_dynamic(reader)
    settings, new = tuple((env or {}).items()), tuple((new_env or {}).items())
    root = RootFs.from_directory(small.folder)
    return close_over(program, root, AMD64, path=path, env=settings, new_env=new, named=named)


def exit_code(small: Small, found: Closure, *, program: str = "/app", env: Mapping[str, str] | None = None) -> int:
    """How the program ends as /app in a root that holds what was found, and nothing else."""
    new = small.folder.with_name("new")
    shutil.rmtree(new, ignore_errors=True)
    for place, real in (*found.places, ("/app", program)):
        target = Path(f"{new}{place}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(small.at(real), target)
        target.chmod(0o755)
    enter = (need_tool("unshare"), "--map-root-user", "--root", str(new), "/app")
    return shell.run(Command(enter), environment=dict(env or {})).exit_code


def places(found: Closure) -> list[str]:
    return [place for place, _ in found.places]


def test_the_loader_and_what_it_loads(small: Small) -> None:
    """In the order of their names, each at its place, without the links that led to it; nothing else of the root."""
    library = small.library("libnumber.so.1", source=NUMBER)
    small.program(library, source=ASKS).put("/usr/lib/libnumber.so.1.2", library).put("/usr/lib/other.so", library)
    small.at("/usr/lib/libnumber.so.1").symlink_to("libnumber.so.1.2")
    found = closed(small)
    assert found == Closure(
        ((LIBC, LIBC), (LOADER, LOADER), ("/usr/lib/libnumber.so.1", "/usr/lib/libnumber.so.1.2")), (), ()
    )
    assert exit_code(small, found) == 0


def test_what_was_found_where_the_new_root_has_no_way_is_put_next_to_libc(small: Small) -> None:
    """Through $ORIGIN of another folder, or a variable that the new image does not set."""
    library = small.library("libnumber.so.1", source=NUMBER)
    small.program(library, source=ASKS, flags=runpath("$ORIGIN/../lib")).put("/opt/lib/libnumber.so.1", library)
    small.put("/opt/bin/tool", small.at("/app").read_bytes()).at("/app").unlink()
    found = closed(small, path="/opt/bin/tool")
    assert found.places[0] == (f"{LIB}/libc.so.6", f"{LIB}/libc.so.6")
    assert (f"{LIB}/libnumber.so.1", "/opt/lib/libnumber.so.1") in found.places
    assert len(found.places) == 3
    assert exit_code(small, found, program="/opt/bin/tool") == 0


def test_a_variable_of_the_old_image_and_of_the_new_one(small: Small) -> None:
    """LD_LIBRARY_PATH that both set keeps the place; that the old one alone sets does not."""
    library = small.library("libnumber.so.1", source=NUMBER)
    small.program(library, source=ASKS).put("/env/libnumber.so.1", library)
    env = {"LD_LIBRARY_PATH": "/env"}
    both = closed(small, env=env, new_env=env)
    assert "/env/libnumber.so.1" in places(both)
    assert exit_code(small, both, env=env) == 0
    one = closed(small, env=env)
    assert places(one) == [LIBC, f"{LIB}/libnumber.so.1", LOADER]
    assert exit_code(small, one) == 0


def test_what_a_moved_library_needs_moves_with_it(small: Small) -> None:
    """A library whose own $ORIGIN no longer leads to the next one: both are put where the loader looks."""
    second = small.library("libsecond.so.1", source=NUMBER)
    first = small.library("libfirst.so.1", second, flags=runpath("$ORIGIN/deps"))
    small.program(first, flags=runpath("$ORIGIN/lib")).put("/opt/lib/libfirst.so.1", first)
    small.put("/opt/lib/deps/libsecond.so.1", second).put("/opt/tool", small.at("/app").read_bytes())
    found = closed(small, path="/opt/tool")
    assert places(found) == [LIBC, f"{LIB}/libfirst.so.1", f"{LIB}/libsecond.so.1", LOADER]
    assert exit_code(small, found, program="/opt/tool") == 0


def test_what_the_root_lacks_is_not_among_the_files(small: Small) -> None:
    """The program's own missing library is the verdict's to tell: nothing stands for it, and it is not told twice."""
    small.program(small.library("libnumber.so.1", source=NUMBER), source=ASKS)
    found = closed(small)
    assert places(found) == [LIBC, LOADER]
    assert found.missing == ()
    assert exit_code(small, found) == 127


def test_a_name_is_looked_up_as_the_programs_own_dlopen_does_it(small: Small) -> None:
    """In its RPATH, with what the library needs in turn; one that is not there is an error that says where it was."""
    second = small.library("libsecond.so.1")
    plugin = small.library("libplugin.so.1", second)
    small.program(flags=rpath("/plugins")).put("/plugins/libplugin.so.1", plugin)
    small.put("/plugins/libsecond.so.1", second)
    assert places(closed(small, "libplugin.so.1")) == [
        LIBC, LOADER, "/plugins/libplugin.so.1", "/plugins/libsecond.so.1",
    ]  # fmt: skip
    with pytest.raises(BadInput, match=r"^the root has no libnone\.so$") as raised:
        closed(small, "libnone.so")
    folders = (LIB, f"/usr{LIB}", "/lib", "/usr/lib")
    looked = ("/plugins/libnone.so", "/etc/ld.so.cache", *(f"{folder}/libnone.so" for folder in folders))
    assert raised.value.hint == f"the loader looked for it at {', '.join(looked)}"


def test_what_a_plugin_lacks_is_told(small: Small) -> None:
    """The program starts without it, so no verdict has it; what the program itself lacks is still not told here."""
    lost, own = small.library("liblost.so.1"), small.library("libown.so.1")
    plugin = small.library("libplugin.so.1", lost, own)
    small.program(own).put(f"{LIB}/libplugin.so.1", plugin)
    found = closed(small, "libplugin.so.1")
    assert [(library.name, library.needed_by) for library in found.missing] == [
        ("liblost.so.1", f"{LIB}/libplugin.so.1")
    ]


def test_a_file_or_a_whole_folder(small: Small) -> None:
    """Plugins with what they need, and data as it is; both stay at their places, also what no loader looks at."""
    second = small.library("libsecond.so.1")
    plugin = small.library("plugin.so", second)
    small.program().put("/plugins/deep/plugin.so", plugin).put("/plugins/data", b"not a library")
    small.put(f"{LIB}/libsecond.so.1", second)
    os.mkfifo(small.at("/plugins/fifo"))
    small.at("/plugins/link").symlink_to("data")
    everything = [LIBC, f"{LIB}/libsecond.so.1", LOADER, "/plugins/data", "/plugins/deep/plugin.so", "/plugins/link"]
    assert places(closed(small, "/plugins")) == places(closed(small, "/plugins/")) == everything
    found = closed(small, "/plugins")
    assert dict(found.places)["/plugins/link"] == "/plugins/data"
    assert found.missing == ()
    assert places(closed(small, "plugins/data")) == [LIBC, LOADER, "/plugins/data"]
    with pytest.raises(BadInput, match=r"^the root has no /none$") as raised:
        closed(small, "/none")
    assert raised.value.hint == "give a library's name as the program does, or the path of a file or folder"


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("dlopen", 0),
        ("iconv_open", 1),
        ("pthread_cancel", 2),
        ("pthread_exit", 2),
        ("puts", None),
    ],
)
def test_what_may_be_loaded_later_is_told(small: Small, call: str, told: int | None) -> None:
    """Of calls for which libraries are loaded at run time; not once something was named."""
    small.program(source=f"void {call}(void); int main(void) {{ {call}(); return 0; }}", flags=("-fno-builtin",))
    expected = () if told is None else (LOADED_LATER[told].text,)
    assert closed(small).later == expected
    assert closed(small, "libc.so.6").later == ()


def test_what_is_loaded_already_is_not_told(small: Small) -> None:
    """A program that is linked with libgcc_s has what glibc loads for pthread_exit."""
    support = small.library("libgcc_s.so.1")
    source = "void pthread_exit(void *); int main(void) { pthread_exit(0); }"
    small.program(support, source=source).put(f"{LIB}/libgcc_s.so.1", support)
    assert closed(small).later == ()


def test_musl(small: Small) -> None:
    """Its libc is its loader; what the new root has no way to is put into /lib, and nothing is told of later."""
    shutil.rmtree(small.folder)
    small.put(MUSL, (assembled("musl") / MUSL.lstrip("/")).resolve())
    library = bare(small, "liba.so", source="int a(void) { return 1; }")
    source = f"int a(void); void *dlopen(const char *, int); {START.replace('for', 'a(); dlopen(0, 0); for')}"
    flags = (*BARE, *runpath("$ORIGIN/lib"))
    small.program(library, bare(small, "libc.so"), source=source, flags=flags).put("/opt/lib/liba.so", library)
    small.put("/opt/tool", small.at("/app").read_bytes())
    found = closed(small, path="/opt/tool")
    assert found == Closure((("/lib/ld-musl-x86_64.so.1", MUSL), ("/lib/liba.so", "/opt/lib/liba.so")), (), ())


def test_a_program_that_needs_its_loader_alone(small: Small) -> None:
    """As Go's position-independent ones: one file, also behind a link."""
    small.program(flags=("-nostdlib", "-pie", "-Wl,--dynamic-linker=/lib/link"), source=START)
    small.at("/lib/link").symlink_to(LOADER)
    assert closed(small) == Closure((("/lib/link", LOADER),), (), ())


def test_a_root_without_the_loader(small: Small) -> None:
    """There is nothing to take: the verdict says why."""
    need(os.path.exists(LOADER), "glibc's loader")
    small.program().at(LOADER).unlink()
    assert closed(small) == Closure((), (), ())


def test_what_a_dlopen_note_names_is_suggested(small: Small) -> None:
    """The new root lacks it, unless it is named; what the given root lacks too cannot be added."""
    a, b = small.library("liba.so", source=OPENING), small.library("libb.so.1")
    small.program(a).put(f"{LIB}/liba.so", a)
    assert closed(small).later == ()
    small.put(f"{LIB}/libb.so.1", b)
    text = f"{LIB}/liba.so may open libb.so.1 or libb.so (for colour, suggested), which the image lacks"
    assert closed(small).later == (f"{text}: add --dlopen libb.so.1",)
    named = closed(small, "libb.so.1")
    assert f"{LIB}/libb.so.1" in places(named)
    assert named.later == ()
