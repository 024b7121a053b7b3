"""Roots that are laid out oddly, and programs to start in them: of this machine's CPU, with real loaders.

Each root holds a loader and a libc of a Debian suite and nothing else of it. What is odd is one library, which every
program needs, or the loader and the libc themselves.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from recipes.model import Command
from recipes.rootfs.root import RootFs
from recipes.support import shell
from tests.compilers import Compilers
from tests.fixtures_debian import link_or_copy
from tests.need import need_tool
from tests.oracle.roots import root
from tests.oracle.starts import Start
from tests.oracle.stopping import write_stopping

GLIBC, MUSL = "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"
LIBRARIES = "lib/x86_64-linux-gnu"
_ONE = "libone.so.1"
_GOOD = "good"

# With room behind its first instruction.
_PROGRAM = 'int one(void); int begin(void) { one(); __asm__ volatile(".zero 64"); return 0; }'
_PATHS = {
    "plain": (),
    "rpath": ("-Wl,--disable-new-dtags,-rpath,lib",),
    "runpath": ("-Wl,--enable-new-dtags,-rpath,lib",),
    "lib": ("-Wl,--enable-new-dtags,-rpath,$ORIGIN/../tokens/$LIB",),
    "platform": ("-Wl,--disable-new-dtags,-rpath,${ORIGIN}/../tokens/${PLATFORM}",),
    "nodefaultlib": ("-Wl,-z,nodefaultlib",),
}
"""The programs, and how they are linked."""


class Layout:
    """A root with a loader, a libc, and the programs in /bin; its methods add to it."""

    def __init__(self, folder: Path, suite: str, compilers: Compilers, *, merged: bool = False) -> None:
        self.folder, self.compilers = folder, compilers
        self.musl = suite.endswith("musl")
        source = RootFs.from_directory(root(suite))
        folder.mkdir()
        if merged:
            for name in ("lib", "lib64"):
                (folder / "usr" / name).mkdir(parents=True)
                (folder / name).symlink_to(f"usr/{name}")
        if self.musl:
            taken: tuple[str, ...] = (MUSL,)
        else:
            taken = (GLIBC, f"/{LIBRARIES}/libc.so.6")
        for path in taken:
            self.copy(Path(f"{root(suite)}{source.resolve(path)}"), path)
        self.library = compilers.c("int one(void) { return 1; }", "-nostdlib", "-shared", f"-Wl,-soname,{_ONE}")
        self.programs: list[str] = []
        needed = () if self.musl else (str(root("cc") / LIBRARIES / "libc.so.6"),)
        loader = f"-Wl,--dynamic-linker={MUSL if self.musl else GLIBC}"
        for name, flags in _PATHS.items():
            program = compilers.linked_late(
                _PROGRAM, "-nostdlib", "-Wl,-e,begin,--no-as-needed", loader, *flags, str(self.library), *needed
            )
            assert write_stopping(program, folder / "bin" / name)
            self.programs.append(f"/bin/{name}")

    def at(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def copy(self, file: Path, path: str) -> None:
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.at(path).unlink(missing_ok=True)
        link_or_copy(file, self.at(path))

    def write(self, path: str, content: bytes, mode: int = 0o755) -> None:
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.at(path).unlink(missing_ok=True)
        self.at(path).write_bytes(content)
        self.at(path).chmod(mode)

    def link(self, path: str, target: str) -> None:
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.at(path).unlink(missing_ok=True)
        self.at(path).symlink_to(target)

    def put(self, *folders: str) -> None:
        """The library itself, in each of the folders."""
        for folder in folders:
            self.copy(self.library, f"{folder}/{_ONE}")

    def configure(self, *folders: str) -> None:
        """Let this machine's ldconfig write the cache for these folders."""
        self.write("/etc/ld.so.conf", "".join(f"{folder}\n" for folder in folders).encode())
        shell.check(Command((need_tool("ldconfig"), "-r", str(self.folder), "-X")))

    def foreign(self, target: str) -> Path:
        """A library of another CPU that has relocations."""
        source = "int one(void) { return 1; } int number; int *volatile itself = &number;"
        return self.compilers.zig(source, target, "-nostdlib", "-shared", "-fPIC", f"-Wl,-soname,{_ONE}")

    def starts(self, *environments: dict[str, str], workdir: str = "/") -> list[Start]:
        return [Start(path, tuple(env.items()), workdir) for env in (environments or ({},)) for path in self.programs]


def _changed(content: bytes, at: int, value: bytes) -> bytes:
    return content[:at] + value + content[at + len(value) :]


def odd_files(layout: Layout) -> Iterator[tuple[str, Callable[[str], None]]]:
    """What may lie where a library is looked for: in words, and what puts it at a path."""
    whole = layout.library.read_bytes()
    contents = {
        "empty": b"",
        "of 20 bytes": whole[:20],
        "of a header alone": whole[:64],
        "cut within its program headers": whole[:100],
        "cut within a segment": whole[: len(whole) // 4],
        "a linker script": b"/* GNU ld script */\nGROUP ( libone.so.2 )\n" + b" " * 64,
        "an object file": _changed(whole, 16, b"\1\0"),
        "of another system": _changed(whole, 7, b"\x09"),
        "a newer ELF": _changed(whole, 6, b"\2"),
        "a newer ABI": _changed(whole, 8, b"\7"),
        "for another machine": _changed(whole, 18, b"\xb7\0"),
        "of 32 bits": _changed(whole, 4, b"\1"),
        "of the other byte order": _changed(whole, 5, b"\2"),
        "without its magic": _changed(whole, 0, b"\0"),
    }
    for target in ("aarch64-linux-musl", "x86-linux-musl", "s390x-linux-musl"):
        contents[f"made for {target}"] = layout.foreign(target).read_bytes()
    for name, content in contents.items():
        yield name, lambda path, content=content: layout.write(path, content)  # type: ignore[misc]
    yield "a program", lambda path: layout.copy(layout.at("bin/plain"), path)
    yield "a folder", lambda path: layout.at(path).mkdir(parents=True)
    yield "a loop", lambda path: layout.link(path, _ONE)
    yield "a link to nothing", lambda path: layout.link(path, "nothing")
    yield "beneath a file", lambda path: layout.write(os.path.dirname(path), b"")
    yield "a chain of links", lambda path: _chain(layout, path, 3)
    yield "a chain of 39 links", lambda path: _chain(layout, path, 39)
    yield "a chain of 41 links", lambda path: _chain(layout, path, 41)
    yield "a link out of the root", lambda path: layout.link(path, f"../../../../../../{_GOOD}/{_ONE}")
    yield "absent", lambda path: layout.at(os.path.dirname(path)).mkdir(parents=True)


def _chain(layout: Layout, path: str, length: int) -> None:
    for number in range(1, length):
        layout.link(path if number == 1 else f"{path}.{number}", f"{_ONE}.{number + 1}")
    layout.link(path if length == 1 else f"{path}.{length}", f"/{_GOOD}/{_ONE}")


def with_odd_files(layout: Layout) -> list[Start]:
    """One root with all odd files, each in a folder of its own, which variables, paths and the working folder name."""
    layout.put(_GOOD)
    layout.programs = [path for path in layout.programs if path not in ("/bin/lib", "/bin/platform")]
    starts = []
    for name, place in odd_files(layout):
        folder = f"/odd/{name.replace(' ', '-')}"
        place(f"{folder}/{_ONE}")
        if layout.at(folder).is_dir():
            shutil.copytree(layout.at(folder), layout.at(f"{folder}/lib"), symlinks=True, ignore_dangling_symlinks=True)
            starts += layout.starts({}, {"LD_LIBRARY_PATH": f"/{_GOOD}"}, workdir=folder)
        starts += layout.starts(
            {"LD_LIBRARY_PATH": folder}, {"LD_LIBRARY_PATH": f"{folder}:/{_GOOD}"},
            {"LD_PRELOAD": f"{folder}/{_ONE}"}, {"LD_PRELOAD": f"{folder}/{_ONE}", "LD_LIBRARY_PATH": f"/{_GOOD}/"},
        )  # fmt: skip
    return starts


def with_tokens(layout: Layout) -> list[Start]:
    """The library only where $LIB or $PLATFORM lead to."""
    layout.put(f"/tokens/{LIBRARIES}", "/tokens/x86_64", "/tokens/haswell")
    return layout.starts({}, {"LD_LIBRARY_PATH": "/tokens/$LIB"}, {"LD_LIBRARY_PATH": "/tokens/${PLATFORM}:$ORIGIN"})


def with_paths(layout: Layout) -> list[Start]:
    """Variables that are written oddly, and the working folder."""
    layout.put("/here/lib", "/here")
    values = (
        "",
        ":",
        "lib",
        "./lib/",
        "/nowhere:",
        ";lib",
        "/here;lib",
        "$ORIGIN/../here",
        "//here//",
        "/here/./lib",
        " ",
    )
    environments = [{"LD_LIBRARY_PATH": value} for value in values]
    return [*layout.starts(*environments), *layout.starts(*environments, workdir="/here")]


def with_hwcaps(layout: Layout) -> list[Start]:
    """The library only in folders for better CPUs, and all folders of the names that there were before them."""
    for level in ("x86-64-v2", "x86-64-v3", "x86-64-v4"):
        layout.put(f"/of-{level}/glibc-hwcaps/{level}", f"/all/glibc-hwcaps/{level}")
    layout.put("/old/tls", "/older/x86_64", "/oldest/tls/x86_64", "/best/haswell/x86_64")
    folders = ("of-x86-64-v2", "of-x86-64-v3", "of-x86-64-v4", "all", "old", "older", "oldest", "best")
    return layout.starts(*({"LD_LIBRARY_PATH": f"/{folder}"} for folder in folders))


def with_cache(layout: Layout) -> list[Start]:
    """A cache that leads to a folder that nothing else names."""
    layout.put("/opt/one")
    layout.configure("/opt/one")
    return layout.starts()


def with_hwcaps_in_cache(layout: Layout) -> list[Start]:
    """A cache with the library, and better ones."""
    layout.put("/opt/one", "/opt/one/glibc-hwcaps/x86-64-v2", "/opt/one/glibc-hwcaps/x86-64-v3")
    layout.configure("/opt/one")
    return layout.starts()


def with_stale_cache(layout: Layout) -> list[Start]:
    """A cache of a library that has been moved since into a built-in folder."""
    starts = with_cache(layout)
    shutil.move(layout.at(f"/opt/one/{_ONE}"), layout.at(f"{LIBRARIES}/{_ONE}"))
    return starts


def with_dead_cache(layout: Layout) -> list[Start]:
    """A cache of a library that is gone."""
    starts = with_cache(layout)
    layout.at(f"/opt/one/{_ONE}").unlink()
    return starts


def with_cut_cache(layout: Layout) -> list[Start]:
    """A cache that ends in its middle."""
    starts = with_cache(layout)
    content = layout.at("/etc/ld.so.cache").read_bytes()
    layout.write("/etc/ld.so.cache", content[: len(content) // 2])
    return starts


def with_foreign_cache(layout: Layout) -> list[Start]:
    """The same library marked as one of another CPU."""
    starts = with_cache(layout)
    content = layout.at("/etc/ld.so.cache").read_bytes()
    layout.write("/etc/ld.so.cache", content.replace(b"\3\3\0\0", b"\3\x0a\0\0"))
    return starts


def with_configuration_alone(layout: Layout) -> list[Start]:
    """/etc/ld.so.conf without a cache."""
    starts = with_cache(layout)
    layout.at("/etc/ld.so.cache").unlink()
    return starts


def with_preload_file(layout: Layout) -> list[Start]:
    """/etc/ld.so.preload with what is there and what is not."""
    layout.put("/opt/one")
    layout.write("/etc/ld.so.preload", f"libnothere.so # a comment\n/opt/one/{_ONE}:libnor.so\t\n".encode())
    return layout.starts({}, {"LD_PRELOAD": "libneither.so"})


def in_each_folder(layout: Layout) -> list[Start]:
    """The library in the last of the built-in folders."""
    layout.put("/usr/lib")
    return layout.starts()


def without_libc(layout: Layout) -> list[Start]:
    """No libc at all."""
    layout.put(LIBRARIES)
    layout.at(f"{LIBRARIES}/libc.so.6").unlink(missing_ok=True)
    return layout.starts()


def with_musl_path(text: bytes) -> Callable[[Layout], list[Start]]:
    """The file in which musl's loader finds its folders."""

    def lay_out(layout: Layout) -> list[Start]:
        layout.put("/opt/one", "/usr/lib")
        layout.write("/etc/ld-musl-x86_64.path", text)
        return layout.starts({}, {"LD_LIBRARY_PATH": "/nowhere"})

    lay_out.__name__ = f"with_musl_path {text!r}"
    return lay_out


def with_loader(content: Callable[[bytes], bytes | None], name: str) -> Callable[[Layout], list[Start]]:
    """Something else in the loader's place; None for a folder."""

    def lay_out(layout: Layout) -> list[Start]:
        layout.put(LIBRARIES, "/usr/lib")
        place = MUSL if layout.musl else GLIBC
        new = content(layout.at(place).read_bytes())
        layout.at(place).unlink()
        if new is None:
            layout.at(place).mkdir()
        elif new:
            layout.write(place, new)
        return layout.starts()

    lay_out.__name__ = f"with_loader {name}"
    return lay_out


COMMON: tuple[Callable[[Layout], list[Start]], ...] = (
    with_odd_files, with_tokens, with_paths, in_each_folder,
    with_loader(lambda whole: None, "a folder"),
    with_loader(lambda whole: b"", "absent"),
    with_loader(lambda whole: whole[:40], "short"),
    with_loader(lambda whole: whole[:64], "a header"),
    with_loader(lambda whole: whole[: len(whole) // 2], "cut"),
    with_loader(lambda whole: b"#!/bin/sh\n" + b" " * 100, "a script"),
    with_loader(lambda whole: _changed(whole, 18, b"\xb7\0"), "for another machine"),
)  # fmt: skip
OF_GLIBC: tuple[Callable[[Layout], list[Start]], ...] = (
    with_hwcaps, with_cache, with_hwcaps_in_cache, with_stale_cache, with_dead_cache, with_cut_cache,
    with_foreign_cache, with_configuration_alone, with_preload_file, without_libc,
)  # fmt: skip
_PATH_FILES = (b"/opt/one", b"/nowhere:/opt/one\n", b"/nowhere\n/opt/one\n", b"", b"/nowhere", b"\n")
OF_MUSL: tuple[Callable[[Layout], list[Start]], ...] = (*map(with_musl_path, _PATH_FILES), with_cache)
