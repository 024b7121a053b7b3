"""Tests of recipes/compile/product.py: which of the files that a build system left is the program that is meant."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from recipes.architecture import architecture
from recipes.compile.named import named_files
from recipes.compile.naming import given_names
from recipes.compile.product import Candidate, Product, find, programs
from recipes.errors import BadInput
from recipes.model import Platform
from tests.compilers import Compilers

HERE = architecture(Platform.host().architecture).elf_machine
ELSEWHERE = 22
"""s390: no test of this project runs there."""


@pytest.fixture(scope="session")
def program(compilers: Compilers) -> Path:
    return compilers.c("int main(void) { return 0; }")


class Tree:
    """A build folder that is filled by hand."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder, self.installed, self._program = folder, folder.with_name("installed"), program
        folder.mkdir()

    def put(self, *names: str, mode: int = 0o755) -> None:
        for name in names:
            place = self.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(self._program.read_bytes() + name.encode())  # no two are equal
            place.chmod(mode)

    def install(self, name: str, place: str, more: str = "") -> None:
        target = self.installed / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((self.folder / name).read_bytes() + more.encode())
        target.chmod(0o755)

    def find(self, target: str = "", names: tuple[str, ...] = ()) -> Candidate:
        return find(Product(self.folder, target, HERE, self.installed, names), "it")

    def found(self, target: str = "", names: tuple[str, ...] = ()) -> str:
        return str(self.find(target, names).path)

    def error(self, target: str = "") -> tuple[str, str]:
        with pytest.raises(BadInput) as caught:
            self.find(target)
        return caught.value.message, caught.value.hint


@pytest.fixture
def tree(tmp_path: Path, program: Path) -> Tree:
    return Tree(tmp_path / "tree", program)


# ── what is a program ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_only_one_is_meant(tree: Tree) -> None:
    """Wherever it is."""
    tree.put("src/deep/app")
    assert tree.found() == "src/deep/app"


def test_what_is_no_program_does_not_count(tree: Tree, tmp_path: Path) -> None:
    """A script, a file that may not be executed, objects, libraries, links, and what compilers were tried out with."""
    tree.put("app", "conftest", "conftest.2", "unit.o", "plugin.so")
    tree.put("CMakeFiles/3.30/a.out", "meson-private/sanitycheck", "_deps/tool/tool", "sub/.deps/x", ".git/hook")
    tree.put("not-executable", mode=0o644)
    (tree.folder / "script").write_text("#!/bin/sh\n")
    (tree.folder / "script").chmod(0o755)
    (tree.folder / "link").symlink_to("app")
    (tree.folder / "nowhere").symlink_to("none")
    assert tree.found() == "app"


def test_what_a_build_makes_for_its_own_use_does_not_count(tree: Tree) -> None:
    """It runs on another CPU than the program that is asked for."""
    tree.put("app", "generator")
    with open(tree.folder / "generator", "r+b") as file:
        file.seek(18)  # e_machine
        file.write(ELSEWHERE.to_bytes(2, "little"))
    assert tree.found() == "app"
    assert programs(tree.folder, ELSEWHERE) == (Path("generator"),)


def test_several_names_are_one_program(tree: Tree) -> None:
    """Hard links, as git has a hundred of them, count under the first of the names."""
    tree.put("git")
    os.link(tree.folder / "git", tree.folder / "a-git-add")
    assert tree.found() == "a-git-add"


# ── which one is meant ───────────────────────────────────────────────────────────────────────────────────────────────


def test_none_at_all(tree: Tree) -> None:
    """A library alone is no program."""
    tree.put("libit.so")
    assert tree.error() == ("the build of it made no program for this platform", "does it build only a library?")
    assert tree.error("app")[0] == "it makes no program 'app'; it makes none"


def test_several_are_listed(tree: Tree) -> None:
    """In the order of their names; a few dozen of them, and how many more there are."""
    tree.put("b", "a/c")
    assert tree.error() == (
        "it makes 2 programs: a/c, b",
        "choose one: `invoke build-static PATH --target a/c` builds nothing again",
    )
    tree.put(*(f"many/{number:02}" for number in range(40)))
    message, _ = tree.error()
    assert message.endswith("many/37 and 2 more")
    assert message.startswith("it makes 42 programs: a/c, b, many/00, ")


@pytest.mark.parametrize("target", ["app", "tools/app", "other"])
def test_a_target_is_a_path_or_a_name(tree: Tree, target: str) -> None:
    """What lies there is meant, whatever else is called so; a name alone finds the only one that has it."""
    tree.put("app", "tools/app", "deep/down/other")
    assert tree.found(target) == {"other": "deep/down/other"}.get(target, target)


def test_a_name_that_several_have(tree: Tree) -> None:
    """They are listed as paths, which tell them apart."""
    tree.put("x/app", "y/app", "z/other")
    assert tree.error("app") == ("it makes several app: x/app, y/app", "give the path with --target")


def test_a_target_that_there_is_not(tree: Tree) -> None:
    """The programs that there are, and the nearest of them."""
    tree.put("server", "client")
    assert tree.error("sever") == ("it makes no program 'sever'; it makes client, server", "did you mean 'server'?")


# ── which one a project is about ─────────────────────────────────────────────────────────────────────────────────────


def test_equal_files_are_one(tree: Tree) -> None:
    """zstd is linked in a folder of its own and then copied: that is one program, called after its better place."""
    tree.put("programs/zstd")
    (tree.folder / "programs/obj/conf_1").mkdir(parents=True)
    shutil.copy(tree.folder / "programs/zstd", tree.folder / "programs/obj/conf_1/zstd")
    assert tree.found() == "programs/zstd"
    assert tree.found("zstd") == "programs/zstd"
    assert tree.found("programs/obj/conf_1/zstd") == "programs/zstd"


def test_the_names_of_one_program(tree: Tree) -> None:
    """A copy under another name is listed with the first one, and taken under the name that is asked for."""
    tree.put("src/server", "src/client")
    for name in ("check", "sentinel"):
        shutil.copy(tree.folder / "src/server", tree.folder / "src" / name)
    assert tree.error()[0] == "it makes 2 programs: src/check (also sentinel, server), src/client"
    assert tree.found("server") == "src/server"
    assert tree.found(names=("server",)) == "src/server"


@pytest.mark.parametrize(
    "name", ["lua5.4-5.4.4", "lua-5.4.6", "lua", "LUA_5.4", "luautils-5", "lua-tools", "lua-dfsg-5"]
)
def test_the_one_that_is_called_like_the_project(tree: Tree, tmp_path: Path, name: str) -> None:
    """With or without a version in the name of the folder, or a word for what comes with it."""
    tree.put("src/lua", "src/luac", "x/y")
    assert tree.found(names=given_names(tmp_path / name)) == "src/lua"


@pytest.mark.parametrize("server", ["src/it-server", "src/itd"])
def test_the_server_of_a_project(tree: Tree, tmp_path: Path, server: str) -> None:
    """Where none is called like the project, its server is meant, and not a client or a helper."""
    tree.put("src/it-cli", server, "src/it-check")
    assert tree.found(names=given_names(tmp_path / "it-7.0")) == server
    tree.put("src/it")
    assert tree.found(names=given_names(tmp_path / "it-7.0")) == "src/it"


def test_the_names_that_are_written_down(tree: Tree, tmp_path: Path) -> None:
    """What Debian calls the source package; what the project is configured as, by each of three build systems."""
    folder = tmp_path / "somewhere"
    (folder / "debian").mkdir(parents=True)
    (folder / "debian/control").write_text("Source: the-tool\nMaintainer: x\n\nPackage: y\n")
    tree.put("one", "two", "three", "the-tool")
    assert tree.found(names=given_names(folder)) == "the-tool"
    for path, text, program in (
        ("configure", "PACKAGE_NAME='One More'\nPACKAGE_TARNAME='one'\n", "one"),
        ("CMakeCache.txt", "CMAKE_PROJECT_NAME:STATIC=two\n", "two"),
        ("meson-info/intro-projectinfo.json", '{"descriptive_name": "three", "version": "1"}', "three"),
    ):
        (tree.folder / path).parent.mkdir(exist_ok=True)
        (tree.folder / path).write_text(text)
        assert tree.found() == program
        (tree.folder / path).unlink()


def test_what_lies_aside_is_none(tree: Tree) -> None:
    """Tests, examples and helpers count only where there is nothing else."""
    tree.put("tests/it", "examples/deep/it", "deps/lua/src/lua")
    assert tree.error()[0].startswith("it makes 3 programs")
    tree.put("app")
    assert tree.found() == "app"
    assert tree.found("tests/it") == "tests/it"


def test_the_only_one_that_is_installed(tree: Tree) -> None:
    """What a user would call is in bin or sbin; a helper in libexec is not."""
    tree.put("tool", "generate", "helper")
    tree.install("tool", "usr/local/sbin/tool")
    tree.install("helper", "usr/local/libexec/it/helper")
    chosen = tree.find()
    assert (str(chosen.path), chosen.place("tool")) == ("tool", "/usr/local/sbin/tool")
    tree.install("generate", "usr/local/bin/generate")
    assert tree.error()[0] == "it makes 2 programs: generate, tool"


def test_what_is_installed_under_another_name(tree: Tree) -> None:
    """It may be asked for by that name, by its path there, and by the name of a link to it."""
    tree.put("src/tool", "other")
    tree.install("src/tool", "usr/bin/it-tool")
    (tree.installed / "usr/bin/it").symlink_to("it-tool")
    tree.install("other", "usr/bin/other")
    message, hint = tree.error()
    assert message == "it makes 2 programs: other, it-tool"
    assert hint == "choose one: `invoke build-static PATH --target other` builds nothing again"
    for target in ("it-tool", "/usr/bin/it-tool", "tool", "it"):
        assert tree.found(target) == "src/tool"
    assert tree.find("it").place("it") == "/usr/bin/it"


def test_what_a_program_names(tmp_path: Path) -> None:
    """A file by its path or by that without its ending, and a folder for all in it; not one that others share."""
    program, root = tmp_path / "program", tmp_path / "root"
    program.write_bytes(
        b"\0/etc/magic:/usr/share/misc/magic\0x=/usr/share/it/\0/usr/share/misc\0/etc/it.conf.5\0/usr/share/unfinished"
    )
    files = ("share/misc/magic.mgc", "share/misc/other", "share/it/deep/data", "share/unfinished", "share/italy/x")
    for name in files:
        (root / "usr" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "usr" / name).touch()
    assert named_files(program, root) == ("/usr/share/it/deep/data", "/usr/share/misc/magic.mgc")
    assert named_files(program, tmp_path / "nothing") == ()
    program.write_bytes(b"/" * (16 << 20) + b"\n/usr/share/it\0")  # looked at once
    assert named_files(program, root) == ("/usr/share/it/deep/data",)


@pytest.mark.parametrize(
    "folder",
    [
        *("usr", "usr/local", "opt", "etc", "var", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/libexec"),
        *("usr/share", "usr/share/misc", "usr/share/locale", "usr/share/man", "usr/include"),
    ],
)
def test_a_folder_that_programs_share(tmp_path: Path, folder: str) -> None:
    """It says nothing of the files in it, and a folder of the project's own below it does."""
    program, root = tmp_path / "program", tmp_path / "root"
    (root / folder / "it").mkdir(parents=True)
    (root / folder / "it/data").touch()
    program.write_bytes(f"/{folder}\0/{folder}/\0".encode())
    assert named_files(program, root) == ()
    program.write_bytes(f"/{folder}/it\0".encode())
    assert named_files(program, root) == (f"/{folder}/it/data",)
    program.write_bytes(b"")
    assert named_files(program, root) == ()


def test_the_place_of_what_is_not_installed(tree: Tree) -> None:
    """It keeps its name, as some programs are what they are called: a multi-call one has no applet `app`."""
    tree.put("out/box")
    assert tree.find().place("box") == "/usr/bin/box"


def test_what_installing_has_changed(tree: Tree) -> None:
    """A stripped file is the same program: the one that the project installs under this name."""
    tree.put("src/tool", "other")
    tree.install("src/tool", "usr/bin/tool", "stripped")
    chosen = tree.find()
    assert (str(chosen.path), chosen.installed) == ("src/tool", ("/usr/bin/tool",))
