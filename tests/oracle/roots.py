"""The roots that the rules are compared in: assembled once from Debian packages, then kept.

They are in the folder that FROMSCRATCH_ORACLE names, else in `build/oracle`.
"""

from __future__ import annotations

import os
from pathlib import Path

from recipes.bases.debian import assemble_tar
from recipes.errors import RecipeError
from recipes.model import Command, Platform
from recipes.oci.reference import parse
from recipes.support import shell
from recipes.support.workspace import locked, remove_tree
from tests.need import need, need_tool

FOLDER = Path(os.environ.get("FROMSCRATCH_ORACLE") or Path(__file__).resolve().parents[2] / "build/oracle")
ALL = bool(os.environ.get("FROMSCRATCH_ORACLE_ALL"))
"""Whether all is compared that there is, not a share of it: some 30 minutes, and some more to assemble the roots."""

_MAIN_ALONE = "http://deb.debian.org/debian"
"""Without updates, whose lists mirrors have for some CPUs alone."""
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
_CROSS = ("arm64", "armel", "armhf", "i386", "mips64el", "mipsel", "ppc64el", "riscv64", "s390x")
CROSS = {
    f"cross-{suite}": f"mmdebstrap:files@{suite}:{','.join(f'libc6-{name}-cross' for name in names)}"
    for suite, names in (("bookworm", _CROSS), ("trixie", (*_CROSS, "loong64")))
}
"""The glibc of other CPUs, in packages for this one: each CPU's own below /usr, in the folder that its tools have."""

_PROGRAMS = (
    "base-files,libc6,libstdc++6,musl,libc-bin,coreutils,dash,grep,sed,tar,gzip,perl-base,apt,curl,python3-minimal,file,"
    "util-linux,procps,less,nano,openssl,sqlite3,jq,groff-base,findutils,diffutils,bzip2,xz-utils,gpg,openssh-client,"
    "rsync,binutils"
)
_SUITES_OF = {
    "amd64": ("bullseye", "bookworm", "trixie", "sid"),
    "arm64": ("bullseye", "bookworm", "trixie", "sid"),
    "armhf": ("bullseye", "bookworm", "trixie", "sid"),
    "i386": ("bullseye", "bookworm", "trixie", "sid"),
    "armel": ("bookworm", "trixie"),
    "mips64el": ("bookworm",),
    "mipsel": ("bookworm",),
    "ppc64el": ("bookworm", "trixie", "sid"),
    "s390x": ("bookworm", "trixie", "sid"),
    "riscv64": ("trixie", "sid"),
}
WHOLE = {
    f"{suite}-{cpu}": (f"--architectures={cpu}", f"--include={packages}")
    for cpu, suites in _SUITES_OF.items()
    for of_suite in suites
    for suite, packages in ((of_suite, _PROGRAMS), (f"cc-{of_suite}", f"{_CC},musl"))
}
"""For each CPU and suite: a root with many programs, and one with a few libraries."""


def root(name: str) -> Path:
    """The folder of a root, assembled now if it is not there. Without a network the test is skipped."""
    folder = FOLDER / name
    with locked(FOLDER / f"{name}.lock"):
        if folder.is_dir():
            return folder
        beside, tar = FOLDER / f"{name}.part", FOLDER / f"{name}.tar"
        remove_tree(beside)
        beside.mkdir()
        try:
            _assemble(name, tar)
            # No devices: nobody but root may make them, and no loader looks at them.
            shell.check(Command((need_tool("tar"), "-C", str(beside), "--exclude=./dev/*", "-xf", str(tar))))
        except RecipeError as error:
            need(False, f"a Debian mirror for {name} ({error.message})")
        tar.unlink()
        beside.rename(folder)
    return folder


def _assemble(name: str, tar: Path) -> None:
    need_tool("mmdebstrap")
    if name in CROSS:
        assemble_tar(parse(CROSS[name]), Platform("linux", "amd64"), tar, name)
        return
    options: tuple[str, ...]
    sources: tuple[str, ...]
    if name in WHOLE:
        suite = name.removeprefix("cc-").partition("-")[0]
        # A mirror may be behind, and sid's lists are valid for a week.
        options = (*_EXTRACT, '--aptopt=Acquire::Check-Valid-Until "false"', *WHOLE[name])
        sources = (_MAIN_ALONE,)
    else:
        suite, options = ROOTS[name]
        sources = ()
    shell.check(Command(("mmdebstrap", "--quiet", *options, "--format=tar", suite, str(tar), *sources)), timeout=600)
