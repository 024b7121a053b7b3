"""Everything that is said on stderr: errors, notes, echoed commands, progress. stdout belongs to results.

Each note is one line, and what is invisible in it is written out (see `printable`). Progress is shown on a terminal and
nowhere else; `NO_COLOR` is respected.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recipes.support import printable

if TYPE_CHECKING:
    from rich.progress import Progress

_lock = threading.RLock()
_live: Progress | None = None
quiet = False

Advance = Callable[[int], None]


def note(text: str) -> None:
    """Write one line to stderr, above the progress display if there is one."""
    _write([text])


def quote(output: str) -> None:
    """What another program wrote, in lines of its own."""
    _write(printable.quoted(output))


def hint(text: str) -> None:
    _write(["", f"hint: {text}"])


def error(message: str, hint: str = "", output: str = "") -> None:
    """The one error of a task: below `output`, which another program wrote, and above its hint."""
    above = printable.quoted(output)
    _write([*above, *([""] if above else []), f"error: {message}", *(["", f"hint: {hint}"] if hint else [])])


def _write(lines: list[str]) -> None:
    if quiet or not lines:
        return
    text = printable.page(lines)
    with _lock:
        if _live is not None:
            _live.console.print(text, end="", markup=False, emoji=False, highlight=False, soft_wrap=True)
        else:
            sys.stderr.write(text)
            sys.stderr.flush()


def is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def progress(title: str, total: int, unit: str = "") -> Iterator[Advance]:
    """Show how far along `title` is while the block runs; call the yielded function with each step's size.

    `unit` "bytes" shows megabytes. Off a terminal this does nothing at all. Displays may nest and run side by side.
    """
    if quiet or not is_terminal():
        yield lambda step: None
        return
    global _live
    with _lock:
        owner = _live is None
        if _live is None:
            _live = _display()
            _live.start()
        display = _live
        task = display.add_task(printable.line(title), total=total or None, bytes=unit == "bytes")
    try:
        yield lambda step: display.advance(task, step)
    finally:
        with _lock:
            display.remove_task(task)
            if owner:
                display.stop()
                _live = None


def _display() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
    from rich.text import Text

    class Amount(ProgressColumn):
        def render(self, task: Task) -> Text:
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
