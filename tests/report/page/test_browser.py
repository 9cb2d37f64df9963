"""The page of a report in a real browser: a Chromium of the system's, which is asked for nothing but files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.report.pages import HOSTILE, grid_store, single_store, write_page

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REQUIRED = "DISTMARL_REQUIRE_BROWSER"
PHONE = {"width": 375, "height": 667}
DESK = {"width": 1280, "height": 900}
PATIENCE_MS = 120_000  # a busy machine may take long for a page
WHITE = "rgb(255, 255, 255)"
DARK = "rgb(21, 24, 29)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, and none of {', '.join(NAMES)} is on the path")
        pytest.skip("there is no Chromium")
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        found = playwright.chromium.launch(executable_path=program, timeout=PATIENCE_MS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(single_store(tmp_path_factory.mktemp("single"), details=True))


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(grid_store(tmp_path_factory.mktemp("grid")))


@contextmanager
def opened(browser: Browser, path: Path, **options: Any) -> Iterator[Page]:
    """Open a page, and fail if it complains or asks for anything but itself."""
    context = browser.new_context(**{"viewport": DESK, "color_scheme": "light", **options})
    context.set_default_timeout(PATIENCE_MS)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    yield page
    context.close()
    assert complaints == []
    assert requests == [path.as_uri()]


def column(page: Page, table: str, place: int) -> list[str]:
    return page.locator(f"#{table} tbody tr:visible td:nth-child({place})").all_inner_texts()


def ground(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))


def test_the_page_opens_in_silence(browser, single, grid):
    for path in (single, grid):
        with opened(browser, path) as page:
            page.wait_for_load_state("load")
            assert page.locator("h1").inner_text() == "tiny"
            assert page.locator("svg").first.bounding_box()["width"] > 300


def test_hostile_names_are_shown_and_nothing_else_happens(browser, grid):
    with opened(browser, grid) as page:
        assert HOSTILE in page.locator("#results tbody td").first.inner_text()
        assert page.locator("img").count() == 0


def test_columns_are_sorted_as_numbers_and_unknown_ones_come_last(browser, single):
    with opened(browser, single) as page:
        k = page.locator("#results th").nth(0)
        assert k.get_attribute("aria-sort") is None
        k.get_by_role("button").click()
        k.get_by_role("button").click()
        assert k.get_attribute("aria-sort") == "descending"
        assert column(page, "results", 1) == ["30", "10", "2", "1"]
        gain = page.locator("#results th", has_text="Gain")
        for order, expected in (("ascending", ["30", "10", "2", "1"]), ("descending", ["2", "10", "30", "1"])):
            gain.get_by_role("button").press("Enter")
            assert gain.get_attribute("aria-sort") == order
            assert k.get_attribute("aria-sort") is None
            assert column(page, "results", 1) == expected


def test_one_setting_can_be_chosen_in_all_tables(browser, grid):
    with opened(browser, grid) as page:
        assert len(column(page, "results", 1)) == 9
        page.get_by_label("Show in all tables").select_option(index=1)
        assert len(column(page, "results", 1)) == 3
        assert len(column(page, "gaps", 1)) == 10
        assert set(column(page, "results", 1)) == set(column(page, "headlines", 1))


def test_the_theme_follows_the_system_until_the_reader_chooses(browser, single):
    with opened(browser, single) as page:
        switch = page.locator("#theme")
        expect(switch).to_have_text("Dark")
        assert ground(page) == WHITE
        page.emulate_media(color_scheme="dark")
        expect(switch).to_have_text("Light")
        assert ground(page) == DARK
        switch.click()
        expect(switch).to_have_text("Dark")
        assert ground(page) == WHITE
        switch.click()
        expect(switch).to_have_text("Light")
        assert ground(page) == DARK


def test_lines_of_figures_are_lighter_in_the_dark(browser, single):
    stroke = "getComputedStyle(document.querySelector('#reward_vs_k svg path[style*=\"--c0072b2\"]')).stroke"
    with opened(browser, single) as page:
        assert page.evaluate(stroke) == "rgb(0, 114, 178)"
        page.emulate_media(color_scheme="dark")
        red, green, blue = map(int, page.evaluate(stroke)[4:-1].split(","))
        assert (red > 0, green > 114, blue > 178) == (True, True, True)


def test_tracebacks_unfold(browser, grid):
    with opened(browser, grid) as page:
        failure = page.locator("details.failure").first
        assert not failure.locator("pre").first.is_visible()
        failure.locator("summary").click()
        assert failure.locator("pre").first.is_visible()
        assert HOSTILE in failure.locator("pre").first.inner_text()


def test_the_code_is_copied(browser, single):
    with opened(browser, single) as page:
        page.get_by_role("button", name="Copy").click()
        page.get_by_text("Copied.").wait_for()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == page.locator("#snippet").inner_text()
        assert "pd.read_parquet" in copied


def test_the_code_is_selected_where_it_may_not_be_copied(browser, single):
    with opened(browser, single) as page:
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
        page.get_by_role("button", name="Copy").click()
        page.get_by_text("Selected").wait_for()
        assert "pd.read_parquet" in page.evaluate("String(getSelection())")


def test_a_phone_need_not_scroll_sideways(browser, single, grid):
    for path in (single, grid):
        with opened(browser, path, viewport=PHONE) as page:
            page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
            assert page.evaluate("Math.max(...[...document.querySelectorAll('svg')].map(s => s.clientWidth))") > 300


def test_on_paper_it_is_light_and_unfolded(browser, grid):
    with opened(browser, grid, color_scheme="dark") as page:
        page.locator("#theme").click()
        page.locator("#theme").click()
        page.emulate_media(media="print", color_scheme="dark")
        assert ground(page) == WHITE
        assert not page.locator("nav").is_visible()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("#certificates").is_visible()
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert not page.locator("#certificates").is_visible()
        assert page.pdf(format="A4").startswith(b"%PDF-")


@pytest.mark.parametrize(("scheme", "viewport"), [("light", DESK), ("dark", DESK), ("light", PHONE)])
def test_nothing_stands_in_anyones_way(browser, single, grid, scheme, viewport):
    for path in (single, grid):
        with opened(browser, path, color_scheme=scheme, viewport=viewport) as page:
            page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            checked = Axe().run(page).response
            assert [(broken["id"], broken["nodes"][0]["target"]) for broken in checked["violations"]] == []
            assert {"color-contrast", "svg-img-alt"} <= {rule["id"] for rule in checked["passes"]}
