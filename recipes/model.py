"""The values of the pipeline, in pipeline order.

Every value is frozen and holds its predecessor, so that a row of a report can name the command that made its number.
Sizes are integers in bytes, durations are floats in seconds, digests are strings `sha256:<64 hex digits>`.
"""

from __future__ import annotations

import os
import re
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from recipes.architecture import name_of_machine
from recipes.errors import BadInput
from recipes.support.printable import shell_word

Environment = tuple[tuple[str, str], ...]

# ── where it will run ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """An OCI platform, in Go's names: `linux/amd64`, `linux/arm/v7`. Source: OCI image-spec, "Image Index"."""

    os: str = "linux"
    architecture: str = "amd64"
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        parts = text.strip().split("/")
        if len(parts) == 1:
            parts = ["linux", *parts]
        if len(parts) not in (2, 3) or not all(parts):
            raise BadInput(f"not a platform: {text!r}", hint="write it as os/architecture, for example linux/amd64")
        os_name, architecture = parts[0], name_of_machine(parts[1])
        if os_name != "linux":
            raise BadInput(f"platform {text!r} is not a Linux one", hint="only linux/… images can be built")
        return cls(os_name, architecture, parts[2] if len(parts) == 3 else "")

    @classmethod
    def parse_list(cls, text: str) -> tuple[Platform, ...]:
        """Those between commas, each once; this machine's where there is none."""
        words = [word for word in text.split(",") if word.strip()]
        return tuple(dict.fromkeys(cls.parse(word) for word in words)) or (cls.host(),)

    @classmethod
    def host(cls) -> Platform:
        machine = os.uname().machine
        return cls("linux", name_of_machine(machine), "v7" if machine == "armv7l" else "")

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


# ── a program's source ───────────────────────────────────────────────────────────────────────────────────────────────

Language = Literal["c++", "go", "binary"]
"""What a sample is written in (C counts as C++); "binary" is a prebuilt program."""

BuildSystem = Literal["sources", "cmake", "meson", "autotools", "make", "go"]
"""What turns the files into a program: this project itself ("sources"), or the sample's own build system."""

Need = Literal[
    "ca-certificates", "nsswitch", "protocols", "services", "terminfo", "time-zones", "tmp", "users", "utf8-locale"
]
"""Data that a program may ask for at run time; `package.runtime_data` has the files of each."""


@dataclass(frozen=True, slots=True)
class Expect:
    """What a run of the sample has to show. `stdout` is all of it, `contains` a part; None: anything will do.

    `serves` is for programs that do not end by themselves: the seconds after which a running one counts as healthy.
    One that has ended by then does not, whatever its exit code.
    """

    stdout: str | None = None
    exit_code: int = 0
    serves: float | None = None
    contains: str | None = None


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file or folder of a layer: `source` is a file's path or its content; None makes a folder.

    `path` is absolute inside the image. With `link` it is a symbolic link to there.
    """

    path: str
    source: Path | bytes | None
    mode: int
    uid: int = 0
    gid: int = 0
    link: str = ""

    @property
    def name(self) -> str:
        return self.path.strip("/") + ("/" if self.source is None and not self.link else "")

    def size(self) -> int:
        if self.source is None:
            return 0
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How an engine finds out whether a container is healthy: `test` in exec form, or `http`, an address that the
    project's own probe asks. Times in seconds. Source: Docker Image Specification v1.2, "Healthcheck".
    """

    test: tuple[str, ...] = ()
    http: str = ""
    interval: float = 30.0
    timeout: float = 5.0
    start_period: float = 0.0
    retries: int = 3


PROGRAM = "/app"
"""Where a program is in an image that has no other place for it: equal programs make equal layers."""


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """What a sample may choose about its image. Source: OCI image-spec, "Image Configuration".

    `path` is where the program stands, "" where it says that itself; `called` is a link to it that is the entry point,
    "" where there is none. `install` takes along what the project installs beside its program.
    `needs` names the data that is added (see `package.runtime_data`); None adds what the verdict says is missing.
    `zones` are the time zones that are meant, () for all; `ca` are certificates that the CA bundle holds beside the
    usual ones.
    """

    path: str = ""
    called: str = ""
    install: bool = False
    user: str = "65532:65532"
    workdir: str = "/"
    cmd: tuple[str, ...] = ()
    env: Environment = ()
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    healthcheck: HealthCheck | None = None
    labels: Environment = ()
    annotations: Environment = ()
    files: tuple[FileEntry, ...] = ()
    needs: tuple[Need, ...] | None = None
    zones: tuple[str, ...] = ()
    ca: tuple[Path, ...] = ()

    @property
    def place(self) -> str:
        return self.path or PROGRAM

    @property
    def entrypoint(self) -> str:
        return self.called or self.place


@dataclass(frozen=True, slots=True)
class Sample:
    """A folder that holds one program. `sources` are relative to `folder`.

    `args` and `stdin` are for the trial run and no part of the image. `expect` None: it has to start, and that is all.
    `libraries` are static libraries of its own, (name, sources) in link order; `include` are folders for headers,
    `libs` libraries of this machine, by the names that pkg-config knows.
    `target` names the product of a build system that makes several programs, `options` are handed to it as they are;
    `alternatives` are the build systems whose files are there too, for where `build` fails. `without_patches` builds
    one of Debian's source packages as its project has published it, but for fixes of vulnerabilities.
    For Go, `package` is the one to build (`./cmd/x`), `module` what the module proxy is asked for
    (`example.org/x/cmd/y@v1.2.3`), and `stamps` are string variables to set (`main.version`), None where
    nobody says which.
    """

    name: str
    folder: Path
    language: Language
    sources: tuple[Path, ...]
    _: KW_ONLY
    args: tuple[str, ...] = ()
    stdin: str = ""
    expect: Expect | None = None
    default_recipe: str | None = None
    image: ImageSettings = ImageSettings()
    libraries: tuple[tuple[str, tuple[Path, ...]], ...] = ()
    include: tuple[Path, ...] = ()
    libs: tuple[str, ...] = ()
    build: BuildSystem = "sources"
    target: str = ""
    options: tuple[str, ...] = ()
    alternatives: tuple[BuildSystem, ...] = ()
    without_patches: bool = False
    package: str = "."
    module: str = ""
    stamps: Environment | None = None


# ── how it is built ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Command:
    """One process to start. `env` is added to the caller's environment *last*, so nothing overrides it."""

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Environment = ()

    def __str__(self) -> str:
        """The command as it can be pasted into a shell: one line, in which nothing is invisible."""
        line = " ".join((*(f"{name}={shell_word(value)}" for name, value in self.env), *map(shell_word, self.argv)))
        return line if self.cwd is None or self.cwd == Path.cwd() else f"(cd {shell_word(str(self.cwd))} && {line})"


@dataclass(frozen=True, slots=True)
class Installed:
    """What a project's own `install` has put where: `tree` is a folder that stands for /, `program` the path in it.

    `named` are the paths of the files in it that the program names.
    """

    program: str
    tree: Path
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """How a program came about. That of one that was built elsewhere holds nothing."""

    recipe: str | None = None
    commands: tuple[Command, ...] = ()
    warnings: tuple[str, ...] = ()
    """What the linker warned of, one warning each, such as `Using 'getaddrinfo' in statically linked applications…`."""
    linker_map: Path | None = None
    toolchain: str = ""
    cached: bool = False
    seconds: float = 0.0
    """Wall time that the commands took when they ran."""
    installed: Installed | None = None
    """Where the project itself installs the program, and what else; None where it does not."""


# ── what the file says ───────────────────────────────────────────────────────────────────────────────────────────────


class Linkage(StrEnum):
    """Decided from PT_INTERP, DT_NEEDED, e_type and DF_1_PIE alone: never from section names."""

    DYNAMIC = "dynamic"
    LOADER_ONLY = "dynamic, loader only"
    STATIC = "static"
    STATIC_PIE = "static-PIE"
    SHARED_LIBRARY = "shared library"

    @property
    def is_static(self) -> bool:
        return self in (Linkage.STATIC, Linkage.STATIC_PIE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfFacts:
    """What the program headers and the dynamic segment say about one ELF file.

    `needed` is () for static and static-PIE. `machine` is the OCI architecture name where one exists (`amd64`), else
    the ELF machine's own number as text. `relro` is "full", "partial" or "none". `rpath` and `runpath` are as
    written, split at colons, `$ORIGIN` unexpanded.
    """

    size: int
    bits: int
    little_endian: bool
    os_abi: int
    type: str
    """"EXEC" or "DYN" (others are not programs or libraries and are refused)."""
    machine: str
    entry: int
    linkage: Linkage
    interpreter: str | None = None
    needed: tuple[str, ...] = ()
    soname: str | None = None
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    stripped: bool = False
    pie: bool = False
    relro: Literal["full", "partial", "none"] = "none"
    nx: bool = False
    build_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """An executable file: what it was made of, how, and what it is. In the build cache `path` never changes."""

    path: Path
    sha256: str
    platform: Platform
    sample: Sample
    facts: ElfFacts
    build: Build = Build()

    @property
    def name(self) -> str:
        return self.sample.name

    @property
    def size(self) -> int:
        return self.facts.size

    @property
    def place(self) -> str:
        """Where it stands in an image: where the sample says, else where its own project installs it, else /app."""
        own = self.build.installed.program if self.build.installed else PROGRAM
        return self.sample.image.path or own


# ── what it is put on ────────────────────────────────────────────────────────────────────────────────────────────────


Compression = Literal["gzip", "zstd", "none"]
"""How the layers that are made here are compressed."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob of the store: what it is, which one, how long. Source: OCI image-spec, "Content Descriptors"."""

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer, by digest (of the stored, mostly compressed blob) and by diff ID (of its uncompressed tar).

    `content_bytes` is what the layer adds to the size that an engine shows, `tar_bytes` the length of its tar.
    """

    descriptor: Descriptor
    diff_id: str
    content_bytes: int
    tar_bytes: int


@dataclass(frozen=True, slots=True)
class BaseImage:
    """What a program is put on. `scratch` has no layers and no digest.

    `name` is what the user sees; `reference` says where it came from, in containers-transports notation.
    """

    name: str
    reference: str
    platform: Platform
    _: KW_ONLY
    digest: str | None = None
    layers: tuple[Layer, ...] = ()
    env: Environment = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    workdir: str = "/"
    volumes: tuple[str, ...] = ()
    config: Descriptor | None = None
    """The blob that says all this, where it is an image that has one."""
    manifest: Descriptor | None = None
    """What names all its blobs, where its source has one."""

    @property
    def start(self) -> tuple[str, ...]:
        """Its own entry point and command, where it is an image that has one."""
        return (*self.entrypoint, *self.cmd)

    @property
    def image_bytes(self) -> int:
        return sum(layer.content_bytes for layer in self.layers)


@dataclass(frozen=True, slots=True)
class RuntimeData:
    """Data that was added because the program will ask for it: which, and why."""

    need: Need
    reason: str


@dataclass(frozen=True, slots=True)
class Additions:
    """What an image has beside its base and the program: settings, and layers with files and data.

    `tmp`: the program's layer brings /tmp, which neither the base nor these layers have.
    """

    settings: ImageSettings = ImageSettings()
    layers: tuple[Layer, ...] = ()
    runtime_data: tuple[RuntimeData, ...] = ()
    tmp: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image in the store. `digest` is the manifest's, `config` the config blob (its digest is Docker's image ID).

    `layers` are the base's, then those of the additions, then the one with the program. `own_files` are what that
    one was made of, () where it was made of something else.
    """

    name: str
    manifest: Descriptor
    config: Descriptor
    layers: tuple[Layer, ...]
    platform: Platform
    base: BaseImage
    program: Program
    entrypoint: tuple[str, ...]
    additions: Additions = Additions()
    own_files: tuple[FileEntry, ...] = ()

    @property
    def settings(self) -> ImageSettings:
        return self.additions.settings

    @property
    def digest(self) -> str:
        return self.manifest.digest

    @property
    def image_bytes(self) -> int:
        return sum(layer.content_bytes for layer in self.layers)

    @property
    def download_bytes(self) -> int:
        return self.manifest.size + self.config.size + sum(layer.descriptor.size for layer in self.layers)

    @property
    def overhead_bytes(self) -> int:
        return self.image_bytes - self.program.size


# ── will it run: before, and after ───────────────────────────────────────────────────────────────────────────────────


class Status(StrEnum):
    RUNS = "runs"
    FAILS = "fails"
    UNKNOWN = "unknown"


class Level(StrEnum):
    CERTAIN = "certain"
    """exec or the loader fails"""
    NEEDS_DATA = "needs-data"
    """it starts, then misses something"""
    POSSIBLE = "possible"
    """cannot be decided from the file"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One reason. `code` is stable and documented in docs/hazards.md; `message` is what the user would see."""

    level: Level
    code: str
    evidence: str
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Searched:
    """One place where the loader looked for a library: why there, and what it met."""

    path: str
    why: str
    found: str


@dataclass(frozen=True, slots=True)
class Library:
    """A library that the loader asks for. `path` None: not found. Paths are absolute inside the root."""

    name: str
    path: str | None
    needed_by: str
    searched: tuple[Searched, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the file and the root say before anything runs. Unknown is never a pass."""

    status: Status
    findings: tuple[Finding, ...] = ()
    libraries: tuple[Library, ...] = ()

    @property
    def certain(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level is Level.CERTAIN)

    @property
    def reason(self) -> str:
        """The message of the first finding that decides the status; "" where the program runs."""
        if self.status is Status.RUNS:
            return ""
        deciding = Level.CERTAIN if self.status is Status.FAILS else Level.POSSIBLE
        return next((finding.message for finding in self.findings if finding.level is deciding), "")

    @property
    def runs(self) -> bool | None:
        """The status as an answer; None where the file cannot tell."""
        return {Status.RUNS: True, Status.FAILS: False, Status.UNKNOWN: None}[self.status]


class RunStatus(StrEnum):
    EXITED = "exited"
    """the process ran and ended by itself, whatever its exit code or signal"""
    NOT_STARTED = "not started"
    """the engine could not exec it: the message is in `reason`"""
    STOPPED = "stopped"
    """it went past a limit (time, output, memory, processes) and was ended by us: `reason` says which"""
    NOT_RUN = "not run"
    """the engine could not even try: `reason` says why. Never a pass."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a trial run may use. Exceeding any of them ends it."""

    seconds: float = 20.0
    output_bytes: int = 1 << 20
    memory_bytes: int = 512 << 20
    processes: int = 64
    listening_seconds: float | None = None
    """One that listens on a port has shown by then that it runs, and is ended. None: it has all of `seconds`."""


_LOADER_FAILURES = (
    "error while loading shared libraries",
    "Error loading shared library",
    "Error relocating",
    "symbol lookup error",
    "' not found (required by ",
    "CPU ISA level is lower than required",
    "This program can only be run on AMD64 processors with",
)
"""What glibc's and musl's loaders write when they give up; they exit with 127, or 1 after a version error.

Go's runtime asks for the CPU's level by itself, and exits with 1.
"""

_TOO_LONG = "argument list too long"
"""What the kernel says of any program whose arguments are at fault: no verdict knows them."""

_EMULATOR_FAILURE = r"(?m)^qemu-\S+: Could not open "
"""QEMU where the loader is missing; it exits with 255."""

_BROKEN_START = (132, 135, 139)
"""Signals that end a program before its own code where its file is broken or not for this CPU: ILL, BUS, SEGV."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What a run showed. `exit_code` is 128+n after signal n, as a shell counts it; None where nothing ended."""

    engine: str
    status: RunStatus
    _: KW_ONLY
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    reason: str = ""
    timed_out: bool = False
    """It was stopped because its time was over, and for no other reason."""
    listens: tuple[str, ...] = ()
    """The ports on which it listened when its time was over, such as `8080/tcp`, where the engine sees them."""

    @property
    def ending(self) -> str:
        """How it ended: `exit code 1`, `exit code 139 (SIGSEGV)`, `still running`, or why it did not end by itself."""
        if self.exit_code is None:
            return "still running" if self.timed_out else self.reason
        return f"exit code {self.exit_code}{_signal_name(self.exit_code)}"

    @property
    def crashed(self) -> bool:
        """Whether it ended as programs do whose file is broken, or not for this CPU."""
        return self.exit_code in _BROKEN_START

    @property
    def started(self) -> bool:
        """Whether exec and the loader did their work, so that the program's own code ran."""
        if self.status is RunStatus.STOPPED:
            return True
        if self.status is not RunStatus.EXITED:
            return False
        if self.exit_code == 255 and re.search(_EMULATOR_FAILURE, self.stderr):
            return False
        return not (self.exit_code in (1, 127) and any(text in self.stderr for text in _LOADER_FAILURES))

    def meets(self, expect: Expect | None) -> bool | None:
        """Whether this is what is expected, or, where that is nothing, a program that started and did not crash.

        None where it was not run.
        """
        if self.status is RunStatus.NOT_RUN:
            return None
        if expect is None:
            return self.started and not self.crashed
        if expect.contains is not None and expect.contains not in self.stdout:
            return False
        if expect.serves is not None:
            return self.timed_out and (expect.stdout is None or self.stdout.startswith(expect.stdout))
        if self.status is not RunStatus.EXITED or self.exit_code != expect.exit_code:
            return False
        return expect.stdout is None or self.stdout == expect.stdout


def _signal_name(exit_code: int) -> str:
    """` (SIGSEGV)` for 139, as a shell counts; "" for what is no signal's."""
    if exit_code <= 128:
        return ""
    import signal

    try:
        return f" ({signal.Signals(exit_code - 128).name})"
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class AtHome:
    """The same program, run in the same way where it comes from, and in what one line the image's run differs.

    `differs` "": in nothing. `ended_alike`: with the same exit code, or by the same limit. Where the program did not
    start there it says nothing about the image: `differs` and `ended_alike` are None.
    """

    run: RunOutcome
    differs: str | None
    ended_alike: bool | None


# ── what is reported ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SizeRow:
    """One cell of the comparison: a program on a base. It alone knows what is expected, foreseen and observed, so it
    is here that a run is called good.
    """

    image: Image
    verdict: Verdict
    run: RunOutcome | None = None
    home: AtHome | None = None

    @property
    def program(self) -> Program:
        return self.image.program

    @property
    def expect(self) -> Expect | None:
        return self.program.sample.expect

    @property
    def observed(self) -> bool | None:
        """Whether the run was good; None where nothing was run.

        It is good where it showed what the sample expects. Without an expectation it is where the program started, did
        not crash, did not end for lack of what a finding foresaw, and ended as at home, where it was run there, too.
        """
        good = self.run.meets(self.expect) if self.run else None
        if not good or self.expect is not None:
            return good
        return not (self._as_foreseen or (self.home and self.home.ended_alike is False))

    @property
    def _as_foreseen(self) -> bool:
        """Whether it ended with an error that is the message of a finding."""
        if self.run is None or self.run.exit_code in (None, 0):
            return False
        said = self.run.stderr + self.run.stdout
        return any(finding.message and finding.message in said for finding in self.verdict.findings)

    @property
    def runs(self) -> bool | None:
        """Observed where it was run, else what the verdict says; None where neither can tell."""
        return self.verdict.runs if self.observed is None else self.observed

    @property
    def reason(self) -> str:
        """Why it does not run, unshortened: what was observed where there was a run, else what is predicted."""
        if self.runs:
            return ""
        if self.run is None or self.run.status is RunStatus.NOT_RUN:
            return self.verdict.reason or (self.run.reason if self.run else "")
        said = self.run.stderr.strip()
        if self.expect is not None:
            if self.run.exit_code == self.expect.exit_code and self.expect.contains is not None:
                return f"stdout does not contain {self.expect.contains!r}"
            return self.run.reason or said or f"exit code {self.run.exit_code}, not what the sample expects"
        if self._as_foreseen or not self.run.started:
            return self.run.reason or said or self.run.ending
        otherwise = f"not as at home: {self.home.differs}" if self.home and not self.home.ended_alike else ""
        return "\n".join(filter(None, (otherwise or self.run.ending, said)))

    @property
    def disagrees(self) -> bool:
        """Verdict and run say different things: a bug in one of our rules.

        A program that starts and then does not do what its sample expects is outside of the verdict. So are
        arguments with which none would start. `runs` is contradicted only by not starting, `fails` only by starting.
        """
        if self.run is None or self.observed is None:
            return False
        if self.observed:
            return self.verdict.status is Status.FAILS
        if self.verdict.status is Status.FAILS:
            exited = self.run.status is RunStatus.EXITED and not (self.run.crashed or self._as_foreseen)
            return exited and self.run.started
        return self.verdict.status is Status.RUNS and not self.run.started and not self.run.reason.endswith(_TOO_LONG)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A sample, recipe or base that is left out of a comparison, and why."""

    name: str
    reason: str
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    rows: tuple[SizeRow, ...]
    unavailable: tuple[Unavailable, ...] = ()
    failed: tuple[Unavailable, ...] = ()
    """Cells that should have worked and did not: they decide the exit code."""
    defaults: frozenset[tuple[str, Platform, str]] = frozenset()
    """(sample, platform, recipe): what is built where no recipe is named. Of two images of one size it is taken."""
