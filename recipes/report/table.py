"""The comparison as a table: grouped by sample, smallest first, the smallest that runs marked, what fails below it.

The only importer of tabulate. Nothing is parsed as a number on the way, so the tag `3.20` stays `3.20`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from recipes import errors
from recipes.model import Comparison, Platform, RunStatus, SizeRow, Status, Unavailable
from recipes.report import ran
from recipes.report.units import human, ratio
from recipes.support.printable import line, plain

COLUMNS = (
    "sample",
    "recipe",
    "linkage",
    "base",
    "predicted",
    "runs?",
    "binary",
    "image",
    "download",
    "overhead",
    "ratio",
)
_ALIGNMENT = ("left", "left", "left", "left", "left", "left", "right", "right", "right", "right", "right")

SORT_KEYS = ("image", "binary", "download", "overhead", "recipe", "base", "linkage")

_REASON_WIDTH = 48

_PLACES = {True: 0, None: 1, False: 2}
"""Where a row stands by whether it runs."""

_BARRED = ("jira", "asciidoc")
"""Formats in which a bar ends the cell; Markdown's are in `_MARKDOWN`."""

_MARKDOWN = ("github", "pipe")
_MARKUP = re.compile(r"[\\`\[\]|]")

_OWN = ("overview", "long", "html", "json", "csv")
"""Formats that are not tabulate's."""

_ESCAPING = {"unsafehtml": "html", "latex_raw": "latex"}
"""tabulate's formats in which a cell may be markup, and those in which it is text."""


def formats() -> tuple[str, ...]:
    """Every name that `--format` takes."""
    from tabulate import tabulate_formats

    return (*_OWN, *(name for name in tabulate_formats if name != "html"))


def check_format(name: str) -> None:
    """Raises: BadInput for a format that is not known."""
    if name not in (*_OWN, "simple") and name not in formats():
        raise errors.unknown("format", name, formats())


def check_sort(key: str) -> None:
    if key not in SORT_KEYS:
        raise errors.unknown("sort key", key, SORT_KEYS)


def arrange(rows: Iterable[SizeRow], sort: str = "image") -> list[list[SizeRow]]:
    """One list per sample and platform, in the order of their names, each sorted by `sort` and then by image size."""

    def key(row: SizeRow) -> tuple[object, ...]:
        image = row.image
        chosen: dict[str, object] = {
            "image": image.image_bytes,
            "binary": row.program.size,
            "download": image.download_bytes,
            "overhead": image.overhead_bytes,
            "recipe": row.program.build.recipe or "",
            "base": image.base.name,
            "linkage": row.program.facts.linkage.value,
        }
        return chosen[sort], image.image_bytes, image.base.name, row.program.build.recipe or ""

    ordered = sorted(rows, key=_group)
    return [sorted(group, key=key) for _, group in groupby(ordered, key=_group)]


def for_readers(comparison: Comparison, sort: str = "image") -> list[list[SizeRow]]:
    """As `arrange`; but what fails is below all that runs, and of images of one size the one to take stands first."""

    def key(row: SizeRow) -> tuple[int, int, bool]:
        if sort != "image":
            return _PLACES[row.runs], 0, False
        return _PLACES[row.runs], row.image.image_bytes, not _is_default(row, comparison)

    return [sorted(group, key=key) for group in arrange(comparison.rows, sort)]


def by_size(rows: Iterable[SizeRow], comparison: Comparison) -> list[SizeRow]:
    """Those that run, smallest image first; of two of one size that of the default recipe."""
    running = [row for row in rows if row.runs]
    return sorted(running, key=lambda row: (row.image.image_bytes, not _is_default(row, comparison)))


def smallest(rows: Iterable[SizeRow], comparison: Comparison) -> SizeRow | None:
    """The row with the smallest image that runs; None where none does."""
    return next(iter(by_size(rows, comparison)), None)


def render(comparison: Comparison, style: str = "simple", sort: str = "image", verbose: bool = False) -> str:
    """The table as text in one of tabulate's formats, without the lines below it.

    With several platforms the sample's column says which.
    """
    lines: list[Sequence[str]] = []
    for group in for_readers(comparison, sort):
        if lines and style == "simple":
            lines.append([""] * len(COLUMNS))
        lines += cells(group, comparison, verbose)
    return _tabulate(COLUMNS, lines, style, _ALIGNMENT if lines else None)


def recipe_of(row: SizeRow) -> str:
    return row.program.build.recipe or "prebuilt"


def label(row: SizeRow, comparison: Comparison) -> str:
    """What the rows of one sample are called: with their platform, where there are several."""
    several = len({row.image.platform for row in comparison.rows}) > 1
    return f"{row.program.name} ({row.image.platform})" if several else row.program.name


def not_compared(comparison: Comparison, verbose: bool = False) -> list[str]:
    """The lines below the table: what was left out and why, what failed. [] where there is nothing to say."""
    lines = []
    if comparison.unavailable:
        lines.append(f"not compared: {by_reason(comparison.unavailable, verbose)}")
    left_out_names = {entry.name for entry in comparison.unavailable}
    lines += [
        f"failed: {entry.name}: {_first_line(entry.reason, verbose)}"
        for entry in comparison.failed
        if entry.name not in left_out_names
    ]
    return lines


def by_reason(unavailable: Iterable[Unavailable], verbose: bool = False) -> str:
    """`alpine, busybox (docker.io cannot be reached); gcc-static (no static libc)`"""
    names: dict[str, list[str]] = {}
    for entry in unavailable:
        names.setdefault(_first_line(entry.reason, verbose), []).append(entry.name)
    return "; ".join(f"{', '.join(those)} ({why})" for why, those in names.items())


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of a document."""
    return _tabulate(headers, rows, "github")


def _tabulate(
    headers: Sequence[str], rows: Iterable[Sequence[str]], style: str, alignment: Sequence[str] | None = None
) -> str:
    from tabulate import tabulate

    style = _ESCAPING.get(style, style)
    cells = [[_cell(text, style) for text in row] for row in (headers, *rows)]
    return tabulate(cells[1:], headers=cells[0], tablefmt=style, disable_numparse=True, colalign=alignment)


def _cell(text: str, style: str) -> str:
    if style in _MARKDOWN:
        return markdown(text)
    text = line(text)
    if style == "tsv":
        return no_formula(text)
    return text.replace("|", "\\|") if style in _BARRED else text


def markdown(text: str) -> str:
    """`text` as itself in a Markdown document: no HTML, code, link or picture comes of it, and no cell ends in it.

    Source: GitHub Flavored Markdown Spec, "Backslash escapes", "Entity and numeric character references".
    """
    return _MARKUP.sub(r"\\\g<0>", line(text).replace("&", "&amp;").replace("<", "&lt;"))


def no_formula(text: str) -> str:
    """`text` as a spreadsheet's cell that is not computed. Source: OWASP, "CSV Injection"."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def cells(group: Sequence[SizeRow], comparison: Comparison, verbose: bool = False) -> Iterator[Sequence[str]]:
    """For each row of one sample the texts that stand below `COLUMNS`."""
    best = smallest(group, comparison)
    unit = best.image.image_bytes if best else 0
    for row in group:
        image = row.image
        mark = " *" if row is best else ""
        yield (
            label(row, comparison),
            recipe_of(row),
            row.program.facts.linkage.value,
            image.base.name + mark,
            str(row.verdict.status),
            _runs(row, verbose),
            human(row.program.size),
            human(image.image_bytes),
            human(image.download_bytes),
            human(image.overhead_bytes),
            ratio(image.image_bytes, unit),
        )


def _runs(row: SizeRow, verbose: bool) -> str:
    why = plain(row.reason)
    if not verbose:
        why = errors.shortened(why.partition("\n")[0], _REASON_WIDTH)
    if row.run is None:
        return {Status.RUNS: "not tried", Status.FAILS: f"not tried: {why}", Status.UNKNOWN: "not tried"}[
            row.verdict.status
        ]
    if row.run.status is RunStatus.NOT_RUN:
        return f"not run: {row.run.reason if verbose else errors.shortened(row.run.reason, _REASON_WIDTH)}"
    remark = ran.remark(row)
    answer = f"no: {why}" if not row.runs else f"yes, {remark}" if remark else "yes"
    return f"{answer} (WRONGLY PREDICTED)" if row.disagrees else answer


def _is_default(row: SizeRow, comparison: Comparison) -> bool:
    return (row.program.name, row.image.platform, row.program.build.recipe) in comparison.defaults


def _group(row: SizeRow) -> tuple[str, Platform]:
    return row.program.name, row.image.platform


def _first_line(text: str, verbose: bool) -> str:
    return text if verbose else text.partition("\n")[0]
