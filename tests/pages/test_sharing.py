"""Share links: another person sees the same view and may change nothing; a withdrawn link opens nothing."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import watched
from tests.pages.looking import Site, drag, drawn, faults, picture, wait_for_other_window
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
