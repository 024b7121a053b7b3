"""What docs/hazards.md says of a finding's code: the page is shipped beside the templates of reports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PAGE = Path(__file__).parent / "page" / "hazards.md"

Text = tuple[tuple[str, bool], ...]
"""The parts of a text, and whether each is code."""


@dataclass(frozen=True, slots=True)
class Hazard:
    """`paragraphs` has (heading, text): what gives it away, what the user sees, what to do, why it is so."""

    code: str
    paragraphs: tuple[tuple[str, Text], ...]


@cache
def hazards() -> dict[str, Hazard]:
    """Every section of the page by its code."""
    sections = re.split(r"^### `([a-z0-9-]+)`.*$", _PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        code: Hazard(code, tuple(_paragraphs(body))) for code, body in zip(sections[::2], sections[1::2], strict=True)
    }


def spans(text: str) -> Text:
    """`text` with what stands between backticks apart. Source: CommonMark, "Code spans"."""
    parts = re.split(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", text)
    plain = [(part, False) for part in parts[::3]]
    code = [(part.removeprefix(" ").removesuffix(" ") if "`" in part else part, True) for part in parts[2::3]]
    return tuple(pair for index, first in enumerate(plain) for pair in (first, *code[index : index + 1]) if pair[0])


def _paragraphs(body: str) -> list[tuple[str, Text]]:
    """The items `- Heading: text` of a section; the next heading of a part of the page ends it."""
    body = re.split(r"^## ", body, flags=re.MULTILINE)[0]
    items = re.findall(r"^- (\w+): (.*(?:\n(?!- ).+)*)", body, re.MULTILINE)
    return [(heading, spans(" ".join(text.split()))) for heading, text in items]
