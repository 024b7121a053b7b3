"""What a rule is asked about: one program, in one root, with one environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from recipes.elf.markers import Traits
from recipes.elf.segments import Reader
from recipes.errors import BadInput
from recipes.model import Command, ElfFacts, Platform
from recipes.rootfs.accounts import Account
from recipes.verdict.callers import Callers


class Root(Protocol):
    """What the rules ask of a root file system. Paths are absolute inside it; links are followed and stay inside."""

    def exists(self, path: str) -> bool: ...

    def is_folder(self, path: str) -> bool: ...

    def is_loop(self, path: str) -> bool:
        """Whether a path leads to nothing because its links lead on and on."""

    def mode(self, path: str) -> int:
        """The permission bits; 0 where there is nothing."""

    def names(self, path: str) -> tuple[str, ...]:
        """The entries of a folder; () where there is none."""

    def reader(self, path: str) -> Reader:
        """A regular file. Raises: BadInput where there is none."""

    def beneath_mounts(self, folders: tuple[str, ...]) -> Root:
        """The same root without what these folders hold."""

    def seen_by(self, account: Account) -> Root:
        """The same root as a process of `account` sees it."""

    def may_execute(self, path: str) -> bool:
        """Whether a path leads to a file that may be executed."""

    def may_read(self, path: str) -> bool:
        """Whether what a path leads to may be read."""

    def barrier(self, path: str) -> str:
        """The folder on the way to a path that may not be passed; "" where there is none. `/` does not count."""

    def file_on_the_way(self, path: str) -> str:
        """The file, links followed, that a path takes for a folder; "" where there is none."""

    def may_pass_top(self) -> bool:
        """Whether `/` may be passed, as far as its mode in the layers says."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a hazard shows: `seen` is what gave it away, `message` what the user would see.

    `sure` False: the program holds what it takes, and may never come to it. Then the finding is only possible.
    """

    seen: str
    message: str
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Subject:
    """`env`, `user` and `workdir` are the image's, `entry` is where the program stands in it.

    `warnings`, `commands` and `asked_for` (see `linkermap`) are what is known of the build, where we have made it.
    `callers` are the libraries that the loader found.
    """

    traits: Traits
    facts: ElfFacts
    root: Root
    platform: Platform
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    warnings: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    asked_for: Mapping[str, str] = field(default_factory=dict)
    entry: str = "/app"
    workdir: str = "/"
    argv0: str = ""
    """what the program is called, if not `entry`"""
    callers: Callers | None = None

    @property
    def is_musl(self) -> bool:
        interpreter = self.traits.dynamic.interpreter
        return self.traits.libc == "musl" or (interpreter is not None and "/ld-musl-" in interpreter)

    def calls(self, *names: str) -> str:
        """The first of `names` that the program or any library of it calls, in words; "" where none does."""
        own = self.traits.imports(*names)
        return f"it calls {own}" if own else self._library_calls(names, direct=False)

    def library_calls(self, *names: str) -> str:
        """The same for the libraries that the program itself calls. That it makes them do this is only possible."""
        return self._library_calls(names, direct=True)

    def _library_calls(self, names: tuple[str, ...], *, direct: bool) -> str:
        library, call = self.callers.first(*names, direct=direct) if self.callers else ("", "")
        return f"its library {library} calls {call}" if call else ""

    def has_any(self, *paths: str) -> bool:
        """Whether the root has one of the files; "" does not count: it comes from a variable that is not set."""
        return any(path and self.root.exists(path) for path in paths)

    def has_entries(self, *folders: str) -> bool:
        """Whether one of the folders is there and holds something; "" does not count."""
        return any(folder and self.root.names(folder) for folder in folders)

    def text(self, path: str) -> str:
        """The start of a small text file of the root; "" where there is none."""
        return read_text(self.root, path)


def read_text(root: Root, path: str, most: int = 65536) -> str:
    try:
        return root.reader(path).read_at(0, most).decode(errors="surrogateescape")
    except BadInput:
        return ""
