"""One row per CPU: what OCI, ELF, the loaders, the compilers, Debian and QEMU call it, and what they want of it.

A CPU is added here, and nowhere else. Rows without compilers are those whose programs are only read.
Sources: OCI image-spec, "Image Index" (Go's names); System V gABI, "e_machine", and its supplements for each processor;
glibc, sysdeps/*/dl-cache.h, sysdeps/generic/ldconfig.h and, of 2.36, sysdeps/*/dl-procinfo.h and dl-hwcap.h; Linux,
ELF_PLATFORM in arch/*/include/asm/elf.h; musl, arch/*/reloc.h; `go help environment`; Meson, "Reference tables";
Debian, "Multiarch/Tuples".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_NO_VARIANTS = {"": ""}
_PLAIN: Mapping[str, tuple[str, ...]] = {"": ()}
_NO_FLAGS: Mapping[tuple[int, int], tuple[int, ...]] = {}
# By EF_PPC64_ABI: 1 and 2 are ELFv1 and ELFv2.
_PPC64_CACHE_FLAGS = {(64, abi): (0x0503,) for abi in (0, 1, 2)}
# EF_MIPS_ABI2 (n32), EF_MIPS_NAN2008, EF_MIPS_FP64.
_MIPS_ABI_MASK = 0x20 | 0x400 | 0x200
_MIPS_CACHE_FLAGS = {
    (32, 0): (0x0003,), (32, 0x400): (0x0C03,), (32, 0x20): (0x0603,), (32, 0x420): (0x0D03,),
    (64, 0): (0x0703,), (64, 0x400): (0x0E03,),
}  # fmt: skip


class Kind(NamedTuple):
    """A kind of machine, as far as glibc's loader tells those of one CPU apart."""

    variant: str = ""
    """The platform's variant that means this kind, or one of several."""
    level: int = 1
    """How many of `Architecture.hwcaps` it uses, and one."""
    at_platform: str = ""
    """What $PLATFORM stands for; "" where the kernel gives nothing."""
    legacy_hwcaps: tuple[tuple[str, int], ...] = ()
    """What it has of what glibc up to 2.36 called important: names and bits, in their order."""
    platform_mark: int = 0
    """The bit of `at_platform` in the ld.so.cache of such a glibc."""


_X86_64, _AVX512 = ("x86_64", 1 << 1), ("avx512_1", 1 << 2)
_AMD64_KINDS = (
    Kind("v1", 1, "x86_64", (_X86_64,)),
    Kind("v2", 2, "x86_64", (_X86_64,)),
    Kind("v3", 3, "x86_64", (_X86_64,)),
    Kind("v3", 3, "haswell", (_X86_64,), 1 << 50),  # so glibc calls those of Intel's that are as good
    Kind("v3", 3, "xeon_phi", (_X86_64,), 1 << 51),
    Kind("v4", 4, "x86_64", (_X86_64,)),
    Kind("v4", 4, "haswell", (_X86_64, _AVX512), 1 << 50),
)
_VFP, _NEON = ("vfp", 1 << 6), ("neon", 1 << 12)
_ARM_KINDS = (
    Kind("v7", 1, "v7l", (_VFP,)),
    Kind("v7", 1, "v7l", (_VFP, _NEON)),
    Kind("v7", 1, "v8l", (_VFP, _NEON)),
    Kind("v8", 1, "v8l", (_VFP, _NEON)),
    Kind("v6", 1, "v6l", (_VFP,)),
    Kind("v5", 1, "v5l"),
    Kind("v5", 1, "v5l", (_VFP,)),
)
_PPC64_KINDS = tuple(
    Kind(f"power{8 + better}", 1 + better, f"power{8 + better}", (("dfp", 1 << 10), ("altivec", 1 << 28)),
         1 << 45 + better)
    for better in range(3)
)  # fmt: skip
_S390_HWCAPS = tuple({"zarch": 1 << 1, "ldisp": 1 << 4, "eimm": 1 << 5, "dfp": 1 << 6, "vx": 1 << 11, "vxe": 1 << 13,
                      "vxe2": 1 << 15}.items())  # fmt: skip
_S390_KINDS = tuple(
    Kind(name, level, name, _S390_HWCAPS[:hwcaps], 1 << mark)
    for name, level, hwcaps, mark in (
        ("z900", 1, 1, 33), ("z990", 1, 2, 34), ("z9-109", 1, 3, 35), ("z10", 1, 4, 36), ("z196", 1, 4, 37),
        ("zEC12", 1, 4, 38), ("z13", 2, 5, 39), ("z14", 3, 6, 40), ("z15", 4, 7, 41), ("z16", 5, 7, 42),
    )
)  # fmt: skip


class Architecture(NamedTuple):  # which takes half the time of a frozen dataclass, at every start
    """A CPU. `name` is OCI's; what does not exist for it is "", or empty."""

    name: str
    elf_machine: int
    bits: int
    little_endian: bool = True

    machines: tuple[str, ...] = ()
    """What `uname -m` says, the usual one first."""
    default_variant: str = ""
    """Which variant a platform without one means."""
    also_runs: tuple[str, ...] = ()
    """What its kernel runs as well, on every CPU."""
    may_run: tuple[str, ...] = ()
    """What it runs on some CPUs."""

    kinds: tuple[Kind, ...] = (Kind(),)
    """The kinds of machines that it may be, the baseline first."""
    copy_relocation: int | None = None
    """R_*_COPY."""
    musl_relocations: frozenset[int] = frozenset()
    """The types of relocations that musl's loader knows."""
    hwcaps: tuple[str, ...] = ()
    """The folders that glibc looks into beneath glibc-hwcaps on better CPUs, the least demanding first."""
    abi_mask: int = 0
    """What of e_flags names the calling convention."""
    unmarked_fits: bool = False
    """Whether glibc loads libraries that name none with those of any."""
    cache_flags: Mapping[tuple[int, int], tuple[int, ...]] = _NO_FLAGS
    """Marks of its libraries in ld.so.cache, by their bits and what `abi_mask` leaves of e_flags."""

    zig: str = ""
    zig_cpus: Mapping[str, tuple[str, ...]] = _PLAIN
    """zig's options for each variant."""
    gnu: str = ""
    meson_family: str = ""
    go_variable: str = ""
    go_levels: Mapping[str, str] = _NO_VARIANTS
    """The variable that chooses among its CPUs for Go, and the value for each variant."""
    debian: str = ""
    qemu: str = ""


_ROWS = (
    Architecture(
        name="amd64", elf_machine=62, bits=64, machines=("x86_64",), default_variant="v1", also_runs=("386",),
        kinds=_AMD64_KINDS, copy_relocation=5, cache_flags={(64, 0): (0x0303,), (32, 0): (0x0803,)},
        musl_relocations=frozenset((1, 2, 5, 6, 7, 8, 16, 17, 18, 36)),
        hwcaps=("x86-64-v2", "x86-64-v3", "x86-64-v4"),
        zig="x86_64-linux-musl", gnu="x86_64-linux-gnu", meson_family="x86_64", debian="amd64", qemu="x86_64",
        zig_cpus={"": (), "v1": (), **{f"v{level}": (f"-mcpu=x86_64_v{level}",) for level in (2, 3, 4)}},
        go_variable="GOAMD64", go_levels={"": "v1", "v1": "v1", "v2": "v2", "v3": "v3", "v4": "v4"},
    ),
    Architecture(
        name="arm64", elf_machine=183, bits=64, machines=("aarch64",), default_variant="v8", may_run=("arm",),
        kinds=(Kind("v8", 1, "aarch64"), Kind("v8", 1, "aarch64", (("atomics", 1 << 8),))),
        copy_relocation=1024, cache_flags={(64, 0): (0x0A03,)},
        musl_relocations=frozenset((257, *range(1024, 1032))),
        zig="aarch64-linux-musl", gnu="aarch64-linux-gnu", meson_family="aarch64", debian="arm64", qemu="aarch64",
        zig_cpus={"": (), "v8": ()},
        go_variable="GOARM64", go_levels={"": "v8.0", "v8": "v8.0"},
    ),
    Architecture(
        name="386", elf_machine=3, bits=32, machines=("i686", "i386"),
        kinds=(Kind("", 1, "i686", (("sse2", 1 << 0),), 1 << 49),), copy_relocation=5, cache_flags={(32, 0): (0x0003,)},
        musl_relocations=frozenset((1, 2, 5, 6, 7, 8, 14, 35, 36, 37, 41)),
        zig="x86-linux-musl", gnu="i686-linux-gnu", meson_family="x86", debian="i386", qemu="i386",
        go_variable="GO386", go_levels={"": "sse2"},
    ),
    Architecture(
        name="arm", elf_machine=40, bits=32, machines=("armv7l",), default_variant="v7",
        kinds=_ARM_KINDS, copy_relocation=20, abi_mask=0x600, unmarked_fits=True,  # EF_ARM_ABI_FLOAT_*
        musl_relocations=frozenset((2, 13, *range(17, 24))),
        cache_flags={(32, 0x400): (0x0003, 0x0903), (32, 0x200): (0x0003, 0x0B03), (32, 0): (0x0003, 0x0B03)},
        zig="arm-linux-musleabihf", gnu="arm-linux-gnueabihf", meson_family="arm", debian="armhf", qemu="arm",
        zig_cpus={"": (), "v6": ("-mcpu=arm1176jzf_s",), "v7": (), "v8": ()},
        go_variable="GOARM", go_levels={"": "7", "v5": "5", "v6": "6", "v7": "7", "v8": "7"},
    ),
    Architecture(
        name="riscv64", elf_machine=243, bits=64, machines=("riscv64",),
        copy_relocation=4, abi_mask=6,  # EF_RISCV_FLOAT_ABI
        musl_relocations=frozenset((2, 3, 4, 5, 7, 9, 11, 12)),
        cache_flags={(64, 4): (0x1003,), (64, 0): (0x0F03,)},
        zig="riscv64-linux-musl", gnu="riscv64-linux-gnu", meson_family="riscv64", debian="riscv64", qemu="riscv64",
        go_variable="GORISCV64", go_levels={"": "rva20u64"},
    ),
    Architecture(
        name="ppc64le", elf_machine=21, bits=64, machines=("ppc64le",),
        hwcaps=("power9", "power10"),
        kinds=_PPC64_KINDS, copy_relocation=19, abi_mask=3, unmarked_fits=True, cache_flags=_PPC64_CACHE_FLAGS,
        musl_relocations=frozenset((19, 20, 21, 22, 38, 43, 68, 73, 78)),
        zig="powerpc64le-linux-musl", gnu="powerpc64le-linux-gnu", meson_family="ppc64", debian="ppc64el",
        qemu="ppc64le", go_variable="GOPPC64", go_levels={"": "power8"},
    ),
    Architecture(
        name="s390x", elf_machine=22, bits=64, little_endian=False, machines=("s390x",),
        kinds=_S390_KINDS, copy_relocation=9, cache_flags={(64, 0): (0x0403,)},
        musl_relocations=frozenset((9, 10, 11, 12, 22, 54, 55, 56)),
        hwcaps=("z13", "z14", "z15", "z16"),
        zig="s390x-linux-musl", gnu="s390x-linux-gnu", meson_family="s390x", debian="s390x", qemu="s390x",
    ),
    Architecture(
        name="loong64", elf_machine=258, bits=64, machines=("loongarch64",),
        kinds=(Kind("", 1, "loongarch"),), copy_relocation=4, cache_flags={(64, 0): (0x1203,)},
        musl_relocations=frozenset((2, 3, 4, 5, 7, 9, 11, 14)),
        zig="loongarch64-linux-musl", meson_family="loongarch64", qemu="loongarch64",
    ),
    Architecture(
        name="ppc64", elf_machine=21, bits=64, little_endian=False,
        kinds=_PPC64_KINDS, copy_relocation=19, abi_mask=3, unmarked_fits=True, cache_flags=_PPC64_CACHE_FLAGS,
        qemu="ppc64",
    ),
    Architecture(
        name="mips64le", elf_machine=8, bits=64,
        copy_relocation=126, abi_mask=_MIPS_ABI_MASK, cache_flags=_MIPS_CACHE_FLAGS, qemu="mips64el",
    ),
    Architecture(
        name="mips64", elf_machine=8, bits=64, little_endian=False,
        copy_relocation=126, abi_mask=_MIPS_ABI_MASK, cache_flags=_MIPS_CACHE_FLAGS, qemu="mips64",
    ),
    Architecture(
        name="mipsle", elf_machine=8, bits=32,
        copy_relocation=126, abi_mask=_MIPS_ABI_MASK, cache_flags=_MIPS_CACHE_FLAGS, qemu="mipsel",
    ),
    Architecture(
        name="mips", elf_machine=8, bits=32, little_endian=False,
        copy_relocation=126, abi_mask=_MIPS_ABI_MASK, cache_flags=_MIPS_CACHE_FLAGS, qemu="mips",
    ),
)  # fmt: skip

ARCHITECTURES = {row.name: row for row in _ROWS}
_BY_MACHINE = {machine: row.name for row in _ROWS for machine in row.machines}
_BY_ELF = {(row.elf_machine, row.bits, row.little_endian): row.name for row in _ROWS}
_FIRST = {row.elf_machine: row for row in reversed(_ROWS)}


def architecture(name: str) -> Architecture:
    """The row of an OCI name; one that holds nothing but the name where there is none."""
    return ARCHITECTURES.get(name) or Architecture(name=name, elf_machine=0, bits=0, qemu=name)


def kinds_of(machine: int, variant: str) -> tuple[Kind, ...]:
    """The kinds of machines that a platform's variant may mean, for an `e_machine`: without a variant all."""
    kinds = of_elf_machine(machine).kinds
    return tuple(kind for kind in kinds if kind.variant == variant) or kinds[: 1 if variant else None]


def name_of_machine(machine: str) -> str:
    """OCI's name for what `uname -m` says; the same where it is not known."""
    return _BY_MACHINE.get(machine, machine)


def name_of_elf(machine: int, bits: int, *, little_endian: bool) -> str:
    """OCI's name for the CPU of an ELF file; its number where it is not known."""
    return _BY_ELF.get((machine, bits, little_endian), str(machine))


def of_elf_machine(machine: int) -> Architecture:
    """The row of an `e_machine`, whatever the bits and the byte order are."""
    return _FIRST.get(machine) or Architecture(name="", elf_machine=machine, bits=0)
