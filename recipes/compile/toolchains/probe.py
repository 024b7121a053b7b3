"""What the compilers of this machine are: asked once, and remembered for as long as it holds.

A probe starts processes and reads whole compilers, so its result is kept in the cache, for as long as none of the files
that it looked at has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recipes.compile.files import Stamp, sha256, stamp
from recipes.compile.paths import slug
from recipes.compile.toolchains.protocol import Toolchain, ToolchainType
from recipes.errors import ToolMissing
from recipes.model import Command, Environment, Platform
from recipes.support import shell
from recipes.support.workspace import Workspace, keep, kept

_VERSION = 4


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
    known = _read(record, tool)
    if known is not None:
        return known
    probe = kind.probe(tool)
    keep(record, json.dumps([_VERSION, asdict(probe)]).encode())
    return probe.toolchain


def _read(record: Path, tool: str) -> Toolchain | None:
    try:
        version, probe = json.loads(kept(record))
        if version != _VERSION or probe["toolchain"]["argv"][0] != tool:
            return None
        for path, then in probe["watched"]:
            if stamp(path) != tuple(then):
                return None
        if any(os.path.exists(path) for path in probe["absent"]):
            return None
        if any(shell.which(program) != then for program, then in probe["on_path"]):
            return None
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in probe["toolchain"].items()
        }
        return Toolchain(**values)
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None  # not there, not ours, or a tool is gone: probe again


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
