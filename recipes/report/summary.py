"""One build and one file, as a few lines of text."""

from __future__ import annotations

from recipes.model import ElfFacts, Image, RunOutcome, RunStatus, SizeRow
from recipes.report.units import exact
from recipes.support import printable


def render(row: SizeRow) -> str:
    """What `build-static` prints: what was made, how big it is, whether it runs."""
    image, build = row.image, row.program.build
    lines = [
        ("digest", image.digest),
        ("tag", image.name),
        ("recipe", f"{build.recipe} ({build.toolchain})" if build.recipe else "prebuilt"),
        ("linkage", row.program.facts.linkage.value),
        ("binary", exact(row.program.size)),
        ("image", exact(image.image_bytes)),
        ("download", exact(image.download_bytes)),
        ("overhead", exact(image.overhead_bytes)),
        *(
            [("added", ", ".join(added.need for added in image.additions.runtime_data))]
            if image.additions.runtime_data
            else []
        ),
        ("verdict", _verdict(row)),
        ("run", _run(row)),
    ]
    notes = [f"linker: {warning}" for warning in build.warnings]
    notes += [
        f"{finding.level} ({finding.code}): {finding.evidence}; fix: {finding.fix}" for finding in row.verdict.findings
    ]
    said = _said(row)
    return printable.page(
        [
            f"{row.program.name} on {image.base.name}, {image.platform}",
            "",
            *_columns(lines),
            *(said if len(said) > 1 else ()),
            *(["", *notes] if notes else []),
        ]
    )


def render_twin(twin: Image, image: Image, outcome: RunOutcome) -> str:
    """What `debug` prints: the twin, the image that it is a twin of, and whether its shell works."""
    same = twin.layers[: len(image.layers)] == image.layers
    seen = f"{outcome.engine} engine, {outcome.seconds:.3f} s"
    said = outcome.reason or outcome.stdout.strip() or outcome.stderr.strip() or f"exit code {outcome.exit_code}"
    lines = [
        ("digest", twin.digest),
        ("tag", twin.name),
        ("image", exact(twin.image_bytes)),
        ("twin of", f"{image.name} {image.digest}"),
        ("layers", f"{len(image.layers)} of the image{' unchanged' if same else ', CHANGED'}, plus one with the tools"),
        ("check", f"{said} ({seen})"),
    ]
    return printable.page([f"{twin.name}, {twin.platform}", "", *_columns(lines)])


def render_facts(name: str, facts: ElfFacts) -> str:
    """What `inspect` prints."""
    kind = {"EXEC": "fixed address", "DYN": "position independent"}.get(facts.type, facts.type)
    lines = [
        ("linkage", str(facts.linkage)),
        ("machine", f"{facts.machine}, {facts.bits} bits, {'little' if facts.little_endian else 'big'} endian"),
        ("type", f"{facts.type} ({kind}{', PIE' if facts.pie else ''})"),
        ("interpreter", facts.interpreter or "none"),
        ("needed", ", ".join(facts.needed) or "nothing"),
        ("rpath", ":".join(facts.rpath) or "none"),
        ("runpath", ":".join(facts.runpath) or "none"),
        ("soname", facts.soname or "none"),
        ("stripped", "yes" if facts.stripped else "no"),
        ("RELRO", facts.relro),
        ("NX", "yes" if facts.nx else "no"),
        ("build id", facts.build_id or "none"),
        ("size", exact(facts.size)),
    ]
    return printable.page([name, "", *_columns(lines)])


def _verdict(row: SizeRow) -> str:
    why = row.verdict.reason
    return f"{row.verdict.status}{f': {why}' if why else ''}"


def _run(row: SizeRow) -> str:
    run = row.run
    if run is None:
        return "not tried"
    if run.status is RunStatus.NOT_RUN:
        return f"not run: {run.reason}"
    seen = f"{run.engine} engine, {run.seconds:.3f} s"
    wrong = " — WRONGLY PREDICTED, please report it" if row.disagrees else ""
    if row.runs:
        return f"as expected ({seen}){wrong}"
    said = _said(row)
    why = ", as shown below" if len(said) > 1 else f": {''.join(said).strip()}"
    return f"not as expected ({seen}){why}{wrong}"


def _said(row: SizeRow) -> list[str]:
    """Why a run was not as expected, which may be what the program wrote; [] where it was."""
    return printable.quoted(row.reason) if row.run is not None and not row.runs else []


def _columns(lines: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in lines)
    return [f"{name:<{width}}  {value}" for name, value in lines]
