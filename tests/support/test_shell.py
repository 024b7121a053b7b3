from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recipes.errors import CommandFailed, ToolMissing
from recipes.model import Command
from recipes.support import shell


def python(code: str) -> Command:
    return Command((sys.executable, "-c", code))


def test_both_outputs_and_the_exit_code_are_captured() -> None:
    """stdout, stderr and the exit code of a process come back apart and whole."""
    done = shell.run(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"))
    assert (done.stdout, done.stderr, done.exit_code, done.stopped) == (b"out\n", b"err\n", 7, "")


def test_both_outputs_in_one_order() -> None:
    """`merged` has both outputs as a terminal would show them, and `watch` hears all of it while it is written."""
    code = "import os\nfor n in range(99): os.write(1 + n % 2, b'%d\\n' % n)"
    heard: list[bytes] = []
    done = shell.run(python(code), merged=True, watch=heard.append)
    assert done.stdout == b"".join(b"%d\n" % number for number in range(99))
    assert (done.stderr, b"".join(heard)) == (b"", done.stdout)


def test_large_input_and_output_do_not_deadlock() -> None:
    """A process that reads and writes more than a pipe holds, at the same time, is served."""
    data = os.urandom(3_000_000)
    done = shell.run(python("import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"), stdin=data)
    assert done.stdout == data


def test_input_that_nobody_reads_is_no_error() -> None:
    """A process that ends without reading its stdin ends normally."""
    done = shell.run(python("print('done')"), stdin=bytes(1_000_000))
    assert (done.exit_code, done.stdout) == (0, b"done\n")


def test_a_signal_is_counted_as_a_shell_does() -> None:
    """Death by signal n is exit code 128+n."""
    assert shell.run(python("import os; os.kill(os.getpid(), 11)")).exit_code == 139


def test_the_time_limit_ends_the_whole_group(tmp_path: Path) -> None:
    """At the time-out the process and what it started are gone, and what was written so far is kept."""
    pid_file = tmp_path / "pid"
    script = f'sleep 60 & echo $! > "{pid_file}"; echo started; sleep 60'
    done = shell.run(Command(("sh", "-c", script)), timeout=1)
    assert (done.stopped, done.stdout, done.exit_code) == ("time limit", b"started\n", 137)
    child = int(pid_file.read_text())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}/stat").exists() and Path(f"/proc/{child}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < deadline, "the background child outlived its group"


def test_the_output_limit_ends_a_flood() -> None:
    """A process that writes without end is stopped at the limit, and exactly the limit is kept."""
    done = shell.run(Command(("yes",)), output_limit=100_000)
    assert (done.stopped, len(done.stdout)) == ("output limit", 100_000)


def test_a_background_child_that_keeps_the_pipe_is_not_waited_for() -> None:
    """The result is there when the process itself has ended."""
    done = shell.run(Command(("sh", "-c", "sleep 60 & echo done")))
    assert (done.exit_code, done.stdout) == (0, b"done\n")


def test_what_the_command_sets_wins_over_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Command.env is applied last."""
    monkeypatch.setenv("CGO_ENABLED", "1")
    done = shell.run(Command(("sh", "-c", "echo $CGO_ENABLED"), env=(("CGO_ENABLED", "0"),)))
    assert done.stdout == b"0\n"


def test_a_missing_program_is_a_missing_tool() -> None:
    """A program that is not there is exit code 4's error, by name."""
    with pytest.raises(ToolMissing, match="no-such-program"):
        shell.run(Command(("no-such-program",)))


def test_what_is_no_program_cannot_be_run(tmp_path: Path) -> None:
    """A file that the kernel takes for no program is a missing tool, too."""
    (tmp_path / "tool").write_bytes(b"\1garbage")
    (tmp_path / "tool").chmod(0o755)
    with pytest.raises(ToolMissing, match="Exec format error"):
        shell.run(Command((str(tmp_path / "tool"),)))


@pytest.mark.parametrize("word", ["x" * 140_000, "\0"])
def test_words_that_no_program_can_be_given(word: str) -> None:
    """The tool is there: that is a command that failed."""
    with pytest.raises(CommandFailed, match="true cannot be run"):
        shell.run(Command(("true", word)))


def test_a_failure_keeps_the_commands_own_message_whole() -> None:
    """`check` carries the whole stderr, however long."""
    with pytest.raises(CommandFailed) as caught:
        shell.check(python("import sys; sys.stderr.write('x' * 200_000); sys.exit(3)"))
    assert len(caught.value.output) == 200_000
    assert "exit code 3" in caught.value.message


@pytest.mark.parametrize(
    "word", ["a b", "it's", 'say "hi"', "new\nline", "\x1b[2J\u202e", "-dash", "$HOME", "ü", "*", ""]
)
def test_an_echoed_command_can_be_pasted(word: str) -> None:
    """What `str(command)` gives is one line, and does the same in a shell, whatever the words hold."""
    command = Command(("printf", "%s|%s", word, "end"), cwd=Path("/"), env=(("NAME", word),))
    assert str(command).isprintable()
    pasted = shell.run(Command(("bash" if "$'" in str(command) else "sh", "-c", str(command))))
    assert pasted.stdout == f"{word}|end".encode() == shell.run(command).stdout


def test_stop_all_ends_what_other_threads_run() -> None:
    """After `stop_all` no process that `run` started is left."""
    results: list[shell.Completed] = []
    thread = threading.Thread(target=lambda: results.append(shell.run(Command(("sleep", "60")))))
    thread.start()
    while not shell._running:
        assert thread.is_alive()
    shell.stop_all()
    thread.join(10)
    assert results[0].exit_code == 137


def test_nothing_is_started_while_all_is_stopped() -> None:
    """A thread that would start something meanwhile is interrupted; afterwards commands run as before."""
    begun = threading.Event()

    def one_after_the_other() -> None:
        begun.set()
        while True:
            shell.run(Command(("sleep", "60")))

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(one_after_the_other)
        begun.wait()
        with shell.stopping():
            assert isinstance(future.exception(10), KeyboardInterrupt)
    assert shell.run(Command(("true",))).exit_code == 0


def test_no_more_side_by_side_than_allowed(tmp_path: Path) -> None:
    """Whichever threads start them, the limit holds for all; it ends with its block."""
    script = f'touch "{tmp_path}/$$"; ls "{tmp_path}" | wc -l; sleep 0.1; rm "{tmp_path}/$$"'

    def most() -> int:
        with ThreadPoolExecutor(6) as pool:
            commands = [Command(("sh", "-c", script))] * 6
            return max(int(done.stdout) for done in pool.map(shell.run, commands))

    with shell.at_most(2):
        assert most() <= 2
    assert most() > 2
