"""docs/gallery.json: what the page says of each row, so that rows that were measured on different days stay on it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from recipes.support.records import converted
from recipes.support.workspace import write_atomically
from tests.gallery.byhand import ByHand
from tests.gallery.debian import Shipped
from tests.gallery.measure import Measured, Try
from tests.gallery.rows import Row


@dataclass(frozen=True, slots=True)
class Kept:
    """What was measured of a row; `row` is a digest of the row as it was then."""

    row: str
    machine: str
    tries: tuple[Try, ...] = ()
    shipped: Shipped | None = None
    by_hand: ByHand | None = None


def read(path: Path) -> dict[str, Kept]:
    """By the names of the rows; empty where there is no such file. Raises: ValueError for one of another shape."""
    if not path.is_file():
        return {}
    kept: dict[str, Kept] = converted(json.loads(path.read_text(encoding="utf-8")), dict[str, Kept])
    return kept


def write(path: Path, measured: tuple[Measured, ...]) -> None:
    """Those rows of which something is known. Raises: CannotWrite."""
    known = {
        each.row.name: asdict(Kept(digest(each.row), each.machine, each.tries, each.shipped, each.by_hand))
        for each in measured
        if each.tries
    }
    write_atomically(path, f"{json.dumps(known, indent=1, ensure_ascii=False)}\n".encode())


def merged(new: Measured, kept: Kept | None) -> Measured:
    """What was measured now, else what was before, as long as the row is the same."""
    if kept is None or kept.row != digest(new.row):
        return new
    return Measured(
        new.row,
        new.tries or kept.tries,
        new.shipped or kept.shipped,
        new.by_hand or kept.by_hand,
        new.machine or kept.machine,
    )


def digest(row: Row) -> str:
    return hashlib.sha256(json.dumps(asdict(row), sort_keys=True).encode()).hexdigest()[:16]
