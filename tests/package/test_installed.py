"""Tests of recipes/package/installed.py: what a project installs beside its program, and where that stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recipes import pipeline
from recipes.bases.resolve import resolve
from recipes.compile.recipe import RECIPES
from recipes.model import FileEntry, Installed, Platform, RunStatus, SizeRow
from recipes.package.installed import beside, data_of
from recipes.pipeline import Project
from recipes.run.local import LocalEngine
from recipes.samples.image_settings import from_command_line
from recipes.samples.reader import load
from recipes.support.workspace import Workspace
from tests.compile.programs import write
from tests.need import need, need_tool

READER = """
#include <stdio.h>
int main(int n, char **v) {
    char line[64] = "";
    FILE *file = fopen("/usr/local/share/it/words", "r");
    if (file == NULL) { perror("words"); return 1; }
    printf("%s: %s", v[0], fgets(line, sizeof line, file));
    return 0;
}
"""
MAKEFILE = """\
it: main.c
\t$(CC) -o $@ main.c
install: it
\tinstall -D it $(DESTDIR)/usr/local/bin/it
\tinstall -D -m 600 words $(DESTDIR)/usr/local/share/it/words
\tinstall -D -m 600 more $(DESTDIR)/usr/local/lib/it/more
\tinstall -D -m 644 it.1 $(DESTDIR)/usr/local/share/man/man1/it.1
\tln -s words $(DESTDIR)/usr/local/share/it/link
"""


def tried(project: Project, *changes: str) -> SizeRow:
    sample = load("app", project.workspace)
    sample = replace(sample, image=from_command_line(changes, sample.image))
    scratch = resolve("scratch", Platform.host(), project.workspace, project.store)
    engine = LocalEngine(project.workspace, project.roots)
    return pipeline.build_static(project, sample, RECIPES["gcc-static"], scratch, engine)


@pytest.mark.slow
def test_a_project_that_installs_data(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """The program stands where it is installed, with the data that it names; all comes along when asked for."""
    for tool in ("make", "gcc"):
        need_tool(tool)
    write(workspace, {"main.c": READER, "Makefile": MAKEFILE, "words": "one two\n", "more": "more", "it.1": "a page"})
    project = Project.at(workspace.root)
    usual = tried(project)
    assert usual.image.entrypoint == ("/usr/local/bin/it",)
    said = capsys.readouterr().err
    assert "added /usr/local/share/it/words (8 bytes): the program has the path inside" in said
    assert "installs 1 more files (4 bytes) that the program may read, such as in /usr/local/lib/it" in said
    assert usual.run is not None
    need(usual.run.status is not RunStatus.NOT_RUN, "namespaces")
    assert usual.run.stdout == "/usr/local/bin/it: one two\n"
    alone = tried(project, "needs=none")
    assert alone.run is not None
    assert "words: No such file or directory" in alone.run.stderr
    whole = tried(project, "install=true")
    assert whole.run is not None
    assert whole.run.stdout == "/usr/local/bin/it: one two\n"
    assert "may read" not in capsys.readouterr().err
    moved = tried(project, "path=/app", "install=true")
    assert moved.image.entrypoint == ("/app",)
    inside = project.roots.of(whole.image.layers)
    assert inside.mode("/usr/local/share/it/words") == 0o644
    link = inside.lookup("/usr/local/share/it/link")
    assert link is not None
    assert link.target == "words"


def test_what_a_program_may_read(tmp_path: Path) -> None:
    """All files are beside it; data are those that are not for people, for who builds with it, or programs."""
    for name, mode in (
        ("usr/bin/it", 0o755),
        ("usr/bin/other", 0o755),
        ("usr/lib/libit.a", 0o644),
        ("usr/include/it.h", 0o644),
        ("usr/share/it/data", 0o600),
        ("usr/share/doc/it/README", 0o644),
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
        file.chmod(mode)
    installed = Installed("/usr/bin/it", tmp_path)
    found = {entry.path: entry.mode for entry in beside(installed) if entry.source is not None}
    assert found == {
        "/usr/bin/other": 0o755,
        "/usr/include/it.h": 0o644,
        "/usr/lib/libit.a": 0o644,
        "/usr/share/doc/it/README": 0o644,
        "/usr/share/it/data": 0o644,
    }
    assert data_of(installed) == (FileEntry("/usr/share/it/data", tmp_path / "usr/share/it/data", 0o644),)
