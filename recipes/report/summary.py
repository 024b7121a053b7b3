"""One build and one file, as a few lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recipes.model import ElfFacts, Image, RunOutcome, RunStatus, SizeRow
from recipes.report import ran
from recipes.report.fit import fields, note, said
from recipes.report.units import exact
from recipes.report.verdict import STYLES
from recipes.support import printable
from recipes.support.printable import Line, Span

_ANSWERS = {True: "good", False: "bad", None: ""}


def render(row: SizeRow, room: int | None = None) -> list[Line]:
    """What `build-static` prints: what was made, how big it is, whether it runs."""
    image, build = row.image, row.program.build
    lines: list[tuple[str, str | Span]] = [
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
        ("verdict", Span(_verdict(row), STYLES[row.verdict.status])),
        ("run", Span(_run(row), _ANSWERS[row.runs] if row.run is not None else "")),
    ]
    notes = [f"linker: {warning}" for warning in build.warnings]
    notes += [
        f"{finding.level} ({finding.code}): {finding.evidence}; fix: {finding.fix}" for finding in row.verdict.findings
    ]
    return [
        *said(f"{row.program.name} on {image.base.name}, {image.platform}", ""),
        *_columns(lines, room),
        *said(*_shown(row)),
        *(said("") if notes else []),
        *(line for each in notes for line in note(each, room)),
    ]


def render_index(digest: str, tag: str) -> list[Line]:
    """What stands below the images of several platforms: the index of them all."""
    return [*fields([("index   ", digest), ("tag     ", tag)], None)]


def render_twin(twin: Image, image: Image, outcome: RunOutcome, room: int | None = None) -> list[Line]:
    """What `debug` prints: the twin, the image that it is a twin of, and whether its shell works."""
    same = twin.layers[: len(image.layers)] == image.layers
    seen = f"{outcome.engine} engine, {outcome.seconds:.3f} s"
    answer = outcome.reason or outcome.stdout.strip() or outcome.stderr.strip() or f"exit code {outcome.exit_code}"
    lines = [
        ("digest", twin.digest),
        ("tag", twin.name),
        ("image", exact(twin.image_bytes)),
        ("twin of", f"{image.name} {image.digest}"),
        ("layers", f"{len(image.layers)} of the image{' unchanged' if same else ', CHANGED'}, plus one with the tools"),
        ("check", f"{answer} ({seen})"),
    ]
    return [*said(f"{twin.name}, {twin.platform}", ""), *_columns(lines, room)]


def render_facts(name: str, facts: ElfFacts, room: int | None = None) -> list[Line]:
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
    return [*said(name, ""), *_columns(lines, room)]


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
        how = "as expected" if row.expect is not None else f"started, {ran.how(run)}"
        listens = ran.how(run) if row.expect is not None and run.listens else ""
        return f"{', '.join(filter(None, (f'{how} ({seen})', listens, ran.at_home(row))))}{wrong}"
    said = _said(row)
    why = ", as shown below" if len(said) > 1 else f": {''.join(said).strip()}"
    return f"{'not as expected' if row.expect is not None else 'does not run'} ({seen}){why}{wrong}"


def _said(row: SizeRow) -> list[str]:
    """Why a run was not good, which may be what the program wrote; [] where it was."""
    return printable.quoted(row.reason) if row.run is not None and not row.runs else []


def _shown(row: SizeRow) -> list[str]:
    """The lines below the table: why the run was not good; what it wrote, where nobody said what that should be."""
    said = _said(row) if len(_said(row)) > 1 else []
    if row.run is None or said:
        return said
    if row.runs and row.expect is not None:
        return []
    wrote = [*ran.beginning(row.run.stdout), *ran.beginning(row.run.stderr)]
    return wrote if row.runs or row.run.stdout.strip() else []


def _columns(lines: Sequence[tuple[str, str | Span]], room: int | None) -> Iterator[Line]:
    """One blank between names and values: a digest is then as wide as a terminal of 80 columns."""
    width = max(len(name) for name, _ in lines)
    return fields([(f"{name:<{width}}", value) for name, value in lines], room)
