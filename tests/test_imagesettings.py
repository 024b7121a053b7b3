"""The `[image]` table and `--set`: what they mean, and what is told of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import BadInput
from recipes.imagesettings import from_command_line
from recipes.model import FileEntry, HealthCheck, ImageSettings
from recipes.samples import load
from recipes.workspace import Workspace


def image(workspace: Workspace, settings: str) -> ImageSettings:
    folder = workspace.samples / "app"
    folder.mkdir(parents=True)
    (folder / "main.cpp").write_text("int main() {}")
    (folder / "conf").mkdir()
    (folder / "conf/b.conf").write_text("b")
    (folder / "conf/run.sh").write_text("#!/bin/sh")
    (folder / "conf/run.sh").chmod(0o700)
    (folder / "sample.toml").write_text(f"[image]\n{settings}")
    return load("app", workspace).image


def test_every_setting(workspace: Workspace) -> None:
    """Each key arrives as what it means."""
    found = image(
        workspace,
        """
        volumes = ["/data"]
        stop_signal = "SIGINT"
        needs = ["tmp", "users", "tmp"]
        zones = ["UTC"]
        ca = ["conf/b.conf"]
        healthcheck = { test = ["/app", "--health"], interval = 5, timeout = 1.5, start_period = 2, retries = 4 }
        """,
    )
    assert (found.volumes, found.stop_signal, found.needs, found.zones) == (
        ("/data",),
        "SIGINT",
        ("tmp", "users"),
        ("UTC",),
    )
    assert found.ca == (workspace.samples / "app/conf/b.conf",)
    assert found.healthcheck == HealthCheck(("/app", "--health"), "", 5, 1.5, 2, 4)


def test_files_come_with_mode_and_owner(workspace: Workspace) -> None:
    """A file, a text, a folder, and a folder of the sample with all that is in it; sorted by their path."""
    found = image(
        workspace,
        """
        [image.files]
        "/etc/app" = "conf"
        "/etc/motd" = { text = "hello" }
        "/srv/key" = { source = "conf/b.conf", mode = "0400", owner = "1:2" }
        "/data" = { mode = "1777" }
        """,
    )
    conf = workspace.samples / "app/conf"
    assert found.files == (
        FileEntry("/data", None, 0o1777),
        FileEntry("/etc/app", None, 0o755),
        FileEntry("/etc/app/b.conf", conf / "b.conf", 0o644),
        FileEntry("/etc/app/run.sh", conf / "run.sh", 0o755),
        FileEntry("/etc/motd", b"hello", 0o644),
        FileEntry("/srv/key", conf / "b.conf", 0o400, 1, 2),
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("usr = 'x'", "unknown key 'image.usr'"),
        ("volumes = ['data']", "'image.volumes' has 'data', which is not an absolute path"),
        ("volumes = ['/']", "'image.volumes' has '/'"),
        ("ports = ['http']", "'image.ports' has 'http', which is not a port"),
        ("stop_signal = 'TERM'", "'image.stop_signal' is 'TERM'"),
        ("needs = ['zones']", "'image.needs' has 'zones'"),
        ("needs = 'all'", 'has to be "auto", "none" or a list'),
        ("ca = ['nothing.pem']\nuser = 3", "'image.user' has to be a string"),
        ("healthcheck = {}", "one of them has to say how health is checked"),
        ("healthcheck = { http = 'https://127.0.0.1/' }", "'image.healthcheck.http' is 'https://127.0.0.1/'"),
        ("healthcheck = { test = ['/app'], retries = 0 }", "'image.healthcheck.retries' has to be"),
        ("healthcheck = { test = ['/app'], every = 1 }", "unknown key 'image.healthcheck.every'"),
        ("files = { 'etc/x' = 'conf' }", "'image.files.etc/x' has to be an absolute path"),
        ("files = { '/etc/../x' = 'conf' }", "has to be an absolute path"),
        ("files = { '/x' = '../other' }", "is not inside the sample's folder"),
        ("files = { '/x' = 'nothing' }", "there is no such file or folder"),
        ("files = { '/x' = { text = 'a', source = 'conf' } }", "exclude each other"),
        ("files = { '/x' = { mode = '0999' } }", "is '0999'"),
        ("files = { '/x' = { owner = 'root' } }", "is 'root'"),
        ("files = { '/x' = 3 }", "has to be a path, or a table"),
    ],
)
def test_a_wrong_setting_is_named(settings: str, message: str, workspace: Workspace) -> None:
    """The error names the file, the key, and what is wrong with it."""
    with pytest.raises(BadInput) as caught:
        image(workspace, settings)
    assert message in caught.value.message
    assert "sample.toml" in caught.value.message


def test_the_command_line_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text, lists with commas, names behind a dot, TOML where a value starts as such; on top of what was there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("x")
    start = ImageSettings(env=(("A", "1"), ("B", "2")), ports=("1",))
    words = ["user=0:0", "env.A=3=4", "ports=80,443/tcp", "cmd=[\"a, b\"]", "needs=none", "labels.org.x.y=z",
             "files./etc/x=a file", "files./etc/y={ text = 'y' }", "zones=UTC"]  # fmt: skip
    found = from_command_line(words, start)
    assert found.user == "0:0"
    assert found.env == (("A", "3=4"), ("B", "2"))
    assert (found.ports, found.cmd, found.needs, found.zones) == (("80", "443/tcp"), ("a, b",), (), ("UTC",))
    assert found.labels == (("org.x.y", "z"),)
    assert found.files == (FileEntry("/etc/x", tmp_path / "a file", 0o644), FileEntry("/etc/y", b"y", 0o644))


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("user", "write it as --set user=1000:1000"),
        ("usr=0", "did you mean 'user'?"),
        ("env=1", "write it as --set env.NAME=VALUE"),
        ("user.x=1", "write it as --set user=1000:1000"),
    ],
)
def test_a_wrong_word_is_one_clear_error(word: str, hint: str) -> None:
    """What is no setting is told with what would be one."""
    with pytest.raises(BadInput, match="not a setting of an image") as caught:
        from_command_line([word], ImageSettings())
    assert hint in caught.value.hint
