"""The Dockerfile that builds the same files and settings, for people who want one."""

from __future__ import annotations

import json
from collections.abc import Sequence

from recipes.model import Image
from recipes.package.assemble import PROGRAM


def render(image: Image, program: str = "app") -> str:
    """Build it in a folder that holds the program as `program`, executable. Source: Dockerfile reference."""
    settings, base = image.settings, image.base
    lines = [f"FROM {_from(image)}"]
    if not base.reference.startswith("docker://") and base.layers:
        lines.insert(0, f"# {base.name} is no registry image: load it first, for example with `invoke export`.")
    lines.append(f"COPY {_array([program, PROGRAM])}")
    lines += [f"ENV {_pair(name, value)}" for name, value in settings.env]
    lines += [f"LABEL {_pair(name, value)}" for name, value in settings.labels]
    lines += [f"EXPOSE {port}" for port in settings.ports]
    lines += [f"WORKDIR {settings.workdir}", f"USER {settings.user}", f"ENTRYPOINT {_array(image.entrypoint)}"]
    if settings.cmd:
        lines.append(f"CMD {_array(settings.cmd)}")
    return "\n".join(lines) + "\n"


def _from(image: Image) -> str:
    base = image.base
    if not base.layers:
        return "scratch"
    if base.reference.startswith("docker://"):
        name = base.reference.removeprefix("docker://").partition("@")[0]
        return f"{name}@{base.digest}"
    return base.name


def _array(words: Sequence[str]) -> str:
    """A JSON array: the exec form, which needs no shell."""
    return json.dumps(list(words))


def _pair(name: str, value: str) -> str:
    # In double quotes a Dockerfile treats only these as special; a line break cannot be written at all.
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'{name}="{escaped}"'
