"""Two runs of one workload on one page, with one time axis and one zoom."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.pages.looking import Site, drag, drawn, faults, picture, wait_for_other_window, zoomed_answer
from tests.pages.workloads import storm


@pytest.fixture(scope="session")
def pair(site: Site) -> tuple[str, str]:
    return (
        site.played({"scenario": storm("Compared storm"), "tags": ["compared"]}),
        site.played({"scenario": storm("Compared storm", "page_wait"), "tags": ["compared"]}),
    )


def test_two_ticked_runs_are_compared_with_linked_zoom(site: Site, page: Page, pair: tuple[str, str]) -> None:
    page.goto(f"{site.address}/?tag=compared")
    button = page.get_by_role("button", name="Compare two runs")
    expect(button).to_be_disabled()
    for run_id in pair:
        page.locator(f"input[name=run][value='{run_id}']").check()
    button.click()
    page.wait_for_selector("#run[data-drawn]")
    expect(page.locator("#track-queue .plot")).to_have_count(2)
    whole = drawn(page)
    with page.expect_response(lambda answer: pair[1] in answer.url and zoomed_answer(answer.url)) as answer:
        drag(page, picture(page, "queue"), 0.4, 0.6)
    zoomed = wait_for_other_window(page, whole)
    assert (answer.value.json()["t0"], answer.value.json()["t1"]) == zoomed
    ticks = [plot.locator(".labels .x").all_inner_texts() for plot in page.locator("#track-queue .plot").all()]
    assert ticks[0] == ticks[1] != []
    page.get_by_role("button", name="Side by side").click()
    left, right = (plot.bounding_box() for plot in page.locator("#track-queue .plot").all())
    assert left is not None
    assert right is not None
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]
    assert faults(page) == ""


def test_the_difference_table_agrees_with_both_runs(site: Site, page: Page, pair: tuple[str, str]) -> None:
    figures = [site.run(run_id)["figures"] for run_id in reversed(pair)]
    page.goto(f"{site.address}/c/{pair[1]},{pair[0]}")
    row = page.locator("#figures tr", has_text="entries of other pages")
    a, b = (figure["strangers"] for figure in figures)
    cells = row.locator("td").all_inner_texts()
    assert cells[:2] == [f"{a:,}", f"{b:,}"]
    assert cells[2] == (f"+{b - a:,}" if b > a else f"−{a - b:,}")
    assert cells[4] == ("more: worse in B" if b > a else "fewer: better in B")
    assert a == 0, "page_wait has no strangers in its queues"


def test_given_one_run_ticked_then_the_refusal_says_what_is_needed(site: Site) -> None:
    answer = site.client.get("/compare?run=" + "a" * 12, headers={"Accept": "text/html"})
    assert answer.status_code == 422
    assert "a comparison shows two" in answer.text


def test_a_run_is_played_again_under_another_design_and_compared(site: Site, page: Page, pair: tuple[str, str]) -> None:
    site.open(page, f"/r/{pair[0]}")
    page.get_by_text("Compare", exact=True).click()
    expect(page.locator(f"a[href='/c/{pair[0]},{pair[1]}']")).to_be_visible()
    page.get_by_label("play it under").select_option("page_wait")
    page.get_by_role("button", name="Play and compare").click()
    page.wait_for_url(f"**/c/{pair[0]},*")
    again = page.url.rpartition(",")[2].partition("?")[0]
    assert site.run(again)["design"] == "page_wait"
    assert site.run(again)["scenario"]["workload"] == site.run(pair[0])["scenario"]["workload"]


def test_the_plain_text_of_a_comparison_fits_into_mail(site: Site, pair: tuple[str, str]) -> None:
    text = site.client.get(f"/c/{pair[0]},{pair[1]}.txt").text
    assert [line for line in text.splitlines() if len(line) > 75 and "://" not in line] == []
    assert text.rstrip().endswith(f"/c/{pair[0]},{pair[1]}")
