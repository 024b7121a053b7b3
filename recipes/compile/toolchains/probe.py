"""What the compilers of this machine are: asked once, and remembered for as long as it holds.

A probe starts processes and reads whole compilers, so its result is kept in the cache, for as long as none of the files
that it looked at has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.compile.files import Stamp, sha256, stamp
from recipes.compile.paths import slug
from recipes.compile.toolchains.protocol import Probe, Toolchain, ToolchainType
from recipes.errors import ToolMissing
from recipes.model import Command, Environment, Platform
from recipes.support import shell
from recipes.support.records import keep_value, kept_value
from recipes.support.workspace import Workspace

_VERSION = 5


@dataclass(frozen=True, slots=True)
class _Record:
    version: int
    probe: Probe


def find_toolchain(kind: ToolchainType, workspace: Workspace, platform: Platform | None = None) -> Toolchain:
    """The toolchain that builds for `platform`, by default this machine's.

    Raises: ToolMissing; CommandFailed where the tool does not even tell its version.
    """
    tool = kind.find(platform or Platform.host())
    if tool is None:
        raise ToolMissing(f"{kind.program} not found")
    return probed(kind, tool, workspace)


def probed(kind: ToolchainType, tool: str, workspace: Workspace) -> Toolchain:
    """What `tool` is. Raises: ToolMissing, CommandFailed."""
    record = workspace.cache / "toolchains" / f"{slug(f'{kind.name}{tool}')}.json"
    known = kept_value(record, _Record)
    if known is not None and _still_true(known, tool):
        return known.probe.toolchain
    probe = kind.probe(tool)
    keep_value(record, _Record(_VERSION, probe))
    return probe.toolchain


def _still_true(record: _Record, tool: str) -> bool:
    """Whether it speaks of `tool`, and every file that the probe looked at is as it was."""
    probe = record.probe
    try:
        return (
            (record.version, probe.toolchain.argv[0]) == (_VERSION, tool)
            and all(stamp(path) == then for path, then in probe.watched)
            and not any(os.path.exists(path) for path in probe.absent)
            and all(shell.which(program) == then for program, then in probe.on_path)
        )
    except OSError:  # a file is gone
        return False


def identify(paths: Sequence[str], version: str) -> tuple[tuple[tuple[str, Stamp], ...], str]:
    """The stamps of the files, and a digest of their contents: the same compiler elsewhere is the same compiler.

    Raises: ToolMissing where one cannot be read.
    """
    watched, contents = [], []
    for path in dict.fromkeys(paths):
        try:
            watched.append((path, stamp(path)))
            contents.append((os.path.basename(path), sha256(path)))
        except OSError as error:
            raise ToolMissing(
                f"{path} cannot be read: {error.strerror}", "is the toolchain completely installed?"
            ) from error
    return tuple(watched), hashlib.sha256(json.dumps([version, contents]).encode()).hexdigest()


def ask(*argv: str, env: Environment = ()) -> str:
    """What a compiler says, without the blanks around it. Raises: CommandFailed."""
    command = Command(argv, Path("/"), (("LC_ALL", "C"), *env))
    return os.fsdecode(shell.check(command, timeout=60).stdout).strip()
