"""A module proxy that is a folder. Source: go.dev/ref/mod, "GOPROXY protocol"."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest


def publish(
    proxy: Path, path: str, version: str, files: dict[str, str], directives: str = "", *, time: str = ""
) -> None:
    """A version of a module, beside those that are there; `directives` are added to its go.mod."""
    folder = proxy / path / "@v"
    folder.mkdir(parents=True, exist_ok=True)
    mod = f"module {path}\n\ngo 1.21\n{directives}"
    (folder / f"{version}.mod").write_text(mod)
    info = {"Version": version, **({"Time": time} if time else {})}
    (folder / f"{version}.info").write_text(json.dumps(info))
    with open(folder / "list", "a") as listed:
        listed.write(f"{version}\n")
    with zipfile.ZipFile(folder / f"{version}.zip", "w") as archive:
        for name, text in {"go.mod": mod, **files}.items():
            archive.writestr(f"{path}@{version}/{name}", text)


def use(proxy: Path, modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules come from `proxy` alone, and are kept in `modules`."""
    settings = {"GOPROXY": f"file://{proxy}", "GONOSUMDB": "*", "GOFLAGS": "", "GOMODCACHE": str(modules)}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
