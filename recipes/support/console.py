"""Everything that is said on stderr: errors, notes, echoed commands, progress. stdout belongs to results.

Each note is one line, and what is invisible in it is written out (see `printable`). Progress is shown on a terminal and
nowhere else; `NO_COLOR` is respected.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recipes.errors import shortened
from recipes.support import printable
from recipes.support.terminal import screen_of

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SILENCE = 30.0
"""After so many seconds a line says that a long job still goes on."""

_LONG = 2.0
"""What takes so many seconds is worth a line that says so."""

_LARGE = 1_000_000
"""What moves so many bytes is worth a line where no display shows it."""

_BESIDE = 40
"""So many columns of a terminal the bar takes, and the time."""

_NO_NEWS = r"g?make(\[\d+\])?: (Entering|Leaving) directory"

_lock = threading.RLock()
_live: Progress | None = None
_quiet = False
_verbose = False

Advance = Callable[[int], None]


@contextmanager
def saying(*, quiet: bool = False, verbose: bool = False) -> Iterator[None]:
    """While the block runs: with `quiet` errors and warnings alone, with `verbose` every command, too."""
    global _quiet, _verbose
    before = _quiet, _verbose
    _quiet, _verbose = quiet, verbose
    try:
        yield
    finally:
        _quiet, _verbose = before


def called_as() -> str:
    """The command that the user typed: `fromscratch`, or `invoke` also where it is `python -m invoke` or `inv`."""
    return "fromscratch" if os.path.basename(sys.argv[0]) == "fromscratch" else "invoke"


def _as_typed(text: str) -> str:
    """Our words, with the commands that they name (`invoke bases`) as this user types them."""
    return text.replace("`invoke ", f"`{called_as()} ")


def note(text: str) -> None:
    """Write one line to stderr, above the progress display if there is one."""
    if not _quiet:
        _write([_as_typed(text)])


def warn(text: str) -> None:
    """A note that those who want quiet have to see, too."""
    _write([text])


def command(text: str) -> None:
    """A command that is run, in a form that can be pasted into a shell: for those who want to see them all."""
    if _verbose:
        _write([text])


@contextmanager
def stage(title: str) -> Iterator[None]:
    """Say what begins with the block; and at its end how long it took, where that was long."""
    note(title)
    started = time.monotonic()
    yield
    seconds = time.monotonic() - started
    if seconds >= _LONG:
        note(f"{title}: done in {seconds:.0f} s")


def quote(output: str) -> None:
    """What another program wrote, in lines of its own."""
    if not _quiet:
        _write(printable.quoted(output))


def hint(text: str) -> None:
    if not _quiet:
        _write(["", *_folded("hint: ", _as_typed(text))])


def error(message: str, hint: str = "", output: str = "") -> None:
    """The one error of a task: below `output`, which another program wrote, and above its hint."""
    above = printable.quoted(output)
    below = ["", *_folded("hint: ", _as_typed(hint))] if hint else []
    _write([*above, *([""] if above else []), *_folded("error: ", message), *below])


def _folded(word: str, text: str) -> list[str]:
    """On a terminal in lines that fit it, anywhere else in one."""
    room = screen_of(sys.stderr).width if sys.stderr is not None and sys.stderr.isatty() else None
    first, *rest = printable.folded(word + text, room, indent=len(word))
    return [first, *(f"{'':{len(word)}}{each}" for each in rest)]


def is_github() -> bool:
    """Whether the runner of GitHub's Actions reads along, and takes some lines for commands."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def command_runner(commands: list[str]) -> None:
    """Lines that the runner shall take for commands; all others it cannot."""
    if commands:
        _put(printable.page(commands))


def _write(lines: list[str]) -> None:
    if not lines:
        return
    text = printable.page(lines)
    _put(printable.inert(text) if is_github() else text)


def _put(text: str) -> None:
    with _lock:
        if _live is not None:
            _live.console.print(text, end="", markup=False, emoji=False, highlight=False, soft_wrap=True)
        elif sys.stderr is not None:  # the caller may have closed it (`2>&-`)
            sys.stderr.write(text)
            sys.stderr.flush()


def is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def progress(title: str, total: int, unit: str = "") -> Iterator[Advance]:
    """Show how far along `title` is while the block runs; call the yielded function with each step's size.

    `unit` "bytes" shows megabytes. Displays may nest and run side by side. Off a terminal a line says how much there is
    to be moved, where that is large, and another one now and then how far it is.
    """
    if _quiet or not is_terminal():
        yield _said_now_and_then(title, total, unit)
        return
    with _task(title, total or None, bytes=unit == "bytes") as (display, task):
        yield lambda step: display.advance(task, step)


def _said_now_and_then(title: str, total: int, unit: str) -> Advance:
    done, started = 0, time.monotonic()
    said = started
    if unit == "bytes" and total >= _LARGE:
        note(f"{title} ({total / 1e6:.1f} MB)")

    def advance(step: int) -> None:
        nonlocal done, said
        with _lock:
            done, now = done + step, time.monotonic()
            if now - said < _SILENCE:
                return
            said = now
        far = f"{done / 1e6:.1f}/{total / 1e6:.1f} MB" if unit == "bytes" else f"{done}/{total or '?'}"
        note(f"{title}: {far}, {now - started:.0f} s")

    return advance


@contextmanager
def _task(title: str, total: int | None, **fields: bool) -> Iterator[tuple[Progress, TaskID]]:
    """One line of the live display, which is there while any has one."""
    global _live
    with _lock:
        owner = _live is None
        if _live is None:
            _live = _display()
            _live.start()
        display = _live
        task = display.add_task(printable.line(title), total=total, **fields)
    try:
        yield display, task
    finally:
        with _lock:
            display.remove_task(task)
            if owner:
                display.stop()
                _live = None


@contextmanager
def activity(title: str) -> Iterator[Callable[[bytes], None]]:
    """Show that something long goes on while the block runs; call the yielded function with what it writes.

    A terminal shows the last line that was written, and the time, in place; anything else gets a line now and then.
    """
    last, started, over = [title], time.monotonic(), threading.Event()
    room = max(20, shutil.get_terminal_size().columns - len(title) - _BESIDE)

    def watch(data: bytes) -> None:
        lines = [line.strip() for line in data.decode(errors="replace").split("\n")]
        last[0] = next((line for line in reversed(lines) if line and not re.match(_NO_NEWS, line)), last[0])

    def keep_saying() -> None:
        while not over.wait(_SILENCE):
            note(f"{title}, {time.monotonic() - started:.0f} s: {shortened(last[0], 100)}")

    def keep_showing() -> None:
        if over.wait(1):  # what is short needs no display
            return
        with _task(title, None, written=True) as (display, task):
            while not over.wait(0.2):
                display.update(task, description=printable.line(f"{title}: {shortened(last[0], room)}"))

    shown = not _quiet and is_terminal()
    thread = threading.Thread(target=keep_showing if shown else keep_saying, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def _display() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
    from rich.text import Text

    class Amount(ProgressColumn):
        def render(self, task: Task) -> Text:
            if task.fields.get("written"):
                return Text("")
            total = "?" if task.total is None else f"{task.total:.0f}"
            if not task.fields.get("bytes"):
                return Text(f"{task.completed:.0f}/{total}")
            whole = "?" if task.total is None else f"{task.total / 1e6:.1f}"
            return Text(f"{task.completed / 1e6:.1f}/{whole} MB")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        Amount(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
