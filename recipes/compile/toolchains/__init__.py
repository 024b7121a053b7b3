"""The compilers: one object for each, which answers for itself. Nothing else asks which one it is."""

from __future__ import annotations

from recipes.compile.recipe import CgoName, ToolchainName
from recipes.compile.toolchains.clang import Clang
from recipes.compile.toolchains.gcc import Gcc
from recipes.compile.toolchains.go import Go
from recipes.compile.toolchains.protocol import CgoCompiler, CompilerType, ToolchainType
from recipes.compile.toolchains.zig import Zig
from recipes.errors import BadInput

_GCC, _ZIG = Gcc(), Zig()
_COMPILERS: dict[ToolchainName, CompilerType] = {"gcc": _GCC, "clang": Clang(), "zig": _ZIG}

TOOLCHAINS: dict[ToolchainName, ToolchainType] = {**_COMPILERS, "go": Go()}
"""In the order of `invoke doctor`."""

CGO_COMPILERS: dict[CgoName, CgoCompiler] = {"gcc": _GCC, "zig": _ZIG}


def compiler(name: ToolchainName) -> CompilerType:
    """Raises: BadInput for a toolchain that compiles neither C nor C++."""
    if name not in _COMPILERS:
        raise BadInput(f"{name} compiles neither C nor C++")
    return _COMPILERS[name]
