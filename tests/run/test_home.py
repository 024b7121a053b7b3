"""What a run at home promises: the system's files, and no others; nothing is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recipes.model import Limits, Platform, RunOutcome, RunStatus
from recipes.pipeline import Project, take_program
from recipes.run.home import home_path
from recipes.run.local import LocalEngine
from recipes.samples.reader import prebuilt
from recipes.support.workspace import Workspace
from tests.need import need
from tests.programs import compile_c


def at_home(workspace: Workspace, file: str, *args: str) -> RunOutcome:
    project = Project.at(workspace.root)
    program = take_program(project, prebuilt(file), Platform.host())
    outcome = LocalEngine(workspace, project.roots).run_at_home(program, args=args, limits=Limits(seconds=10))
    need("here" not in outcome.reason, f"namespaces ({outcome.reason})")
    return outcome


def test_a_program_of_the_system_is_where_it_is(workspace: Workspace) -> None:
    """It runs by its own path, with the libraries and data of this machine."""
    file = next((path for path in ("/usr/bin/env", "/bin/env") if os.path.exists(path)), "")
    need(file, "env")
    assert home_path(take_program(Project.at(workspace.root), prebuilt(file), Platform.host())) == file
    outcome = at_home(workspace, file, "--version")
    assert (outcome.status, outcome.exit_code) == (RunStatus.EXITED, 0)


def test_a_file_of_the_users_is_put_beside_it(workspace: Workspace) -> None:
    """A dynamic program from anywhere finds this machine's loader and libraries, under its name in images."""
    code = '#include <stdio.h>\nint main(int argc, char **argv) { printf("%s %d", argv[0], argc); return 5; }'
    program = compile_c(workspace, code, "-O1")
    outcome = at_home(workspace, str(program.path), "x")
    assert (outcome.stdout, outcome.exit_code) == ("/app 2", 5)


@pytest.mark.parametrize("folder", ["home", "root", "run", "var", "tmp"])
def test_what_is_peoples_own_is_not_there(workspace: Workspace, folder: str) -> None:
    """No file of anybody's can be read, and no socket in it be reached."""
    code = r"""
    #include <dirent.h>
    #include <stdio.h>
    int main(int argc, char **argv) {
        int count = 0;
        DIR *folder = opendir(argv[1]);
        while (folder && readdir(folder)) count++;
        printf("%d", count); }"""
    assert at_home(workspace, str(compile_c(workspace, code).path), f"/{folder}").stdout == "2"  # `.` and `..`


def test_nothing_is_written(workspace: Workspace, tmp_path: Path) -> None:
    """The system's folders are read-only, whoever the caller is, and so is all that is mounted in them."""
    code = r"""
    #include <errno.h>
    #include <fcntl.h>
    #include <stdio.h>
    int main(int argc, char **argv) {
        for (int i = 1; i < argc; i++) printf("%d ", open(argv[i], O_CREAT | O_WRONLY, 0600) == -1 ? errno : 0); }"""
    program = str(compile_c(workspace, code).path)
    places = [f"{folder}/written by a test of {tmp_path.parent.name}" for folder in ("/usr", "/etc", "", "/tmp")]
    assert at_home(workspace, program, *places).stdout == "30 30 30 0 "  # EROFS
    assert not any(map(os.path.lexists, places))
