"""What a gate found, for people and for machines: text, Markdown, SARIF and annotations."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator
from markdown_it import MarkdownIt

from recipes.gate.judge import judge
from recipes.gate.values import Check, GateStatus
from recipes.report import gate_words, gates, job_summary, sarif, workflow_commands
from recipes.support.printable import inert, painted
from tests.cli import ROOT as REPOSITORY
from tests.report.gate_rows import BASELINE, BUDGETS, CHECK, MEASURES, NO_BUDGET, ROOT

HOSTILE = [
    "| a | b |",
    "`code` ``more``",
    "@octocat and @org/team",
    "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "[click](https://example.org) ![x](https://example.org/x.png)",
    "https://example.org www.example.org me@example.org",
    "line\n# heading\n\n- item\n::error::forged",
    "\\| \\` \\@octocat",
    "*bold* _it_ ~~no~~ #1 GH-1 deadbeefdeadbeef",
    "</code><b>out</b>",
    "&lt;b&gt; &#64;octocat",
    "::set-output name=a::b",
    "##[add-mask]x",
    "100%25 done, a:b,c=d\r",
    "\u202ereversed\u200b",
]


def named(text: str) -> Check:
    """A gate's answer in which `text` is the name of a sample, of a base, of a baseline, and a reason."""
    measures = [replace(each, size=replace(each.size, sample=text, base=text), reason=text) for each in MEASURES[:1]]
    check = judge([replace(measures[0], runs=False)], BUDGETS, replace(BASELINE, source=text))
    return replace(check, failed=(replace(CHECK.failed[0], name=text, reason=text),))


def text_of(check: Check) -> str:
    return painted(gates.render(check), colours=False)


def test_the_text_says_what_is_wrong() -> None:
    text = text_of(CHECK)
    assert (
        "failed: hello, linux/amd64: the image grew by 100,000 bytes (+10.0%), more than the 2% that is allowed" in text
    )
    assert "failed: large, linux/amd64: the image has 2,500,000 bytes, 500,000 bytes more than the limit of 2MB" in text
    assert "warning: large, linux/amd64: the download has " in text
    assert "failed: stopped, linux/amd64: it does not run: exec /app: no such file or directory" in text
    assert "new: new, linux/amd64" in text
    assert "vanished: gone, linux/amd64" in text
    assert "not listed: 1 that changed by less than 1.00 kB and 1%" in text
    assert "unchanged: 2" in text
    assert "failed: broken for linux/amd64: no" in text


def test_noise_is_left_out_and_counted() -> None:
    """The table of changes has what is at least 1 kB or 1 %, image and download each in a row."""
    rows = gate_words.change_rows(CHECK)
    assert [row[2:] for row in rows[:2]] == [
        ("image", "1,000,000", "1,100,000", "+100,000", "+10.0%"),
        ("download", "500,800", "550,800", "+50,000", "+10.0%"),
    ]
    assert {row[0] for row in rows} == {"hello", "large", ""}


def test_another_recipe_is_named() -> None:
    """It explains a change, and is none by itself; of an image in a registry nothing is known."""
    sizes = (replace(BASELINE.sizes[0], recipe="gcc-dynamic", base="deb-cc"), replace(BASELINE.sizes[1], recipe=None))
    check = judge(MEASURES[:2], BUDGETS, replace(BASELINE, sizes=sizes))
    found = [line for line in text_of(check).splitlines() if line.startswith("made another way")]
    assert found == ["made another way: hello, linux/amd64: gcc-static on scratch, before gcc-dynamic on deb-cc"]
    assert not [line for line in text_of(CHECK).splitlines() if line.startswith("made another way")]


def test_every_sentence_can_be_said() -> None:
    """Each result, also one that passed, has its own."""
    sentences = [gate_words.sentence(result) for result in CHECK.results]
    assert all(sentences)
    assert "the image has 100,000 bytes less than before; growth by 2% is allowed" in sentences
    assert "the download is as large as before; growth by 2% is allowed" in sentences
    assert {"it runs", "it does not run: exec /app: no such file or directory"} <= {*sentences}
    assert "the image has 1,100,000 bytes, within the limit of 2MB" in sentences


# ── Markdown ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def rendered(markdown: str) -> str:
    """As a page: CommonMark with tables, HTML and bare addresses, as GitHub has them."""
    page: str = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)
    return page


def test_the_summary_is_tables() -> None:
    page = rendered(job_summary.render(CHECK))
    assert page.count("<table>") == 2
    assert "<h3>Image sizes: not within budget</h3>" in page
    assert page.count("<li>") == len(gate_words.broken(CHECK)) + 1 + len(gate_words.remarks(CHECK))
    warned = tuple(result for result in CHECK.results if result.status is GateStatus.WARNED)
    assert "### Image sizes: within budget, with warnings\n" in job_summary.render(
        replace(CHECK, results=warned, failed=())
    )
    assert "### Image sizes: within budget\n" in job_summary.render(judge((), NO_BUDGET))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_markup(text: str) -> None:
    """The page has the same elements whatever a name is, all of it in `<code>`, and the name is there to be read."""

    def elements(name: str) -> list[str]:
        return re.findall(r"<[^>]*>", rendered(job_summary.render(named(name))).replace("<!-- -->", ""))

    assert elements(text) == elements("harmless")
    outside = re.sub(r"<code>[^<]*(?:<!-- -->[^<]*)*</code>", "", job_summary.render(named(text)))
    assert not re.search("[@`<\\\\]|http|www|octocat", outside)


# ── SARIF ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def log(check: Check) -> dict[str, Any]:
    """The log, valid by the schema of OASIS (errata 01), which tests/published has."""
    document: dict[str, Any] = json.loads(sarif.render(check, ROOT))
    published = json.loads((REPOSITORY / "tests/published/sarif-schema-2.1.0.json").read_bytes())
    Draft4Validator(published, format_checker=Draft4Validator.FORMAT_CHECKER).validate(document)
    return document


def test_a_log_has_gates_and_findings() -> None:
    (run,) = log(CHECK)["runs"]
    found = {(result["ruleId"], result["level"]) for result in run["results"]}
    assert {("gate/image", "error"), ("gate/download", "warning"), ("gate/runs", "error")} <= found
    assert {("code", "error"), ("code", "warning"), ("code", "note"), ("interpreter-missing", "error")} <= found
    assert {result["ruleId"] for result in run["results"]} <= {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    location = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location == {"uri": "samples/hello/main.cpp"}
    assert run["invocations"][0]["executionSuccessful"] is False


def test_a_result_is_recognised_again() -> None:
    """Its fingerprint says which question of which image it is, not what the numbers are today."""
    larger = [replace(each, size=replace(each.size, image_bytes=each.size.image_bytes + 1)) for each in MEASURES]

    def prints(check: Check) -> list[Any]:
        return [result["partialFingerprints"] for result in log(check)["runs"][0]["results"]]

    assert prints(judge(larger, BUDGETS, BASELINE)) == prints(judge(MEASURES, BUDGETS, BASELINE))


def test_no_log_is_valid_without_its_parts() -> None:
    """The schema is one that refuses."""
    document = log(CHECK)
    document["runs"][0]["results"][0]["level"] = "catastrophe"
    published = json.loads((REPOSITORY / "tests/published/sarif-schema-2.1.0.json").read_bytes())
    assert not Draft4Validator(published).is_valid(document)


@pytest.mark.parametrize("text", [*HOSTILE, "{0} {x}"])
def test_no_text_is_a_link_of_a_message(text: str) -> None:
    """Nor a placeholder; and a file with any name has an address."""
    check = named(text)
    measures = [replace(each, file=ROOT / f"samples/{text}") for each in check.measures]
    check = judge(measures, BUDGETS, BASELINE, failed=check.failed)
    (run,) = log(check)["runs"]
    messages = [result["message"]["text"] for result in run["results"]]
    for message in messages:
        assert "](" not in message
        assert not re.search(r"(?<!\{)\{(?!\{)|(?<!\})\}(?!\})", message)
    address = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert re.fullmatch(r"samples/[A-Za-z0-9._~/%-]+", address)


def test_what_lies_elsewhere_has_no_address() -> None:
    """A file outside of the project is none of the repository's."""
    assert [gate_words.relative(file, ROOT) for file in (Path("/bin/ls"), None, ROOT)] == ["", "", ""]


# ── annotations ──────────────────────────────────────────────────────────────────────────────────────────────────────


def commands(lines: str) -> list[tuple[str, dict[str, str], str]]:
    """What the runner takes for commands. Source: actions/runner, ActionCommand.TryParseV2 and TryParse."""
    found = []
    for row in re.split(r"\r\n|\r|\n", lines):
        match = re.match(r"\s*::([\w-]+)(?: ([^:]*))?::(.*)$", row) or re.search(r"##\[([\w-]+)()[^\]]*\](.*)$", row)
        if match:
            pairs = [part.partition("=") for part in (match[2] or "").split(",") if part]
            found.append((match[1], {key: unescaped(value) for key, _, value in pairs}, unescaped(match[3])))
    return found


def unescaped(text: str) -> str:
    for escape, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escape, character)
    return text


def test_annotations_are_errors_and_warnings() -> None:
    found = commands("\n".join(workflow_commands.render(CHECK, ROOT)))
    assert len(found) == len(gate_words.broken(CHECK)) + 1
    assert ("error", {"title": "hello, linux/amd64", "file": "samples/hello/main.cpp"}) in [each[:2] for each in found]
    assert {level for level, _, _ in found} == {"error", "warning"}
    assert found[-1] == ("error", {"title": "broken for linux/amd64"}, "no\nsources")
    assert workflow_commands.render(replace(CHECK, results=(), failed=()), ROOT) == []
    assert CHECK.status is GateStatus.FAILED


@pytest.mark.parametrize("text", HOSTILE)
def test_an_annotation_is_one_command(text: str) -> None:
    """Whatever is in it: as many as there are things to say, each with its own title."""
    check = named(text)
    found = commands("\n".join(workflow_commands.render(check, ROOT)))
    assert [(level, "title" in properties) for level, properties, _ in found] == [("error", True)] * len(found)
    assert len(found) == len(gate_words.broken(check)) + 1
    assert {*found[-1][1]} == {"title"}


@pytest.mark.parametrize("text", [*HOSTILE, "  ::debug::x", "\u00a0::debug::x", "a ##[debug]##[debug]", "::::", "::"])
def test_no_other_line_is_a_command(text: str) -> None:
    """Names and reasons in a report, and in its JSON, which holds the same text as before."""
    check = named(text)
    assert commands(inert(text_of(check))) == []
    assert commands(inert(text)) == []
    written = inert(json.dumps(gates.document(check), indent=2))
    assert commands(written) == []
    assert json.loads(written) == gates.document(check)
