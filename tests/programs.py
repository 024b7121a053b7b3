"""Tiny real programs for the tests, and images of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from recipes import pipeline
from recipes.bases.resolve import resolve
from recipes.model import Binary, Command, Image, Platform
from recipes.pipeline import Project
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.need import need_tool


def compile_c(workspace: Workspace, code: str, *flags: str, language: str = "c") -> Binary:
    """The program that this C code is; static unless other flags are given."""
    compiler = need_tool("g++" if language == "c++" else "gcc")
    name = hashlib.sha256(f"{code}{flags}".encode()).hexdigest()[:12]
    source, program = workspace.root / f"{name}.{'cpp' if language == 'c++' else 'c'}", workspace.root / name
    source.write_text(code)
    shell.check(Command((compiler, *(flags or ("-static", "-O1")), "-o", str(program), str(source))))
    return binary_of(program)


def binary_of(program: Path) -> Binary:
    return Binary(program, hashlib.sha256(program.read_bytes()).hexdigest(), program.stat().st_size, Platform.host())


def image_of(project: Project, binary: Binary, base: str = "scratch") -> Image:
    return pipeline.make_image(project, binary, resolve(base, project.platform, project.workspace, project.store))
