"""How a run went of which nothing was expected but that it starts: in a few words, and by the first lines it wrote."""

from __future__ import annotations

from recipes.errors import shortened
from recipes.model import RunOutcome, SizeRow
from recipes.support import printable

_LINES = 3
_WIDTH = 160


def how(run: RunOutcome) -> str:
    """`exit code 1`, `listens on 8080/tcp`, `still running`, or the limit at which it was stopped."""
    return f"listens on {', '.join(run.listens)}" if run.listens else run.ending


def remark(row: SizeRow) -> str:
    """What has to be said of a run that was good: nothing where it did what was expected, or ended without an error."""
    if row.run is None or not row.observed or row.expect is not None or row.run.exit_code == 0:
        return ""
    return how(row.run)


def at_home(row: SizeRow) -> str:
    """How the run compares with one where the program comes from; "" where there was none."""
    if row.home is None:
        return ""
    if row.home.differs is None:
        return f"not compared with home, where it does not start: {row.home.run.reason or row.home.run.ending}"
    return f"not as at home: {row.home.differs}" if row.home.differs else "as at home"


def beginning(output: str) -> list[str]:
    """The first lines of what a program wrote, none of them long, quoted."""
    lines = printable.quoted(output[: 4 * _LINES * _WIDTH])
    first = [shortened(line, _WIDTH) for line in lines[:_LINES]]
    return [*first, "  …"] if len(lines) > _LINES else first
