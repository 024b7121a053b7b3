"""docs/schema/ as validators of what the tasks print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.cli import ROOT

FOLDER = ROOT / "docs/schema"
COMMON = "common"
KINDS = tuple(sorted({path.stem for path in FOLDER.iterdir()} - {COMMON}))


@cache
def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_bytes())
    return found


@cache
def validator(kind: str) -> Draft202012Validator:
    resources = [(f"{name}.json", Resource.from_contents(schema(name))) for name in (COMMON, *KINDS)]
    registry: Registry[Any] = Registry().with_resources(resources)
    return Draft202012Validator(schema(kind), registry=registry)


def read(kind: str, text: str | bytes) -> dict[str, Any]:
    """What a task printed as JSON. Raises: jsonschema.ValidationError where that is not of this kind."""
    document: dict[str, Any] = json.loads(text)
    validator(kind).validate(document)
    return document


def target(part: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    """What `part` of the file `name` refers to, and the name of the file that has it."""
    file, _, pointer = part["$ref"].partition("#/$defs/")
    other = file.removesuffix(".json") or name
    return schema(other)["$defs"][pointer], other


def objects(part: Any, name: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Every schema with properties that `part` of the file `name` describes, also by reference, and its file's name."""
    if isinstance(part, list):
        for each in part:
            yield from objects(each, name)
    elif isinstance(part, dict):
        if "$ref" in part:
            yield from objects(*target(part, name))
        if "properties" in part:
            yield part, name
        for key, each in part.items():
            if key != "$defs":
                yield from objects(each, name)
