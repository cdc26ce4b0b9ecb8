"""The run page in a browser: it grows while a run plays, zooms by asking the server, and its address is the view."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
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
    run_id = site.start({"scenario": storm("A paced storm", events=400_000), "pace_ms_per_s": 4})
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
    expect(page.locator("#track-heat .mark-row")).to_be_visible()
    told = site.client.get(f"/api/v1/runs/{swapping}/queues/2?t={query(page)['at']}").json()
    blame = page.locator("#blame")
    expect(blame).to_be_focused()
    assert len(told["entries"]) > 0
    assert sum(int(text) for text in blame.locator("tbody td:nth-child(3)").all_inner_texts()) == len(told["entries"])
    expect(blame.locator("tbody")).to_contain_text(f"{told['entries'][0]['task_name']}-")
    page.keyboard.press("Escape")
    expect(blame).to_be_hidden()

    lanes = picture(page, "lanes")
    lanes.click(position={"x": 300, "y": 8})
    panel = page.locator("#panel")
    expect(panel.locator("h2")).to_have_text(re.compile(r"^Page 0x29b[0-7]$"))
    expect(panel).to_be_focused()
    words = panel.locator(".bits").count()
    assert words == (1 if "unchanged" in panel.locator("h3").first.inner_text() else 2)
    assert panel.locator(".bits .bit").count() == 64 * words
    place = panel.locator(".panel-place").inner_text()
    page.keyboard.press("ArrowUp")
    expect(panel.locator(".panel-place")).not_to_have_text(place)
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
    whole = f"t0=0&t1={site.run(run)['time_ns'] + 1}&page=3&count=1"
    total = site.client.get(f"/api/v1/runs/{run}/events?{whole}").json()["total"]
    expect(page.locator(".events-count")).to_have_text(f"100 of {total:,} shown")
    assert all("0x29b3" in row for row in rows.all_inner_texts())
    page.get_by_role("button", name="More events").click()
    expect(rows).to_have_count(200)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("writer", lambda event: event["task_name"].startswith("writer")),
        ("task:locker-1", lambda event: event["task_name"].startswith("locker-1")),
        ("pid:112", lambda event: event["pid"] == 112),
        ("29b3", None),
        ("page:29b3", lambda event: event["pfn"] == "0x29b3"),
        ("queue:1 walk", lambda event: event["fields"].get("queue") == 1 and event["kind"].startswith("walk")),
    ],
)
def test_the_filter_takes_prefixes_pids_frames_and_queues_and_counts_what_fits(
    site: Site, page: Page, run: str, text: str, fits: Callable[[dict[str, Any]], bool] | None
) -> None:
    site.open(page, f"/r/{run}?v=1&t0=0&t1=200000&find={text}")
    count = page.locator(".events-count")
    if fits is None:
        expect(count).to_contain_text("No event type and no task begins with")
        return
    events = site.client.get(f"/api/v1/runs/{run}/events?t0=0&t1=200000&_size=1000").json()
    assert events["next_after_seq"] is None
    tasks = site.client.get(f"/api/v1/runs/{run}/cast").json()["tasks"]
    wanted = [event for event in events["events"] if fits(event | {"pid": tasks[event["task"]]["pid"]})]
    assert wanted
    expect(count).to_have_text(f"{min(100, len(wanted))} of {len(wanted):,} shown")
    shown = page.locator("#events tbody tr td:first-child").all_inner_texts()
    assert shown == [f"{event['seq']:,}" for event in wanted[:100]]


def test_the_table_of_events_is_one_stop_of_the_keyboard(site: Site, page: Page, run: str) -> None:
    site.open(page, f"/r/{run}")
    table = page.get_by_role("region", name="Table of events")
    expect(page.locator("#events tbody tr")).to_have_count(100)
    table.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#selected")).to_contain_text("Selected: event 0 at ")
    while not page.locator("#events tr[aria-selected=true] button").count():
        page.keyboard.press("ArrowDown")
        expect(page.locator("#events tr[aria-selected=true]")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#panel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(table).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#events tbody')") is None


def test_a_double_click_zooms_in_where_it_was(site: Site, page: Page, run: str) -> None:
    site.open(page, f"/r/{run}")
    whole = drawn(page)
    over = picture(page, "lanes")
    over.dblclick(position={"x": 300, "y": 8})
    nearer = wait_for_other_window(page, whole)
    assert nearer[1] - nearer[0] == pytest.approx((whole[1] - whole[0]) / 4, abs=2)
    assert nearer[0] > 0
    expect(page.locator("#panel")).to_be_hidden()


def test_given_any_width_then_the_legend_says_what_the_events_of_the_window_say(
    site: Site, page: Page, swapping: str
) -> None:
    t0, t1 = 3_000_000, 11_000_000
    lines = list(csv.DictReader(site.client.get(f"/r/{swapping}.csv").text.splitlines()))
    waiting, since, area, most, swapped = 0, t0, 0, 0, 0
    for line in lines:
        time = int(line["time_ns"])
        change = {"waiter_queued": 1, "waiter_woken": -1, "waiter_left": -1}.get(line["kind"], 0)
        if change and t0 <= time < t1:
            area += waiting * (time - since)
            since, most = time, max(most, waiting, waiting + change)
        waiting += change if time < t1 else 0
        swapped += t0 <= time < t1 and line["kind"] == "mapping_swapped"
    area += waiting * (t1 - since)
    walks = [line for line in lines if line["kind"] == "walk_ended" and t0 <= int(line["time_ns"]) < t1]
    expected = {
        ("waiters", "most"): most,
        ("waiters", "mean"): area / (t1 - t0),
        ("wakes", "walked"): sum(int(line["walked"]) for line in walks),
        ("wakes", "strangers"): sum(int(line["strangers"]) for line in walks),
        ("swaps", "in"): swapped,
    }
    site.open(page, f"/r/{swapping}?v=1&t0={t0}&t1={t1}")
    for width in (1280, 420, 700, 1600, 1920):
        with page.expect_response(lambda answer: "parts=series" in answer.url) if width != 1280 else nullcontext():
            page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(
            "() => document.querySelector('#track-swaps [data-series=in] output').textContent !== ''"
        )
        for (track, series), value in expected.items():
            output = page.locator(f"#track-{track} [data-series={series}] output")
            digits = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
            expect(output).to_have_text(digits)


def test_a_lane_shows_the_pages_state_and_below_it_who_waits(site: Site, page: Page, swapping: str) -> None:
    site.open(page, f"/r/{swapping}?v=1&t0=3000000&t1=5000000")
    told = page.evaluate(
        """() => {
            const canvas = document.querySelector('#track-lanes canvas');
            const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            const colour = (row, column) => [...pixels.slice(4 * (row * canvas.width + column)).slice(0, 4)].join(' ');
            const found = {rows: canvas.height, both: 0, alone: 0, waits: new Set(), states: new Set()};
            for (let row = 0; row < canvas.height; row += 3) for (let column = 0; column < canvas.width; column += 1) {
                const [state, wait] = [colour(row, column), colour(row + 2, column)];
                found.states.add(state);
                if (wait === '0 0 0 0') found.alone += 1;
                else { found.both += 1; found.waits.add(wait); }
            }
            return {...found, waits: [...found.waits].sort(), states: [...found.states]};
        }"""
    )
    assert told["rows"] == 3 * page.locator(".lane-names button").count()
    assert told["both"] > 0
    assert told["alone"] > 0
    waits = ["213 94 0 255", "230 159 0 255"]  # mapping swapped, tasks waiting: PAGE_STATE_COLOURS
    assert set(told["waits"]) <= set(waits)
    assert waits[0] in told["waits"], "page_wait swaps a mapping before a task waits"
    assert "240 228 66 255" in told["states"], "writeback hides no wait, and is hidden by none"


@pytest.mark.parametrize("kind", ["run", "comparison"])
def test_a_chart_is_on_the_screen_without_scrolling(site: Site, page: Page, run: str, swapping: str, kind: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    site.open(page, f"/r/{run}" if kind == "run" else f"/c/{run},{swapping}")
    for plot in page.locator("#track-queue .plot").all():
        box = plot.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 900
    if kind == "comparison":
        ticks = page.locator("#axis .labels .x").first
        page.mouse.move(600, 700)
        page.mouse.wheel(0, 1500)
        expect(ticks).to_be_in_viewport()


def test_given_a_window_behind_the_end_then_the_page_says_so_and_shows_the_run(
    site: Site, page: Page, run: str
) -> None:
    site.open(page, f"/r/{run}?v=1&t0=90000000000000&t1=90000000001000")
    expect(page.locator("#notices")).to_contain_text("begins after the end of the run")
    assert drawn(page)[0] == 0


def test_given_a_page_that_is_not_there_then_the_notice_does_not_say_that_the_run_is_gone(
    site: Site, page: Page, run: str, console: list[str]
) -> None:
    page.goto(f"{site.address}/r/{run}?v=1&page=99999")
    expect(page.locator("#notices")).to_contain_text("there is no page row 99999")
    console[:] = [line for line in console if "404" not in line]


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
