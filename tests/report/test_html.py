"""Tests of recipes/report/html.py as text: a page is whole, stands alone, and no value becomes markup or script."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from recipes.model import Command, Comparison, Platform, RunOutcome, RunStatus, Unavailable
from recipes.report.hazards import hazards, spans
from recipes.report.html import Made, render_page, render_walkthrough
from recipes.report.scale import STEPS, Scale
from recipes.results import WalkStep
from tests.report.rows import FAILS, NOT_STARTED, RAN, full, row

EVIL = "'\"></script><img src=x onerror=alert(1)>{{ 7 * 7 }}"
COMPARISON = Comparison(
    (row(size=1234567), row(recipe="gcc-dynamic", base="other", base_size=99, verdict=FAILS, run=NOT_STARTED)),
    (Unavailable("alpine", "docker.io cannot be reached"),),
)
STEP = WalkStep(
    number=1,
    title="compile",
    explanation="It is `two` things.",
    did="g++",
    predicted="runs",
    observed="runs",
    agrees=True,
    commands=(Command(("/usr/bin/g++", "-c", "/x/a b.c")),),
    table=(("file", "bytes", "saves"), ("a", "1,000", ""), ("b", "2,000", "10")),
    listing="FROM scratch\nUSER 1\n",
)
HOSTILE = replace(
    STEP, title=EVIL, explanation=EVIL, observed=EVIL, listing=EVIL, table=((EVIL, "bytes"), (EVIL, EVIL))
)


class Page(HTMLParser):
    """Which tags are open when the page ends; its tags, addresses, anchors and texts; its style and its script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.names: list[str] = []
        self.texts: list[str] = []
        self.inside: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action")]
        self.names += [value or "" for name, value in attrs if name == "id"]
        assert not any(name == "style" or name.startswith("on") for name, _ in attrs), "the policy forbids it"
        if tag not in ("meta", "br", "input"):
            self.open.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open and self.open[-1] in ("style", "script"):
            self.inside[self.open[-1]] = self.inside.get(self.open[-1], "") + data

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def poisoned() -> Comparison:
    run = replace(NOT_STARTED, reason=f"{EVIL}\n{EVIL}")
    return Comparison((row(EVIL, EVIL, EVIL, run=run), full(run)), (Unavailable(EVIL, EVIL),))


PAGES = {
    "comparison": render_page(COMPARISON, made=Made("2026-11-25", "1.2")),
    "hostile": render_page(poisoned()),
    "empty": render_page(Comparison(())),
    "walkthrough": render_walkthrough((STEP, replace(STEP, number=2, agrees=None)), Made("2026-11-25", "1.2")),
    "hostile walkthrough": render_walkthrough((HOSTILE,), facts=((EVIL, EVIL),)),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_stands_alone(name: str) -> None:
    """Every tag is closed, every address is an anchor of the page, and no name is given twice."""
    page = Page(PAGES[name])
    assert page.open == []
    assert [address for address in page.addresses if address.removeprefix("#") not in page.names] == []
    assert len(set(page.names)) == len(page.names)
    assert re.search('<html lang="en">', PAGES[name])


@pytest.mark.parametrize("name", PAGES)
def test_no_value_becomes_markup_or_script(name: str) -> None:
    """There is one script and one style, and the page's policy lets nothing else run or apply."""
    page = Page(PAGES[name])
    assert (page.tags.count("script"), page.tags.count("style"), page.tags.count("img")) == (1, 1, 0)
    assert "49" not in page.texts
    (policy,) = re.findall('http-equiv="Content-Security-Policy" content="([^"]*)"', PAGES[name])
    policy = policy.replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.inside[tag].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_a_hostile_name_is_shown_as_it_is() -> None:
    """Its section, its recipe, its base, and each line of why it does not run."""
    page = Page(PAGES["hostile"])
    assert page.texts.count(EVIL) >= 4


def test_the_page_says_where_it_is_from() -> None:
    """Date, version, engine and platform; exact bytes; what was left out."""
    text = PAGES["comparison"]
    for said in ("2026-11-25", "fromscratch 1.2", "<dd>local</dd>", "<dd>linux/amd64</dd>", 'title="1,234,567 bytes"'):
        assert said in text
    assert "docker.io cannot be reached" in text
    assert "and then run." in text
    unseen = render_page(Comparison((row(run=None),)))
    assert "version</dt>" not in unseen
    assert "engine</dt>" not in unseen
    assert "; nothing was run." in unseen


def test_each_finding_is_explained_on_the_page() -> None:
    """A verdict leads to what docs/hazards.md says of its code, and from there to the images that have it."""
    page = Page(PAGES["comparison"])
    assert "#finding-interpreter-missing" in page.addresses
    assert "The file that does not exist is the loader" in " ".join(" ".join(page.texts).split())
    assert "finding-library-missing" not in page.names


def test_the_page_says_which_platform() -> None:
    """Where there are several, each has a section of its own with its name."""
    other = row()
    other = replace(other, image=replace(other.image, platform=Platform("linux", "arm64")))
    headings = re.findall("<h2 id=.sample-.*?>(.*?)</h2>", render_page(Comparison((row(), other))))
    assert headings == ["hello (linux/amd64)", "hello (linux/arm64)"]
    assert re.findall("<h2 id=.sample-.*?>(.*?)</h2>", render_page(Comparison((row(),)))) == ["hello"]


def test_the_page_is_unicode() -> None:
    """Stray bytes in names are written out, as is half of a character."""
    text = render_page(Comparison((row(sample="a\udcff\ud800"),)))
    assert r">a\xff\ud800</h2>" in text
    assert text.encode()


def test_how_a_run_ended_is_said() -> None:
    """Of a sample that expects nothing: its exit code, what it listens on, or that it still ran."""
    one = row()
    one = replace(
        one, image=replace(one.image, program=replace(one.program, sample=replace(one.program.sample, expect=None)))
    )
    serving = RunOutcome("local", RunStatus.STOPPED, seconds=2.0, timed_out=True, listens=("80/tcp",))
    for run, said in ((replace(RAN, exit_code=1), "exit code 1"), (serving, "listens on 80/tcp")):
        text = " ".join("".join(Page(render_page(Comparison((replace(one, run=run),)))).texts).split())
        assert f"yes , {said}" in text or f"yes, {said}" in text


def test_a_step_has_its_commands_its_numbers_and_both_answers() -> None:
    """Commands without folders of this machine; bars for bytes and for nothing else; what is code is code."""
    text = PAGES["walkthrough"]
    assert "<code>g++ -c &#39;a b.c&#39;</code>" in text
    assert "It is <code>two</code> things." in text
    assert "<code>USER 1</code>" in text
    assert text.count('class="bar"') == 4  # two rows of bytes in each of two steps
    assert '<td class="number">1,000</td>' in text
    assert "1 of 2 steps as predicted" in text
    assert "not done" in text


def test_every_hazard_has_all_its_paragraphs() -> None:
    """The page of hazards is read whole: each section says how it is seen, and has no heading of its own."""
    for hazard in hazards().values():
        headings = [heading for heading, _ in hazard.paragraphs]
        assert headings[0] == "Evidence", hazard.code
        assert set(headings) <= {"Evidence", "Message", "Fix", "Why"}, hazard.code
        assert all("`" not in text for _, parts in hazard.paragraphs for text, is_code in parts if not is_code)


def test_code_in_a_text() -> None:
    """CommonMark's rules: as many backticks as opened it; a blank within double ones is no part of it."""
    assert spans("a `b` c") == (("a ", False), ("b", True), (" c", False))
    assert spans("`` `x' ``") == (("`x'", True),)
    assert spans("no code") == (("no code", False),)
    assert spans("a ` b") == (("a ` b", False),)


def test_sizes_on_a_logarithmic_scale() -> None:
    """Each power of ten is as long as the next; both ends are seen, and what is outside stays within."""
    scale = Scale.of((2_000, 100_000_000))
    assert scale.ends == (1_000, 100_000_000)
    assert [round(scale.share(10**power), 3) for power in (3, 4, 5, 6, 7, 8)] == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert (scale.percent(0), scale.percent(10**12)) == ("1.0%", "100.0%")
    assert (Scale.between((5, 500)).step(5), Scale.between((5, 500)).step(500)) == (0, STEPS - 1)
    assert Scale.between((7,)).step(7) == 0
    assert Scale.of((1_000,)).percent(1_000) == "100.0%"
