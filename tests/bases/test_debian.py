"""Bases assembled from Debian packages hold what their summary says, run what they should, and are reproducible."""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from recipes.bases import debian
from recipes.bases.resolve import resolve
from recipes.bases.suites import complete, host_suite
from recipes.errors import BadInput, Unavailable
from recipes.model import Command, Platform
from recipes.oci.reference import parse
from recipes.oci.store import Store
from recipes.oci.tar import pieces
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.fixtures_debian import AMD64, Assembled
from tests.need import need, need_tool


def run_in(root: Path, *argv: str) -> str:
    """Run a program in a root, as an ordinary user could."""
    need_tool("unshare")
    prefix = (
        ["chroot", str(root)] if os.getuid() == 0 else ["unshare", "--user", "--map-root-user", "chroot", str(root)]
    )
    done = subprocess.run(
        [*prefix, *argv], check=False, capture_output=True, text=True, env={"PATH": "/bin:/usr/bin:/sbin:/usr/sbin"}
    )
    return done.stdout + done.stderr


# ── references ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_suite_is_written_out() -> None:
    """A reference without a suite means the machine's Debian, or the current stable one."""
    assert complete(parse("mmdebstrap:minbase")).target == f"minbase@{host_suite()}"
    assert str(complete(parse("mmdebstrap:files@bullseye:libc6,musl"))) == "mmdebstrap:files@bullseye:libc6,musl"


@pytest.mark.parametrize(
    "text",
    ["mmdebstrap:fils:a", "mmdebstrap:files", "mmdebstrap:files:a b", "mmdebstrap:files:--x", "mmdebstrap:files@$(x):a",
     "mmdebstrap:minbase@../x", "mmdebstrap:files:a;b", "mmdebstrap:files:a\n"],
)  # fmt: skip
def test_nothing_strange_reaches_a_command(text: str) -> None:
    """Variants, suites and packages that are none are BadInput before any command is made of them."""
    with pytest.raises(BadInput):
        complete(parse(text))


# ── why it is unavailable ────────────────────────────────────────────────────────────────────────────────────────────


def test_without_mmdebstrap(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without mmdebstrap gets Unavailable with the command that installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="mmdebstrap not found") as caught:
        resolve("deb-static", AMD64, workspace, Store.of(workspace))
    assert "apt-get install mmdebstrap" in caught.value.hint


def test_an_unknown_platform(workspace: Workspace) -> None:
    """A CPU that Debian is not made for is Unavailable and lists those it is made for."""
    with pytest.raises(Unavailable, match="linux/wasm") as caught:
        resolve("deb-static", Platform("linux", "wasm"), workspace, Store.of(workspace))
    assert "arm64" in caught.value.hint


def test_mmdebstraps_own_reason(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a way to the mirror the reason is apt's line; it is remembered, and asked again when named."""
    need_tool("mmdebstrap")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    store = Store.of(workspace)
    with pytest.raises(Unavailable, match=r"cannot be assembled: .*127\.0\.0\.1") as first:
        resolve("deb-busybox", AMD64, workspace, store)
    assert "network" in first.value.hint
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1") as second:
        resolve("deb-static", AMD64, workspace, store)
    assert "minutes ago" in second.value.hint


def test_a_package_that_is_not_there(assembled: Assembled) -> None:
    """An unknown package is Unavailable, and the reason names it."""
    assembled.base("deb-busybox")
    with pytest.raises(Unavailable, match="no-such-package"):
        assembled.base("mmdebstrap:files:no-such-package")


# ── what is in them ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_static_holds_data_alone(assembled: Assembled) -> None:
    """deb-static has the CA bundle, zones, services, users and /tmp, and neither a libc nor a program of Debian's."""
    members = assembled.members("deb-static")
    for name in ("etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/services", "usr/share/zoneinfo/Europe/Berlin"):
        assert name in members
    assert members["tmp"].mode == 0o1777
    assert not [name for name in members if re.search(r"/(libc\.so|ld-linux|ld-musl)|bin/(bash|openssl|apt)$", name)]
    bundle = assembled.content("deb-static", "etc/ssl/certs/ca-certificates.crt")
    names = [name for name in members if name.startswith("usr/share/ca-certificates/") and name.endswith(".crt")]
    assert bundle.count(b"-----BEGIN CERTIFICATE-----") == len(names) > 100
    assert not [member for member in members.values() if member.isdev()]
    assert "etc/resolv.conf" not in members


@pytest.mark.slow
def test_cc_runs_a_dynamic_program(assembled: Assembled, tmp_path: Path) -> None:
    """deb-cc has the loader at the path that programs name, and libstdc++: a C++ program of this machine runs in it."""
    need(Platform.host() == AMD64, "an amd64 machine")
    compiler = need_tool("g++")
    root = assembled.unpack("deb-cc", tmp_path / "root")
    source = tmp_path / "hello.cpp"
    source.write_text('#include <iostream>\nint main() { std::cout << "hello\\n"; }\n')
    subprocess.run([compiler, str(source), "-o", str(root / "hello")], check=True)
    assert run_in(root, "/hello") == "hello\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deb-busybox", "deb-musl"])
def test_busybox_has_its_commands(assembled: Assembled, tmp_path: Path, name: str) -> None:
    """/bin/sh is busybox and finds the other commands; users are known by name."""
    need(Platform.host() == AMD64, "an amd64 machine")
    root = assembled.unpack(name, tmp_path / "root")
    assert run_in(root, "/bin/sh", "-c", "ls -d /tmp | tr a-z A-Z; readlink /bin/sh; id -nu") == "/TMP\nbusybox\nroot\n"


@pytest.mark.slow
def test_musl_has_the_other_loader(assembled: Assembled, tmp_path: Path) -> None:
    """deb-musl has musl's loader and no glibc."""
    need(Platform.host() == AMD64, "an amd64 machine")
    root = assembled.unpack("deb-musl", tmp_path / "root")
    assert "musl libc" in run_in(root, "/lib/ld-musl-x86_64.so.1", "--version")
    assert not [name for name in assembled.members("deb-musl") if "ld-linux" in name]


@pytest.mark.slow
def test_python_runs(assembled: Assembled, tmp_path: Path) -> None:
    """deb-python runs a program that uses the standard library and a compiled module."""
    need(Platform.host() == AMD64, "an amd64 machine")
    root = assembled.unpack("deb-python", tmp_path / "root")
    assert run_in(root, "/usr/bin/python3", "-c", "import json, ssl, ctypes; print(json.dumps(1))") == "1\n"


@pytest.mark.slow
def test_slim_is_a_whole_debian(assembled: Assembled) -> None:
    """deb-slim is set up: dpkg lists its packages, and neither package lists nor logs are in it."""
    need(Platform.host() == AMD64, "an amd64 machine")
    root = assembled.root("deb-slim")
    assert "ii  apt " in run_in(root, "/bin/sh", "-c", "dpkg -l apt")
    members = assembled.members("deb-slim")
    assert not [name for name in members if re.match(r"var/lib/apt/.|var/log/.|var/cache/.", name)]


@pytest.mark.slow
def test_another_cpu_needs_no_emulation(assembled: Assembled) -> None:
    """What is only unpacked can be assembled for arm64 anywhere: its loader and its busybox are arm64 programs."""
    arm64 = Platform("linux", "arm64")
    loaders = [name for name in assembled.members("deb-cc", arm64) if name.endswith("ld-linux-aarch64.so.1")]
    assert "lib/ld-linux-aarch64.so.1" in loaders
    members = assembled.members("deb-busybox", arm64)
    assert members["bin/sh"].issym()
    assert assembled.content("deb-busybox", "bin/busybox", arm64)[18] == 183  # EM_AARCH64


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["bullseye", "trixie"])
def test_other_suites(assembled: Assembled, suite: str) -> None:
    """An older and a newer Debian are assembled too, and the loader's path leads to the loader in each."""
    members = assembled.members(f"mmdebstrap:files@{suite}:base-files,libc6,busybox-static")
    assert "lib64/ld-linux-x86-64.so.2" in members or (
        members["lib64"].linkname == "usr/lib64" and "usr/lib64/ld-linux-x86-64.so.2" in members
    )
    assert {"bin/sh", "usr/bin/sh"} & set(members)


def test_what_is_mounted_meanwhile_ends_with_the_command(tmp_path: Path) -> None:
    """mmdebstrap that is killed cannot unmount the machine's /dev/shm from the root that it makes."""
    need(os.geteuid() == 0, "root, to mount something")
    shell.check(Command((*debian.own_mounts(), "mount", "-t", "tmpfs", "none", str(tmp_path))))
    assert not os.path.ismount(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deb-busybox", "deb-slim"])
def test_the_digest_depends_on_the_packages_alone(assembled: Assembled, tmp_path: Path, name: str) -> None:
    """Assembled again, elsewhere, under another umask, zone and locale, it has the same digest."""
    first = assembled.base(name)
    other = Assembled(tmp_path)
    old = os.umask(0o077)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", "Asia/Tokyo")
            patch.setenv("LC_ALL", "C")
            assert other.base(name).digest == first.digest
    finally:
        os.umask(old)


def test_hard_links_keep_their_content() -> None:
    """However a tar orders the names of one file, the first in order carries the content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("./b")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"data"))
        for name in ("./c", "./a"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.LNKTYPE, "./b"
            archive.addfile(link)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        made = b"".join(pieces(debian.tree(archive, "minbase")))
    with tarfile.open(fileobj=io.BytesIO(made)) as archive:
        members = {member.name: (member.isreg(), member.size, member.linkname) for member in archive}
    assert members == {"a": (True, 4, ""), "b": (False, 0, "a"), "c": (False, 0, "a")}
