"""The API's own page: works offline under the strict policy."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.pages.looking import Site


def test_given_the_docs_when_an_operation_is_tried_then_it_is_answered_and_nothing_leaves_this_server(
    site: Site, page: Page
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.address}/docs")
    page.click("#operations-catalogue-list_designs .opblock-summary-control")
    page.click("button.execute")
    expect(page.locator(".live-responses-table tr.response td.response-col_status").first).to_contain_text("200")
    assert all(url.startswith((site.address, "data:", "blob:")) for url in asked)


def test_given_the_docs_when_one_has_seen_enough_then_there_is_a_way_back(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/docs")
    page.get_by_role("link", name="Folioscope", exact=True).click()
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
