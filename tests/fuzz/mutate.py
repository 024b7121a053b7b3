"""Broken copies of whole files. A number gives the same copy every time, so that a failure can be repeated."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

_EXTREMES = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_WIDER = (0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFF000, 1 << 40)
_WIDTHS = {1: "B", 2: "H", 4: "I", 8: "Q"}


def mutated(originals: Sequence[bytes], number: int) -> bytes:
    """The broken copy with this number: one of `originals` after one to eight changes."""
    chance = random.Random(number)  # noqa: S311  # has to be the same every time
    data = bytearray(chance.choice(originals))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 5, 8))):
        chance.choice((_flip, _flip, _number, _number, _number, _copy, _copy, _cut, _fill, _insert))(data, chance)
    return bytes(data)


def _place(data: bytearray, chance: random.Random) -> int:
    """Mostly near the start, where formats keep what they are, else anywhere."""
    if not data:
        return 0
    most = chance.choice((64, 1024, len(data), len(data)))
    return chance.randrange(min(most, len(data)))


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _number(data: bytearray, chance: random.Random) -> None:
    """A whole number of some width becomes an extreme one, or a little more or less than it was."""
    width = chance.choice((1, 2, 4, 4, 8, 8))
    at = _place(data, chance) // width * width
    if at + width > len(data):
        return
    order = chance.choice("<<>")
    form = order + _WIDTHS[width]
    (old,) = struct.unpack_from(form, data, at)
    near = (old + chance.choice((-16, -8, -1, 1, 8, 16)), old * 2, old // 2, len(data))
    new = chance.choice((*_EXTREMES, *_WIDER, *near))
    struct.pack_into(form, data, at, new & (1 << 8 * width) - 1)


def _copy(data: bytearray, chance: random.Random) -> None:
    """A piece is written over another."""
    length = chance.choice((4, 16, 24, 56, 64, 512))
    start, at = _place(data, chance), _place(data, chance)
    piece = data[start : start + length]
    data[at : at + len(piece)] = piece


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[_place(data, chance) :]


def _fill(data: bytearray, chance: random.Random) -> None:
    at, length = _place(data, chance), chance.choice((1, 8, 64, 512, 4096))
    length = min(length, len(data) - at)
    data[at : at + length] = bytes([chance.choice((0, 0x20, 0x30, 0x41, 0xFF))]) * length


def _insert(data: bytearray, chance: random.Random) -> None:
    at = _place(data, chance)
    data[at:at] = chance.randbytes(chance.choice((1, 8, 512)))
