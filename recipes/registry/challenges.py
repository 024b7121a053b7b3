"""What a registry that answers 401 asks for. Source: RFC 9110, section 11.6.1, "WWW-Authenticate"."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_PIECES = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*"?)+')
_PARAMETER = re.compile(r'\s*([\w!#$%&\'*+.^`|~-]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s"=]+))\s*')
_SCHEME = re.compile(r"\s*([\w!#$%&'*+.^`|~-]+)(?:\s+(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate. `scheme` and the parameters' names are in small letters."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def read_challenges(header: str) -> dict[str, Challenge]:
    """The challenges of a WWW-Authenticate header (several headers are joined by commas), by scheme."""
    found: list[Challenge] = []
    for piece in _PIECES.findall(header):
        rest = piece
        # `a=b` belongs to the challenge before it; `Scheme` and `Scheme a=b` begin another one.
        if not _PARAMETER.fullmatch(piece) and (begun := _SCHEME.fullmatch(piece)):
            found.append(Challenge(begun[1].lower()))
            rest = begun[2] or ""
        if found and (parameter := _PARAMETER.fullmatch(rest)):
            name, quoted, plain = parameter.groups()
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1].parameters.setdefault(name.lower(), value)
    return {challenge.scheme: challenge for challenge in reversed(found)}
