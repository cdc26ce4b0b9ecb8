"""Explorations in a browser: asked for, followed, read as columns, stepped by hand, opened as runs; the matrix."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from engine.explore import cases
from tests.app.explored import counters, lockers
from tests.explore.shelf import HERE, table
from tests.pages.looking import WAIT_MS, Site

REFUSED = "Failed to load resource: the server responded with a status of "
BROKEN = "peterson_broken_order"


def test_an_example_is_explored_by_one_button_and_its_page_shows_the_verdict(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/x")
    page.get_by_role("link", name="Explore", exact=True).last.click()
    page.get_by_role("link", name="lost increment").click()
    expect(page.locator("#subject")).to_have_value(re.compile("lost_increment"))
    page.get_by_role("button", name="Explore").click()
    page.wait_for_url(re.compile(r"/x/[0-9a-f]{12}$"))
    expect(page.locator(".answer .word")).to_have_text("Sometimes", timeout=WAIT_MS)
    expect(page.locator(".answer")).to_contain_text("Within these bounds: all ")
    expect(page.get_by_role("heading", name="Outcomes")).to_be_visible()


def test_what_is_wrong_with_a_table_is_said_above_the_box_with_its_line(
    site: Site, page: Page, console: list[str]
) -> None:
    page.goto(f"{site.address}/x/new?table=peterson")
    box = page.locator("#subject")
    box.fill(box.input_value().replace('guard = "flag[1] == 0"', 'guard = "flog[1] == 0"'))
    page.locator("#preemptions").fill("2")
    with page.expect_response("**/x/new") as answer:
        page.get_by_role("button", name="Explore").click()
    assert answer.value.status == 422
    expect(page.get_by_role("alert")).to_contain_text("line 19")
    expect(page.get_by_role("alert")).to_contain_text("flog")
    expect(box).to_have_value(re.compile("flog"))
    expect(page.locator("#preemptions")).to_have_value("2")
    assert console.pop().startswith(REFUSED + "422")


def test_a_file_is_explored_in_place_of_the_box(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/x/new")
    page.locator("#file").set_input_files(Path(HERE) / "tables" / "abba_ordered.toml")
    page.get_by_role("button", name="Explore").click()
    expect(page.locator("h1")).to_have_text("abba_ordered")
    expect(page.locator(".answer .word")).to_have_text("Never", timeout=WAIT_MS)


def test_a_form_that_is_sent_twice_asks_once(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/x/new")
    key = page.locator("input[name=key]").get_attribute("value")
    form = {"key": key, "subject": (HERE / "tables" / "abba.toml").read_text()}
    answers = [site.client.post("/x/new", data=form, follow_redirects=False) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert answers[0].headers["location"] == answers[1].headers["location"]


def test_an_exploration_is_followed_live_and_cancelled(site: Site, page: Page) -> None:
    answer = site.client.post("/api/v1/explorations", json={"subject": counters(6, 40)})
    page.goto(f"{site.address}/x/{answer.json()['id']}")
    states = page.locator("#exploring .facts li").first
    expect(states).to_contain_text("states", timeout=WAIT_MS)
    first = states.inner_text()
    expect(states).not_to_have_text(first, timeout=WAIT_MS)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".answer .word")).to_have_text("not explored", timeout=WAIT_MS)
    expect(page.locator(".answer")).to_contain_text("stopped because it was cancelled")


def test_a_finding_is_columns_with_changed_values_marked_and_a_word_to_copy(site: Site, page: Page) -> None:
    found = site.explored({"subject": table(BROKEN)})
    answer = site.client.get(f"/api/v1/explorations/{found}").json()["answer"]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{site.address}/x/{found}")
    rows = page.locator(".story-table tbody tr")
    expect(rows).to_have_count(answer["shortest_error"])
    assert page.locator(".story-table thead th").all_inner_texts() == ["Step", "a · p0", "b · p1"]
    expect(rows.last.locator(".broken")).to_contain_text("does not hold")
    assert page.locator(".story-table mark").count() > 0
    for button, word in (("the smaller", answer["shrunk"]["schedule"]), ("the", answer["schedule"])):
        page.get_by_role("button", name=f"Copy {button} schedule").click()
        expect(page.locator("#copied")).to_contain_text("Copied")
        page.wait_for_function("word => navigator.clipboard.readText().then(text => text === word)", arg=word)
    text = site.client.get(f"/x/{found}.txt").text
    assert f"Link: {site.address}/x/{found}" in text
    assert answer["schedule"] in text
    for form in ("json", "pml", "itf.json", "shiviz", "dot"):
        assert site.client.get(f"/x/{found}.{form}").status_code == 200, form


def test_states_are_stepped_by_keys_and_links_and_each_has_its_address(site: Site, page: Page) -> None:
    found = site.explored({"subject": table(BROKEN)})
    answer = site.client.get(f"/api/v1/explorations/{found}").json()["answer"]
    page.goto(f"{site.address}/x/{found}/at/")
    page.keyboard.press("1")
    page.wait_for_url("**/at/a")
    page.keyboard.press("2")
    page.wait_for_url("**/at/a.b")
    assert page.locator("mark").count() > 0
    page.keyboard.press("Backspace")
    page.wait_for_url("**/at/a")
    page.locator(".enabled a").last.click()
    page.wait_for_url("**/at/a.b")
    page.goto(f"{site.address}/x/{found}/at/{answer['schedule']}")
    expect(page.get_by_role("alert")).to_contain_text("does not hold")
    steps = 0
    while page.locator("#back").count():
        page.locator("#back").click()
        page.wait_for_load_state()
        steps += 1
    assert steps == answer["shortest_error"]


def test_states_can_be_stepped_without_scripts(site: Site, browser: Any) -> None:
    found = site.explored({"subject": table("abba")})
    answer = site.client.get(f"/api/v1/explorations/{found}").json()["answer"]
    with browser.new_context(java_script_enabled=False) as profile:
        page = profile.new_page()
        page.goto(f"{site.address}/x/{found}")
        page.get_by_role("link", name="Step by hand").click()
        for _ in range(2):
            page.locator(".enabled a").first.click()
        assert page.locator("#back").is_visible()
        page.goto(f"{site.address}/x/{found}/at/{answer['schedule']}")
        expect(page.locator("p.notice.bad")).to_contain_text("Deadlock")
        assert page.locator(".enabled").count() == 0


def test_a_schedule_that_cannot_be_played_gets_a_page_that_says_why(site: Site, page: Page, console: list[str]) -> None:
    found = site.explored({"subject": table("abba")})
    answer = page.goto(f"{site.address}/x/{found}/at/z9")
    assert answer is not None
    assert answer.status == 422
    expect(page.locator("main")).to_contain_text("names no process")
    assert console.pop().startswith(REFUSED + "422")


def test_a_scenario_is_explored_stepped_and_opened_as_a_run(site: Site, page: Page) -> None:
    found = site.explored({"subject": lockers()})
    page.goto(f"{site.address}/x/{found}")
    expect(page.locator(".answer .word")).to_have_text("Never")
    page.get_by_role("link", name="Step by hand").click()
    for _ in range(3):
        page.locator(".enabled a").first.click()
    word = page.locator("code.word").inner_text()
    expect(page.locator("main")).to_contain_text("page 0: flags")
    page.get_by_role("button", name="Open as a run").click()
    page.wait_for_selector("#run")
    run_id = page.url[-12:]
    assert site.run(run_id)["scenario"]["schedule"] == word
    again = site.client.post(f"/x/{found}/run", data={"schedule": word}, follow_redirects=False)
    assert again.headers["location"] == f"/r/{run_id}"


def test_a_broken_scenario_leads_to_a_run_that_says_first_what_broke(site: Site, page: Page) -> None:
    examples = resources.files("engine.explore.tables.examples")
    found = site.explored({"subject": tomllib.loads(examples.joinpath("raw_null_check.toml").read_text())})
    answer = site.client.get(f"/api/v1/explorations/{found}").json()["answer"]
    page.goto(f"{site.address}/x/{found}")
    names = page.locator(".found .badge").all_inner_texts()
    assert names[0] == "wrong identity"
    assert len(set(names)) == len(names), "each finding is told once, by its shortest schedule"
    last = page.locator(".story-table tbody tr").last
    expect(last.locator(".number")).to_have_text(str(answer["shortest_error"]))
    expect(last).to_contain_text("a lookup returned a locked page that is not the one asked for")
    page.get_by_role("button", name="Open as a run").first.click()
    page.wait_for_selector("#run")
    expect(page.locator(".verdict.broken")).to_contain_text(
        "Invariant broken at event 8: a lookup returned a locked page that is not the one asked for.", timeout=WAIT_MS
    )


def test_an_exploration_is_deleted_by_its_button(site: Site, page: Page, console: list[str]) -> None:
    found = site.explored({"subject": table("abba_ordered")})
    page.goto(f"{site.address}/x/{found}")
    page.locator("details.ask summary").click()
    page.get_by_role("button", name="Delete this exploration").click()
    page.wait_for_url(f"{site.address}/x")
    assert site.client.get(f"/x/{found}").status_code == 404


def test_the_matrix_shows_what_is_missing_and_a_cell_leads_to_its_exploration(site: Site, page: Page) -> None:
    told = site.client.get("/api/v1/matrix?kernel=4.16").json()
    asked = {cell["exploration"] for cell in told["cells"]}
    assert asked == {None}
    page.goto(f"{site.address}/matrix?kernel=4.16")
    expect(page.locator("#kernel")).to_have_value("4.16")
    cells = page.locator(".matrix tbody td")
    expect(cells).to_have_count(sum(len(table.rows) * len(table.columns) for table in cases.tables()))
    page.get_by_role("button", name=re.compile("^Explore .* missing cells$")).click()
    page.wait_for_url("**/matrix?kernel=4.16*")
    link = page.locator(".matrix td a", has_text=re.compile("Never|Sometimes")).first
    link.wait_for(timeout=WAIT_MS)
    link.click()
    page.wait_for_url("**/matrix/cell?*")
    page.get_by_role("link", name="Exploration", exact=True).click()
    page.wait_for_url("**/x/*")
    expect(page.get_by_role("link", name="Matrix, kernel 4.16")).to_be_visible()
    for row in site.client.get("/api/v1/explorations?state=queued&_size=1000").json()["explorations"]:
        site.client.post(f"/api/v1/explorations/{row['id']}/cancel")
