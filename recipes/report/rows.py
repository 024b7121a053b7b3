"""What every report says of a row's program, in one place."""

from __future__ import annotations

from recipes.model import SizeRow


def sample_name(row: SizeRow) -> str:
    binary = row.image.binary
    return binary.sample.name if binary.sample else binary.path.name


def recipe_name(row: SizeRow) -> str:
    """`prebuilt` for a file that was given as it is."""
    return row.image.binary.recipe or "prebuilt"


def program_bytes(row: SizeRow) -> int:
    return row.image.binary.size


def linkage(row: SizeRow) -> str:
    return row.facts.linkage.value
