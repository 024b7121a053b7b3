"""System packages: silent where all is there, one line where not, never an error."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from recipes.model import Command
from recipes.support import shell, system
from tests.need import need, need_tool

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(system, "_ADMIN_FOLDERS", ())
    return folder


def program(folder: Path, name: str, script: str = "") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def apt(folder: Path, install: str) -> None:
    """An apt that knows every package, keeps a log, and runs `install` when it is asked to install something."""
    need(system._is_debian(), "a Debian machine")
    need(os.geteuid() == 0, "root")
    program(folder, "apt-cache")
    log = f"echo \"$@\" >> '{folder}/log'"
    program(folder, "apt-get", f'{log}\n[ "$1" = install ] || exit 0\n{install}')


def test_silent_where_all_is_there(programs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """When every program is on PATH nothing is run, said or missing."""
    for each in system.PURPOSES["bench"]:
        program(programs, each.program)
    assert system.ensure("bench") == ()
    assert capfd.readouterr() == ("", "")


def test_one_line_names_the_command(programs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Where nothing can be installed (here: no apt-get), the missing program, its use and the command are one line."""
    assert system.ensure("bases") == ("mmdebstrap",)
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "mmdebstrap for the deb-* bases" in err


def test_installs_what_is_missing(programs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As root on Debian the missing packages, and only those, are installed without questions or recommendations."""
    apt(programs, f"printf '#!/bin/sh\\n' > '{programs}/mmdebstrap'; /bin/chmod 755 '{programs}/mmdebstrap'")
    for each in system.PURPOSES["tests"]:
        if each.program != "mmdebstrap":
            program(programs, each.program)
    assert system.ensure("tests") == ()
    calls = (programs / "log").read_text().splitlines()
    assert len(calls) == 1
    assert calls[0].startswith("install -y ")
    assert "--no-install-recommends" in calls[0]
    assert calls[0].endswith(" mmdebstrap")
    assert capfd.readouterr().err == "installing mmdebstrap (mmdebstrap for the deb-* bases)\n"


def test_an_outdated_package_list_is_renewed_once(programs: Path) -> None:
    """apt's exit code 100 leads to one update and one more try."""
    apt(programs, f"[ -e '{programs}/tried' ] && exit 0; : > '{programs}/tried'; exit 100")
    system.ensure("bases")
    verbs = [line.split()[0] for line in (programs / "log").read_text().splitlines()]
    assert verbs == ["install", "update", "install"]


def test_a_failed_installation_is_told_and_no_error(programs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """apt's own reason is shown with the command to try again; whatever does not need the package goes on."""
    apt(programs, "echo 'E: no space left' >&2; exit 1")
    assert system.ensure("bases") == ("mmdebstrap",)
    err = capfd.readouterr().err
    assert "E: no space left" in err
    assert "apt-get install --no-install-recommends mmdebstrap" in err


def test_no_service_is_started_while_installing(tmp_path: Path) -> None:
    """Debian's policy-rc.d says 101 (forbidden) during the installation and is gone afterwards."""
    policy = tmp_path / "policy-rc.d"
    with system._no_services_started(policy):
        assert shell.run(Command((str(policy), "docker", "start"))).exit_code == 101
    assert not policy.exists()


def test_a_policy_that_is_left_behind_forbids_nothing(tmp_path: Path) -> None:
    """After kill -9 the file may stay, but once its writer has gone it allows everything."""
    policy = tmp_path / "policy-rc.d"
    code = (
        "import os, pathlib, sys; from recipes.support import system\n"
        "with system._no_services_started(pathlib.Path(sys.argv[1])): os._exit(0)"
    )
    shell.check(Command((sys.executable, "-c", code, str(policy)), cwd=ROOT))
    assert shell.run(Command((str(policy), "docker", "start"))).exit_code == 0


def test_a_policy_of_the_machine_stays(tmp_path: Path) -> None:
    """A policy-rc.d that is there already is neither changed nor removed."""
    policy = tmp_path / "policy-rc.d"
    policy.write_text("the machine's own")
    with system._no_services_started(policy):
        pass
    assert policy.read_text() == "the machine's own"


def test_needs_nothing_but_python() -> None:
    """It runs before the project's environment exists: without any site-packages."""
    done = shell.run(Command((sys.executable, "-S", "-E", "-m", "recipes.support.system", "ensure", "venv"), cwd=ROOT))
    assert (done.exit_code, done.stdout, done.stderr) == (0, b"", b"")


def test_an_unknown_purpose_is_a_usage_error() -> None:
    """A typing mistake in a purpose is no silent success."""
    done = shell.run(Command((sys.executable, "-m", "recipes.support.system", "ensure", "testing"), cwd=ROOT))
    assert done.exit_code == 1
    assert done.stderr.startswith(b"usage: ")


def test_doctor_tells_versions() -> None:
    """A program that is there has its own version and path."""
    path = need_tool("skopeo")
    row = next(row for row in system.doctor() if row.what == "skopeo")
    own = shell.check(Command((path, "--version"))).stdout.decode()
    assert row.version
    assert row.version in own
    assert str(row.path) == path


def test_doctor_tells_what_is_lost(programs: Path) -> None:
    """On a machine with none of it, every row says what that costs."""
    rows = system.doctor()
    assert [row.version for row in rows] == [None] * len(rows)
    assert all(row.lost for row in rows)
