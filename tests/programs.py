"""Tiny real programs for the tests, and images of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from recipes import pipeline
from recipes.bases.resolve import resolve
from recipes.elf.facts import read_elf
from recipes.errors import BadInput
from recipes.model import Command, ElfFacts, Image, Linkage, Platform, Program, Sample
from recipes.pipeline import Project
from recipes.support import shell
from recipes.support.workspace import Workspace
from tests.need import need_tool


def compile_c(workspace: Workspace, code: str, *flags: str, language: str = "c") -> Program:
    """The program that this C code is; static unless other flags are given."""
    compiler = need_tool("g++" if language == "c++" else "gcc")
    name = hashlib.sha256(f"{code}{flags}".encode()).hexdigest()[:12]
    source, program = workspace.root / f"{name}.{'cpp' if language == 'c++' else 'c'}", workspace.root / name
    source.write_text(code)
    shell.check(Command((compiler, *(flags or ("-static", "-O1")), "-o", str(program), str(source))))
    return program_of(program)


def program_of(file: Path) -> Program:
    """The value that the packaging stage takes. What is not an ELF file passes for a static program."""
    try:
        facts = read_elf(file)
    except BadInput:
        facts = ElfFacts(
            size=file.stat().st_size,
            bits=64,
            little_endian=True,
            os_abi=0,
            type="EXEC",
            machine=Platform.host().architecture,
            entry=0,
            linkage=Linkage.STATIC,
        )
    return Program(
        path=file,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        platform=Platform.host(),
        sample=Sample(file.name, file.parent, "binary", (Path(file.name),)),
        facts=facts,
    )


def image_of(project: Project, program: Program, base: str = "scratch") -> Image:
    return pipeline.make_image(project, program, resolve(base, Platform.host(), project.workspace, project.store))
