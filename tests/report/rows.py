"""Rows to report on, made by hand: the reports are pure functions of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recipes.model import (
    BaseImage,
    Build,
    Command,
    Descriptor,
    ElfFacts,
    Expect,
    Finding,
    Image,
    Layer,
    Level,
    Library,
    Linkage,
    Platform,
    Program,
    RunOutcome,
    RunStatus,
    RuntimeData,
    Sample,
    Searched,
    SizeRow,
    Status,
    Verdict,
)
from recipes.oci.media_types import OCI_CONFIG, OCI_LAYERS, OCI_MANIFEST

AMD64 = Platform("linux", "amd64")
NO_LOADER = "exec /app: no such file or directory"
RAN = RunOutcome("local", RunStatus.EXITED, exit_code=0, stdout="hello\n", stderr="", seconds=0.003)
NOT_STARTED = RunOutcome(
    "local", RunStatus.NOT_STARTED, exit_code=None, stdout="", stderr="", seconds=0.001, reason=NO_LOADER
)
NOT_RUN = RunOutcome("local", RunStatus.NOT_RUN, reason="user namespaces are not allowed here")
RUNS = Verdict(Status.RUNS)
FAILS = Verdict(
    Status.FAILS,
    (
        Finding(
            level=Level.CERTAIN,
            code="interpreter-missing",
            evidence="it asks for a loader",
            message=NO_LOADER,
            fix="-static",
        ),
    ),
)
EVERYTHING = Verdict(
    Status.FAILS,
    tuple(Finding(level=level, code="code", evidence="evidence", message="message", fix="fix") for level in Level),
    (Library("a", None, "b", (Searched("c", "d", "e"),)), Library("f", "g", "h")),
)


def layer(size: int) -> Layer:
    blob = Descriptor(OCI_LAYERS["gzip"], f"sha256:{0:064x}", size // 2)
    return Layer(blob, f"sha256:{1:064x}", size, size)


def row(
    sample: str = "hello",
    recipe: str = "gcc-static",
    base: str = "scratch",
    size: int = 1000,
    base_size: int = 0,
    verdict: Verdict = RUNS,
    run: RunOutcome | None = RAN,
) -> SizeRow:
    source = Sample(sample, Path("samples", sample), "c++", (Path("main.cpp"),), expect=Expect("hello\n"))
    linkage = Linkage.DYNAMIC if recipe == "gcc-dynamic" else Linkage.STATIC
    facts = ElfFacts(
        size=size, bits=64, little_endian=True, os_abi=0, type="EXEC", machine="amd64", entry=0, linkage=linkage
    )
    below = (layer(base_size),) if base_size else ()
    image = Image(
        name=f"{sample}:{recipe}-{base}",
        manifest=Descriptor(OCI_MANIFEST, f"sha256:{size:064x}", 500),
        config=Descriptor(OCI_CONFIG, f"sha256:{2:064x}", 300),
        layers=(*below, layer(size)),
        platform=AMD64,
        base=BaseImage(base, base, AMD64, digest=f"sha256:{3:064x}" if base_size else None, layers=below),
        program=Program(
            path=Path("app"), sha256="0" * 64, platform=AMD64, sample=source, facts=facts, build=Build(recipe=recipe)
        ),
        entrypoint=("/app",),
    )
    return SizeRow(image, verdict, run)


def full(run: RunOutcome | None, verdict: Verdict = EVERYTHING) -> SizeRow:
    """A row in which every value has something."""
    one = row(run=run, verdict=verdict, base_size=3)
    build = replace(one.program.build, commands=(Command(("a",), Path("b"), (("c", "d"),)),), warnings=("e",))
    additions = replace(one.image.additions, runtime_data=(RuntimeData("tmp", "b"),))
    return replace(one, image=replace(one.image, program=replace(one.program, build=build), additions=additions))
