"""The Dockerfile that builds the same files and settings, for people who want one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from recipes.errors import BadInput
from recipes.model import HealthCheck, Image, ImageSettings, Layer
from recipes.oci.layers import layer_pieces, open_layer
from recipes.oci.reference import BUNDLE, docker_tag
from recipes.oci.store import Store
from recipes.package.assemble import TMP
from recipes.support import printable
from recipes.support.workspace import make_folder, replacing

_TMP = "tmp.tar"
"""/tmp with its mode, for which a Dockerfile has no instruction."""

_PLAIN = re.compile(r"[\w./-]+")
_SPECIAL = re.compile(r"""[\\"'$]""")
_IN_QUOTES = re.compile(r'[\\"$]')
_NAME = re.compile(r"[\w./:@+-]+", re.ASCII)


def render(image: Image, program: str = "app") -> str:
    """Build it in a folder that holds the program as `program`, executable, and the data as `write_context` puts it.

    Raises: BadInput for what no Dockerfile can say. Source: Dockerfile reference.
    """
    settings, base = image.settings, image.base
    lines = [f"FROM {_from(image)}"]
    if not base.reference.startswith("docker://") and _from(image) != "scratch":
        # The first word is ours: a comment that begins `# syntax=` would choose the program that reads all this.
        name = _plain(base.name)
        lines.insert(0, f"# The base {name} is not a registry image: load it first, for example with `invoke export`.")
    lines += [f"ADD {_array([name, '/'])}" for name in (*_data_names(image), *([_TMP] if image.additions.tmp else []))]
    lines.append(f"COPY {_array([program, _escape(settings.place)])}")
    return "\n".join([*lines, *_settings(settings, image.entrypoint)]) + "\n"


@dataclass(frozen=True, slots=True)
class Layered:
    """An image that is known by its layers alone: `layers` are those above the base that FROM names."""

    base: str
    layers: tuple[Layer, ...]
    settings: ImageSettings
    entrypoint: tuple[str, ...]


def render_layers(image: Layered) -> str:
    """Build it in a folder that holds the layers as `write_layers` puts them. Raises: as `render`."""
    added = [f"ADD {_array([name, '/'])}" for name in _layer_names(image)]
    return "\n".join([f"FROM {_plain(image.base)}", *added, *_settings(image.settings, image.entrypoint)]) + "\n"


def write_layers(image: Layered, store: Store, folder: Path) -> None:
    """`write_context` for such an image. Raises: BadInput, also for a layer that takes files of another one away."""
    _write(folder, render_layers(image), dict(zip(_layer_names(image), image.layers, strict=True)), store)


def _layer_names(image: Layered) -> list[str]:
    return [f"layer-{number}.tar" for number, _ in enumerate(image.layers, 1)]


def _settings(settings: ImageSettings, entrypoint: Sequence[str]) -> list[str]:
    lines = [f"ENV {_pair(name, value)}" for name, value in settings.env]
    lines += [f"LABEL {_pair(name, value)}" for name, value in settings.labels]
    lines += [f"EXPOSE {port}" for port in settings.ports]
    lines += [f"VOLUME {_array([_escape(volume)])}" for volume in settings.volumes]
    if settings.stop_signal:
        lines.append(f"STOPSIGNAL {settings.stop_signal}")
    if settings.healthcheck:
        lines.append(_healthcheck(settings.healthcheck))
    lines += [
        f"WORKDIR {_bare(settings.workdir)}",
        f"USER {_bare(settings.user)}",
        f"ENTRYPOINT {_array(entrypoint)}",
    ]
    if settings.cmd:
        lines.append(f"CMD {_array(settings.cmd)}")
    return lines


def write_context(image: Image, store: Store, folder: Path) -> None:
    """Everything that `docker build` needs, in `folder`: the Dockerfile, the program, and its data as tars.

    Raises: BadInput where the folder holds something already, or for what no Dockerfile can say.
    """
    data = dict(zip(_data_names(image), _data(image), strict=True))
    _write(folder, render(image), data, store, image.program.path, tmp=image.additions.tmp)


def _write(
    folder: Path,
    dockerfile: str,
    layers: Mapping[str, Layer],
    store: Store,
    program: Path | None = None,
    *,
    tmp: bool = False,
) -> None:
    """All of it or nothing."""
    make_folder(folder)
    if any(folder.iterdir()):
        raise BadInput(f"{str(folder)!r} is not empty", hint="name a new folder")
    with contextlib.ExitStack() as undo:

        def create(name: str, mode: int = 0o644) -> contextlib.AbstractContextManager[IO[bytes]]:
            undo.callback((folder / name).unlink, missing_ok=True)
            return replacing(folder / name, mode)

        for name, layer in layers.items():
            with open_layer(store, layer) as stream, create(name) as out:
                shutil.copyfileobj(stream, out)
            _refuse_whiteouts(folder / name)
        if tmp:
            with create(_TMP) as out:
                out.writelines(layer_pieces((TMP,)))
        if program is not None:
            with open(program, "rb") as file, create("app", 0o755) as out:
                shutil.copyfileobj(file, out)
        with create("Dockerfile") as out:
            out.write(dockerfile.encode())
        undo.pop_all()


def _refuse_whiteouts(layer: Path) -> None:
    """ADD unpacks a tar, and knows nothing of layers. Source: OCI image-spec, "Whiteouts"."""
    with tarfile.open(layer, "r:") as archive:
        if any(os.path.basename(member.name).startswith(".wh.") for member in archive):
            raise BadInput(
                "a Dockerfile cannot express a layer that takes files of another one away",
                hint="`invoke export` writes the image as it is",
            )


def _data_names(image: Image) -> list[str]:
    """A tar that ADD unpacks keeps modes and owners, which COPY would not."""
    return [f"data-{number}.tar" for number, _ in enumerate(_data(image), 1)]


def _data(image: Image) -> tuple[Layer, ...]:
    """The layers that no FROM brings: a bundle is made for this program, and nobody else has it."""
    return (*(image.base.layers if image.base.name == BUNDLE else ()), *image.additions.layers)


def _healthcheck(check: HealthCheck) -> str:
    times = {"interval": check.interval, "timeout": check.timeout, "start-period": check.start_period}
    options = [f"--{name}={seconds:g}s" for name, seconds in times.items() if seconds]
    return f"HEALTHCHECK {' '.join(options)} --retries={check.retries} CMD {_array(check.test)}"


def _from(image: Image) -> str:
    base = image.base
    if not base.layers or base.name == BUNDLE:
        return "scratch"
    if base.reference.startswith("docker://"):
        name = base.reference.removeprefix("docker://").partition("@")[0]
        return f"{name}@{base.digest}"
    return base.name if _NAME.fullmatch(base.name) else docker_tag(base.name)


def _array(words: Sequence[str]) -> str:
    """A JSON array: the exec form, which needs no shell."""
    if any("\ud800" <= character <= "\udfff" for word in words for character in word):
        raise _cannot_say(words, "its words must be valid Unicode")
    return json.dumps(list(words))


def _pair(name: str, value: str) -> str:
    if "=" in name:
        raise _cannot_say(name, "a name cannot contain = there")
    key = name if _PLAIN.fullmatch(name) else f'"{_word(name, _IN_QUOTES)}"'
    # In double quotes only these are special, so that an apostrophe stays as it is.
    return f'{key}="{_word(value, _IN_QUOTES)}"'


def _bare(text: str) -> str:
    """The rest of an instruction, without quotes: a backslash at its end would make the next line a part of it."""
    if text != text.strip() or text.endswith("\\"):
        raise _cannot_say(text, "an unquoted value cannot begin with a blank, or end in one or in a backslash")
    return _word(text)


def _word(text: str, special: re.Pattern[str] = _SPECIAL) -> str:
    return _escape(_plain(text), special)


def _plain(text: str) -> str:
    """`text` that ends no line and hides nothing from who reads it."""
    if printable.line(text) != text:
        raise _cannot_say(text, "it cannot contain line breaks or other invisible characters")
    return text


def _cannot_say(text: object, hint: str) -> BadInput:
    return BadInput(f"a Dockerfile cannot express {text!r}", hint)


def _escape(text: str, special: re.Pattern[str] = _SPECIAL) -> str:
    """`text` without variables and quotes that docker build would take out."""
    return special.sub(r"\\\g<0>", text)
