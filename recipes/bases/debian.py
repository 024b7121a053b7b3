"""Bases assembled from Debian's own packages with mmdebstrap: for machines that no registry can be reached from.

`mmdebstrap:VARIANT[@SUITE][:PACKAGE,PACKAGE…]`, where the variant is

    files     exactly these packages, unpacked, without what they depend on
    extract   these packages with what they depend on, unpacked
    minbase   a whole small Debian, set up, and these packages in it

Maintainer scripts run for `minbase` only; what of their work programs rely on is done here for the others: the CA
bundle, the users, the links to busybox's commands. Only the packages' versions decide the digest.
Source: mmdebstrap(1); what distroless images hold, for the files that are made here.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import IO

from recipes.architecture import ARCHITECTURES
from recipes.architecture import architecture as row_of
from recipes.errors import Unavailable
from recipes.model import BaseImage, Command, Platform
from recipes.oci.layers import layer_from_entries
from recipes.oci.reference import Reference
from recipes.oci.store import Store
from recipes.oci.tar import Entry, new_entry
from recipes.package.runtime_data import NSSWITCH
from recipes.registry.host_status import Unreachable, reaching
from recipes.support import console, shell
from recipes.support.workspace import Workspace

# What belongs to the machine or the tool that assembled it, to apt's bookkeeping, or is not used at run time.
_DROPPED = (
    "dev/*",
    "etc/fstab",
    "etc/hostname",
    "etc/machine-id",
    "etc/resolv.conf",
    "usr/share/doc/*",
    "usr/share/info/*",
    "usr/share/lintian/*",
    "usr/share/locale/*",
    "usr/share/man/*",
    "var/cache/*",
    "var/lib/apt/*",
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/lock*",
    "var/log/*",
)
_DROPPED_WITHOUT_APT = (
    "etc/apt",
    "etc/apt/*",
    "etc/dpkg",
    "etc/dpkg/*",
    "var/lib/apt",
    "var/lib/dpkg",
    "var/lib/dpkg/*",
)
_KEPT = ("usr/share/doc/*/copyright",)

_PASSWD = b"""root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin
"""
_GROUP = b"root:x:0:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\nnogroup:x:65534:\n"

# Run by mmdebstrap with the new root's path as $1; apt has checked the signatures that lead to these packages. Nothing
# of what they hold is executed, and modes do not depend on the caller's umask, nor owners on who the caller is.
_UNPACK = """set -eu
mkdir "$1/.packages"
cd "$1/.packages"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
{get}
for package in *.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -C "$1" --keep-directory-symlink --no-same-owner -p -xf -
done
cd /
rm -r "$1/.packages"
"""
_GET = {
    "files": "apt-get -qq -o APT::Sandbox::User=root download {packages}",
    "extract": 'mkdir partial; apt-get -qq -y -o APT::Sandbox::User=root -o Dir::Cache::Archives="$PWD" '
    "--download-only install {packages}",
}


def assemble(
    reference: Reference, name: str, platform: Platform, workspace: Workspace, store: Store, *, retry: bool
) -> BaseImage:
    """Assemble what a complete reference asks for; the digest is the layer's diff ID. Takes from 3 s to a minute.

    Raises: Unavailable with mmdebstrap's own reason.
    """
    variant, _, suite = reference.target.partition("@")
    with workspace.temporary("mmdebstrap") as folder:
        root = folder / "root.tar"
        # Not alone: two bases at a time are assembled in little more than the time of one.
        with reaching(f"mmdebstrap-{suite}", workspace, retry=retry, alone=False):
            assemble_tar(reference, platform, root, name)
        with tarfile.open(root, "r:", encoding="utf-8", errors="surrogateescape") as archive:
            layer = layer_from_entries(store, tree(archive, variant), "gzip")
    return BaseImage(name, name, platform, digest=layer.diff_id, layers=(layer,))


def assemble_tar(reference: Reference, platform: Platform, out: Path, name: str) -> None:
    """Assemble what a complete reference asks for into the tar `out`, with what is temporary beside it.

    Raises: Unavailable with mmdebstrap's own reason.
    """
    architecture = row_of(platform.architecture).debian
    if platform.architecture == "arm" and platform.variant in ("v5", "v6"):
        architecture = "armel"
    if not architecture:
        known = ", ".join(row.name for row in ARCHITECTURES.values() if row.debian)
        raise Unavailable(f"{name} has no image for {platform}", hint=f"available: {known}")
    if shell.which("mmdebstrap") is None:
        raise Unavailable(f"mmdebstrap not found (needed by {name})", hint="apt-get install mmdebstrap")
    variant, _, suite = reference.target.partition("@")
    if variant == "minbase":
        options = ["--variant=minbase"] + ([f"--include={reference.selector}"] if reference.selector else [])
    else:
        script = _UNPACK.format(get=_GET[variant].format(packages=reference.selector.replace(",", " ")))
        # chrootless: nothing is run in the new root, so neither root nor user namespaces nor emulation are needed
        options = ["--mode=chrootless", "--variant=custom", "--skip=check/empty,check/qemu"]
        options.append(f"--customize-hook={script}")
    # Then a killed run leaves nothing that the next one does not sweep. Others than root need a folder that the
    # mapped users of mmdebstrap's namespace can enter, which a home folder may not be.
    temporary = (("TMPDIR", str(out.parent)),) if os.geteuid() == 0 or variant != "minbase" else ()
    command = Command(
        (
            *(own_mounts() if variant == "minbase" else ()),
            "mmdebstrap",
            f"--architectures={architecture}",
            '--aptopt=Acquire::Retries "1"',
            '--aptopt=Acquire::http::Timeout "10"',
            *options,
            "--format=tar",
            suite,
            str(out),
        ),
        # mmdebstrap cuts off times at this one; 0 would make shadow think that every password has run out
        env=(("SOURCE_DATE_EPOCH", "1"), ("LC_ALL", "C.UTF-8"), *temporary),
    )
    console.note(f"assembling {name} for {platform} from Debian {suite} with mmdebstrap")
    with console.progress(f"mmdebstrap {name}", 0):
        done = shell.run(command, timeout=900, output_limit=16 << 20)
    if done.exit_code != 0 or done.stopped:
        reason = _reason(done.stderr) or done.stopped or f"exit code {done.exit_code}"
        message = f"{name} cannot be assembled: {reason}"
        if re.search(r"resolv|onnect|imed out|unreachable", reason):
            raise Unreachable(message, hint="check the network: deb.debian.org must be reachable")
        if re.search(r"unshare|newuidmap|subuid|namespace|chroot mode", reason):
            raise Unavailable(
                message,
                hint="run it as root, or install uidmap, list yourself in /etc/subuid and allow user namespaces",
            )
        if "arch-test" in reason or "emulat" in reason:
            raise Unavailable(
                message, hint=f"running programs for {platform} needs: apt-get install arch-test qemu-user-static"
            )
        raise Unavailable(message, hint=f"for the whole output, run: {command}")


def own_mounts() -> tuple[str, ...]:
    """What gives a command of root's a mount namespace: what it mounts ends with it, however it ends.

    mmdebstrap mounts the machine's own /dev/shm into the new root. Where that is not allowed, it mounts nothing either.
    """
    own = ("unshare", "--mount")
    if os.geteuid() != 0 or shell.which(own[0]) is None or shell.run(Command((*own, "true"))).exit_code != 0:
        return ()
    return own


def tree(archive: tarfile.TarFile, variant: str) -> list[Entry]:
    """The entries of the layer that is made from mmdebstrap's tar: without ballast, completed where no scripts ran."""
    entries = {entry.info.name: entry for entry in _trimmed(archive, variant)}
    if variant != "minbase":
        for entry in _completed(entries):
            entries.setdefault(entry.info.name, entry)
    _parents(entries)
    return [entries[name] for name in sorted(entries, key=lambda name: name.encode(errors="surrogateescape"))]


def _trimmed(archive: tarfile.TarFile, variant: str) -> Iterator[Entry]:
    dropped = _DROPPED if variant == "minbase" else (*_DROPPED, *_DROPPED_WITHOUT_APT)
    kept: dict[str, tarfile.TarInfo] = {}
    for member in archive:
        name = member.name.removeprefix("./").strip("/")
        if name in ("", ".") or (
            any(fnmatchcase(name, pattern) for pattern in dropped)
            and not any(fnmatchcase(name, pattern) for pattern in _KEPT)
        ):
            continue
        member.name, member.linkname = name, member.linkname.removeprefix("./") if member.islnk() else member.linkname
        if variant != "minbase":
            member.uid = member.gid = 0  # the owner would be the user who unpacked it
        member.mtime, member.uname, member.gname, member.pax_headers = 0, "", "", {}
        kept[name] = member
    # Of several names for one file the first in order carries the content, whatever the order was before.
    groups: dict[str, list[str]] = {}
    for name, member in kept.items():
        if member.islnk():
            groups.setdefault(member.linkname, []).append(name)
    for target, names in groups.items():
        if target not in kept:
            continue
        first, *others = sorted((target, *names), key=lambda name: name.encode(errors="surrogateescape"))
        source = kept[target]
        if first != target:
            moved = kept[first]
            moved.type, moved.size, moved.offset_data, moved.linkname = source.type, source.size, source.offset_data, ""
        for other in others:
            link = kept[other]
            link.type, link.size, link.linkname = tarfile.LNKTYPE, 0, first
    for member in kept.values():
        yield Entry(member, partial(_content, archive, member) if member.isreg() else None)


def _completed(entries: dict[str, Entry]) -> Iterator[Entry]:
    """What the maintainer scripts would have made, as far as programs rely on it."""
    yield new_entry("tmp", tarfile.DIRTYPE, 0o1777)
    yield new_entry("etc/passwd", tarfile.REGTYPE, 0o644, data=_PASSWD)
    yield new_entry("etc/group", tarfile.REGTYPE, 0o644, data=_GROUP)
    yield new_entry("etc/nsswitch.conf", tarfile.REGTYPE, 0o644, data=NSSWITCH)
    home = new_entry("home/nonroot", tarfile.DIRTYPE, 0o700)
    home.info.uid = home.info.gid = 65532
    yield home
    # Older suites leave the merging of /usr to a maintainer script: make what they put into /usr/… reachable.
    for short in ("bin", "lib", "lib32", "lib64", "sbin"):
        if short not in entries and any(name.startswith(f"usr/{short}/") for name in entries):
            yield new_entry(short, tarfile.SYMTYPE, 0o777, link=f"usr/{short}")
    yield from _ca_bundle(entries)
    yield from _busybox_links(entries)


def _ca_bundle(entries: dict[str, Entry]) -> Iterator[Entry]:
    """/etc/ssl/certs/ca-certificates.crt, as update-ca-certificates makes it: all authorities, one after the other."""
    names = [name for name in entries if name.startswith("usr/share/ca-certificates/") and name.endswith(".crt")]
    bundle = b"".join(_read(entries[name]).rstrip(b"\n") + b"\n" for name in sorted(names))
    if bundle:
        yield new_entry("etc/ssl/certs/ca-certificates.crt", tarfile.REGTYPE, 0o644, data=bundle)


def _busybox_links(entries: dict[str, Entry]) -> Iterator[Entry]:
    """A link per command of busybox. Their names are read from the program, which need not be one for this CPU."""
    program = next((name for name in ("bin/busybox", "usr/bin/busybox") if name in entries), None)
    if program is None:
        return
    data = _read(entries[program])
    start = data.find(b"\0[\0[[\0")
    folder = program.rpartition("/")[0]
    for name in data[start + 1 : data.find(b"\0\0", start)].split(b"\0") if start >= 0 else (b"sh",):
        yield new_entry(f"{folder}/{name.decode('ascii', 'replace')}", tarfile.SYMTYPE, 0o777, link="busybox")


def _parents(entries: dict[str, Entry]) -> None:
    """Give every entry its parent folders."""
    for name in list(entries):
        parent = name.rpartition("/")[0]
        while parent and parent not in entries:
            entries[parent] = new_entry(parent, tarfile.DIRTYPE, 0o755)
            parent = parent.rpartition("/")[0]


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    assert file is not None
    return file


def _read(entry: Entry) -> bytes:
    assert entry.open is not None
    with entry.open() as file:
        return file.read()


def _reason(stderr: bytes) -> str:
    """The line of mmdebstrap's or apt's that says why."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines()]
    for start in ("Err:", "E: ", "W: "):
        for index, line in enumerate(lines):
            if not line.startswith(start) or re.search(
                r"failed to run|apt-get update .* failed|exited with|run-parts", line
            ):
                continue
            if start == "Err:":
                follows = lines[index + 1] if index + 1 < len(lines) else ""
                return follows or line
            return line[len(start) :]
    return next((line for line in reversed(lines) if line), "")
