"""Rows to report on, made by hand: the reports are pure functions of them."""

from __future__ import annotations

from pathlib import Path

from recipes.model import (
    BaseImage,
    Build,
    Descriptor,
    ElfFacts,
    Expect,
    Finding,
    Image,
    Layer,
    Level,
    Linkage,
    Platform,
    Program,
    RunOutcome,
    RunStatus,
    Sample,
    SizeRow,
    Status,
    Verdict,
)
from recipes.oci.media_types import OCI_CONFIG, OCI_LAYERS, OCI_MANIFEST

AMD64 = Platform("linux", "amd64")
NO_LOADER = "exec /app: no such file or directory"
RAN = RunOutcome("local", RunStatus.EXITED, 0, "hello\n", "", 0.003)
NOT_STARTED = RunOutcome("local", RunStatus.NOT_STARTED, None, "", "", 0.001, NO_LOADER)
NOT_RUN = RunOutcome("local", RunStatus.NOT_RUN, reason="user namespaces are not allowed here")
RUNS = Verdict(Status.RUNS)
FAILS = Verdict(
    Status.FAILS, (Finding(Level.CERTAIN, "interpreter-missing", "it asks for a loader", NO_LOADER, "-static"),)
)


def layer(size: int) -> Layer:
    return Layer(Descriptor(OCI_LAYERS["gzip"], "sha256:00", size // 2), "sha256:01", size, size)


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
        config=Descriptor(OCI_CONFIG, "sha256:02", 300),
        layers=(*below, layer(size)),
        platform=AMD64,
        base=BaseImage(base, base, AMD64, "sha256:03" if base_size else None, below),
        program=Program(
            path=Path("app"), sha256="0" * 64, platform=AMD64, sample=source, facts=facts, build=Build(recipe=recipe)
        ),
        entrypoint=("/app",),
    )
    return SizeRow(image, verdict, run)
