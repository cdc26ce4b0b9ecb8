"""The list of runs, the forms that start runs, the recordings, and pages for what is not there."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.pages.looking import WAIT_MS, Site
from tests.pages.workloads import storm

HOT = Path(__file__).parents[1] / "engine" / "recordings" / "data" / "hot-6.1.trace.txt.gz"
HTML = {"Accept": "text/html"}
README = Path(__file__).parents[2] / "README.md"
REFUSED = "Failed to load resource: the server responded with a status of "


def test_rows_of_live_runs_move_and_end_while_ticks_stay(site: Site, page: Page) -> None:
    run_id = site.start({"scenario": storm("A moving row", events=200_000), "pace_ms_per_s": 4, "tags": ["moving"]})
    page.goto(f"{site.address}/?tag=moving")
    state = page.locator(f"#state-{run_id}")
    expect(state).to_contain_text("running", timeout=WAIT_MS)
    page.locator(f"input[value='{run_id}']").check()
    events = page.locator(f"#events-{run_id}")
    shown = events.inner_text()
    expect(events).not_to_have_text(shown, timeout=WAIT_MS)
    site.client.post(f"/api/v1/runs/{run_id}/cancel")
    expect(state).to_contain_text("cancelled", timeout=WAIT_MS)
    expect(page.locator(f"input[value='{run_id}']")).to_be_checked()
    site.start({"scenario": storm("A newer run"), "tags": ["moving"]})
    expect(page.locator("#newer")).to_contain_text("New runs", timeout=WAIT_MS)


def test_the_list_is_filtered_while_typing_and_the_address_says_so(site: Site, page: Page) -> None:
    wanted = site.played({"scenario": storm("Quokka in the list"), "tags": ["quokka"]})
    other = site.played({"scenario": storm("Another in the list", "page_wait")})
    page.goto(site.address)
    page.keyboard.press("/")
    page.keyboard.type("quokka")
    expect(page.locator(f"a[href='/r/{other}']")).to_have_count(0)
    expect(page.locator(f"a[href='/r/{wanted}']")).to_be_visible()
    assert "q=quokka" in page.url
    expect(page.get_by_role("link", name="CSV")).to_have_attribute("href", re.compile(r"^/runs\.csv\?.*q=quokka"))
    page.locator("#q").fill("")
    page.locator("#f-design").select_option("page_wait")
    expect(page.locator(f"a[href='/r/{wanted}']")).to_have_count(0)
    page.goto(f"{site.address}/?q=nothing+is+called+this")
    expect(page.locator(".empty")).to_contain_text("No runs match")


def test_a_preset_is_started_from_its_card_and_a_double_click_starts_one_run(site: Site, page: Page) -> None:
    page.goto(f"{site.address}/new")
    card = page.locator("article", has_text="Six pages that share one queue")
    key = card.locator("input[name=key]").get_attribute("value")
    before = len(site.client.get("/api/v1/runs?_size=200").json()["runs"])
    card.get_by_role("button", name="Start").click()
    page.wait_for_selector("#run")
    assert re.search(r"/r/[0-9a-f]{12}$", page.url)
    form = {"key": key, "preset": "colliding-pages", "pace": "0"}
    again = site.client.post("/new", data=form, follow_redirects=False)
    assert again.status_code == 303
    assert page.url.endswith(again.headers["location"])
    assert len(site.client.get("/api/v1/runs?_size=200").json()["runs"]) == before + 1
    site.client.post(f"/api/v1/runs/{page.url[-12:]}/cancel")


def test_what_is_wrong_with_a_scenario_is_said_above_the_box_that_still_holds_it(
    site: Site, page: Page, console: list[str]
) -> None:
    page.goto(f"{site.address}/new")
    box = page.locator("#scenario")
    box.fill('{"name": "x", "workload": {"kind": "tasks", "pages": 99999999999, "groups": []}}')
    with page.expect_response("**/new") as answer:
        page.locator("form", has=box).get_by_role("button", name="Start").click()
    assert answer.value.status == 422
    expect(page.get_by_role("alert")).to_contain_text("pages")
    expect(page.get_by_role("alert")).to_contain_text("4194304")
    expect(box).to_have_value(re.compile("99999999999"))
    assert console.pop().startswith(REFUSED + "422")


def test_the_scenario_of_the_readme_is_taken_as_it_stands(site: Site, page: Page) -> None:
    text = re.search(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)
    assert text
    page.goto(f"{site.address}/new")
    page.locator("#scenario").fill(text[1])
    page.locator("#tags").fill("readme, first")
    page.locator("form", has=page.locator("#scenario")).get_by_role("button", name="Start").click()
    page.wait_for_url("**/r/*")
    run = site.run(page.url[-12:])
    assert (run["name"], run["tags"]) == ("Twenty readers, one page", ["first", "readme"])
    site.client.post(f"/api/v1/runs/{run['id']}/cancel")


def test_all_errors_of_a_scenario_are_beside_the_box_with_their_lines(
    site: Site, page: Page, console: list[str]
) -> None:
    page.goto(f"{site.address}/new?preset=hot-page#scenario-form")
    box = page.locator("#scenario")
    lines = box.input_value().splitlines()
    assert lines[0].startswith("name = "), "the preset is shown as it is written"
    bad = ["sead = 3", *lines, "[limits]", 'events = "many"'] if "[limits]" not in lines else ["sead = 3", *lines]
    where = next(number for number, line in enumerate(bad, 1) if line.startswith("pages"))
    bad[where - 1] = "pages = 99999999999"
    box.fill("\n".join(bad))
    with page.expect_response("**/new"):
        page.locator("form", has=box).get_by_role("button", name="Start").click()
    alert = page.get_by_role("alert")
    expect(
        alert.locator("li").filter(has_text="line 1, sead is not a known field; did you mean 'seed'?")
    ).to_be_visible()
    expect(alert.locator("li").filter(has_text=f"line {where}, workload.pages is 99999999999")).to_be_visible()
    expect(box).to_be_focused()
    expect(box).to_have_attribute("aria-invalid", "true")
    at, of = alert.bounding_box(), box.bounding_box()
    assert at
    assert of
    assert 0 <= of["y"] - (at["y"] + at["height"]) < 40, "right above the box"
    assert at["y"] >= 0, "and on the screen"
    assert console.pop().startswith(REFUSED + "422")


def test_deleting_asks_first_and_then_leads_back_to_the_list(site: Site, page: Page, recording_file: Path) -> None:
    run = site.played({"scenario": storm("To be deleted", events=2_000)})
    exploration = site.explored({"preset": "peterson"})
    body = recording_file.read_bytes() + b"\n"
    recording = site.client.post("/api/v1/recordings?name=to-be-deleted", content=body).json()["id"]
    for path, place, data in (
        (f"/r/{run}", "main", f"/api/v1/runs/{run}"),
        (f"/x/{exploration}", "main", f"/api/v1/explorations/{exploration}"),
        ("/recordings", f"#rec-{recording}", f"/api/v1/recordings/{recording}"),
    ):
        page.goto(site.address + path)
        menu = page.locator(place).locator("details.ask")
        menu.locator("summary").click()
        expect(menu).to_contain_text("This cannot be undone.")
        assert site.client.get(data).status_code == 200, "so far it was only asked"
        menu.get_by_role("button", name=re.compile("^Delete this")).click()
        page.wait_for_url(re.compile(r"/(x|recordings)?$"))
        assert site.client.get(data).status_code == 404


def test_a_form_of_another_site_starts_nothing(site: Site) -> None:
    form = {"key": "k" * 16, "preset": "colliding-pages"}
    answer = site.client.post("/new", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def imported(site: Site, page: Page, recording_file: Path) -> Locator:
    """Import a recording on its page, and return the card that reports on it."""
    page.goto(f"{site.address}/recordings")
    page.locator("#file").set_input_files(recording_file)
    page.get_by_role("button", name="Import", exact=True).click()
    card = page.locator("article", has_text=recording_file.name).first
    expect(card).to_be_visible(timeout=WAIT_MS)
    return card


def test_a_recording_is_uploaded_reported_and_played_under_two_designs(
    site: Site, page: Page, recording_file: Path
) -> None:
    card = imported(site, page, recording_file)
    card.get_by_text("Import report").click()
    expect(card.locator("table")).to_contain_text("mm_filemap_add_to_page_cache")
    expect(card).to_contain_text("this line is no event")
    card.get_by_role("button", name="Play under these designs").click()
    page.wait_for_url("**/c/*")
    page.wait_for_selector("#run[data-drawn]", timeout=WAIT_MS)
    a, b = re.findall("[0-9a-f]{12}", page.url)
    assert {site.run(a)["design"], site.run(b)["design"]} == {"hashed", "page_wait"}
    assert site.run(a)["recording"] == site.run(b)["recording"] != "demo"


def test_given_a_recording_without_its_waits_then_the_import_and_the_run_say_so(site: Site, page: Page) -> None:
    lines = gzip.decompress(HOT.read_bytes()).decode().replace(" qadd:", " qad:").splitlines(keepends=True)
    file = {"file": ("no-waits.txt", "".join(lines[:2500]).encode())}
    recording = site.client.post("/api/v1/recordings", files=file).json()
    page.goto(f"{site.address}/recordings")
    notice = page.locator(f"#rec-{recording['id']} .notice")
    expect(notice).to_contain_text("walk_begin lines but no qadd lines")
    workload = {"kind": "recording", "recording": recording["id"]}
    run_id = site.played({"scenario": {"name": "No waits", "workload": workload}})
    site.open(page, f"/r/{run_id}")
    expect(page.locator(".notice").first).to_contain_text("walk_begin lines but no qadd lines")
    expect(page.locator(".verdict")).to_contain_text("but no waits")
    expect(page.locator(".figures .figure")).to_have_count(0)
    expect(page.locator(".facts").first).to_contain_text("no-waits.txt")
    expect(page.locator(".facts").first).to_contain_text("(from the recording)")


def test_given_three_designs_ticked_when_a_recording_is_played_then_the_list_shows_all_three(
    site: Site, page: Page, recording_file: Path
) -> None:
    card = imported(site, page, recording_file)
    boxes = card.get_by_role("checkbox")
    for box in range(3):
        boxes.nth(box).check()
    chosen = {str(boxes.nth(box).get_attribute("value")) for box in range(3)}
    card.get_by_role("button", name="Play under these designs").click()
    page.wait_for_url("**/?tag=together-*")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(3)
    runs = [site.run(str(box.get_attribute("value"))) for box in page.locator("tbody input[name=run]").all()]
    assert {run["design"] for run in runs} == chosen
    assert len({run["recording"] for run in runs}) == 1


def test_given_no_design_ticked_when_a_recording_is_played_then_its_card_says_so(
    site: Site, page: Page, recording_file: Path, console: list[str]
) -> None:
    card = imported(site, page, recording_file)
    for box in card.get_by_role("checkbox").all():
        box.uncheck()
    with page.expect_response("**/play"):
        card.get_by_role("button", name="Play under these designs").click()
    expect(card.get_by_role("alert")).to_contain_text("select at least one design")
    assert console.pop().startswith(REFUSED + "422")


def test_given_a_file_that_is_no_recording_then_the_page_says_why(
    site: Site, page: Page, tmp_path: Path, console: list[str]
) -> None:
    bad = tmp_path / "picture.gz"
    bad.write_bytes(gzip.compress(bytes(range(256)) * 64))
    page.goto(f"{site.address}/recordings")
    page.locator("#file").set_input_files(bad)
    with page.expect_response("**/api/v1/recordings") as answer:
        page.get_by_role("button", name="Import", exact=True).click()
    assert 400 <= answer.value.status < 500
    expect(page.locator("#upload-status")).to_contain_text("Not imported")
    assert console.pop().startswith(f"{REFUSED}{answer.value.status}")


def test_what_is_not_there_gets_a_page_in_a_browser_and_a_problem_in_a_program(site: Site) -> None:
    for path in ("/r/" + "0" * 12, "/c/" + "0" * 12 + "," + "1" * 12, "/nowhere", "/r/zzz", "/new?preset=nothing"):
        page = site.client.get(path, headers=HTML)
        assert page.status_code == 404
        assert "Not found" in page.text
        problem = site.client.get(path, headers={"Accept": "application/json"})
        assert problem.status_code == 404
        assert problem.headers["content-type"] == "application/problem+json"


def test_a_run_has_its_other_representations(site: Site) -> None:
    run_id = site.played({"scenario": storm("Twins", events=2_000)})
    told = site.client.get(f"/r/{run_id}.json").json()
    assert told["figures"] == site.run(run_id)["figures"]
    lines = site.client.get(f"/r/{run_id}.csv").text.splitlines()
    assert lines[0] == "seq,time_ns,kind,cpu,task_name,pfn,a,b,says,queue,walked,matched,woken,other_bit,strangers,stop"
    assert len(lines) == 1 + told["events"]
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(told["events"]))
    text = site.client.get(f"/r/{run_id}.txt").text
    assert f"Link: {site.address}/r/{run_id}" in text
    assert told["seal"] in text


def test_given_another_layout_when_chosen_then_the_union_table_is_that_layouts_and_so_is_the_address(
    site: Site, page: Page
) -> None:
    page.goto(f"{site.address}/anatomy")
    table = page.get_by_role("region", name="Fields by type of page")
    expect(table.locator("thead th.mapping")).to_have_text("byte 8")
    page.get_by_label("layout").select_option("folio")
    expect(table.locator("thead th.mapping")).to_have_text("byte 24")
    expect(page).to_have_url(re.compile(r"layout=folio$"))
    expect(page.get_by_role("row", name="page_wait encoding E3")).to_contain_text("no type")
