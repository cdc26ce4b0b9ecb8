"""How the pages look: light and dark, narrow and wide, to the eye and to a screen reader; names are always text."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.explore.shelf import table
from tests.pages.conftest import watched
from tests.pages.looking import Site, faults
from tests.pages.workloads import storm

NASTY = '<b>bold</b><img src=x onerror=alert(1)> "quoted" & <a href="javascript:alert(2)">link</a>'
PATHS = (
    "/",
    "/new",
    "/recordings",
    "/designs",
    "/designs/page_wait",
    "/anatomy",
    "/anatomy?layout=memdesc",
    "/r/{a}",
    "/r/{b}",
    "/c/{a},{b}",
    "/r/000000000000",
    "/x",
    "/x/new",
    "/x/{x}",
    "/x/{x}/at/",
    "/matrix",
    "/matrix/cell?row=page_wait-raw_null&column=T-1",
)


@pytest.fixture(scope="session")
def pair(site: Site) -> tuple[str, str]:
    nasty = storm(NASTY)
    nasty["story"] = NASTY
    nasty["workload"]["groups"][0]["name"] = NASTY[:60]
    return site.played({"scenario": nasty}), site.played({"scenario": storm("Plain", "page_wait")})


@pytest.fixture(scope="session")
def explored(site: Site) -> str:
    told = table("peterson_broken_order") | {"name": NASTY[:110], "why": NASTY}
    told["procs"][0]["name"] = NASTY[:60]
    return site.explored({"subject": told})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_sticks_out(
    site: Site, browser: Browser, pair: tuple[str, str], explored: str, path: str, scheme: str
) -> None:
    with browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme) as profile:  # type: ignore[arg-type]
        page = profile.new_page()
        wrong = watched(page)
        page.goto(site.address + path.format(a=pair[0], b=pair[1], x=explored))
        if page.locator("#run").count():
            page.wait_for_selector("#run[data-drawn]")
        for width in (360, 2560):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function("width => innerWidth === width", arg=width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert faults(page) == ""
        expected = ["Failed to load resource: the server responded with a status of 404 (Not Found)"]
        assert wrong == (expected if path.endswith("000000000000") else [])


def test_names_that_look_like_html_are_text(site: Site, page: Page, pair: tuple[str, str]) -> None:
    page.on("dialog", lambda dialog: pytest.fail(f"a name was run as a script: {dialog.message}"))
    site.open(page, f"/r/{pair[0]}")
    expect(page.locator("h1")).to_have_text(NASTY)
    expect(page.locator(".story")).to_have_text(NASTY)
    expect(page.locator("#events tbody tr").first).to_be_visible()
    task = page.locator("#events tbody tr", has_text="<b>bold</b>").first
    expect(task).to_be_visible()
    assert page.locator("main b:has-text('bold'), main img, main a[href^='javascript']").count() == 0
    page.goto(site.address)
    expect(page.locator(f"a[href='/r/{pair[0]}']")).to_have_text(NASTY)
    assert page.locator("#list b, #list img").count() == 0


def test_names_of_a_table_that_look_like_html_are_text(site: Site, page: Page, explored: str) -> None:
    page.on("dialog", lambda dialog: pytest.fail(f"a name was run as a script: {dialog.message}"))
    for path in (f"/x/{explored}", f"/x/{explored}/at/", "/x"):
        page.goto(site.address + path)
        assert page.locator("main b:has-text('bold'), main img, main a[href^='javascript']").count() == 0
        assert NASTY[:40] in page.locator("main").inner_text()


def test_charts_are_drawn_anew_when_the_system_turns_dark(site: Site, page: Page, pair: tuple[str, str]) -> None:
    site.open(page, f"/r/{pair[0]}")
    line = page.locator("#track-waiters .js-line").first
    light = line.evaluate("element => getComputedStyle(element).stroke")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(
        "was => getComputedStyle(document.querySelector('#track-waiters .js-line')).stroke !== was", arg=light
    )
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 20, 24)"


def test_every_chart_has_a_title_units_and_words_for_a_screen_reader(
    site: Site, page: Page, pair: tuple[str, str]
) -> None:
    site.open(page, f"/r/{pair[1]}")
    for track in page.locator("[data-track]").all():
        assert track.locator("h2").inner_text()
        assert track.locator(".what").first.inner_text()
        assert track.locator("[role=img]").get_attribute("aria-label")
    expect(page.get_by_text("Figures for this window, as a table")).to_be_visible()
    words = page.locator("#track-lanes .legend").inner_text().split()
    assert {"free", "clean", "dirty", "locked", "writeback", "truncated"} <= set(words)


def test_help_opens_by_key_names_the_keys_and_closes_by_escape(site: Site, page: Page, pair: tuple[str, str]) -> None:
    site.open(page, f"/r/{pair[1]}")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    assert faults(page) == ""
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
