"""Roots with the real glibc of each CPU, of one release or of two, and programs to start in them.

That of other CPUs than this machine's is in Debian's packages for cross-compiling.

The programs are never run beyond their first instruction, so they have no start-up code: it takes a compiler and a
linker only, and what they need of a libc is what the libc that they are linked with offers.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from recipes.architecture import ARCHITECTURES, Kind, kinds_of
from recipes.model import Platform
from recipes.rootfs.root import RootFs
from tests.compilers import Compilers
from tests.fixtures_debian import link_or_copy
from tests.oracle.roots import ALL, CROSS, WHOLE, root
from tests.oracle.starts import Start
from tests.oracle.stopping import write_stopping
from tests.sharing import made_once

QEMU = Path(os.environ.get("FROMSCRATCH_ORACLE_QEMU") or "/usr/bin")
"""Where QEMU's programs are. Debian's glibc for LoongArch has vector instructions, which QEMU knows since 8.1."""


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
    def target(self) -> str:
        return self.zig or self.package

    @property
    def emulator(self) -> str:
        """QEMU's program for it; "" where it takes none."""
        if self.name == "amd64":
            return ""
        name = f"qemu-{ARCHITECTURES[self.name].qemu}"
        return next((str(QEMU / file) for file in (f"{name}-static", name) if (QEMU / file).exists()), f"{name}-static")

    @property
    def libraries(self) -> PurePosixPath:
        return PurePosixPath("lib", self.folder or self.package)

    def suites(self) -> tuple[str, ...]:
        """The roots that have a glibc for it, the oldest first."""
        if self.name == "loong64":
            return ("cross-trixie",)
        oldest = ("bullseye-cc", "cc", "trixie-cc") if self.name == "amd64" else ("cross-bookworm", "cross-trixie")
        newest = tuple(name for name in WHOLE if CPUS[name.rpartition("-")[2]] is self and name.startswith("cc-sid-"))
        return (*oldest, *newest) if ALL else oldest if self.name == "amd64" else oldest[-1:]

    def libraries_in(self, name: str) -> Path:
        """Where the root `name` has the libraries for it."""
        place = f"/usr/{self.package}/lib" if name in CROSS else f"/{self.libraries}"
        inside = RootFs.from_directory(root(name)).resolve(place)
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

_INTELS = next(kind for kind in ARCHITECTURES["amd64"].kinds if kind.at_platform == "haswell")
_POWER = [kind._replace(at_platform="", platform_mark=0) for kind in ARCHITECTURES["ppc64le"].kinds]
_Z900 = ARCHITECTURES["s390x"].kinds[0]._replace(at_platform="", platform_mark=0)
_ARM = {kind.at_platform: kind for kind in ARCHITECTURES["arm"].kinds}
MACHINES = {
    "amd64": {
        "qemu64": kinds_of(62, "v1")[0],
        "Nehalem": kinds_of(62, "v2")[0],
        "EPYC": kinds_of(62, "v3")[0],
        "Haswell": _INTELS,
    },
    "arm64": dict(zip(("cortex-a57", "max"), ARCHITECTURES["arm64"].kinds, strict=True)),
    "armel": {"arm926": _ARM["v5l"], "max": _ARM["v8l"]},
    "armhf": {"cortex-a15": kinds_of(40, "v7")[1], "max": _ARM["v8l"]},
    "i386": {"qemu32": ARCHITECTURES["386"].kinds[0]},
    "mips64el": {"MIPS64R2-generic": Kind()},
    "mipsel": {"24Kf": Kind()},
    "riscv64": {"rv64": Kind()},
    "ppc64el": dict(zip(("power8_v2.0", "power9_v2.0", "power10_v2.0"), _POWER, strict=True)),
    "s390x": {
        "z900": _Z900,
        "max": _Z900._replace(
            level=2,
            legacy_hwcaps=tuple(
                each for each in ARCHITECTURES["s390x"].kinds[-2].legacy_hwcaps if each[0] not in ("dfp", "vxe2")
            ),
        ),
    },
}
"""QEMU's names of machines, and what our rules call them. Of some CPUs it gives the loader no platform."""

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
_LIBC = "char **environ; int puts(char *text) { return 0; } long __isoc23_strtol() { return 0; }"
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


_STARTED_ON_MUSL: dict[str, tuple[dict[str, str], ...]] = {
    "plain": ({}, {"LD_PRELOAD": f"libnothere.so.1 /whole/{_OURS}"}),
    "fixed": ({},),
    "new": ({},),
    "lazy": ({}, _WHOLE, _LESS),
    "number": (_WHOLE, _LESS),
    "rpath": ({}, _LESS),
}


def mixed_root(folder: Path, cpu: Cpu, loader: str, libraries: str, compilers: Compilers) -> list[Start]:
    """Make `folder` a root with the loader of one suite and the libraries of another; and what is started in it."""
    shutil.copytree(cpu.libraries_in(libraries), folder / cpu.libraries, copy_function=link_or_copy, symlinks=True)
    for place in (folder / cpu.loader.lstrip("/"), folder / cpu.libraries / PurePosixPath(cpu.loader).name):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        link_or_copy(cpu.loader_in(loader), place)
    first, last = (cpu.libraries_in(cpu.suites()[at]) / "libc.so.6" for at in (0, -1))
    started = _STARTED if loader == libraries else _STARTED_IN_MIXED
    return _fill(
        folder, cpu, cpu.loader, {name: last if name == "new" else first for name in started}, started, compilers
    )


def add_special_folders(folder: Path, cpu: Cpu) -> list[Start]:
    """Add to a root of `mixed_root` the library in folders for some machines alone; and what is started then."""
    row = ARCHITECTURES[cpu.name]
    platforms = {kind.at_platform for kind in row.kinds if kind.at_platform}
    names = platforms | {name for kind in row.kinds for name, _ in kind.legacy_hwcaps}
    below = [f"glibc-hwcaps/{name}" for name in row.hwcaps]
    below += ["tls", *sorted(names), *(f"tls/{name}" for name in sorted(names))]
    places = {f"/of-{number}": [f"/of-{number}/{each}"] for number, each in enumerate(below)}
    places["/whole$PLATFORM"] = []
    places["/all"] = [f"/all/{each}" for each in below]
    places |= {f"/{name}/$PLATFORM": [f"/{name}/{name}"] for name in sorted(platforms)}
    for place in (place for each in places.values() for place in each):
        (folder / place.lstrip("/")).mkdir(parents=True)
        shutil.copy(folder / "whole" / _OURS, folder / place.lstrip("/"))
    return [Start("/bin/now", (("LD_LIBRARY_PATH", path),)) for path in places]


def musl_root(folder: Path, cpu: Cpu, name: str, compilers: Compilers) -> list[Start]:
    """Make `folder` a root with the musl of the root `name` and nothing else of it; and what is started in it."""
    source = RootFs.from_directory(root(name))
    loader = next(f"/lib/{file}" for file in source.names("/lib") if file.startswith("ld-musl-"))
    libc = Path(f"{root(name)}{source.resolve(loader)}")
    (folder / "lib").mkdir(parents=True)
    link_or_copy(libc, folder / loader.lstrip("/"))
    # musl's own file has no soname, so that programs would need it by the path that it is linked from.
    named = _library(_LIBC, "libc.so", cpu, compilers)
    return _fill(folder, cpu, loader, dict.fromkeys(_STARTED_ON_MUSL, named), _STARTED_ON_MUSL, compilers)


def _fill(
    folder: Path,
    cpu: Cpu,
    loader: str,
    libcs: Mapping[str, Path],
    started: Mapping[str, Sequence[Mapping[str, str]]],
    compilers: Compilers,
) -> list[Start]:
    """Add programs, each linked with its libc, to a root, and the library that some of them need, whole and not."""
    whole = _library("int later(void) { return 1; } int number = 1;", _OURS, cpu, compilers)
    less = _library("int other;", _OURS, cpu, compilers)
    for place, library in (("whole", whole), ("less", less), (f"tokens/{cpu.libraries}", whole)):
        (folder / place).mkdir(parents=True)
        shutil.copy(library, folder / place / _OURS)
    entry = ("-nostdlib", "-O1", "-Wl,-e,begin", f"-Wl,--dynamic-linker={loader}")
    for name in started:
        flags = _PROGRAMS[name]
        needed = (whole, libcs[name]) if {"-DLATER", "-DNUMBER"} & {*flags} else (libcs[name],)
        program = compilers.zig(_PROGRAM, cpu.target, *entry, *flags, *map(str, needed))
        assert write_stopping(program, folder / "bin" / name)
    return [Start(f"/bin/{name}", tuple(env.items())) for name, environments in started.items() for env in environments]


def _library(source: str, soname: str, cpu: Cpu, compilers: Compilers) -> Path:
    flags = ("-nostdlib", "-shared", "-fPIC", "-fno-unwind-tables", f"-Wl,-soname,{soname}")
    built = compilers.zig(source, cpu.target, *flags)
    # zig knows what a file is by its name.
    return made_once(built.with_name("named"), lambda folder: shutil.copy(built, folder / soname)) / soname
