"""How a task ends: our errors as one clear message with an exit code, and nothing left running."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from invoke.exceptions import Exit

from recipes import errors
from recipes.support import console

Body = TypeVar("Body", bound=Callable[..., Any])


def ending_well(body: Body) -> Body:
    """Turn our errors into one clear message and an exit code, and leave no process behind when interrupted."""

    @functools.wraps(body)
    def guarded(*args: Any, **options: Any) -> None:
        # ^C arrives as KeyboardInterrupt; a polite kill and a terminal that closes have to unwind the same way, so that
        # engines can clean up.
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, lambda number, frame: sys.exit(128 + number))
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a terminal of ASCII gets all else as escapes
        try:
            code = _whole(functools.partial(body, *args, **options)) or 0
            sys.stdout.flush()
        except errors.RecipeError as error:
            console.error(error.message, error.hint, getattr(error, "output", ""))
            raise Exit(code=error.exit_code) from error
        except BrokenPipeError:
            _reader_has_left()
            raise Exit(code=0) from None
        except KeyboardInterrupt:
            _stop_all()
            console.warn("interrupted")
            raise Exit(code=130) from None
        except SystemExit:
            _stop_all()
            raise
        except Exception as error:
            # Its message may hold anything, and Python would print it as it is.
            _stop_all()
            what = f"BUG in fromscratch: {type(error).__name__}: {error}"
            console.error(what, "please report it with the lines above", traceback.format_exc())
            raise Exit(code=1) from error
        if code:
            raise Exit(code=code)

    return guarded  # type: ignore[return-value]  # same signature, as functools.wraps tells inspect


@contextlib.contextmanager
def reader_may_leave() -> Iterator[None]:
    """What the block prints may be read to its end or not (`… | head`): neither is an error. Raises: SystemExit."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _reader_has_left()
        sys.exit(0)


def _reader_has_left() -> None:
    """Python would complain once more when it closes stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _whole(body: Callable[[], Any]) -> Any:
    """Once more where a blob of the store was damaged: it is gone by now, so it is made or fetched anew."""
    try:
        return body()
    except errors.DamagedBlob as error:
        console.note(f"note: {error.message}: trying once more")
    return body()


def _stop_all() -> None:
    from recipes.support import shell  # loaded by the first task that starts something, which most lists do not

    shell.stop_all()
