"""Why no library comes of a name, in the words of glibc's loader."""

from __future__ import annotations

from typing import NamedTuple

from recipes.loader.loading import ProblemCode
from recipes.loader.objects import LoadAttempt
from recipes.loader.words import words_of_glibc
from recipes.model import Library


class Refusal(NamedTuple):
    """Why no library comes of a name: the loader's words, what they speak of, and the number of the system's error."""

    library: Library
    code: ProblemCode
    what: str
    text: str
    errno: int
    evidence: str
    death: str = ""
    doubtful: bool = False

    @property
    def sentence(self) -> str:
        """What the loader says of it as it ends."""
        return f"{self.what}: {self.text}" + (f": {words_of_glibc(self.errno)}" if self.errno else "")


def refusal_of(opened: LoadAttempt, path: str, library: Library, bits: int) -> Refusal:
    """The refusal that a failed attempt at `path` is to a loader of that many `bits`.

    Source: glibc, `elf/dl-load.c`, `_dl_map_object`.
    """
    evidence = f"{library.needed_by} needs {library.name}"
    if opened.error:
        what = library.name if opened.nameless else path
        evidence += f", and {path} is {opened.found}"
        death, doubtful = opened.death, bool(opened.death) and opened.doubtful
        return Refusal(library, "library-broken", what, opened.error, opened.errno, evidence, death, doubtful)
    if opened.other_class:
        text = f"wrong ELF class: ELFCLASS{96 - bits}"
        return Refusal(library, "library-missing", library.name, text, 0, evidence)
    text = "cannot open shared object file"
    return Refusal(library, "library-missing", library.name, text, opened.errno, evidence)
