"""The `[image]` table and `--set`: what they mean, and what is told of a wrong one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from recipes.errors import BadInput
from recipes.model import FileEntry, HealthCheck, ImageSettings
from recipes.samples.image_settings import from_command_line
from recipes.samples.reader import load
from recipes.support.workspace import Workspace
from tests.cli import ROOT


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
        ("volumes = ['/proc']", "'image.volumes' has '/proc'"),
        ("volumes = ['//dev/./shm']", "'image.volumes' has '//dev/./shm'"),
        ("volumes = ['/data/../sys']", "'image.volumes' has '/data/../sys'"),
        ("volumes = ['/app']", "'image.volumes' has '/app', where the program is"),
        ("volumes = ['/app/data']", "'image.volumes' has '/app/data' below '/app', where the program is"),
        ("workdir = '/app'", "'image.workdir' has '/app', where the program is"),
        ("path = 'bin/it'", "'image.path' is 'bin/it'"),
        ("path = '/'", "'image.path' is '/'"),
        ("path = '/usr/../bin/it'", "'image.path' is '/usr/../bin/it'"),
        ("path = '/proc/it'", "'image.path' is '/proc/it'"),
        ("path = '/usr/.wh.it'", "'image.path' is '/usr/.wh.it'"),
        ("path = '/usr/it'\nfiles = { '/usr/it/x' = { text = 'x' } }", "below '/usr/it', where the program is"),
        ("workdir = '/proc/self/cwd'", "'image.workdir' is '/proc/self/cwd'"),
        ("volumes = ['/etc/motd']\nfiles = { '/etc/motd' = { text = 'x' } }", "'/etc/motd', which is a file"),
        ("ports = ['http']", "'image.ports' has 'http', which is not a port"),
        ("stop_signal = 'TERM'", "'image.stop_signal' is 'TERM'"),
        ("needs = ['zones']", "'image.needs' has 'zones'"),
        ("needs = 'all'", 'has to be "auto", "none" or a list'),
        ("ca = ['nothing.pem']\nuser = 3", "'image.user' has to be a string"),
        ("healthcheck = {}", "exactly one of them is required"),
        ("healthcheck = { http = 'https://127.0.0.1/' }", "'image.healthcheck.http' is 'https://127.0.0.1/'"),
        ("healthcheck = { test = ['/app'], retries = 0 }", "'image.healthcheck.retries' has to be"),
        ("healthcheck = { test = ['/app'], every = 1 }", "unknown key 'image.healthcheck.every'"),
        ("files = { 'etc/x' = 'conf' }", "'image.files.etc/x' has to be an absolute path"),
        ("files = { '/etc/../x' = 'conf' }", "has to be an absolute path"),
        ("files = { '/x' = '../other' }", "is not inside the sample's folder"),
        ("files = { '/x' = 'nothing' }", "nothing', which does not exist"),
        ("files = { '/x' = { text = 'a', source = 'conf' } }", "exclude each other"),
        ("files = { '/x' = { mode = '0999' } }", "is '0999'"),
        ("files = { '/x' = { owner = 'root' } }", "is 'root'"),
        ("files = { '/x' = 3 }", "has to be a path, or a table"),
        ("files = { '/a' = { text = 'x' }, '/a/b/c' = { text = 'y' } }", "has '/a/b/c' below '/a', which is a file"),
        ("files = { '/app' = { text = 'x' } }", "has '/app', where the program is"),
        ("files = { '//app' = { text = 'x' } }", "has to be an absolute path"),
        (
            "files = { '/data/.wh.x' = { text = 'x' } }",
            "has '/data/.wh.x', and names with .wh. would delete files of the base",
        ),
        ("files = { '/app/x' = { text = 'x' } }", "has '/app/x' below '/app', where the program is"),
        (
            "files = { '/probe' = { text = 'x' } }\nhealthcheck = { http = 'http://127.0.0.1:80' }",
            "has '/probe', where the probe is",
        ),
        ("user = '-1'", "'image.user' is '-1'"),
        ("user = '2147483648'", "'image.user' is '2147483648'"),
        ("user = '0:99999999999'", "'image.user' is '0:99999999999'"),
        (f"user = '{'9' * 5000}'", "'image.user' is '99"),
        ("user = 'a b c'", "'image.user' is 'a b c'"),
        ("user = ':5'", "'image.user' is ':5'"),
        ("user = 'a:b:c'", "'image.user' is 'a:b:c'"),
        ("env = { '' = '1' }", "'image.env' has '', which is not a valid variable name"),
        ("env = { 'A=B' = '1' }", "'image.env' has 'A=B', which is not a valid variable name"),
        ('env = { A = "\\u0000" }', "'image.env' has a string with a NUL"),
        ('cmd = ["\\u0000"]', "'image.cmd' has a string with a NUL"),
        ("ports = ['99999']", "'image.ports' has '99999', which is not a port"),
        ("ports = ['90-80']", "'image.ports' has '90-80', which is not a port"),
        ("ports = ['0']", "'image.ports' has '0', which is not a port"),
        ("stop_signal = 'SIGFOO'", "'image.stop_signal' is 'SIGFOO'"),
        ("stop_signal = '65'", "'image.stop_signal' is '65'"),
        ("healthcheck = { http = 'http://127.0.0.1:99999/' }", "'image.healthcheck.http' is"),
        ("healthcheck = { test = ['/app'], retries = inf }", "'image.healthcheck.retries' has to be"),
        ("healthcheck = { test = ['/app'], retries = nan }", "'image.healthcheck.retries' has to be"),
        ("healthcheck = { test = ['/app'], interval = nan }", "'image.healthcheck.interval' has to be"),
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
    """What is not a setting is an error that names what would be one."""
    with pytest.raises(BadInput, match="not a setting of an image") as caught:
        from_command_line([word], ImageSettings())
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "word",
    [
        *("user=", "user=0", "user=2147483647:2147483647", "user=app", "user=www-data:1", "user=_x.y$"),
        *("stop_signal=SIGRTMIN+3", "stop_signal=SIGRTMAX-1", "stop_signal=9", "ports=1-65535/udp"),
        *("files./application=LICENSE", 'files={ "/data" = {}, "/data/x" = { text = "x" } }'),
    ],
)
def test_what_engines_take_is_taken(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers to the last one, names as lists of users have them, every signal, a file in a folder of its own."""
    monkeypatch.chdir(ROOT)
    assert from_command_line([word], ImageSettings()) != ImageSettings()


def test_files_of_both_places_may_not_meet(tmp_path: Path) -> None:
    """What the command line adds must go with what sample.toml has."""
    start = ImageSettings(files=(FileEntry("/a", b"x", 0o644),), healthcheck=HealthCheck(("/probe", "x"), "x"))
    for word in ("files./a/b={ text = 'y' }", "files./probe={ text = 'y' }"):
        with pytest.raises(BadInput, match="has '/"):
            from_command_line([word], start)
    assert from_command_line(["files./a={ text = 'y' }"], start).files == (FileEntry("/a", b"y", 0o644),)


def test_a_program_can_be_put_elsewhere() -> None:
    """The place counts for what may stand there; /app is free then, and so is the name that the program had."""
    settings = from_command_line(["path=/usr/bin/it", "files./app={ text = 'x' }"], ImageSettings())
    assert settings.entrypoint == "/usr/bin/it"
    start = ImageSettings(path="/usr/lib/it", called="/usr/bin/it")
    assert start.entrypoint == from_command_line(["user=0"], start).entrypoint == "/usr/bin/it"
    assert from_command_line(["path=/it"], start).entrypoint == "/it"
    with pytest.raises(BadInput, match="has '/usr/bin/it', where the program is"):
        from_command_line(["files./usr/bin/it={ text = 'x' }"], start)


def test_tables_are_merged() -> None:
    """A whole table goes with single names and with other whole ones; what comes later counts."""
    words = ["env.A=1", "env.B=1", 'env={ B = "2", C = "2" }', 'env={ C = "3" }', "env.D=4"]
    assert from_command_line(words, ImageSettings()).env == (("A", "1"), ("B", "2"), ("C", "3"), ("D", "4"))


def test_a_value_that_is_nested_too_deeply() -> None:
    """One error, as for other values that are not TOML."""
    with pytest.raises(BadInput, match="not TOML"):
        from_command_line([f"cmd={'[' * 3000}"], ImageSettings())


def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    """It is named with the reason, whether it cannot be looked at or not be listed."""
    closed = Path(tempfile.mkdtemp())  # beside tmp_path, which others than its owner cannot even look into
    words = [f"files./x={place}" for place in (closed, tmp_path / "below")]
    uid = os.geteuid()
    if uid == 0:
        os.seteuid(65532)
    else:
        closed.chmod(0)
        tmp_path.chmod(0)
    try:
        for word in words:
            with pytest.raises(BadInput, match="cannot be read: Permission denied"):
                from_command_line([word], ImageSettings())
    finally:
        os.seteuid(uid)
        tmp_path.chmod(0o700)
        closed.rmdir()
