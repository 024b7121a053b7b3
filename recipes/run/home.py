"""This machine's own root as a program has it that was not packaged: the folders of the system, and nobody's own.

/home, /root, /srv, /tmp, /run, /var and what has other names is left out: what is there is people's, or other
programs', whose sockets could be reached.
Source: Filesystem Hierarchy Standard 3.0; Nix and Guix have a folder of their own.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

from recipes.model import PROGRAM, Program
from recipes.support.workspace import Workspace, make_folder, open_to_others, replacing

_SYSTEM = ("bin", "etc", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "opt", "sbin", "usr")
_EMPTY = ("home", "root", "run", "tmp", "var")


def system_folders() -> list[str]:
    """The folders below / that are bound into the root; what is a link there is a link in `home_layer`."""
    return [name for name in _SYSTEM if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}")]


def home_path(program: Program) -> str:
    """Where the program is: the file itself where it is the system's; else `home_layer` has it, as an image would."""
    sample = program.sample
    if sample.language == "binary":
        path = sample.folder / sample.sources[0]
        if path.parts[1] in _SYSTEM and os.path.exists(path):
            return str(path)
    return PROGRAM


def home_layer(program: Program, workspace: Workspace) -> Path:
    """A folder with the places for the system's folders, their links, and the program where it is none of theirs."""
    links = {name: os.readlink(f"/{name}") for name in _SYSTEM if os.path.islink(f"/{name}")}
    own = program.sha256 if home_path(program) == PROGRAM else ""
    key = hashlib.sha256(repr((system_folders(), links, own)).encode()).hexdigest()[:16]
    folder = workspace.roots / f"home-{key}"
    for name in (*system_folders(), *_EMPTY):
        make_folder(folder / name)
        open_to_others(folder, folder / name)
    for name, target in links.items():
        with contextlib.suppress(FileExistsError):
            (folder / name).symlink_to(target)
    place = folder / PROGRAM.strip("/")
    if own and not place.is_file():
        with open(program.path, "rb") as file, replacing(place, 0o755) as out:
            shutil.copyfileobj(file, out)
    return folder
