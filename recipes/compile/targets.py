"""What an OCI platform is called by zig and by Go."""

from __future__ import annotations

from recipes.errors import BadInput
from recipes.model import Environment, Platform

_ZIG_TARGETS = {
    "amd64": "x86_64-linux-musl",
    "arm64": "aarch64-linux-musl",
    "386": "x86-linux-musl",
    "arm": "arm-linux-musleabihf",
    "riscv64": "riscv64-linux-musl",
    "ppc64le": "powerpc64le-linux-musl",
    "s390x": "s390x-linux-musl",
    "loong64": "loongarch64-linux-musl",
}
_GNU_TARGETS = {
    "amd64": "x86_64-linux-gnu",
    "arm64": "aarch64-linux-gnu",
    "386": "i686-linux-gnu",
    "arm": "arm-linux-gnueabihf",
    "riscv64": "riscv64-linux-gnu",
    "ppc64le": "powerpc64le-linux-gnu",
    "s390x": "s390x-linux-gnu",
}
ELF_MACHINES = {
    "amd64": 62,
    "arm64": 183,
    "386": 3,
    "arm": 40,
    "riscv64": 243,
    "ppc64le": 21,
    "s390x": 22,
    "loong64": 258,
}
"""e_machine of a program for each architecture. Source: System V gABI, "e_machine"."""

_ZIG_CPUS: dict[str, dict[str, tuple[str, ...]]] = {
    "arm": {"": (), "v6": ("-mcpu=arm1176jzf_s",), "v7": (), "v8": ()},
    "arm64": {"": (), "v8": ()},
    "amd64": {"": (), "v1": (), "v2": ("-mcpu=x86_64_v2",), "v3": ("-mcpu=x86_64_v3",), "v4": ("-mcpu=x86_64_v4",)},
}
_GO_LEVELS: dict[str, tuple[str, dict[str, str]]] = {
    "amd64": ("GOAMD64", {"": "v1", "v1": "v1", "v2": "v2", "v3": "v3", "v4": "v4"}),
    "386": ("GO386", {"": "sse2"}),
    "arm": ("GOARM", {"": "7", "v5": "5", "v6": "6", "v7": "7", "v8": "7"}),
    "arm64": ("GOARM64", {"": "v8.0", "v8": "v8.0"}),
    "ppc64le": ("GOPPC64", {"": "power8"}),
    "riscv64": ("GORISCV64", {"": "rva20u64"}),
}
"""The variable that chooses among the CPUs of an architecture, and its value for each variant."""


def zig_target(platform: Platform) -> tuple[str, ...]:
    """The options that choose it. Raises: BadInput for a platform that is not in the table."""
    cpus = _ZIG_CPUS.get(platform.architecture, {"": ()})
    if platform.architecture not in _ZIG_TARGETS or platform.variant not in cpus:
        known = ", ".join(f"linux/{name}" for name in _ZIG_TARGETS)
        raise BadInput(f"zig cannot build for {platform}", hint=f"it knows {known}")
    return ("-target", _ZIG_TARGETS[platform.architecture], *cpus[platform.variant])


def gnu_target(platform: Platform) -> str | None:
    """The GNU name of a glibc platform, which also starts the names of its cross compiler's commands."""
    baseline = not platform.variant or (platform.architecture, platform.variant) in (("arm64", "v8"), ("arm", "v7"))
    return _GNU_TARGETS.get(platform.architecture) if baseline else None


def triple(platform: Platform, *, musl: bool) -> str:
    """The GNU name of a platform, as `configure --host` takes it."""
    return (None if musl else gnu_target(platform)) or zig_target(platform)[1]


def processor(platform: Platform) -> tuple[str, str, str]:
    """What `uname -m` says there, the CPU family in Meson's words, and its byte order."""
    first = triple(platform, musl=True).partition("-")[0]
    machine = {"x86": "i686", "arm": "armv7l", "powerpc64le": "ppc64le"}.get(first, first)
    family = {"powerpc64le": "ppc64"}.get(first, first)
    return machine, family, "big" if first == "s390x" else "little"


def go_level(platform: Platform) -> Environment:
    """The CPU level: the platform's variant, else the baseline, whatever the caller's environment says.

    Raises: BadInput for a variant that Go does not know.
    """
    name, levels = _GO_LEVELS.get(platform.architecture, ("", {"": ""}))
    if platform.variant not in levels:
        known = ", ".join(filter(None, levels)) or "none"
        raise BadInput(f"Go cannot build for {platform}", hint=f"variants of {platform.architecture}: {known}")
    return ((name, levels[platform.variant]),) if name else ()
