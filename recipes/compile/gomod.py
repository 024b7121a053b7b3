"""What a go.mod and a go.work say. Source: go.dev/ref/mod, "go.mod files" and "Workspaces"."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from recipes.model import Sample

_LOCAL_REPLACEMENT = re.compile(r"""=>\s*["`]?(\.{0,2}/[^\s"`]*|\.{1,2})["`]?\s*(?://.*)?$""", re.MULTILINE)
_USE = re.compile(r"""^\s*use\s+(?:\(([^)]*)\)|["`]?([^\s"`(]+))""", re.MULTILINE)
_USED = re.compile(r"""^\s*["`]?([^\s"`/][^\s"`]*|/[^\s"`/][^\s"`]*)""", re.MULTILINE)


def module_of(folder: Path) -> Path | None:
    """Where the go.mod is that go would use: above where the folder really is, whatever link leads there."""
    return _nearest(folder, "go.mod")


def work_file_of(folder: Path) -> Path | None:
    """The go.work that go would use there; None also for one that does not name the folder's module.

    Go refuses to build such a module until the file is left out of account.
    """
    module, above = module_of(folder), _nearest(folder, "go.work")
    if module is None or above is None or module not in used(above / "go.work"):
        return None
    return above / "go.work"


def used(work_file: Path) -> tuple[Path, ...]:
    """The folders of the modules that a go.work names."""
    found = []
    for block, single in _USE.findall(_text(work_file)):
        found += _USED.findall(block) if block else [single]
    return tuple(Path(os.path.normpath(work_file.parent / name)) for name in found)


def version_wanted(sample: Sample) -> str:
    """The `go` line of its go.mod; "" where there is none."""
    module = None if sample.build != "go" or sample.module else module_of(sample.folder)
    match = re.search(r"^go\s+(\S+)", _text(module / "go.mod"), re.MULTILINE) if module else None
    return match[1] if match else ""


def source_folders(module: Path, work_file: Path | None) -> tuple[Path, ...]:
    """The folders that files of the program may be in, none within another: `replace example.org/x => ../x`."""
    modules = (module, *(used(work_file) if work_file else ()))
    vendored = (work_file.parent / "vendor",) if work_file else ()
    files = (*(each / "go.mod" for each in modules), *((work_file,) if work_file else ()))
    found = dict.fromkeys((*modules, *vendored, *(folder for file in files for folder in _replacements(file))))
    return tuple(one for one in found if not any(one != other and one.is_relative_to(other) for other in found))


def _replacements(file: Path) -> Iterator[Path]:
    for match in _LOCAL_REPLACEMENT.finditer(_text(file)):
        yield Path(os.path.normpath(file.parent / match[1]))


def _nearest(folder: Path, name: str) -> Path | None:
    real = folder.resolve()
    return next((parent for parent in (real, *real.parents) if (parent / name).is_file()), None)


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
