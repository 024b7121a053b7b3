"""Roots with the real glibc of each CPU, of one release or of two, and programs to start in them.

That of other CPUs than this machine's is in Debian's packages for cross-compiling.

The programs are never run beyond their first instruction, so they have no start-up code: it takes a compiler and a
linker only, and what they need of a libc is what the libc that they are linked with offers.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from recipes.architecture import ARCHITECTURES
from recipes.model import Platform
from recipes.rootfs.root import RootFs
from tests.compilers import Compilers
from tests.fixtures_debian import link_or_copy
from tests.oracle.roots import ALL, root
from tests.oracle.starts import Start
from tests.oracle.stopping import write_stopping


@dataclass(frozen=True)
class Cpu:
    """`package` is where Debian's package has the libraries, `folder` where an image of this CPU has them."""

    name: str
    loader: str
    package: str
    zig: str = ""
    folder: str = ""

    @property
    def platform(self) -> Platform:
        return Platform("linux", self.name)

    @property
    def emulator(self) -> str:
        return "" if self.name == "amd64" else f"/usr/bin/qemu-{ARCHITECTURES[self.name].qemu}-static"

    @property
    def libraries(self) -> PurePosixPath:
        return PurePosixPath("lib", self.folder or self.package)

    def suites(self) -> tuple[str, ...]:
        """The roots that have a glibc for it, the oldest first."""
        if self.name == "amd64":
            return ("bullseye-cc", "cc", "trixie-cc")
        if self.name == "loong64":  # which Debian has no such packages for
            return ()
        return ("cross-bookworm", "cross-trixie") if ALL else ("cross-trixie",)

    def libraries_in(self, name: str) -> Path:
        """Where the root `name` has the libraries for it."""
        inside = RootFs.from_directory(root(name)).resolve(
            f"/lib/{self.package}" if self.name == "amd64" else f"/usr/{self.package}/lib"
        )
        assert inside is not None
        return root(name) / inside.lstrip("/")

    def loader_in(self, name: str) -> Path:
        """Its loader of the root `name`."""
        file = PurePosixPath(self.loader).name
        libraries = self.libraries_in(name)
        real = next(path for path in (libraries / file, libraries.parent / "lib64" / file) if path.exists())
        return real.resolve()


CPUS = {
    "amd64": Cpu("amd64", "/lib64/ld-linux-x86-64.so.2", "x86_64-linux-gnu"),
    "arm64": Cpu("arm64", "/lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu"),
    "armel": Cpu("arm", "/lib/ld-linux.so.3", "arm-linux-gnueabi"),
    "armhf": Cpu("arm", "/lib/ld-linux-armhf.so.3", "arm-linux-gnueabihf"),
    "i386": Cpu("386", "/lib/ld-linux.so.2", "i686-linux-gnu", zig="x86-linux-gnu", folder="i386-linux-gnu"),
    "loong64": Cpu("loong64", "/lib64/ld-linux-loongarch-lp64d.so.1", "loongarch64-linux-gnu"),
    "mips64el": Cpu("mips64le", "/lib64/ld.so.1", "mips64el-linux-gnuabi64"),
    "mipsel": Cpu("mipsle", "/lib/ld.so.1", "mipsel-linux-gnu", zig="mipsel-linux-gnueabihf"),
    "ppc64el": Cpu("ppc64le", "/lib64/ld64.so.2", "powerpc64le-linux-gnu"),
    "riscv64": Cpu("riscv64", "/lib/ld-linux-riscv64-lp64d.so.1", "riscv64-linux-gnu"),
    "s390x": Cpu("s390x", "/lib/ld64.so.1", "s390x-linux-gnu"),
}
"""By Debian's names."""

_OURS = "liblater.so.1"
_PROGRAM = """
extern char **environ;
int puts(const char *);
long __isoc23_strtol(const char *, char **, int);
int later(void);
extern int number;
int begin(void) {
#ifdef NEW
    __isoc23_strtol("1", 0, 10);
#endif
#ifdef LATER
    later();
#endif
#ifdef NUMBER
    number++;
#endif
    return puts(environ[0]);
}
"""
_PIE, _FIXED = ("-fPIE", "-pie"), ("-no-pie", "-fno-PIE")
_PROGRAMS = {
    "plain": _PIE,
    "fixed": _FIXED,
    "new": ("-DNEW", *_PIE),
    "lazy": ("-DLATER", *_PIE, "-Wl,-z,lazy"),
    "fixed-lazy": ("-DLATER", *_FIXED, "-Wl,-z,lazy"),
    "now": ("-DLATER", *_PIE, "-Wl,-z,now"),
    "number": ("-DNUMBER", *_PIE, "-Wl,-z,lazy"),
    "rpath": ("-DLATER", *_PIE, "-Wl,--disable-new-dtags,-rpath,$ORIGIN/../whole"),
    "runpath": ("-DLATER", *_PIE, "-Wl,--enable-new-dtags,-rpath,$ORIGIN/../whole"),
}
"""How each is compiled and linked: all with the libc of the first suite, and `new` with that of the last."""
_WHOLE, _LESS = {"LD_LIBRARY_PATH": "/whole"}, {"LD_LIBRARY_PATH": "/less"}
_STARTED: dict[str, tuple[dict[str, str], ...]] = {
    "plain": ({}, {"LD_PRELOAD": f"libnothere.so.1 /whole/{_OURS}"}),
    "fixed": ({},),
    "new": ({},),
    "lazy": ({}, _WHOLE, _LESS, {**_LESS, "LD_BIND_NOW": "1"}, {"LD_LIBRARY_PATH": "/tokens/$LIB"}),
    "fixed-lazy": (_LESS,),
    "now": (_WHOLE, _LESS),
    "number": (_WHOLE, _LESS),
    "rpath": ({}, _LESS),
    "runpath": ({}, _LESS),
}
_STARTED_IN_MIXED: dict[str, tuple[dict[str, str], ...]] = {"plain": ({},), "new": ({},), "lazy": (_LESS,)}


def mixed_root(folder: Path, cpu: Cpu, loader: str, libraries: str, compilers: Compilers) -> list[Start]:
    """Make `folder` a root with the loader of one suite and the libraries of another; and what is started in it."""
    shutil.copytree(cpu.libraries_in(libraries), folder / cpu.libraries, copy_function=link_or_copy, symlinks=True)
    for place in (folder / cpu.loader.lstrip("/"), folder / cpu.libraries / PurePosixPath(cpu.loader).name):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        link_or_copy(cpu.loader_in(loader), place)
    library = ("-nostdlib", "-shared", "-fPIC", "-fno-unwind-tables", f"-Wl,-soname,{_OURS}")
    for name, source in (("whole", "int later(void) { return 1; } int number = 1;"), ("less", "int other;")):
        (folder / name).mkdir()
        shutil.copy(compilers.zig(source, cpu.zig or cpu.package, *library), folder / name / _OURS)
    shutil.copytree(folder / "whole", folder / "tokens" / cpu.libraries)
    started = _STARTED if loader == libraries else _STARTED_IN_MIXED
    for name in started:
        assert write_stopping(_program(name, cpu, folder / "whole" / _OURS, compilers), folder / "bin" / name)
    return [Start(f"/bin/{name}", tuple(env.items())) for name, environments in started.items() for env in environments]


def _program(name: str, cpu: Cpu, library: Path, compilers: Compilers) -> Path:
    flags = _PROGRAMS[name]
    libc = cpu.libraries_in(cpu.suites()[-1 if name == "new" else 0]) / "libc.so.6"
    needed = (library, libc) if {"-DLATER", "-DNUMBER"} & {*flags} else (libc,)
    entry = ("-nostdlib", "-O1", "-Wl,-e,begin", f"-Wl,--dynamic-linker={cpu.loader}")
    return compilers.zig(_PROGRAM, cpu.zig or cpu.package, *entry, *flags, *map(str, needed))
