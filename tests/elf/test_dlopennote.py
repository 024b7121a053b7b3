"""Tests of recipes/elf/dlopennote.py: what strangers write into a note."""

from __future__ import annotations

import json

import pytest

from recipes.elf.dlopennote import OpenedLater, read_dlopen_note


def entries(value: object) -> list[OpenedLater]:
    return list(read_dlopen_note(json.dumps(value).encode() + b"\0\0"))


def test_an_entry() -> None:
    """Several names of which one serves; what is for whom is told, and is "recommended" where nothing is said."""
    assert entries(
        [
            {"soname": ["libfido2.so.1"], "feature": "fido", "description": "keys", "priority": "required"},
            {"soname": ["liba.so.2", "liba.so.1"]},
        ]
    ) == [
        OpenedLater(("libfido2.so.1",), "fido", "required"),
        OpenedLater(("liba.so.2", "liba.so.1"), "", "recommended"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0", b"[", b"{}", b"3", b"null", b"[1, null, [], \"x\"]", b"\xff\xfe", b"[" * 60000, b"9" * 60000,
        b'[{"soname": "liba.so"}]', b'[{"soname": []}]', b'[{"soname": [1, null]}]', b'[{"feature": "x"}]',
        b'[{"soname": ["/etc/liba.so"]}]', b'[{"soname": ["a\\nb"]}]', b'[{"soname": ["\\u001b[2J"]}]',
        b'[{"soname": [""]}]', b'[{"soname": ["' + b"x" * 256 + b'"]}]',
    ],
)  # fmt: skip
def test_what_is_not_an_entry(content: bytes) -> None:
    """It counts as absent."""
    assert list(read_dlopen_note(content)) == []


def test_of_much_only_a_part_is_taken() -> None:
    """Entries, names and texts have limits, and a note that is too long is not read."""
    (one,) = entries([{"soname": [f"lib{number}.so" for number in range(99)], "feature": "x" * 999, "priority": "now"}])
    assert (len(one.sonames), len(one.feature), one.priority) == (16, 80, "recommended")
    assert len(entries([{"soname": ["liba.so"]}] * 999)) == 64
    assert entries([{"soname": ["liba.so"], "description": "x" * 70000}]) == []
