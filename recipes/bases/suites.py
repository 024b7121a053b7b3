"""Which Debian a `mmdebstrap:` reference means: apart from debian.py, as every run asks and few assemble."""

from __future__ import annotations

import re
from pathlib import Path

from recipes.errors import BadInput, unknown
from recipes.oci.reference import Reference

STABLE = "trixie"
"""Debian's current stable suite, for machines that run something else."""

VARIANTS = ("files", "extract", "minbase")


def host_suite() -> str:
    """The suite of the Debian that this machine runs, else the current stable one."""
    try:
        text = Path("/etc/os-release").read_text(errors="replace")
    except OSError:
        return STABLE
    values = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
    if values.get("ID", "").strip("\"'") != "debian":
        return STABLE
    return values.get("VERSION_CODENAME", "").strip("\"'") or STABLE


def complete(reference: Reference) -> Reference:
    """The reference with its suite written out. Raises: BadInput."""
    variant, _, suite = reference.target.partition("@")
    if variant not in VARIANTS:
        raise unknown("variant of mmdebstrap", variant, VARIANTS)
    suite = suite or host_suite()
    packages = [name for name in reference.selector.split(",") if name]
    for text in (suite, *packages):
        # They go into a command line and a script: nothing but what a package name may hold passes.
        if re.fullmatch(r"[a-z0-9][a-z0-9+.-]*", text, re.ASCII) is None:
            raise BadInput(f"not the name of a package or suite: {text!r}", hint="for example mmdebstrap:files:libc6")
    if variant != "minbase" and not packages:
        raise BadInput(f"{reference} names no packages", hint=f"for example mmdebstrap:{variant}:base-files,libc6")
    return Reference("mmdebstrap", f"{variant}@{suite}", ",".join(packages))
