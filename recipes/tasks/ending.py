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
from recipes.tasks.output import give_up_stdout

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
        _open_stdout()
        try:
            code = _whole(functools.partial(body, *args, **options)) or 0
            sys.stdout.flush()
        except errors.RecipeError as error:
            _tell(error)
            raise Exit(code=error.exit_code) from error
        except BrokenPipeError:
            give_up_stdout()
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
    _open_stdout()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        give_up_stdout()
        sys.exit(0)
    except errors.CannotWrite as error:
        _tell(error)
        sys.exit(error.exit_code)


def _open_stdout() -> None:
    """Where the caller has closed it (`>&-`) results go nowhere, and its number is not another file's."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # for as long as the process lives
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal of ASCII gets all else as escapes


def _tell(error: errors.RecipeError) -> None:
    console.error(error.message, error.hint, getattr(error, "output", ""))


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
