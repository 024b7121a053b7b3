"""What an ELF file was meant to be: a program, a shared library or an object file, from as few reads as that takes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from recipes.elf.dynamic import is_pie
from recipes.elf.segments import ET_DYN, ET_EXEC, PT_INTERP, FileReader, Reader, read_file_header, read_header
from recipes.errors import BadInput, RecipeError

Kind = Literal["", "program", "library", "object"]


def kind_of(path: Path) -> tuple[Kind, int]:
    """The kind of the file, and its e_machine; ("", 0) for any other file than ELF. Never raises for content.

    Only a guess at what was meant: whether a program is sound is decided later, from the whole file.
    """
    try:
        with FileReader(path) as reader:
            return kind_in(reader)
    except RecipeError:
        return "", 0


def kind_in(reader: Reader) -> tuple[Kind, int]:
    """The same of what is read already."""
    try:
        start = read_file_header(reader)
    except RecipeError:
        return "", 0
    if start.type not in (ET_EXEC, ET_DYN):
        return "object", start.machine
    return "program" if start.type == ET_EXEC or _is_program(reader) else "library", start.machine


def _is_program(reader: Reader) -> bool:
    """Whether an ET_DYN file is to be started; a damaged one is not."""
    try:
        header = read_header(reader)
        return header.segment(PT_INTERP) is not None or is_pie(reader, header)
    except BadInput:
        return False
