"""What a gate found, as Markdown for the summary of a job or a comment on a pull request.

All words that others have chosen are in `<code>`, with every character that means something written as a number, so
that there they are: no heading, link, picture, mention or cell of the table comes of them.
Source: GitHub Flavored Markdown Spec, "Entity and numeric character references"; GitHub and GitLab look for no
mentions in code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from recipes.gate.values import Check, GateStatus
from recipes.report.gate_words import (
    CHANGE_COLUMNS,
    MEASURE_COLUMNS,
    broken,
    change_rows,
    measure_rows,
    name,
    remarks,
    sentence,
    word,
)
from recipes.support.printable import line, page

_TITLES = {
    GateStatus.PASSED: "within budget",
    GateStatus.WARNED: "within budget, with warnings",
    GateStatus.FAILED: "not within budget",
}
_MEANING = re.compile(r"[^A-Za-z0-9 ,/%+()-]", re.ASCII)
_RIGHT = {"image", "download", "before", "now", "difference", "share"}


def render(check: Check) -> str:
    """A section with a heading, the limits that were not kept, the images, and what has changed."""
    return page(_lines(check))


def code(text: str) -> str:
    """`text` as itself, whatever it is, on one line. An `@` is also parted from what follows."""
    return f"<code>{_MEANING.sub(_number, line(text))}</code>"


def _number(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};" + ("<!-- -->" if match[0] == "@" else "")


def _lines(check: Check) -> Iterator[str]:
    yield f"### Image sizes: {_TITLES[check.status]}"
    yield ""
    for result in broken(check):
        yield f"- **{word(result)}** {code(name(result.measure.size))}: {code(sentence(result))}"
    for entry in check.failed:
        yield f"- **failed** {code(entry.name)}: {code(entry.reason.partition(chr(10))[0])}"
    if broken(check) or check.failed:
        yield ""
    if check.measures:
        yield from (*_table(MEASURE_COLUMNS, measure_rows(check)), "")
    if check.baseline:
        rows = change_rows(check)
        yield f"{'Changes' if rows else 'No changes'} since {code(check.baseline.source)}"
        yield ""
        yield from (*_table(CHANGE_COLUMNS, rows), "") if rows else ()
        yield from (f"- {code(remark)}" for remark in remarks(check))
        yield ""


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'|'.join('---:' if column in _RIGHT else '---' for column in columns)}|"
    for row in rows:
        yield f"| {' | '.join(code(cell) if cell else '' for cell in row)} |"
