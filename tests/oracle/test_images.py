"""Our verdicts on whole images against a real Docker Engine: images of several builders, users, and odd layers.

A share of the settings is tried with each builder; FROMSCRATCH_ORACLE_ALL=1 tries all of them.
"""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recipes.model import Status
from recipes.pipeline import Project
from recipes.workflows.verify import verify_image
from tests.compilers import Compilers
from tests.need import need, need_tool
from tests.oracle.images import AMD64, BUILDERS, TAG, Machine, Members, Setting, file, folder, link, save, tar_of
from tests.oracle.roots import ALL
from tests.verdict import programs

APP = b"the program"
PASSWD = b"me:x:1000:1000::/:\nother:x:1001:2000::/:\n1002:x:77:77::/:\n\nshort:x:91\n vt:x:90:90:a\x0bb:/:\n"
GROUP = b"root:x:0:\nme:x:1000:\nteam:x:500:other,me\nspaced:x:501:a, me\nlast:x:502:other,me\nbad:x:x:me\n"
USERS = ("", "me", "1000", "1000:1000", "me:me", "5:500", "5", "other", "other:team", "1002", "short", "vt", "nobody",
         "me:nogroup", ":500", "me:", "00", "-1", "me:bad")  # fmt: skip
OWNED = {"of_me": (0o700, 1000, 0), "of_team": (0o750, 0, 500), "of_spaced": (0o750, 0, 501),
         "of_last": (0o750, 0, 502),
         "of_77": (0o750, 0, 77), "of_2000": (0o710, 0, 2000), "of_vt": (0o500, 90, 0), "not_me": (0o057, 1000, 1000),
         "not_team": (0o707, 0, 500), "of_root": (0o750, 0, 0), "suid": (0o4755, 5, 5)}  # fmt: skip

SETTINGS = (
    Setting(),
    Setting(("/closed/app",), user="1000"),
    Setting(("app",), env=("PATH=/nowhere:/opt",)),
    Setting(("./app",), workdir="/opt/"),
    Setting(("/script",), user="me"),
    Setting(("/no_interpreter",)),
    Setting(("/chain",)),
    Setting(("/link",), user="1000"),
    Setting(("/absolute",), ("more", "words")),
    Setting(("/dangling",)),
    Setting((), ("/app",)),
    Setting(("/bin/sh", "-c", "/app")),
    Setting(("/app",), workdir="/new/folder", user="1000"),
    Setting(("/app",), workdir="/closed", user="1000"),
    Setting(("/text",)),
    *(Setting((f"/{name}",), user=user) for name in OWNED for user in USERS),
)


@pytest.fixture
def machine(engine: str, tmp_path: Path) -> Iterator[Machine]:
    need(os.uname().machine == "x86_64", "an x86-64 machine")
    need_tool("docker")
    # Not under pytest's folder: podman wants a short path.
    with tempfile.TemporaryDirectory(prefix="images-") as place:
        yield Machine(engine, Path(place), Project.at(tmp_path / "project"))


@pytest.fixture
def app(compilers: Compilers) -> bytes:
    return compilers.c(programs.HELLO_C, "-static", "-s").read_bytes()


@pytest.fixture
def root(tmp_path: Path, app: bytes) -> Path:
    """A folder with the layers of an image: `root.tar`, `late.tar` with the accounts, and both in `whole.tar`."""
    root = tmp_path / "root"
    root.mkdir()
    early = [folder("opt"), file("opt/app", app), folder("closed", 0o700), file("closed/app", app), file("app", app)]
    early += [file(name, app, mode, uid, gid) for name, (mode, uid, gid) in OWNED.items()]
    early += [file("script", b"#! /app word\n"), file("no_interpreter", b"#!/app\r\n"), file("chain", b"#!/script\n")]
    early += [
        link("link", "../opt/app"),
        link("absolute", "/opt/app"),
        link("dangling", "opt/no"),
        file("text", b"text"),
    ]
    late = [folder("etc"), file("etc/passwd", PASSWD, 0o644), file("etc/group", GROUP, 0o644)]
    for name, members in {"root": early, "late": late, "whole": [*early, *late]}.items():
        (root / f"{name}.tar").write_bytes(tar_of(members))
    (root / "passwd").write_bytes(PASSWD)
    (root / "group").write_bytes(GROUP)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("builder", BUILDERS)
def test_images_of_builders(builder: str, machine: Machine, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The engine's own image and what the builder wrote, of each setting: the verdict and its words."""
    make, tools = BUILDERS[builder]
    for tool in tools:
        need_tool(tool)
    for setting in SETTINGS[:15] + SETTINGS[15::11] if ALL else SETTINGS[1:15:12] + SETTINGS[21::70]:
        machine.compare(str(setting), make(machine, root, setting))
    _end(machine, builder, capsys)


USR = (folder("usr"), folder("usr/bin"), file("usr/bin/app", APP), link("bin", "usr/bin"))
IN_BIN = {"Entrypoint": ["/bin/app"]}
LAYERS: dict[str, tuple[tuple[Members, ...], dict[str, Any]]] = {
    "no layer has a folder of its own": (((file("a/b/app", APP),),), {"Entrypoint": ["/a/b/app"], "User": "7"}),
    "a file beneath a lower link": ((USR, (file("bin/more", APP),)), IN_BIN),
    "where that link led": ((USR, (file("bin/more", APP),)), {"Entrypoint": ["/usr/bin/more"]}),
    "the file itself": ((USR, (file("bin/more", APP),)), {"Entrypoint": ["/bin/more"]}),
    "a folder on a lower link": ((USR, (folder("bin"),)), IN_BIN),
    "a whiteout beneath a lower link": ((USR, (file("bin/.wh.app"),)), {"Entrypoint": ["/usr/bin/app"]}),
    "a file beneath a link of its layer": (((*USR, file("bin/more", APP)),), {"Entrypoint": ["/usr/bin/more"]}),
    "a folder that becomes a link": ((USR, (folder("opt"), file("opt/app", APP), link("usr/bin", "../opt"))), IN_BIN),
    "a folder that becomes a file": ((USR, (file("usr", APP),)), IN_BIN),
    "a folder beneath a lower file": (((file("bin", APP),), (file("bin/app", APP),)), IN_BIN),
    "a whiteout": ((USR, (file("usr/bin/.wh.app"),)), IN_BIN),
    "a whiteout and the file again": ((USR, (file("usr/bin/.wh.app"), file("usr/bin/app", APP))), IN_BIN),
    "a whiteout of a folder": ((USR, (file("usr/.wh.bin"),)), IN_BIN),
    "an opaque folder": ((USR, (folder("usr/bin"), file("usr/bin/.wh..wh..opq"))), IN_BIN),
    "an opaque folder after its file": ((USR, (file("usr/bin/app", APP), file("usr/bin/.wh..wh..opq"))), IN_BIN),
    "a whiteout of nothing": ((USR, (file("no/.wh.thing"),)), IN_BIN),
    "a hard link": (((*USR, link("app", "usr/bin/app", tarfile.LNKTYPE)),), {"Entrypoint": ["/app"]}),
    "a hard link's mode": (((file("a", APP, 0o600), link("app", "a", tarfile.LNKTYPE)),), {"Entrypoint": ["/a"]}),
    "a hard link whose file is replaced": (
        ((file("a", APP), link("app", "a", tarfile.LNKTYPE)), (file("a", b"text"),)), {"Entrypoint": ["/app"]}),
    "a mode that changes": ((USR, (file("usr/bin/app", APP, 0o644),)), IN_BIN),
    "a folder's mode that changes": ((USR, (folder("usr/bin", 0o700),)), IN_BIN | {"User": "7"}),
    "a closed root": (((folder("./", 0o700), *USR),), IN_BIN | {"User": "7"}),
    "empty layers": (((), USR, ()), IN_BIN),
    "a layer twice": ((USR, (file("usr/bin/.wh.app"),), USR), IN_BIN),
    "long names": (((file(f"{'d' * 90}/{'e' * 90}/{'f' * 200}", APP),),),
                   {"Entrypoint": [f"/{'d' * 90}/{'e' * 90}/{'f' * 200}"]}),
    "accounts of a later layer": (
        ((file("bin/app", APP, 0o700, 7),), (file("etc/passwd", b"me:x:7:7::/:\n", 0o644),)), IN_BIN | {"User": "me"}),
    "accounts that are gone": (
        ((*USR, file("etc/passwd", b"me:x:7:7::/:\n")), (file("etc/.wh.passwd"),)), IN_BIN | {"User": "me"}),
    "a relative working folder": ((USR,), IN_BIN | {"WorkingDir": "usr"}),
    "programs in /sys": (((file("sys/app", APP),),), {"Entrypoint": ["/sys/app"]}),
    "an entry point that is one text": ((USR,), {"Entrypoint": "/bin/app"}),
    "a command that is one text": ((USR,), {"Cmd": "/bin/app"}),
    "an entry point of one empty word": ((USR,), {"Entrypoint": [""], "Cmd": ["/bin/app"]}),
    "nothing to start": ((USR,), {}),
}  # fmt: skip
TOPS: dict[str, dict[str, Any]] = {
    "no architecture": {"architecture": None},
    "uname's architecture": {"architecture": "x86_64"},
    "no system": {"os": None},
}


@pytest.mark.slow
def test_odd_layers(machine: Machine, app: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """Folders, links, whiteouts and hard links over layers, and settings that builders leave out or write otherwise."""
    nothing: dict[str, Any] = {}
    cases = [(what, layers, config, nothing) for what, (layers, config) in LAYERS.items()]
    cases += [(what, (USR,), IN_BIN, top) for what, top in TOPS.items()]
    for what, layers, config, top in cases if ALL else cases[1::6]:
        for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT) if ALL else (tarfile.PAX_FORMAT,):
            tars = [tar_of([_filled(member, app) for member in layer], form) for layer in layers]
            archive = save(machine.place / "odd.tar", tars, config, **top)
            machine.make("docker", "load", f"--input={archive}")
            machine.compare(what, f"docker-archive:{archive}")
    _end(machine, "odd layers", capsys)


@pytest.mark.parametrize(
    ("config", "top"),
    [
        *((LAYERS[f"{what}"][1], {}) for what in LAYERS if what.startswith(("an entry point", "a command"))),
        *((IN_BIN, top) for top in TOPS.values()),
    ],
    ids=str,
)
def test_settings_that_builders_write_otherwise(
    config: dict[str, Any], top: dict[str, Any], app: bytes, tmp_path: Path
) -> None:
    """Engines start these images, as `test_odd_layers` sees; so does the verdict."""
    archive = save(tmp_path / "image.tar", [tar_of([_filled(member, app) for member in USR])], config, **top)
    verification = verify_image(Project.at(tmp_path / "project"), f"docker-archive:{archive}", AMD64)
    assert verification.verdict.status is Status.RUNS


def _filled(member: tuple[tarfile.TarInfo, bytes], app: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """The member with the program in it, where it is meant to be one."""
    info, data = member
    return member if data != APP else file(info.name, app, info.mode, info.uid, info.gid)


def _end(machine: Machine, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    machine.call("docker", "rmi", "--force", TAG)
    with capsys.disabled():
        counts = f"{machine.count} pairs, {machine.undecided} undecided, {len(machine.wrong)} disagreements"
        sys.stderr.write(f"\n{what}: {counts}")
    assert not machine.wrong, "\n".join(machine.wrong)
