"""Programs for another CPU than this machine's: whether they can be run here, and through what.

Source: Linux, Documentation/admin-guide/binfmt-misc.rst; QEMU, "User Mode Emulation".
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from recipes.architecture import architecture
from recipes.model import Platform
from recipes.support.shell import which
from recipes.support.workspace import Workspace, make_folder, open_to_others, replacing

FOLDER = "/.fromscratch"
"""Where the emulator is in the root; no program looks there."""

_BINFMT = Path("/proc/sys/fs/binfmt_misc")


def runs_by_itself(platform: Platform) -> bool:
    """Whether the kernel starts such programs: they are its own, or an emulator is registered for them."""
    mine = Platform.host().architecture
    if platform.architecture == mine or platform.architecture in architecture(mine).also_runs:
        return True
    try:
        registered = (_BINFMT / f"qemu-{architecture(platform.architecture).qemu}").read_text()
    except OSError:
        return False
    # F: it is opened when it is registered, so that it is also found from inside another root.
    flags = next((line.partition(":")[2] for line in registered.splitlines() if line.startswith("flags:")), "")
    return registered.startswith("enabled") and "F" in flags


def emulator(platform: Platform) -> Path | None:
    """QEMU's user mode for the platform, if this machine has a static one: it has to work in any root."""
    found = which(f"qemu-{architecture(platform.architecture).qemu}-static")
    return Path(found) if found else None


def emulator_layer(program: Path, workspace: Workspace) -> Path:
    """A folder with nothing but the emulator, as `FOLDER` in the root; made once for each version of it."""
    with open(program, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    folder = workspace.roots / f"emulator-{digest[:16]}"
    inside = folder / FOLDER.strip("/")
    if not (inside / program.name).is_file():
        make_folder(inside)
        open_to_others(folder, inside)
        with open(program, "rb") as file, replacing(inside / program.name, 0o755) as out:
            shutil.copyfileobj(file, out)
    return folder
