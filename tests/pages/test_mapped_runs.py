"""The run page of runs with page tables: their tracks, what the legends say, and runs beside each other."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.pages.looking import Site, faults
from tests.pages.workloads import storm


@pytest.fixture(scope="session")
def copies(site: Site) -> str:
    return site.played({"preset": "training-copies"})


@pytest.fixture(scope="session")
def ksm(site: Site) -> str:
    return site.played({"preset": "ksm"})


def tracks(page: Page) -> list[str]:
    return [str(track.get_attribute("data-track")) for track in page.locator("[data-track]").all()]


def number(page: Page, track: str, series: str) -> float:
    text = page.locator(f"#track-{track} [data-series='{series}'] output").inner_text()
    return float(text.replace(",", ""))


def test_a_run_with_devices_shows_what_they_read_and_its_limit_first(site: Site, page: Page, copies: str) -> None:
    site.open(page, f"/r/{copies}")
    assert tracks(page)[:5] == ["links", "local", "protect", "blocked", "faults"]
    run = site.run(copies)
    seconds = run["time_ns"]
    for track, figure in (("link", "link_bytes"), ("local", "local_bytes")):
        rates = [number(page, f"{track}s" if track == "link" else track, f"{track}-{i}") for i in range(4)]
        assert sum(rates) == pytest.approx(run["figures"][figure] / seconds, rel=0.02), "GB/s are bytes per ns"
    assert number(page, "protect", "protected") == 512
    assert number(page, "faults", "faults") == run["figures"]["faults"]
    legend = page.locator("#track-links .legend").inner_text()
    assert all(f"gpu-{i}" in legend for i in range(4))
    assert faults(page) == ""


def test_a_run_of_ksm_shows_the_pages_it_shares(site: Site, page: Page, ksm: str) -> None:
    site.open(page, f"/r/{ksm}")
    assert tracks(page)[:2] == ["ksm", "faults"]
    figures = site.run(ksm)["figures"]
    assert number(page, "ksm", "pages") == figures["ksm_shared"]
    assert number(page, "ksm", "sharing") >= figures["ksm_sharing"]
    expect(page.locator("#figures")).to_contain_text("KSM merged")


def test_runs_with_and_without_page_tables_are_compared(site: Site, page: Page, copies: str) -> None:
    other = site.played({"scenario": storm("A storm without page tables")})
    site.open(page, f"/c/{other},{copies}")
    assert {"links", "queue"} <= set(tracks(page))
    expect(page.locator("#track-links .plot")).to_have_count(2)
    expect(page.locator("#track-links .plot .nothing").first).to_contain_text("No device's link carried anything")
    page.get_by_text("Figures for this window, as a table").click()
    expect(page.locator("#window-figures tr").first).to_contain_text("longest queue")
    assert faults(page) == ""


def test_a_run_without_page_tables_has_no_such_track(site: Site, page: Page) -> None:
    run = site.played({"scenario": storm("A storm with the old tracks")})
    site.open(page, f"/r/{run}")
    assert tracks(page) == ["queue", "wakes", "waiters", "swaps", "heat", "lanes"]
