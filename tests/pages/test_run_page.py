"""The run page in a browser: it grows while a run plays, zooms by asking the server, and its address is the view."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Page, expect

from tests.pages.looking import WAIT_MS, Site, drag, drawn, picture, wait_for_other_window, zoomed_answer
from tests.pages.workloads import storm


@pytest.fixture(scope="session")
def run(site: Site) -> str:
    return site.played({"scenario": storm("A storm under hashed queues")})


@pytest.fixture(scope="session")
def swapping(site: Site) -> str:
    return site.played({"scenario": storm("A storm under page_wait", "page_wait")})


def query(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlparse(page.url).query).items()}


def test_given_a_paced_run_when_watched_then_the_timeline_grows_until_its_end(site: Site, page: Page) -> None:
    run_id = site.start({"scenario": storm("A paced storm", events=200_000), "pace_ms_per_s": 4})
    site.open(page, f"/r/{run_id}")
    expect(page.locator("#follow")).to_have_attribute("aria-pressed", "true")
    ends = [drawn(page)]
    for _ in range(3):
        ends.append(wait_for_other_window(page, ends[-1]))
    assert all(window[0] == 0 for window in ends)
    assert sorted(ends) == ends, "the window's end moves forward only"
    events = int((page.inner_text("#status span:nth-of-type(2)")).split()[0].replace(",", ""))
    assert events > 0
    page.wait_for_function(
        "shown => Number(document.querySelector('#status span:nth-of-type(2)').innerText.replace(/\\D/g, '')) > shown",
        arg=events,
    )

    # Held, the window stays while the run goes on; followed again, it moves again.
    page.keyboard.press("Space")
    expect(page.locator("#follow")).to_have_attribute("aria-pressed", "false")
    assert {"t0", "t1"} <= query(page).keys()
    page.keyboard.press("0")
    expect(page.locator("#follow")).to_have_attribute("aria-pressed", "true")

    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator("#status .badge")).to_have_text("cancelled", timeout=WAIT_MS)
    expect(page.get_by_role("button", name="Cancel the run")).to_be_hidden()


def test_given_a_fixed_window_that_a_run_still_plays_into_then_it_fills_until_the_run_ends(
    site: Site, page: Page
) -> None:
    run_id = site.start({"scenario": storm("A storm in a fixed window", events=200_000), "pace_ms_per_s": 4})
    site.open(page, f"/r/{run_id}?v=1&t0=0&t1=60000000")
    shown = "document.getElementById('range-more').textContent"
    for _ in range(2):
        page.wait_for_function(f"before => {shown} !== before", arg=page.evaluate(shown))
    assert drawn(page) == (0, 60_000_000)
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator("#status .badge")).to_have_text("cancelled", timeout=WAIT_MS)
    events = f"{site.run(run_id)['events']:,}"
    page.wait_for_function(f"events => {shown}.includes(events)", arg=events)


def test_a_drag_zooms_the_server_is_asked_anew_and_the_address_restores_the_view(
    site: Site, page: Page, run: str
) -> None:
    site.open(page, f"/r/{run}")
    whole = drawn(page)
    with page.expect_response(lambda answer: zoomed_answer(answer.url)) as answer:
        drag(page, picture(page, "waiters"), 0.25, 0.5)
    zoomed = wait_for_other_window(page, whole)
    width = whole[1] - whole[0]
    assert abs((zoomed[1] - zoomed[0]) / width - 0.25) < 0.02
    assert abs(zoomed[0] / width - 0.25) < 0.02
    told = answer.value.json()
    assert (told["t0"], told["t1"]) == zoomed
    assert all(len(values) == told["px"] for one in told["series"].values() for values in one.values())
    assert query(page) == {"v": "1", "t0": str(zoomed[0]), "t1": str(zoomed[1])}

    page.reload()
    page.wait_for_selector("#run[data-drawn]")
    assert drawn(page) == zoomed
    page.go_back()
    assert wait_for_other_window(page, zoomed) == whole
    page.go_forward()
    assert wait_for_other_window(page, whole) == zoomed
    page.keyboard.press("0")
    assert wait_for_other_window(page, zoomed) == whole


def test_keys_and_wheel_zoom_and_pan_about_the_pointer(site: Site, page: Page, run: str) -> None:
    site.open(page, f"/r/{run}")
    whole = drawn(page)
    page.keyboard.press("w")
    nearer = wait_for_other_window(page, whole)
    page.keyboard.press("d")
    later = wait_for_other_window(page, nearer)
    assert later[0] > nearer[0]
    assert abs((later[1] - later[0]) - (nearer[1] - nearer[0])) <= 2
    picture(page, "queue").hover(position={"x": 10, "y": 30})
    page.keyboard.down("Control")
    page.mouse.wheel(0, -240)
    page.keyboard.up("Control")
    wheeled = wait_for_other_window(page, later)
    assert wheeled[1] - wheeled[0] < later[1] - later[0]
    share = 10 / 1159
    moment = [t0 + share * (t1 - t0) for t0, t1 in (later, wheeled)]
    assert abs(moment[0] - moment[1]) < 0.02 * (later[1] - later[0]), "what is under the pointer stays there"


def test_a_click_on_the_heat_map_draws_that_queue_and_one_on_a_lane_opens_its_page(
    site: Site, page: Page, swapping: str
) -> None:
    site.open(page, f"/r/{swapping}")
    expect(page.locator("#track-queue [data-series=chosen]")).to_be_hidden()
    over = picture(page, "heat")
    box = over.bounding_box()
    assert box is not None
    over.click(position={"x": 200, "y": box["height"] * 2.5 / 8})
    expect(page.locator("#track-queue [data-series=chosen]")).to_contain_text("queue 2")
    assert query(page)["q"] == "2"
    expect(page.locator("#queue-choice")).to_have_value("2")

    lanes = picture(page, "lanes")
    lanes.click(position={"x": 300, "y": 8})
    panel = page.locator("#panel")
    expect(panel.locator("h2")).to_have_text(re.compile(r"^Page 0x29b[0-7]$"))
    expect(panel.locator(".bits")).to_have_count(2)
    assert page.locator("#panel .bits .bit").count() == 128
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    assert "page" not in query(page)


def test_the_mapping_word_is_shown_bit_by_bit_with_what_a_swap_changed(site: Site, page: Page, swapping: str) -> None:
    site.open(page, f"/r/{swapping}")
    first = page.locator(".lane-names button").first
    first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    panel = page.locator("#panel")
    swap = panel.locator("tbody tr", has_text="swapped for a wait structure").first
    swap.click()
    before, after = panel.locator(".bits").all()
    words = [panel.locator(".hex").nth(n).inner_text() for n in (0, 1)]
    changed = bin(int(words[0], 16) ^ int(words[1], 16)).count("1")
    assert changed > 0
    assert before.locator(".moved").count() == after.locator(".moved").count() == changed
    assert int(words[1], 16) & 1, "the low bit marks the swapped word"
    assert after.locator(".tag-bit").last.inner_text() == "1"
    expect(panel.locator(".word").nth(1)).to_contain_text("PAGE_MAPPING_WAIT")
    place = panel.locator(".panel-place").inner_text()
    panel.get_by_role("button", name="Next change").focus()
    page.keyboard.press("ArrowDown")
    expect(panel.locator(".panel-place")).not_to_have_text(place)


def test_events_are_filtered_stepped_through_and_marked_in_the_charts(site: Site, page: Page, run: str) -> None:
    site.open(page, f"/r/{run}")
    rows = page.locator("#events tbody tr")
    expect(rows).to_have_count(100)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(rows.nth(1)).to_have_attribute("aria-selected", "true")
    assert query(page)["sel"] == "1"
    expect(page.locator("#track-queue .chosen")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("walk_ended")
    expect(rows.first).to_contain_text("walk ended")
    assert {row.split("\t")[3] for row in rows.all_inner_texts()} == {"walk ended"}
    page.locator("#find").fill("page:0x29b3 task:nobody")
    expect(page.locator(".events-count")).to_contain_text("This run has no task named “nobody”")
    page.locator("#find").fill("page:0x29b3")
    expect(page.locator(".events-count")).to_contain_text("100 shown, more below")
    assert all("0x29b3" in row for row in rows.all_inner_texts())
    page.get_by_role("button", name="More events").click()
    expect(rows).to_have_count(200)


def test_tracks_can_be_put_away_and_the_address_remembers_it(site: Site, page: Page, run: str) -> None:
    site.open(page, f"/r/{run}")
    page.get_by_text("Tracks", exact=True).click()
    page.get_by_role("checkbox", name="All queues over time").uncheck()
    expect(page.locator("#track-heat")).to_be_hidden()
    with page.expect_request(re.compile("/window")) as asked:
        page.reload()
    assert "heat" not in asked.value.url
    expect(page.locator("#track-heat")).to_be_hidden()


def test_under_hashed_queues_the_swaps_chart_says_why_it_is_empty(site: Site, page: Page, run: str) -> None:
    site.open(page, f"/r/{run}")
    expect(page.locator("#track-swaps .nothing")).to_contain_text("never swaps page->mapping")


def test_never_more_than_one_question_is_under_way(site: Site, page: Page, run: str) -> None:
    under_way: set[str] = set()
    most = [0]

    def sent(request: object) -> None:
        if "/api/v1/runs/" in request.url:  # type: ignore[attr-defined]
            under_way.add(str(id(request)))
            most[0] = max(most[0], len(under_way))

    page.on("request", sent)
    for name in ("requestfinished", "requestfailed"):
        page.on(name, lambda request: under_way.discard(str(id(request))))
    site.open(page, f"/r/{run}")
    picture(page, "queue").hover()
    page.keyboard.down("Control")
    for _ in range(15):
        page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.wait_for_function("() => document.getElementById('run').dataset.drawn.split(' ')[0] !== '0'")
    assert most[0] == 1


def test_a_link_of_a_newer_version_still_opens_and_says_so(site: Site, page: Page, run: str) -> None:
    site.open(page, f"/r/{run}?v=99&t0=1000&t1=90000&warp=9")
    assert drawn(page) == (1_000, 90_000)
    expect(page.locator("#notices")).to_contain_text("newer Folioscope")
