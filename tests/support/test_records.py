"""Tests of recipes/support/records.py: a value comes back as it was kept, and nothing else is taken for one."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from recipes.compile.record import BuildRecord, StepResult
from recipes.model import BaseImage, Descriptor, ElfFacts, Layer, Linkage, Platform
from recipes.support.records import keep_value, kept_value
from recipes.support.workspace import keep
from tests.report.rows import EVERYTHING

LAYER = Layer(Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", "sha256:0", 7), "sha256:1", 9, 10)
BASE = BaseImage(
    "a\udcff", "docker://a", Platform(), digest=None, layers=(LAYER, LAYER), env=(("A", "b"),), entrypoint=("sh", "-c")
)
FACTS = ElfFacts(
    size=9,
    bits=64,
    little_endian=True,
    os_abi=0,
    type="DYN",
    machine="amd64",
    entry=4096,
    linkage=Linkage.DYNAMIC,
    interpreter="/lib/ld.so",
    needed=("libc.so.6", "libm.so.6"),
)
STEP = StepResult(
    key="k",
    checked=1,
    output=("a", "b", (1, 2, 3, 4)),
    seconds=0.5,
    inputs=(("c", "d", (5, 6, 7, 8)),),
    warnings=("w",),
)
BUILD = BuildRecord({"compile": STEP, "link": STEP}, complete=True, programs=(("e", "f", (9, 9, 9, 9)),))
WRONG: list[Any] = [{"surprise": 1}, [[]], 1.5]
VALUES = [BASE, FACTS, EVERYTHING, LAYER, BUILD]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Each value within a document and the way to it, the document itself included."""
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """`document` with `value` at `path`."""
    if not path:
        return value
    document = copy.deepcopy(document)
    part = document
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return document


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_whole(tmp_path: Path, value: Any) -> None:
    """Tuples within tuples, enums, names that are not UTF-8, what is absent."""
    keep_value(tmp_path / "record", value)
    assert kept_value(tmp_path / "record", type(value)) == value


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_another_shape_is_absent(tmp_path: Path, value: Any) -> None:
    """A value of another type anywhere, one field more and one less: none of it is believed, and none is an error."""
    document = json.loads(json.dumps(asdict(value)))
    for path, right in places(document):
        for wrong in WRONG if not isinstance(right, float) else WRONG[:-1]:
            keep(tmp_path / "record", json.dumps(changed(document, path, wrong)).encode())
            assert kept_value(tmp_path / "record", type(value)) is None, (path, wrong)
    for name in document:
        fewer = {key: each for key, each in document.items() if key != name}
        keep(tmp_path / "record", json.dumps(fewer).encode())
        assert kept_value(tmp_path / "record", type(value)) is None, name


@pytest.mark.parametrize("data", [b"", b"{", b"null", b"[" * 100_000, b'"\xff"', b"true"])
def test_what_is_no_record_is_absent(tmp_path: Path, data: bytes) -> None:
    """Half a document, one without an end, another encoding; and no file at all."""
    assert kept_value(tmp_path / "record", Layer) is None
    keep(tmp_path / "record", data)
    assert kept_value(tmp_path / "record", Layer) is None


def test_a_number_is_not_a_truth_value(tmp_path: Path) -> None:
    """Python takes True for 1; a record that says so was not written here."""
    document = asdict(LAYER) | {"tar_bytes": True}
    keep(tmp_path / "record", json.dumps(document).encode())
    assert kept_value(tmp_path / "record", Layer) is None
