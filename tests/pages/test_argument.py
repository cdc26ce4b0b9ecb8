"""The first impression: the demo opens on the argument, the recordings have results, the matrix comes explored."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx2
from playwright.sync_api import Page, expect

from engine.explore import cases
from engine.recordings.shipped import shipped_recordings
from tests.pages.looking import WAIT_MS, Site

SOON_MS = 5_000
"""Within this time of the first picture something happens."""


def test_the_printed_address_shows_shared_queues_hurt_within_seconds(page: Page, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app.cli", "serve", "--demo", "--json", "--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            address = json.loads(server.stdout.readline())["address"]
            compared = json.loads(server.stdout.readline())["compared"]
            page.goto(compared)
            page.wait_for_selector("#run[data-drawn]", timeout=WAIT_MS)
            wakes = page.locator("#track-wakes")
            expect(wakes).to_be_visible()
            first = wakes.inner_text()
            page.wait_for_function(
                "first => document.getElementById('track-wakes').innerText !== first", arg=first, timeout=SOON_MS
            )
            expect(page.locator("[data-track]:visible")).to_have_count(2)
            with httpx2.Client(base_url=address, timeout=30) as client:
                site, demo = Site(address, client), shipped_recordings()["demo"]
                for run_id in re.findall("[0-9a-f]{12}", compared.partition("?")[0]):
                    site.ended(run_id)
                    run = site.run(run_id)
                    assert run["figures"]["walked"] == demo.visited[run["design"]]
                    assert run["figures"]["woken"] == demo.woken
        finally:
            server.terminate()


def test_the_recordings_that_ship_are_listed_with_result_truth_and_a_form(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/recordings")
    for name, one in shipped_recordings().items():
        card = page.locator(f"#rec-{name}")
        expect(card).to_contain_text(one.result)
        expect(card).to_contain_text(one.shows)
        expect(card.locator("form[action$='/delete']")).to_have_count(0)
        for path in (one.trace, one.truth):
            answer = site.client.get(f"/recordings/{path.name}")
            assert answer.status_code == 200
            assert answer.content == path.read_bytes()
            expect(card.locator(f"a[href='/recordings/{path.name}']")).to_be_visible()
    assert site.client.get("/recordings/nothing.truth.csv.gz").status_code == 404


def test_a_recording_that_ships_is_played_with_as_many_queues_as_chosen(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/recordings")
    card = page.locator("#rec-demo")
    for box in card.get_by_role("checkbox").all():
        box.set_checked(str(box.get_attribute("value")) == "hashed")
    card.get_by_label("shared queues").select_option(label="4,096")
    card.get_by_role("button", name="Play under these designs").click()
    page.wait_for_url(re.compile("/r/[0-9a-f]{12}$"))
    expect(page.locator(".facts").first).to_contain_text("hashed, 4,096 queues")
    run_id = page.url.rpartition("/")[2]
    site.ended(run_id)
    run = site.run(run_id)
    assert run["recording"] == "demo"
    assert run["figures"]["walked"] < shipped_recordings()["demo"].visited["hashed"]
    page.locator("a[href='/recordings#rec-demo']").click()
    expect(page.locator("#rec-demo")).to_be_in_viewport()


def test_the_matrix_comes_explored_and_a_cell_has_question_bounds_and_schedule(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/matrix")
    expect(page.locator("#verdicts")).to_contain_text("shipped with this release")
    expect(page.get_by_role("button", name=re.compile("^Re-check all .* cells$"))).to_be_enabled()
    verdicts = page.locator(".matrix td a")
    told = site.client.get("/api/v1/matrix").json()
    assert told["kernel"] == cases.DEFAULT_KERNEL
    expect(verdicts).to_have_count(len(told["cells"]))
    expect(page.locator(".matrix .badge", has_text="not explored")).to_have_count(
        sum(cell["word"] == "not explored" and not cell["why"].startswith("masked") for cell in told["cells"])
    )
    page.locator("a[href*='row=page_wait-raw_null'][href*='column=T-1']").first.click()
    page.wait_for_url("**/matrix/cell?*")
    expect(page.locator("h1")).to_contain_text("T-1 lookup vs. truncation")
    expect(page.locator(".answer .word")).to_have_text("Sometimes")
    expect(page.locator(".answer")).to_contain_text("Within these bounds")
    expect(page.locator("#decided-by")).to_contain_text("Shipped with this release")
    breaks = page.locator("#story .story-table tbody tr.breaks, #story p.broken").first
    expect(breaks).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".story-table")).to_contain_text("model step of folio_lock(), include/linux/pagemap.h")
    page.get_by_role("button", name="Open as a run").click()
    page.wait_for_url(re.compile("/r/[0-9a-f]{12}$"))
    page.go_back()
    page.get_by_role("link", name="Matrix, kernel 6.1").click()
    page.wait_for_url("**/matrix?kernel=6.1")


def test_headings_of_the_matrix_stay_while_it_is_scrolled(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/matrix")
    region = page.locator(".matrix").first
    region.evaluate("element => { element.scrollIntoView(); element.scrollTo(700, 250); }")
    corner, box = page.locator(".matrix thead th").first.bounding_box(), region.bounding_box()
    assert corner is not None
    assert box is not None
    assert abs(corner["x"] - box["x"]) < 3
    assert abs(corner["y"] - box["y"]) < 3
    on_top = "([x, y]) => document.elementFromPoint(x, y).closest('th')?.innerText"
    assert page.evaluate(on_top, [corner["x"] + 20, corner["y"] + corner["height"] / 2]) == "Design"


def test_the_page_of_a_design_draws_the_words_it_takes_and_its_paths(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/designs")
    page.get_by_role("link", name="page_wait swapped into page->mapping").click()
    page.wait_for_url("**/designs/page_wait")
    claimed = page.locator(".words").first.locator("tr.claimed code")
    expect(claimed).to_have_text(["flags", "mapping"])
    words = page.locator(".words").first.locator("tbody tr")
    heights = [box["height"] for row in words.all() if (box := row.bounding_box())]
    assert len(heights) >= 8
    paths = page.locator(".path")
    expect(paths).to_have_count(3)
    expect(paths.first).to_contain_text("page_wait.lock")
    page.locator("#kernel").select_option("4.16")
    expect(page.locator(".path").first).to_contain_text("model step of lock_page(), include/linux/pagemap.h")
    expect(page.locator("h2", has_text="In the matrix, kernel 4.16")).to_be_visible()


def test_a_state_without_events_cannot_be_opened_as_a_run_and_says_why(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/matrix/cell?row=page_wait-raw_null&column=T-1")
    page.get_by_role("button", name="Explore here").or_(page.get_by_role("button", name="Explore again")).click()
    page.wait_for_url(re.compile("/x/[0-9a-f]{12}$"))
    page.get_by_role("link", name="Step by hand").click()
    page.locator(".enabled .step").first.click()
    button = page.get_by_role("button", name="Open as a run")
    while button.is_disabled():
        expect(page.locator("#no-events")).to_have_text("no event yet: take more steps")
        page.locator(".enabled .step").first.click()
        page.wait_for_load_state()
    expect(page.locator("#no-events")).to_have_count(0)
