from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from pathlib import Path

import pytest

from recipes.errors import RecipeError
from recipes.model import Command
from recipes.support import shell
from recipes.support.workspace import Workspace, locked, output, remove_tree, replacing, write_atomically
from tests.need import need


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """When the block raises, the old content stays and nothing else is left beside it."""
    target = tmp_path / "file"
    write_atomically(target, b"old")
    with pytest.raises(ZeroDivisionError), replacing(target) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    """A file gets the mode that was asked for."""
    old = os.umask(0o077)
    try:
        write_atomically(tmp_path / "file", b"", mode=0o755)
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o755


def test_a_name_of_full_length_can_be_written(tmp_path: Path) -> None:
    """The temporary name fits also where the final one is as long as a name may be."""
    write_atomically(tmp_path / ("n" * 255), b"x")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"x"


def test_an_unwritable_place_is_one_clear_error(tmp_path: Path) -> None:
    """Writing below a file is an error that names the place, not a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError, match="cannot write"):
        write_atomically(tmp_path / "file" / "below", b"")


def test_a_lock_has_one_holder_at_a_time(tmp_path: Path) -> None:
    """Threads that hold the lock never overlap."""
    inside: list[int] = []
    overlaps: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            with locked(tmp_path / "lock"):
                inside.append(number)
                overlaps.extend(inside[1:])
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overlaps == []


def test_what_a_killed_process_left_is_swept(workspace: Workspace) -> None:
    """A temporary folder of a process that died by kill -9 is gone once another one is made; a living one's stays."""
    code = (
        "import os, signal, sys; from pathlib import Path; from recipes.support.workspace import Workspace\n"
        "with Workspace(Path(sys.argv[1])).temporary('x') as folder:\n"
        "    (folder / 'data').write_text('left behind'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    project = Path(__file__).parents[2]
    done = shell.run(Command((sys.executable, "-c", code, str(workspace.root)), cwd=project))
    assert done.exit_code == 128 + signal.SIGKILL
    tmp = workspace.build / "tmp"
    assert [entry for entry in tmp.iterdir() if entry.is_dir()], "the killed process should have left its folder"
    with workspace.temporary("a") as first, workspace.temporary("b") as second:
        assert sorted(entry for entry in tmp.iterdir() if entry.is_dir()) == sorted([first, second])
    assert list(tmp.iterdir()) == []


def test_what_was_left_half_written_is_swept(tmp_path: Path) -> None:
    """What a writer that died by kill -9 has written is gone at once, and its empty file after a while.

    One whose writer lives stays, and so does all else.
    """
    start = "import os, signal; from pathlib import Path; from recipes.support.workspace import replacing"
    dying, half, writing = (
        Command(
            (
                sys.executable,
                "-c",
                f"{start}\nwith replacing(Path({str(tmp_path / name)!r})) as file:\n {work}",
            ),
            cwd=Path(__file__).parents[2],
        )
        for name, work in [
            ("dead", "os.kill(os.getpid(), signal.SIGKILL)"),
            ("dead", "file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"),
            ("new", "file.write(b'whole')"),
        ]
    )
    assert shell.run(dying).exit_code == 128 + signal.SIGKILL
    (young,) = tmp_path.iterdir()
    assert shell.run(dying).exit_code == 128 + signal.SIGKILL
    (old,) = set(tmp_path.iterdir()) - {young}
    assert shell.run(half).exit_code == 128 + signal.SIGKILL
    (written,) = set(tmp_path.iterdir()) - {young, old}
    assert written.stat().st_size
    (other := tmp_path / ".mine.part").write_text("not ours")
    with replacing(tmp_path / "alive") as file:
        file.write(b"whole")
        file.flush()
        assert not written.exists()
        (alive,) = set(tmp_path.iterdir()) - {young, old, other}
        for path in (old, other, alive):
            os.utime(path, (0, 0))
        shell.check(writing)
        assert set(tmp_path.iterdir()) == {young, other, alive, tmp_path / "new"}
    assert (tmp_path / "alive").read_bytes() == b"whole"


def test_a_tree_without_write_permission_is_removed(tmp_path: Path) -> None:
    """Unpacked layers hold folders that forbid removal."""
    tree = tmp_path / "tree"
    (tree / "closed").mkdir(parents=True)
    (tree / "closed" / "file").write_text("")
    (tree / "closed").chmod(0o500)
    remove_tree(tree)
    assert not tree.exists()
    remove_tree(tree)


def test_a_tree_with_something_mounted_in_it_is_left_alone(tmp_path: Path) -> None:
    """What is mounted may be the machine's own, as a killed command that had bound it there would leave it."""
    need(os.geteuid() == 0, "root, to mount something")
    bound = tmp_path / "the tree" / "root" / "a\\b"
    bound.mkdir(parents=True)
    (tmp_path / "own").mkdir(mode=0o751)
    (tmp_path / "own" / "file").write_text("mine")
    shell.check(Command(("mount", "--bind", str(tmp_path / "own"), str(bound))))
    try:
        assert not remove_tree(tmp_path / "the tree")
        assert (tmp_path / "own" / "file").read_text() == "mine"
        assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o751
    finally:
        shell.check(Command(("umount", str(bound))))
    assert remove_tree(tmp_path / "the tree")
    assert not (tmp_path / "the tree").exists()
    assert (tmp_path / "own" / "file").exists()


def test_output_is_whole_or_not_there(tmp_path: Path) -> None:
    """What goes through a link is replaced at its end as a whole, keeping its mode; where nothing was, it is made."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/new")
    with output(tmp_path / "link") as file:
        file.write(b"first")
    (tmp_path / "folder/new").chmod(0o640)
    with pytest.raises(ZeroDivisionError), output(tmp_path / "link") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert (tmp_path / "folder/new").read_bytes() == b"first"
    assert (tmp_path / "folder/new").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "link", "new"]


def test_devices_are_written_to() -> None:
    """Nothing is put in their place, and what they refuse is an error."""
    with output(Path("/dev/null")) as file:
        file.write(b"gone")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(RecipeError, match="cannot write '/dev/full'"), output(Path("/dev/full")) as file:
        file.write(b"x")


def test_a_folder_and_a_link_to_itself_are_no_output(tmp_path: Path) -> None:
    """Both are one clear error."""
    (tmp_path / "loop").symlink_to("loop")
    for place in (tmp_path, tmp_path / "loop"):
        with pytest.raises(RecipeError, match="cannot write"), output(place) as file:
            file.write(b"x")
