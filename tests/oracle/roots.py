"""The roots that the rules are compared in: assembled once from Debian packages, then kept.

They are in the folder that FROMSCRATCH_ORACLE names, else in `build/oracle`.
"""

from __future__ import annotations

import os
from pathlib import Path

from recipes.errors import RecipeError
from recipes.model import Command
from recipes.support import shell
from recipes.support.workspace import locked, remove_tree
from tests.need import need, need_tool

FOLDER = Path(os.environ.get("FROMSCRATCH_ORACLE") or Path(__file__).resolve().parents[2] / "build/oracle")

_MINBASE = ("--variant=minbase",)
_EXTRACT = ("--mode=chrootless", "--variant=extract", "--skip=check/empty,check/qemu")
_CC = "base-files,libc6,libgcc-s1,libstdc++6"
# What programs of this machine often need, so that much is found, and much of it is too old or too new.
_MORE = "libstdc++6,libcurl4,libxml2,libsqlite3-0,libreadline8,libexpat1,libffi-dev,libglib2.0-0,zlib1g"

ROOTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cc": ("bookworm", (*_EXTRACT, f"--include={_CC}")),
    "python": ("bookworm", (*_EXTRACT, "--include=base-files,python3")),
    "musl": ("bookworm", (*_EXTRACT, "--include=base-files,musl")),
    "busybox": ("bookworm", (*_EXTRACT, "--include=base-files,busybox-static")),
    "static": ("bookworm", (*_EXTRACT, "--include=base-files,netbase,tzdata")),
    "bullseye": ("bullseye", (*_MINBASE, f"--include={_MORE}")),
    "bullseye-cc": ("bullseye", (*_EXTRACT, f"--include={_CC}")),
    "trixie": ("trixie", (*_MINBASE, "--include=libstdc++6,libsqlite3-0,libreadline8,libexpat1,zlib1g")),
    "trixie-cc": ("trixie", (*_EXTRACT, f"--include={_CC}")),
    "trixie-musl": ("trixie", (*_EXTRACT, "--include=base-files,musl")),
}


def root(name: str) -> Path:
    """The folder of a root, assembled now if it is not there. Without a network the test is skipped."""
    suite, options = ROOTS[name]
    folder = FOLDER / name
    with locked(FOLDER / f"{name}.lock"):
        if folder.is_dir():
            return folder
        beside, tar = FOLDER / f"{name}.part", FOLDER / f"{name}.tar"
        remove_tree(beside)
        beside.mkdir()
        command = (need_tool("mmdebstrap"), "--quiet", *options, "--format=tar", suite, str(tar))
        try:
            shell.check(Command(command), timeout=600)
            # No devices: nobody but root may make them, and no loader looks at them.
            shell.check(Command((need_tool("tar"), "-C", str(beside), "--exclude=./dev/*", "-xf", str(tar))))
        except RecipeError as error:
            need(False, f"a Debian mirror for {name} ({error.message})")
        tar.unlink()
        beside.rename(folder)
    return folder
