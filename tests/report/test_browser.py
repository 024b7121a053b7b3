"""The pages in a real browser: what is shown is what the JSON says, and can be filtered, sorted, folded and read."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from recipes.model import Comparison, Platform, SizeRow, Unavailable
from recipes.report.document import comparison_document
from recipes.report.html import Made, render_page, render_walkthrough
from recipes.report.units import human
from tests.need import need, need_tool
from tests.report.rows import FAILS, NOT_RUN, NOT_STARTED, full, row
from tests.report.test_html import EVIL, HOSTILE, STEP, poisoned

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Locator, Page, Request

    Visit = Callable[..., Page]

pytestmark = pytest.mark.slow

ARM = Platform("linux", "arm64")
OTHER = row("other", "go-static", size=5_000_000)
ROWS = (
    row(size=30_000),
    row(base="deb-static", size=30_000, base_size=2_000_000),
    row(recipe="gcc-dynamic", size=900, verdict=FAILS, run=NOT_STARTED),
    row(recipe="gcc-dynamic", base="deb-cc", size=900, base_size=17_000_000),
    row(recipe="zig-static-small", size=9_000, run=NOT_RUN),
    row(recipe="clang", size=31_000, verdict=FAILS),
    OTHER,
    replace(OTHER, image=replace(OTHER.image, platform=ARM)),
)
COMPARISON = Comparison(ROWS, (Unavailable("alpine", "docker.io cannot be reached"),))
STEPS = (STEP, replace(STEP, number=2, agrees=False, commands=()), replace(STEP, number=3, agrees=None, table=()))
WIDTHS = (400, 800, 1400)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without the network."""
    need(importlib.util.find_spec("playwright"), "playwright")
    chromium = need_tool("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    made = Made("2026-11-25", "1.2")
    (folder / "comparison.html").write_text(render_page(COMPARISON, made=made))
    (folder / "hostile.html").write_text(render_page(poisoned()))
    (folder / "walkthrough.html").write_text(render_walkthrough(STEPS, made, [("engine", "local")]))
    (folder / "hostile-walkthrough.html").write_text(render_walkthrough((HOSTILE,), facts=[(EVIL, EVIL)]))
    return folder


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens a page; that it complained of something, asked for something or said something in a dialog is an error."""
    complaints: list[str] = []
    contexts = []

    def opened(path: Path, **options: Any) -> Page:
        def asked(request: Request) -> None:
            if request.url != path.as_uri():
                complaints.append(request.url)

        def spoke(dialog: Dialog) -> None:
            complaints.append(dialog.message)
            dialog.dismiss()

        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", spoke)
        page.on("request", asked)
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def shown(page: Page) -> list[tuple[str, str, int]]:
    """(recipe, base, bytes) of each image that is not filtered out, from the top."""
    return [
        (each.get_attribute("data-recipe") or "", each.get_attribute("data-base") or "", size(each))
        for each in page.locator("tr[data-recipe]:not([hidden])").all()
    ]


def size(line: Locator) -> int:
    return int(line.locator("td[data-value]").first.get_attribute("data-value") or "")


def of_document(rows: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(one["recipe"], one["base"], one["image_bytes"]) for one in rows]


DOCUMENT = comparison_document(COMPARISON)["rows"]


def test_what_is_shown_is_what_the_json_says(visit: Visit, pages: Path) -> None:
    """Every image with its bytes, its verdict, how its run went and why not; the smallest that runs in the summary."""
    page = visit(pages / "comparison.html")
    assert sorted(shown(page)) == sorted(of_document(DOCUMENT))
    page.get_by_role("button", name="Unfold all").click()
    for one in DOCUMENT:
        lines = page.locator(f'tr[data-recipe="{one["recipe"]}"][data-base="{one["base"]}"]')
        texts = [" ".join(text.split()) for text in lines.all_inner_texts()]
        answer = {True: "yes", False: "no", None: "unknown"}[one["runs"]]
        assert all(f"{one['verdict']['status']} " in text for text in texts)
        assert all(f" {answer}" in text and one["reason"] in text for text in texts)
        assert lines.first.get_attribute("data-runs") == answer
    summary = page.get_by_role("table", name="The smallest image of each sample that runs").locator("tbody tr")
    for line in summary.all():
        label, size, recipe, base, *_ = line.locator("th, td:not(.wide)").all_inner_texts()
        ran = [one for one in DOCUMENT if f"{one['sample']} ({one['platform']})" == label and one["runs"]]
        best = min(ran, key=lambda one: int(one["image_bytes"]))
        assert (recipe, base, size) == (best["recipe"], best["base"], human(best["image_bytes"]))
    assert summary.count() == 3


def test_the_matrix_is_what_the_json_says(visit: Visit, pages: Path) -> None:
    """Each pair of recipe and base has its size, or `fails`; what is larger is no colder."""
    page = visit(pages / "comparison.html")
    matrix = page.locator(".matrix").first
    bases = matrix.locator("thead th").all_inner_texts()[1:]
    found = {}
    heats = []
    for line in matrix.locator("tbody tr").all():
        recipe = line.locator("th").inner_text()
        for base, cell in zip(bases, line.locator("td").all(), strict=True):
            if (link := cell.locator("a")).count():
                title = link.get_attribute("title") or ""
                number = int(title.removesuffix(" bytes").replace(",", ""))
                found[recipe, base] = number, link.inner_text() == "fails"
                heats += [(number, int(heat)) for heat in re.findall(r"heat-(\d)", cell.get_attribute("class") or "")]
    assert found == {
        (one["recipe"], one["base"]): (one["image_bytes"], one["runs"] is False)
        for one in DOCUMENT
        if one["sample"] == "hello"
    }
    assert [heat for _, heat in sorted(heats)] == sorted(heat for _, heat in heats)
    assert len({heat for _, heat in heats}) > 2


def test_it_filters(visit: Visit, pages: Path) -> None:
    """By recipe, base, outcome and any words; a sample without a match goes, one with a match is unfolded."""
    page = visit(pages / "comparison.html")
    page.get_by_label("recipe", exact=True).select_option("gcc-dynamic")
    assert sorted(shown(page)) == sorted(of_document([one for one in DOCUMENT if one["recipe"] == "gcc-dynamic"]))
    assert page.get_by_role("status").inner_text() == f"2 of {len(DOCUMENT)} images shown"
    assert page.locator("details.sample:visible").count() == 1
    assert page.locator("tr[data-recipe]:visible").count() == 2
    page.get_by_label("runs", exact=True).select_option("no")
    assert shown(page) == [("gcc-dynamic", "scratch", 900)]
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("text").fill("OTHER arm64")
    assert shown(page) == [("go-static", "scratch", 5_000_000)]
    page.get_by_label("text").fill("")
    assert len(shown(page)) == len(DOCUMENT)


@pytest.mark.parametrize(
    ("heading", "key"), [("download", "download_bytes"), ("image", "image_bytes"), ("base", "base")]
)
def test_it_sorts(visit: Visit, pages: Path, heading: str, key: str) -> None:
    """By a click upwards, by a second one downwards; numbers by their value, and assistive technology is told."""
    page = visit(pages / "comparison.html")
    page.get_by_role("button", name="Unfold all").click()
    table = page.locator("table.images").first
    button = table.get_by_role("button", name=heading, exact=True)
    expected = sorted(one[key] for one in DOCUMENT if one["sample"] == "hello")
    by_choice = {(one["recipe"], one["base"]): one[key] for one in DOCUMENT if one["sample"] == "hello"}
    for direction, values in (("ascending", expected), ("descending", expected[::-1])):
        button.click()
        lines = table.locator("tbody tr").all()
        found = [by_choice[each.get_attribute("data-recipe"), each.get_attribute("data-base")] for each in lines]
        assert found == values
        assert table.locator("th[aria-sort]").get_attribute("aria-sort") == direction


def test_it_folds_and_a_link_unfolds(visit: Visit, pages: Path) -> None:
    """A size of the matrix leads to its image, a code to its explanation, also where these are folded."""
    page = visit(pages / "comparison.html")
    page.locator(".matrix .fails a").click()
    assert page.locator("tr:target").get_attribute("data-recipe") == "gcc-dynamic"
    assert page.locator("tr:target").is_visible()
    page.locator("tr:target a.code").click()
    assert page.locator("#finding-interpreter-missing").is_visible()
    page.get_by_role("button", name="Fold all", exact=True).click()
    assert page.locator(".matrix:visible").count() == 0
    page.get_by_role("button", name="Unfold all").click()
    assert page.locator("tr[data-recipe]:visible").count() == len(DOCUMENT)


def test_it_works_without_its_script(visit: Visit, pages: Path) -> None:
    """All images are in it, folds open by themselves, and nothing is offered that does not work."""
    page = visit(pages / "comparison.html", java_script_enabled=False)
    assert page.locator("tr[data-recipe]").count() == len(DOCUMENT)
    assert page.locator("form:visible, button:visible").count() == 0
    page.locator("details.rows > summary").first.click()
    assert page.locator("tr[data-recipe]:visible").count() == 6


@pytest.mark.parametrize("name", ["hostile", "hostile-walkthrough"])
def test_what_is_hostile_stays_text(visit: Visit, pages: Path, name: str) -> None:
    """No dialog opens, no picture is there, nothing is asked for, and the page's own script still works."""
    page = visit(pages / f"{name}.html")
    assert page.locator("img").count() == 0
    assert page.get_by_text(EVIL).count() > 0
    if name == "hostile":
        page.get_by_label("recipe", exact=True).select_option(EVIL)
        assert page.locator("tr[data-recipe]:not([hidden])").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["comparison", "walkthrough"])
def test_everyone_can_read_it(visit: Visit, pages: Path, name: str, width: int, scheme: Any) -> None:
    """axe-core finds nothing with all unfolded; no width makes the page itself scroll sideways."""
    need(importlib.util.find_spec("axe_playwright_python"), "axe-playwright-python")
    from axe_playwright_python.sync_playwright import Axe

    page = visit(pages / f"{name}.html", viewport={"width": width, "height": 900}, color_scheme=scheme)
    sideways = "document.documentElement.scrollWidth > innerWidth"
    assert page.evaluate(sideways) is False
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    assert page.evaluate(sideways) is False
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_the_keyboard_is_enough(visit: Visit, pages: Path) -> None:
    """The first stop leads past the header; tables that are too wide can be scrolled; every stop can be seen."""
    page = visit(pages / "comparison.html", viewport={"width": 400, "height": 900})
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    stops = []
    for _ in range(12):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.className || document.activeElement.tagName"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", stops[-1]
    assert stops[0] == "scroll"
    table = page.locator(".scroll").first
    table.evaluate("(table) => { window.scrolled = new Promise((done) => (table.onscroll = () => done(true))) }")
    table.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("scrolled")


def test_on_paper_everything_is_unfolded(visit: Visit, pages: Path) -> None:
    """What can only be clicked is left out, and what is folded is there."""
    page = visit(pages / "comparison.html")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("form:visible, nav:visible").count() == 0
    assert page.locator("tr[data-recipe]:visible").count() == len(DOCUMENT)


def test_every_value_has_a_place(visit: Visit, tmp_path: Path) -> None:
    """A row in which every value has something can be shown, whatever its run was."""
    rows: list[SizeRow] = [full(run) for run in (NOT_STARTED, NOT_RUN, None)]
    for number, one in enumerate(rows):
        path = tmp_path / f"{number}.html"
        path.write_text(render_page(Comparison((one,))))
        page = visit(path)
        assert page.get_by_text("evidence").count() > 0
