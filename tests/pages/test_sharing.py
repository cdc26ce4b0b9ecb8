"""Share links: another person sees the same view and may change nothing; a withdrawn link opens nothing."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import watched
from tests.pages.looking import WAIT_MS, Site, drag, drawn, faults, picture, wait_for_other_window
from tests.pages.workloads import storm


@pytest.fixture(scope="session")
def run(site: Site) -> str:
    return site.played({"scenario": storm("A storm to be shared")})


def share(page: Page) -> str:
    """Make a link to what is on screen."""
    page.get_by_role("button", name="Share").click()
    page.get_by_role("button", name="Make a link").click()
    field = page.locator("#share-link")
    expect(field).to_have_value(re.compile(r"/s/.{20,}"))
    return field.input_value()


def test_a_share_link_opens_the_same_view_for_a_stranger_until_it_is_withdrawn(
    site: Site, page: Page, run: str, stranger: Callable[[], Page]
) -> None:
    site.open(page, f"/r/{run}")
    whole = drawn(page)
    drag(page, picture(page, "waiters"), 0.3, 0.6)
    zoomed = wait_for_other_window(page, whole)
    link = share(page)
    assert link.startswith(site.address + "/s/")

    other = stranger()
    wrong = watched(other)
    answer = other.goto(link)
    assert answer is not None
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    other.wait_for_selector("#run[data-drawn]")
    assert drawn(other) == zoomed
    for words in ("Share", "Compare", "Cancel the run"):
        expect(other.get_by_role("button", name=words, exact=True)).to_have_count(0)
    expect(other.locator("form")).to_have_count(0)
    assert other.locator("nav").count() == 0
    drag(other, picture(other, "queue"), 0.2, 0.8)
    wait_for_other_window(other, zoomed)
    assert faults(other) == ""
    assert wrong == []

    # The token alone, without the view behind it, opens the view that was shared too.
    bare = stranger()
    bare.goto(link.split("?")[0])
    bare.wait_for_selector("#run[data-drawn]")
    assert drawn(bare) == zoomed

    page.get_by_role("button", name="Revoke").first.click()
    expect(page.locator("#share [role=status]")).to_contain_text("Revoked")
    gone = stranger()
    answer = gone.goto(link)
    assert answer is not None
    assert answer.status == 404
    expect(gone.locator("h1")).to_have_text("Not found")
    # What was open already can read nothing more, and says so.
    other.keyboard.press("0")
    expect(other.locator("#notices")).to_contain_text("the link was revoked")


def test_two_runs_are_shared_on_one_page(site: Site, page: Page, run: str, stranger: Callable[[], Page]) -> None:
    second = site.played({"scenario": storm("A storm to be shared", "page_wait")})
    site.open(page, f"/c/{run},{second}")
    link = share(page)
    other = stranger()
    wrong = watched(other)
    other.goto(link)
    other.wait_for_selector("#run[data-drawn]")
    expect(other.locator("#track-queue .plot")).to_have_count(2)
    expect(other.locator("#figures")).to_contain_text("strangers")
    assert wrong == []


def test_an_address_that_nobody_made_opens_nothing(site: Site) -> None:
    for path in ("/s/" + "x" * 32, "/s/short", "/s/" + "x" * 32 + ".txt"):
        assert site.client.get(path, headers={"Accept": "text/html"}).status_code == 404


def test_a_server_that_listens_on_this_machine_only_says_so_before_a_link_is_made(
    site: Site, page: Page, run: str
) -> None:
    site.open(page, f"/r/{run}")
    page.get_by_role("button", name="Share").click()
    local = page.locator(".share-local")
    expect(local).to_contain_text("on this machine only")
    page.get_by_role("button", name="Make a link").click()
    expect(page.locator("#share [role=status]")).to_contain_text("opens on this machine only")
    text = site.client.get(local.get_by_role("link").get_attribute("href") or "").text
    assert f"Link: {site.address}/r/{run}\n(The link opens only on the machine" in text


@pytest.mark.parametrize("what", ["exploration", "matrix"])
def test_an_exploration_and_the_matrix_are_shared_to_be_read(
    site: Site, page: Page, stranger: Callable[[], Page], what: str
) -> None:
    if what == "exploration":
        path, heading = f"/x/{site.explored({'preset': 'lost_increment'})}", "lost_increment"
    else:
        path, heading = "/matrix", "What breaks which design"
    page.goto(site.address + path)
    if what == "matrix":
        page.locator("#kernel").select_option("5.9")
        expect(page.locator("#cells form input[name=kernel]")).to_have_value("5.9", timeout=WAIT_MS)
    link = share(page)
    expect(page.locator(".share-list li")).to_have_count(1)

    other = stranger()
    wrong = watched(other)
    answer = other.goto(link)
    assert answer is not None
    assert answer.headers["cache-control"] == "private, no-store"
    expect(other.get_by_role("heading", name=heading)).to_be_visible()
    expect(other.locator("form, nav, a[href^='/x/'], button:not(.copy)")).to_have_count(0)
    if what == "matrix":
        expect(other.get_by_text("kernel 5.9", exact=True)).to_be_visible()
    saved = site.client.get(link + ".txt")
    assert saved.status_code == 200
    assert f"Link: {link}" in saved.text
    assert faults(other) == ""
    assert wrong == []

    page.get_by_role("button", name="Revoke").click()
    expect(page.locator("#share [role=status]")).to_contain_text("Revoked")
    gone = other.reload()
    assert gone is not None
    assert gone.status == 404
    wrong.clear()


def test_a_link_to_a_page_that_the_run_does_not_have_says_just_that(
    site: Site, page: Page, run: str, console: list[str]
) -> None:
    page.goto(f"{site.address}/r/{run}?v=1&page=99999")
    expect(page.locator("#notices")).to_contain_text("there is no page row 99999", timeout=WAIT_MS)
    expect(page.locator("#notices")).not_to_contain_text("deleted")
    assert "status of 404" in console.pop()
