"""System packages: what this machine has, what is lost without the rest, and how to get it.

`ensure` installs what is missing where that is welcome (Debian family, root); elsewhere it says which command would.
It runs before the project's own environment exists, so it needs nothing but Python itself.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recipes.model import Command
from recipes.support import shell
from recipes.support.console import note

_ADMIN_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # not on every user's PATH


@dataclass(frozen=True, slots=True)
class Need:
    """A program, the Debian packages that may bring it (the first that exists is taken), and what it is for."""

    program: str
    packages: tuple[str, ...]
    use: str

    @property
    def path(self) -> Path | None:
        found = shell.which(self.program, *_ADMIN_FOLDERS)
        return Path(found) if found else None

    @property
    def present(self) -> bool:
        if self.program == "venv":
            return importlib.util.find_spec("ensurepip") is not None
        return self.path is not None


@dataclass(frozen=True, slots=True)
class Found:
    """A row of `invoke doctor`. `version` None: it is missing, and `lost` says what does not work without it."""

    what: str
    version: str | None
    path: Path | None
    lost: str


_MMDEBSTRAP = Need("mmdebstrap", ("mmdebstrap",), "the deb-* bases")
_DOCKER = Need("dockerd", ("docker.io",), "a Docker Engine to load images into and run them with")
_DOCKER_CLIENT = Need("docker", ("docker-cli", "docker.io"), "docker build, to compare with")
_SKOPEO = Need("skopeo", ("skopeo",), "a second opinion on the image layout")
_PODMAN = Need("podman", ("podman",), "running in podman (--engine podman)")
_QEMU = Need("qemu-aarch64-static", ("qemu-user-static",), "running programs of other CPUs")
_OTHER = "x86-64" if platform.machine() == "aarch64" else "aarch64"
_CROSS = Need(
    f"{_OTHER.replace('-', '_')}-linux-gnu-g++", (f"g++-{_OTHER}-linux-gnu",), "the gcc-* recipes for another CPU"
)
_PROJECTS = (
    Need("g++", ("g++",), "the gcc-* recipes"),
    Need("make", ("make",), "projects with a Makefile"),
    Need("autoreconf", ("autoconf",), "projects whose configure script has to be made"),
    Need("automake", ("automake",), "projects that use automake"),
    Need("libtoolize", ("libtool",), "projects that use libtool"),
    Need("pkg-config", ("pkg-config", "pkgconf"), "projects and samples that name libraries"),
)
_TESTS = (
    _MMDEBSTRAP,
    _DOCKER,
    _DOCKER_CLIENT,
    Need("docker-registry", ("docker-registry",), "a registry for the tests"),
    _SKOPEO,
    _PODMAN,
    _QEMU,
    _CROSS,
    Need("zsh", ("zsh",), "completion in zsh"),
    Need("fish", ("fish",), "completion in fish"),
    Need("strace", ("strace",), "looking at what a program misses"),
    Need("clang++", ("clang",), "the clang-* recipes"),
    Need("chromium", ("chromium", "chromium-browser"), "opening the pages that are made"),
    *_PROJECTS,
)

PURPOSES: dict[str, tuple[Need, ...]] = {
    "venv": (Need("venv", (f"python3.{sys.version_info.minor}-venv", "python3-venv"), "this project's environment"),),
    "bases": (_MMDEBSTRAP,),
    "tests": _TESTS,
    "gallery": (
        _MMDEBSTRAP,
        Need("dpkg-source", ("dpkg-dev",), "Debian's source packages"),
        Need("autopoint", ("autopoint",), "projects whose translations are prepared anew"),
        Need("bison", ("bison",), "projects that generate a parser"),
        Need("flex", ("flex",), "projects that generate a scanner"),
        *_PROJECTS,
    ),
    "bench": (*_TESTS, Need("buildah", ("buildah",), "a peer to compare with")),
}


def ensure(purpose: str) -> tuple[str, ...]:
    """Have what `purpose` (a key of PURPOSES) needs; returns the programs that are still missing.

    Installs them on a Debian machine as root; elsewhere one line names the command. Never an error: whatever does not
    need them goes on working.
    """
    missing = [need for need in PURPOSES[purpose] if not need.present]
    if not missing:
        return ()
    uses = "; ".join(f"{need.program} for {need.use}" for need in missing)
    if not (_is_debian() and os.geteuid() == 0 and shell.which("apt-get")):
        note(f"missing: {uses}; to install: {_advice(missing)}")
    else:
        _install(missing, uses)
    return tuple(need.program for need in missing if not need.present)


def doctor() -> tuple[Found, ...]:
    """What there is beside the compilers, and what is lost without each."""
    return (
        _docker_engine(),
        _program(_MMDEBSTRAP, "--version"),
        _program(_PODMAN, "--version"),
        _program(_SKOPEO, "--version"),
        _program(_QEMU, "--version"),
        _namespaces(),
    )


# ── installing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _install(missing: list[Need], uses: str) -> None:
    packages = _packages(missing)
    if packages is None:
        _apt("update")
        packages = _packages(missing) or [need.packages[0] for need in missing]
    note(f"installing {' '.join(packages)} ({uses})")
    before = _units()
    with _no_services_started():
        done = _apt("install", *packages)
        if done.exit_code == 100:  # mostly: the package lists are too old to be of use
            _apt("update")
            done = _apt("install", *packages)
    if new := sorted(_units() - before):
        _keep_disabled(new)
    if done.exit_code != 0:
        lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        why = next((line for line in lines if line.startswith("E:")), lines[-1] if lines else done.stopped)
        note(f"could not be installed: {why}; to try again: {_advice(missing)}")


def _packages(missing: list[Need]) -> list[str] | None:
    """The packages to install, in order, each once; None where the package lists do not know one of them."""
    chosen: dict[str, None] = {}
    for need in missing:
        known = (
            name
            for name in need.packages
            if shell.run(Command(("apt-cache", "show", "--no-all-versions", name))).exit_code == 0
        )
        name = next(known, None)
        if name is None:
            return None
        chosen[name] = None
    return list(chosen)


def _apt(verb: str, *packages: str) -> shell.Completed:
    argv = ("apt-get", verb, "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", *packages)
    # Packages ask questions where they may; without a terminal to answer on, that would fail half-way.
    return shell.run(Command(argv, env=(("DEBIAN_FRONTEND", "noninteractive"), ("LC_ALL", "C"))), timeout=1800)


@contextlib.contextmanager
def _no_services_started(policy: Path = Path("/usr/sbin/policy-rc.d")) -> Iterator[None]:
    """Debian starts a service when its package is installed; what is installed here is for private use.

    Source: Debian policy 9.3.3.2, invoke-rc.d's policy-rc.d. The answer is bound to this process's life, so that the
    file is harmless if it should ever be left behind.
    """
    try:
        file = open(policy, "x", encoding="ascii")  # noqa: SIM115  # closed below; only opening it may fail here
    except OSError:
        yield  # there is a policy already, and it is not ours to change
        return
    try:
        with file:
            file.write("#!/bin/sh\n# Written by fromscratch while it installs packages.\n")
            file.write(f"kill -0 {os.getpid()} || exit 0\nexit 101\n")
            os.fchmod(file.fileno(), 0o755)
        yield
    finally:
        policy.unlink(missing_ok=True)


def _units() -> set[str]:
    folders = (Path("/lib/systemd/system"), Path("/usr/lib/systemd/system"))
    return {path.name for folder in folders for kind in ("service", "socket") for path in folder.glob(f"*.{kind}")}


def _keep_disabled(units: list[str]) -> None:
    """A new service would start with the next boot, which was not asked for."""
    helper = "deb-systemd-helper"  # there also where systemd is not (yet), unlike systemctl
    if shell.which(helper):
        # It only works for package scripts, which is whose work this takes back.
        shell.run(Command((helper, "disable", *units), env=(("DPKG_MAINTSCRIPT_PACKAGE", "fromscratch"),)), timeout=60)


def _advice(missing: list[Need]) -> str:
    names = " ".join(dict.fromkeys(need.packages[-1] for need in missing))
    if not _is_debian():
        return f"the packages that Debian calls {names}"
    return f"{'' if os.geteuid() == 0 else 'sudo '}apt-get install --no-install-recommends {names}"


def _is_debian() -> bool:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    return "debian" in (release["ID"], *release.get("ID_LIKE", "").split())


# ── looking around ───────────────────────────────────────────────────────────────────────────────────────────────────


def _program(need: Need, *version: str) -> Found:
    path = need.path
    if path is None:
        return Found(need.program, None, None, need.use)
    done = shell.run(Command((str(path), *version)), timeout=20)
    words = (done.stdout or done.stderr).decode(errors="replace").split()
    number = next((word.strip("(),") for word in words if word[:1].isdigit()), "yes")
    return Found(need.program, number, path, need.use)


def _docker_engine() -> Found:
    lost = "running in Docker itself; the local engine is used instead"
    client = _DOCKER_CLIENT.path
    if client is None:
        return Found("docker engine", None, None, lost)
    done = shell.run(Command((str(client), "version", "--format", "{{.Server.Version}}")), timeout=20)
    answered = done.exit_code == 0 and not done.stopped
    return Found(
        "docker engine", done.stdout.decode().strip() if answered else None, client if answered else None, lost
    )


def _namespaces() -> Found:
    lost = "running images without Docker (--engine local)"
    unshare = shell.which("unshare")
    if unshare is None:
        return Found("namespaces", None, None, lost)
    wanted = ("--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork")
    allowed = shell.run(Command((unshare, *wanted, "true")), timeout=20).exit_code == 0
    return Found("namespaces", "allowed" if allowed else None, None, lost)


if __name__ == "__main__":
    if sys.argv[1:2] != ["ensure"] or sys.argv[2:] not in [[name] for name in PURPOSES]:
        sys.exit(f"usage: python -m recipes.support.system ensure {'|'.join(PURPOSES)}")
    ensure(sys.argv[2])
