"""What a platform is called by the compilers, and how they are told which CPU is meant."""

from __future__ import annotations

from recipes.architecture import ARCHITECTURES, architecture
from recipes.errors import BadInput
from recipes.model import Environment, Platform


def zig_target(platform: Platform) -> tuple[str, ...]:
    """The options that choose it. Raises: BadInput for a platform that zig cannot build for."""
    row = architecture(platform.architecture)
    if not row.zig or platform.variant not in row.zig_cpus:
        known = ", ".join(f"linux/{each.name}" for each in ARCHITECTURES.values() if each.zig)
        raise BadInput(f"zig cannot build for {platform}", hint=f"it knows {known}")
    return ("-target", row.zig, *row.zig_cpus[platform.variant])


def gnu_target(platform: Platform) -> str | None:
    """The GNU name of a glibc platform, which also starts the names of its cross compiler's commands."""
    row = architecture(platform.architecture)
    return (row.gnu or None) if platform.variant in ("", row.default_variant) else None


def triple(platform: Platform, *, musl: bool) -> str:
    """The GNU name of a platform, as `configure --host` takes it."""
    return (None if musl else gnu_target(platform)) or zig_target(platform)[1]


def processor(platform: Platform) -> tuple[str, str, str]:
    """What `uname -m` says there, the CPU family in Meson's words, and its byte order. Raises: BadInput."""
    zig_target(platform)  # which knows what can be built for
    row = architecture(platform.architecture)
    return row.machines[0], row.meson_family, "little" if row.little_endian else "big"


def go_level(platform: Platform) -> Environment:
    """The CPU level: the platform's variant, else the baseline, whatever the caller's environment says.

    Raises: BadInput for a variant that Go does not know.
    """
    row = architecture(platform.architecture)
    if platform.variant not in row.go_levels:
        known = ", ".join(filter(None, row.go_levels)) or "none"
        raise BadInput(f"Go cannot build for {platform}", hint=f"variants of {platform.architecture}: {known}")
    return ((row.go_variable, row.go_levels[platform.variant]),) if row.go_variable else ()
