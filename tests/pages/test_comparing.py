"""Two runs of one workload on one page, with one time axis and one zoom."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.pages.looking import WAIT_MS, Site, drag, drawn, faults, picture, wait_for_other_window, zoomed_answer
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
    ticks = [cell.locator(".labels .x").all_inner_texts() for cell in page.locator("#axis > div").all()]
    assert ticks[0] == ticks[1] != []
    expect(page.get_by_role("button", name="Side by side")).to_have_attribute("aria-pressed", "true")
    left, right = (plot.bounding_box() for plot in page.locator("#track-queue .plot").all())
    assert left is not None
    assert right is not None
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]
    assert faults(page) == ""
    page.get_by_role("button", name="Side by side").click()
    upper, lower = (plot.bounding_box() for plot in page.locator("#track-queue .plot").all())
    assert upper is not None
    assert lower is not None
    assert upper["y"] + upper["height"] <= lower["y"]
    page.get_by_role("link", name="Swap A and B").click()
    page.wait_for_url(f"**/c/{pair[1]},{pair[0]}?*side=0*")


def test_the_run_ticked_first_is_the_baseline(site: Site, page: Page, pair: tuple[str, str]) -> None:
    for first, second in (pair, pair[::-1]):
        page.goto(f"{site.address}/?tag=compared")
        for run_id in (first, second):
            page.locator(f"input[name=run][value='{run_id}']").check()
        page.get_by_role("button", name="Compare two runs").click()
        page.wait_for_url(f"**/c/{first},{second}*")


def test_the_difference_table_agrees_with_both_runs(site: Site, page: Page, pair: tuple[str, str]) -> None:
    """Both runs stop at their limit of events, at different times: the table is about the time that both played."""
    end = 1 + min(site.run(run_id)["time_ns"] for run_id in pair)
    windows = [
        site.client.get(f"/api/v1/runs/{run_id}/window?t0=0&t1={end}&px=1&parts=totals").json()
        for run_id in reversed(pair)
    ]
    page.goto(f"{site.address}/c/{pair[1]},{pair[0]}")
    row = page.locator("#figures tr", has_text="entries of other pages")
    a, b = (window["totals"]["strangers"]["sum"] for window in windows)
    cells = row.locator("td").all_inner_texts()
    assert cells[:2] == [f"{a:,}", f"{b:,}"]
    assert cells[2] == (f"+{b - a:,}" if b > a else f"−{a - b:,}")
    assert cells[4] == ("more: worse in B" if b > a else "fewer: better in B")
    assert a == 0, "page_wait has no strangers in its queues"
    expect(page.locator(".scope")).to_contain_text("which both runs cover")
    expect(page.locator(".scope")).to_contain_text("A cut at 60,000 events, B cut at 60,000 events")
    text = site.client.get(f"/c/{pair[1]},{pair[0]}.txt").text
    assert "which both runs cover" in " ".join(text.split())


def test_figures_that_are_equal_are_folded_into_one_line(site: Site, page: Page, pair: tuple[str, str]) -> None:
    site.open(page, f"/c/{pair[0]},{pair[0]}")
    summary = page.locator(".more-figures summary")
    expect(summary).to_contain_text("figures are the same")
    expect(page.locator("#figures table").first).to_be_hidden()
    summary.click()
    expect(page.locator("#figures td", has_text="the same").first).to_be_visible()


def test_the_figures_are_those_of_the_window_or_of_the_runs_and_say_so(
    site: Site, page: Page, pair: tuple[str, str]
) -> None:
    site.open(page, f"/c/{pair[0]},{pair[1]}?v=1&t0=2000000&t1=9000000")
    expect(page.locator(".scope b")).to_have_text("window, 2.000 ms to 9.000 ms")
    windows = [
        site.client.get(f"/api/v1/runs/{one}/window?t0=2000000&t1=9000000&px=9&parts=totals").json() for one in pair
    ]
    row = page.locator("#figures tr", has_text="tasks woken").last
    shown = [f"{window['totals']['woken']['sum']:,}" for window in windows]
    assert row.locator("td").all_text_contents()[:2] == shown
    page.get_by_role("button", name="whole runs").click()
    expect(page.locator(".scope b")).to_contain_text("which both runs cover")
    page.reload()
    expect(page.locator(".scope b")).to_contain_text("which both runs cover")


def test_given_live_runs_when_they_end_then_their_badges_and_follow_do(site: Site, page: Page) -> None:
    asked = {"scenario": storm("A live pair", events=200_000), "pace_ms_per_s": 4}
    a, b = site.start(asked), site.start(asked)
    page.goto(f"{site.address}/c/{a},{b}")
    badges = page.locator("[data-state-of] .badge")
    expect(badges.first).to_have_text("running", timeout=WAIT_MS)
    expect(page.locator("#follow")).to_be_visible()
    page.get_by_role("button", name="Cancel A").click()
    page.wait_for_url(f"**/c/{a},{b}*")
    site.client.post(f"/api/v1/runs/{b}/cancel")
    expect(badges).to_have_text(["cancelled", "cancelled"], timeout=WAIT_MS)
    expect(page.locator("#follow")).to_be_hidden()
    expect(page.get_by_role("button", name="Cancel B")).to_have_count(0)


def test_given_one_run_ticked_then_the_refusal_says_what_is_needed(site: Site) -> None:
    answer = site.client.get("/compare?run=" + "a" * 12, headers={"Accept": "text/html"})
    assert answer.status_code == 422
    assert "a comparison shows two" in answer.text


def test_a_run_is_played_again_under_another_design_and_compared(site: Site, page: Page, pair: tuple[str, str]) -> None:
    site.open(page, f"/r/{pair[0]}")
    page.get_by_text("Compare", exact=True).click()
    expect(page.locator(f"a[href='/c/{pair[0]},{pair[1]}']")).to_be_visible()
    expect(page.get_by_label("play it under")).to_have_value("page_wait")
    page.get_by_role("button", name="Play and compare").click()
    page.wait_for_url(f"**/c/{pair[0]},*")
    again = page.url.rpartition(",")[2].partition("?")[0]
    assert site.run(again)["design"] == "page_wait"
    assert site.run(again)["scenario"]["workload"] == site.run(pair[0])["scenario"]["workload"]


def test_a_run_is_compared_with_more_queues(site: Site, pair: tuple[str, str]) -> None:
    form = {"key": "k" * 16, "design": "hashed", "bits": "12"}
    answer = site.client.post(f"/r/{pair[0]}/again", data=form, follow_redirects=False)
    again = str(answer.headers["location"]).rpartition(",")[2]
    assert site.run(again)["scenario"]["wait"] == {"design": "hashed", "bits": 12}


def test_the_plain_text_of_a_comparison_fits_into_mail(site: Site, pair: tuple[str, str]) -> None:
    text = site.client.get(f"/c/{pair[0]},{pair[1]}.txt").text
    assert [line for line in text.splitlines() if len(line) > 75 and "://" not in line] == []
    *_, link, note = text.splitlines()
    assert link.endswith(f"/c/{pair[0]},{pair[1]}")
    assert note == "(The link opens only on the machine that the server runs on.)"
