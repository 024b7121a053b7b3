"""The trial run: its options, and how they change a sample."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from recipes import errors
from recipes.tasks.options import words

if TYPE_CHECKING:
    from recipes.model import Expect, Sample

TRIAL = {
    "args": "arguments for the trial run, quoted as in a shell, in place of the sample's own",
    "stdin": "stdin for the trial run, in place of the sample's own",
    "expect": "text that its stdout has to contain; it has to exit with 0, or as --expect-exit says",
    "expect_exit": "the exit code with which it has to end (default: it has to start, no more)",
    "serves": "it has to go on running for that many seconds (2 where none are given)",
}
"""The options for the trial run, which never change the image."""


class Trial(NamedTuple):
    """What the options of `TRIAL` say; None where one is not given. `serves` is True where it has no value."""

    args: str | None = None
    stdin: str | None = None
    expect: str | None = None
    expect_exit: str | None = None
    serves: str | bool | None = None

    def of(self, sample: Sample) -> Sample:
        """`sample`, tried like this. What it expects by itself is about its own arguments and input, not about others.

        Raises: BadInput.
        """
        args = sample.args if self.args is None else words(self.args)
        stdin = sample.stdin if self.stdin is None else self.stdin
        changed = (args, stdin) != (sample.args, sample.stdin)
        return replace(sample, args=args, stdin=stdin, expect=self._expect() or (None if changed else sample.expect))

    def _expect(self) -> Expect | None:
        from recipes.model import Expect
        from recipes.samples.reader import is_code, is_seconds

        if self.serves and self.expect_exit is not None:
            raise errors.BadInput(
                "--serves and --expect-exit exclude each other",
                hint="one that ends has an exit code, one that serves none",
            )
        if self.serves:
            seconds = 2.0 if self.serves is True else _seconds(self.serves)
            if not is_seconds(seconds):
                raise errors.BadInput(
                    f"--serves must be a number of seconds up to 600, not {self.serves}", hint="for example --serves=5"
                )
            return Expect(serves=seconds, contains=self.expect)
        if self.expect is None and self.expect_exit is None:
            return None
        text = "0" if self.expect_exit is None else self.expect_exit
        if not re.fullmatch("[0-9]{1,6}", text) or not is_code(int(text)):
            raise errors.BadInput(
                f"--expect-exit must be a number from 0 to 255, not {text}", hint="128+n is how signal n shows"
            )
        return Expect(exit_code=int(text), contains=self.expect)


def _seconds(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) else None
