"""What a task hands over: on stdout, or in the file that is named."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from recipes import errors
from recipes.support import console, printable

if TYPE_CHECKING:
    from recipes.report.html import Made
    from recipes.support.terminal import Screen


def show(text: str) -> None:
    """Results on stdout, at once. It has no other door: what would steer a terminal is written out."""
    _print(printable.text(text))


def made() -> Made:
    """What a page says of itself: the day of SOURCE_DATE_EPOCH, else today; and this version."""
    from datetime import UTC, datetime

    import recipes
    from recipes.oci.config import source_date_epoch
    from recipes.report.html import Made

    moment = source_date_epoch()
    day = datetime.fromtimestamp(moment, UTC) if moment else datetime.now(UTC)
    return Made(day.date().isoformat(), recipes.__version__)


def screen(output: str = "") -> Screen:
    """What stdout is; or the file `output`, where one is named."""
    from recipes.support.terminal import Screen, screen_of

    return Screen() if output else screen_of(sys.stdout)


def paint(lines: Iterable[printable.Line], output: str = "") -> None:
    """The lines of a report in the file `output`, or on stdout with the colours that it takes."""
    if output:
        write(output, printable.painted(lines, colours=False))
    else:
        _print(printable.painted(lines, colours=screen(output).colours))


def _print(text: str) -> None:
    """Where a runner reads along, with nothing in it that it would take for a command.

    Raises: BrokenPipeError where nobody reads it any more; CannotWrite for a full disk behind stdout.
    """
    try:
        sys.stdout.write(printable.inert(text) if console.is_github() else text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        give_up_stdout()
        raise errors.CannotWrite(f"cannot write to stdout: {error.strerror}", "is the disk full?") from error


def give_up_stdout() -> None:
    """Python would complain once more, of what could not be written, when it closes stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def check_output(output: str) -> None:
    """Before hours of work: whether a file can be made at `output`. Raises: CannotWrite."""
    if not output:
        return
    path = Path(output)
    parent = next(each for each in path.absolute().parents if each.exists())
    if path.is_dir() or not parent.is_dir():
        raise errors.CannotWrite(f"cannot write {output!r}: it is not a file", hint="name a file in a folder")
    if not os.access(path if path.exists() else parent, os.W_OK):
        raise errors.CannotWrite(f"cannot write {output!r}: no permission", hint="name a place that you may write to")


def write(output: str, text: str) -> None:
    """Results in the file `output`, as they would be shown; "" shows them."""
    if not output:
        show(text)
        return
    from recipes.support import workspace

    with workspace.output(Path(output)) as file:
        file.write(printable.text(text).encode())
    console.note(f"written: {output}")
