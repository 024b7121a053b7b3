"""What a go.mod says. Source: go.dev/ref/mod, "go.mod files"."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from recipes.model import Sample

_LOCAL_REPLACEMENT = re.compile(r"""=>\s*["`]?(\.{0,2}/[^\s"`]*|\.{1,2})["`]?\s*(?://.*)?$""", re.MULTILINE)


def module_of(folder: Path) -> Path | None:
    """Where the go.mod is that go would use: above where the folder really is, whatever link leads there."""
    real = folder.resolve()
    return next((parent for parent in (real, *real.parents) if (parent / "go.mod").is_file()), None)


def version_wanted(sample: Sample) -> str:
    """The `go` line of its go.mod; "" where there is none."""
    module = None if sample.build != "go" or sample.module else module_of(sample.folder)
    match = re.search(r"^go\s+(\S+)", _text(module), re.MULTILINE) if module else None
    return match[1] if match else ""


def replacements(top: Path) -> Iterator[Path]:
    """The folders outside of `top` that modules are taken from: `replace example.org/x => ../x`."""
    for match in _LOCAL_REPLACEMENT.finditer(_text(top)):
        other = Path(os.path.normpath(top / match[1]))
        if not other.is_relative_to(top):
            yield other


def _text(module: Path) -> str:
    try:
        return (module / "go.mod").read_text(errors="replace")
    except OSError:
        return ""
