"""What the rest of the project may ask of a toolchain: one Protocol for all, another for those that compile C."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from recipes.compile.files import Stamp
from recipes.compile.recipe import Recipe, ToolchainName
from recipes.errors import ToolMissing
from recipes.model import Environment, Platform, Sample
from recipes.support.workspace import Workspace

if TYPE_CHECKING:
    from recipes.support.system import Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """A compiler that is there. The tools are absolute paths; `identity` is a digest of all that makes the result.

    `c` is the C driver (for those that compile C), `archiver` makes static libraries, `static` says whether there is a
    static C and C++ library.
    """

    name: ToolchainName
    version: str
    argv: tuple[str, ...]
    identity: str
    c: tuple[str, ...] = ()
    archiver: tuple[str, ...] = ()
    static: bool = True
    own: str = ""
    """Where its own headers are, with a slash behind: files that `identity` already stands for."""

    @property
    def path(self) -> Path:
        return Path(self.argv[0])

    def __str__(self) -> str:
        return f"{Path(self.argv[0]).name} {self.version}"


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe found, and the state of the disk for which that holds."""

    toolchain: Toolchain
    watched: tuple[tuple[str, Stamp], ...]
    absent: tuple[str, ...] = ()
    on_path: tuple[tuple[str, str | None], ...] = ()
    """Programs that the compiler itself looks for on PATH, and where they were."""


class ToolchainType(Protocol):
    """A toolchain as such, whether it is on this machine or not. What most have in common is answered here."""

    name: ToolchainName
    program: str
    """The command that users know it by."""
    hint: str
    """What to do where it is missing."""
    lost: str
    """What does not work without it."""
    misled_by: frozenset[str]
    """Variables of the caller's environment that would change what it makes."""
    brings_its_own_libc: bool = False
    """Whether programs are linked against libraries of its own, and never against this machine's."""
    builds_libraries: str = ""
    """What it has to build itself when it first links for a platform, which takes minutes."""

    def find(self, platform: Platform) -> str | None:
        """The absolute path of the command that builds for `platform`."""

    def probe(self, tool: str) -> Probe:
        """What `tool` is, found by starting it. Raises: ToolMissing; CommandFailed where it does not answer."""

    def check_platform(self, platform: Platform) -> None:
        """Raises: BadInput for a platform that it cannot build for, wherever it is installed."""
        return

    def missing(self, recipe: Recipe, platform: Platform) -> ToolMissing:
        """The error where `find` finds nothing."""
        return ToolMissing(f"{self.program} not found (needed by recipe {recipe.name})", self.hint)

    def check_libraries(self, recipe: Recipe, toolchain: Toolchain) -> None:
        """Raises: ToolMissing where what was found lacks libraries that `recipe` links."""
        return

    def fitting(self, toolchain: Toolchain, sample: Sample, workspace: Workspace) -> Toolchain:
        """`toolchain`, or another one of this type where the sample asks for a newer one."""
        return toolchain

    def caches(self, workspace: Workspace) -> Environment:
        """The variables that move its own caches into the project, where they cannot be where it wants them."""
        return ()

    def doctor(self, toolchain: Toolchain) -> Iterable[Found]:
        """Rows about parts of it that may be missing on their own."""
        return ()


class Archivers(NamedTuple):
    """How static libraries are made, and whether that works for objects which have code for LTO alone."""

    archiver: tuple[str, ...]
    ranlib: tuple[str, ...]
    know_lto: bool


class CompilerType(ToolchainType, Protocol):
    """A toolchain that compiles C and C++, with a driver that takes gcc's options."""

    prints_linker_map: bool = False
    """Whether its linker can only print the map; else it writes it into the file that -Map names."""
    wrapper_flags: tuple[str, ...] = ()
    """What its driver is told where a build system passes on options of other calls."""

    def target(self, platform: Platform) -> tuple[str, ...]:
        """The options that choose the platform. Raises: BadInput."""
        return ()

    def triple(self, platform: Platform) -> str:
        """The GNU name of the platform, as `configure --host` takes it."""

    def object_flags(self, recipe: Recipe, name: str) -> tuple[str, ...]:
        """What makes the object called `name` come out the same each time."""
        return ()

    def member_flags(self, recipe: Recipe) -> tuple[str, ...]:
        """What objects need so that an archiver without LTO can put them into a library."""
        return ()

    def archivers(self, toolchain: Toolchain) -> Archivers:
        """What archives the objects that a build system makes."""
        return Archivers(toolchain.archiver, (*toolchain.archiver[:-1], "ranlib"), know_lto=True)


class CgoCompiler(Protocol):
    """A toolchain whose C compiler `go` may be given."""

    def check_cgo(self, recipe: Recipe, platform: Platform) -> None:
        """Raises: ToolMissing, BadInput where it cannot build for `platform`."""

    def for_cgo(self, recipe: Recipe, workspace: Workspace) -> tuple[tuple[str, ...], str]:
        """Its C driver, and its identity. Raises: ToolMissing."""

    def cgo_environment(
        self, c: tuple[str, ...], platform: Platform, *, pie: bool
    ) -> Iterable[tuple[str, tuple[str, ...]]]:
        """The variables that make `go` call the driver `c` for the platform, and their words; `pie` if it is told to
        make a position independent executable.
        """
