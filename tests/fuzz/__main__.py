"""Feed one target: `python -m tests.fuzz TARGET FIRST COUNT`. Exit code 1 and the number of the input that did it.

A process of its own, so that the kernel keeps its memory within bounds and a crash of the interpreter is noticed.
"""

from __future__ import annotations

import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from recipes.errors import RecipeError
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import make

MOST_MEMORY = 512 << 20
"""Bytes of address space; the interpreter itself, with all that it imports, takes a third of it."""
LONGEST = 20
"""Seconds for one input; the slowest takes a fiftieth of that."""


def main(name: str, first: int, count: int) -> int:
    refused = 0
    with tempfile.TemporaryDirectory() as folder:
        target = make(name, Path(folder))  # before the limit: a compiler may run here
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        for number in range(first, first + count):
            data = mutated(target.originals, number)
            signal.alarm(LONGEST)
            try:
                target.feed(data)
            except RecipeError:
                refused += 1
            except BaseException:
                traceback.print_exc()
                sys.stderr.write(f"{name}, input {number}: python -m tests.fuzz {name} {number} 1\n")
                return 1
            finally:
                signal.alarm(0)
    sys.stdout.write(f"{name}: {count} inputs, {refused} refused\n")
    return 0


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError(f"longer than {LONGEST} s")


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, _too_long)
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
