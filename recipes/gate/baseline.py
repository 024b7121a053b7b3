"""The file that keeps the sizes of images, so that later ones can be compared with them.

It is JSON (docs/schema/sizes.json), sorted, one key a line: two branches that change different samples can be merged.
Keys that are not known are ignored, as later versions may add some.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from recipes.errors import BadInput, shortened
from recipes.gate.judge import gone
from recipes.gate.values import Baseline, Check, ImageSize
from recipes.model import Platform

SCHEMA = 1
MAX_BYTES = 16 << 20
_HINT = "a file that --write-baseline wrote is expected"


def read(data: bytes, source: str) -> Baseline:
    """The sizes of such a file; `source` is how errors call it. Raises: BadInput."""
    try:
        document = json.loads(data)
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ValueError(f"it does not have 'schema': {SCHEMA}")
        entries = document.get("sizes")
        if not isinstance(entries, list):
            raise ValueError("it has no list 'sizes'")
        found = [_size(entry) for entry in entries]
    except (ValueError, RecursionError, BadInput) as error:
        raise BadInput(f"{source} is not a baseline: {shortened(str(error))}", hint=_HINT) from error
    for key, count in Counter(size.key for size in found).items():
        if count > 1:
            raise BadInput(
                f"{source} is not a baseline: it has {key[0]!r} for {key[1]} twice",
                hint="after a merge by hand, remove one of them",
            )
    return Baseline(source, tuple(found))


def updated(before: Iterable[ImageSize], check: Check) -> tuple[ImageSize, ...]:
    """What a new baseline has, sorted: the images that were measured and run, and the others as they were `before`,
    but for those that are gone. One that does not run is no measure for later ones.
    """
    sizes = {size.key: size for size in before}
    for size in gone(sizes.values(), check):
        del sizes[size.key]
    sizes |= {measure.size.key: measure.size for measure in check.measures if measure.runs}
    return tuple(sizes[key] for key in sorted(sizes))


def _size(entry: Any) -> ImageSize:
    """Raises: ValueError, BadInput."""
    if not isinstance(entry, dict):
        raise ValueError("one of its sizes is not an object")
    return ImageSize(
        _text(entry, "sample"),
        Platform.parse(_text(entry, "platform")),
        None if entry.get("recipe") is None else _text(entry, "recipe"),
        _text(entry, "base"),
        _bytes(entry, "image_bytes"),
        _bytes(entry, "download_bytes"),
    )


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key!r} of one of its sizes is not a name")
    return value


def _bytes(entry: dict[str, Any], key: str) -> int:
    value = entry.get(key)
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError(f"{key!r} of one of its sizes is not a number of bytes")
    return value
