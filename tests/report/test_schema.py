"""Tests of docs/schema/: the documents are what it describes, all of it, and nothing else."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from recipes.elf.facts import read_elf
from recipes.gate.judge import judge
from recipes.model import (
    AtHome,
    Comparison,
    Descriptor,
    ElfFacts,
    Finding,
    Level,
    Library,
    Linkage,
    RunOutcome,
    RunStatus,
    Searched,
    Status,
    Unavailable,
    Verdict,
)
from recipes.report import gates, pushed, smallest
from recipes.report import verdict as verdicts
from recipes.report.document import comparison_document, dumps, facts_document, images_document
from recipes.results import Candidate, Pushed, Verification
from tests.report.gate_rows import BASELINE, CHECK, NO_BUDGET
from tests.report.rows import AMD64, FAILS, NOT_RUN, NOT_STARTED, RAN, full, row
from tests.schemas import COMMON, KINDS, objects, read, schema, target, validator

DIGEST = f"sha256:{5:064x}"
GONE = (Unavailable("alpine", "docker.io cannot be reached"),)
BLOB = Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", DIGEST, 7)
PUSHED = Pushed(
    "localhost:5000/hello",
    "1.0",
    DIGEST,
    sent=(BLOB,),
    present=(BLOB,),
    mounted=((BLOB, "other"),),
    manifests_sent=1,
    bytes_moved=700,
)
FACTS = ElfFacts(
    size=9,
    bits=64,
    little_endian=True,
    os_abi=0,
    type="DYN",
    machine="amd64",
    entry=4096,
    linkage=Linkage.DYNAMIC,
    interpreter="/lib/ld.so",
    needed=("libc.so.6",),
    soname="libx.so",
    rpath=("/a",),
    runpath=("$ORIGIN",),
    build_id="00ff",
)
VERDICT = Verdict(
    Status.UNKNOWN,
    tuple(Finding(level=level, code="static-dlopen", evidence="it has dlopen", message="", fix="") for level in Level),
    (Library("libz.so.1", None, "/app", (Searched("/lib/libz.so.1", "built in", "no such file"),)),),
)
ON_A_BASE = Verification("app", "alpine", AMD64, VERDICT)
STOPPED = RunOutcome(
    "local", RunStatus.STOPPED, seconds=20.0, reason="its time is over", timed_out=True, listens=("80/tcp",)
)
ROWS = [
    *(full(run) for run in (None, RAN, NOT_STARTED, NOT_RUN, STOPPED)),
    replace(full(RAN), home=AtHome(RAN, "", True)),
    replace(full(RAN), home=AtHome(NOT_STARTED, None, None)),
]

DOCUMENTS: dict[str, list[str]] = {
    "comparison": [dumps(comparison_document(each)) for each in (Comparison(tuple(ROWS), GONE, GONE), Comparison(()))],
    "images": [dumps(images_document(ROWS, DIGEST)), dumps(images_document([row(verdict=FAILS)], DIGEST))],
    "smallest": [
        smallest.document((Candidate("a", "it fails"), Candidate("b", "", ROWS[5]))),
        smallest.document((Candidate("a", "no"),)),
    ],
    "verdict": [dumps(verdicts.document(ON_A_BASE))],
    "verdicts": [dumps(verdicts.documents((ON_A_BASE,), GONE)), dumps(verdicts.documents((), ()))],
    "facts": [dumps(facts_document(FACTS))],
    "check": [dumps(gates.document(CHECK)), dumps(gates.document(judge((), NO_BUDGET)))],
    "sizes": [dumps(gates.sizes_document(BASELINE.sizes)), dumps(gates.sizes_document(()))],
    "push": [dumps(pushed.document(PUSHED)), dumps(pushed.document(Pushed("localhost:5000/a", "b", DIGEST)))],
}


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document, however deep."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(each)


@pytest.mark.parametrize("name", [COMMON, *KINDS])
def test_a_schema_is_one_and_describes_each_key(name: str) -> None:
    """Draft 2020-12; no object may have more keys; every key has a description, here or where it refers to."""
    Draft202012Validator.check_schema(schema(name))
    for part, file in objects([schema(name), *schema(name).get("$defs", {}).values()], name):
        assert part["additionalProperties"] is False
        for key, described in part["properties"].items():
            assert "description" in described or "description" in target(described, file)[0], f"{name}: {key}"


def test_each_kind_is_tested() -> None:
    """A schema that is added needs a document here."""
    assert set(DOCUMENTS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_documents_are_as_described(kind: str) -> None:
    """Each is valid, starts with the schema's version, and together they have all keys that the schema names."""
    found = [read(kind, text) for text in DOCUMENTS[kind]]
    assert all(next(iter(document.items())) == ("schema", 1) for document in found)
    named = {key for part, _ in objects(schema(kind), kind) for key in part["properties"]}
    assert {key for document in found for part in parts(document) for key in part} == named


@pytest.mark.parametrize("kind", KINDS)
def test_another_key_or_one_too_few_is_refused(kind: str) -> None:
    """In every object of a document: an unknown key is an error, and so is one that is missing."""
    whole = json.loads(DOCUMENTS[kind][0])
    for number, part in enumerate(parts(whole)):
        for key in (None, *part):
            changed = copy.deepcopy(whole)
            there = [*parts(changed)][number]
            if key is None:
                there["surprise"] = 1
            else:
                del there[key]
            assert validator(kind).is_valid(changed) is (key == "index"), f"{key} in {part}"


def test_facts_of_a_real_file() -> None:
    """This Python is a program like any other."""
    facts = read_elf(Path(sys.executable).resolve())
    assert read("facts", dumps(facts_document(facts)))["size"] == facts.size
