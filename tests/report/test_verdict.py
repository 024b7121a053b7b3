"""Tests of recipes/report/verdict.py: what is said of one verdict, and of many."""

from __future__ import annotations

from dataclasses import replace

from recipes.model import Finding, Level, Library, Platform, Searched, Status, Unavailable, Verdict
from recipes.report.verdict import document, documents, render, render_all
from recipes.results import Verification
from recipes.support.printable import Line, painted

AMD64 = Platform("linux", "amd64")
CERTAIN = Finding(
    level=Level.CERTAIN,
    code="library-missing",
    evidence="it needs libz.so.1",
    message="cannot open libz.so.1",
    fix="add it",
)
LATER = Finding(
    level=Level.NEEDS_DATA,
    code="go-tls-roots",
    evidence="it verifies certificates",
    message="unknown authority",
    fix="add a bundle",
)
UNSURE = Finding(level=Level.POSSIBLE, code="static-dlopen", evidence="it has dlopen", message="", fix="")
LIBC = Library("libc.so.6", "/lib/libc.so.6", "/app", (Searched("/lib/libc.so.6", "built in", "taken"),))
LIBZ = Library("libz.so.1", None, "/app", (Searched("/lib/libz.so.1", "built in", "no such file"),))
FAILS = Verification("app", "alpine", AMD64, Verdict(Status.FAILS, (CERTAIN, LATER, UNSURE), (LIBC, LIBZ)))
RUNS = Verification("app", "debian", AMD64, Verdict(Status.RUNS, (LATER, UNSURE), (LIBC,)))
SILENT = Verification("app", "scratch", AMD64, Verdict(Status.RUNS))


def text(lines: list[Line]) -> list[str]:
    return painted(lines, colours=False).splitlines()


def test_one_verdict_is_told_whole() -> None:
    """What is certain comes first; a library that was not found is shown with the places that were tried."""
    lines = text(render(FAILS))
    assert lines[0] == "app on alpine, linux/amd64: fails"
    titles = [line for line in lines if line and not line.startswith(" ")][1:]
    assert titles == [
        "it does not start (certain)",
        "it starts, but lacks something at run time (needs-data)",
        "cannot be determined from the file (possible)",
        "libraries, in the order in which they are loaded",
    ]
    assert "    message   cannot open libz.so.1" in lines
    assert "  libz.so.1 => not found (needed by /app)" in lines
    assert "    /lib/libz.so.1: no such file (built in)" in lines
    assert not [line for line in lines if line.startswith("    /lib/libc.so.6")]
    assert "    /lib/libc.so.6: taken (built in)" in text(render(FAILS, verbose=True))
    assert not [
        each
        for each in text(render(Verification("app", "a", AMD64, Verdict(Status.RUNS, (UNSURE,)))))
        if "message" in each
    ]


def test_a_whole_image_is_not_its_own_base() -> None:
    """The name of an image is told once; nothing to say is one line."""
    assert text(render(Verification("oci:x", "oci:x", AMD64, Verdict(Status.RUNS)))) == ["oci:x, linux/amd64: runs"]


def test_many_verdicts_have_one_row_each() -> None:
    """The finding that decides with its message, else the codes of the others, else nothing; what is left out below."""
    gone = [Unavailable("a", "no route", 6), Unavailable("b", "no route", 6), Unavailable("c", "no such file", 6)]
    lines = text(render_all((FAILS, RUNS, SILENT), gone))
    assert [line.split(maxsplit=2) for line in lines[4:7]] == [
        ["alpine", "fails", "library-missing: cannot open libz.so.1"],
        ["debian", "runs", "go-tls-roots, static-dlopen"],
        ["scratch", "runs"],
    ]
    assert lines[-1] == "not judged: a, b (no route); c (no such file)"


def test_on_a_terminal_nothing_is_wider_than_it() -> None:
    """Reasons, evidence and what is left out go on in the next line, whole; the verdict has its colour."""
    long = replace(CERTAIN, evidence=" ".join(["evidence"] * 20), message=" ".join(["message"] * 20))
    fails = replace(FAILS, verdict=Verdict(Status.FAILS, (long,)))
    gone = [Unavailable(name, "no route", 6) for name in ("alpine", "busybox", "debian", "ubuntu")]
    for lines in (render(fails, 50), render_all((fails, RUNS), gone, 50)):
        assert max(map(len, text(lines))) <= 50
        assert " ".join(text(lines)).count("message") in (20, 21)  # and its heading
        assert "\x1b[31mfails\x1b[0m" in painted(lines, colours=True)
    assert text(render_all((fails, RUNS), gone, 50))[-2:] == [
        "not judged: alpine, busybox, debian, ubuntu (no",
        "  route)",
    ]


def test_documents_have_everything() -> None:
    """The JSON of one verdict has its findings and the way each library was found; that of many lists them."""
    one = document(FAILS)
    assert list(one) == ["target", "base", "platform", "status", "findings", "libraries"]
    assert [finding["code"] for finding in one["findings"]] == ["library-missing", "go-tls-roots", "static-dlopen"]
    assert one["libraries"][1]["searched"] == [{"path": "/lib/libz.so.1", "why": "built in", "found": "no such file"}]
    many = documents((FAILS, RUNS), (Unavailable("a", "no route", 6),))
    assert many == {"verdicts": [one, document(RUNS)], "unavailable": [{"name": "a", "reason": "no route"}]}
