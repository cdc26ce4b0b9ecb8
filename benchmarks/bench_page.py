"""The run page in a browser on a run of ten million events: time to the first picture, time of a zoom.

    python -m benchmarks.bench_page [--events N] [--zooms N] [--preset NAME]

A real server with one worker plays W1 with the complete event log into a database of its own; then nothing else runs.
First picture: from the end of the HTML answer until all charts on the screen are drawn, in a browser profile that has
never seen the page; complete: until those off the screen are drawn, too. A zoom: from the key press, or the release of
the mouse, until all charts on the screen show the new window and the browser has had a frame for it; no window is asked
for twice. Half of the zooms are made with the line charts on the screen, half with the heat map and the lanes. Writes
benchmarks/last-page.json; exit code 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from playwright.sync_api import Browser, Page, sync_playwright

LAST = Path(__file__).parent / "last-page.json"
FIRST_MS, ZOOM_P95_MS = 1_000, 200
OPENINGS = 5
PLAY_S = 600
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]

# When a new window is drawn, note how long it took since the last key or release; two frames later it is on the screen.
WATCH = """() => {
  const main = document.getElementById("run");
  window.took = [];
  let since = null;
  for (const name of ["keydown", "pointerup"]) addEventListener(name, () => { since = performance.now(); }, true);
  new MutationObserver(() => {
    if (since === null) return;
    const began = since;
    since = null;
    requestAnimationFrame(() => requestAnimationFrame(() => {
      window.took.push([performance.now() - began, Number(main.dataset.asked), Number(main.dataset.took)]);
    }));
  }).observe(main, {attributeFilter: ["data-drawn"]});
}"""


@contextmanager
def served(data: Path) -> Iterator[str]:
    """Serve from a data folder of its own; give the address."""
    command = [sys.executable, "-m", "app.cli", "serve", "--json", "--port", "0", "--data", str(data), "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None, "it was asked for"
        line = server.stdout.readline()
        if not line:
            raise SystemExit("the server did not start")
        try:
            yield json.loads(line)["address"]
        finally:
            server.terminate()
            server.wait(30)


def call(address: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask the API and return its answer."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(address + path, data, {"Content-Type": "application/json"})) as answer:
        told: dict[str, Any] = json.load(answer)
        return told


def play(address: str, preset: str, events: int) -> dict[str, Any]:
    """Play a preset up to so many events and return the run when it is done."""
    scenario = call(address, f"/api/v1/presets/{preset}")["scenario"]
    scenario["limits"] = {"events": events}
    run = call(address, "/api/v1/runs", {"scenario": scenario})
    deadline = time.monotonic() + PLAY_S
    while run["state"] in {"queued", "running"}:
        if time.monotonic() > deadline:
            raise SystemExit(f"the run was not played within {PLAY_S} s")
        time.sleep(0.5)
        run = call(address, f"/api/v1/runs/{run['id']}")
    if run["state"] != "done":
        raise SystemExit(f"the run {run['state']}: {run['reason']} {run['detail']}")
    return run


def opened(browser: Browser, url: str) -> tuple[Page, float, float]:
    """Open the page in a profile that has never seen it; return it, and the ms until its picture, until all of it."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(url)
    page.wait_for_selector("#run[data-complete]")
    marks = page.evaluate(
        """() => ["drawn", "complete"].map((name) => performance.getEntriesByName(`folioscope:${name}`)[0].startTime
             - performance.getEntriesByType("navigation")[0].responseEnd)"""
    )
    return page, float(marks[0]), float(marks[1])


def zoomed(page: Page, zooms: int, seed: int = 1) -> list[list[float]]:
    """Zoom in and out by keys, and by the mouse: [whole, until the answer, until drawn] in milliseconds, for each."""
    draw = random.Random(seed)
    page.evaluate(WATCH)
    for number in range(zooms):
        over = page.locator("#track-queue .over" if number < zooms / 2 else "#track-heat .over").first
        over.evaluate("element => element.scrollIntoView({block: 'center'})")
        page.wait_for_function(
            "() => document.getElementById('run').dataset.complete === document.getElementById('run').dataset.drawn"
        )
        page.wait_for_timeout(400)  # a reader looks before the next zoom; the events table is read meanwhile
        box = over.bounding_box()
        assert box is not None, "the chart is on the screen"
        before = len(page.evaluate("window.took"))
        x, y = box["x"] + draw.uniform(0.2, 0.8) * box["width"], box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        if number % 6 == 5:
            page.keyboard.press("0")
        elif number % 2:
            page.keyboard.press("w")
        else:
            page.mouse.down()
            page.mouse.move(x + draw.uniform(0.05, 0.18) * box["width"], y, steps=3)
            page.mouse.up()
        page.wait_for_function("before => window.took.length > before", arg=before)
    took: list[list[float]] = page.evaluate("window.took")
    return took


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of all values do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def measure(events: int, zooms: int, preset: str) -> dict[str, Any]:
    """Play, open, zoom; return all figures."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not found:
        raise SystemExit("no Chromium: install it, or name it in CHROMIUM")
    with tempfile.TemporaryDirectory() as data, served(Path(data)) as address:
        began = time.monotonic()
        run = play(address, preset, events)
        played_s = time.monotonic() - began
        print(f"played {run['events']:,} events in {played_s:.1f} s; opening the page {OPENINGS} times", flush=True)
        with sync_playwright() as player:
            browser = player.chromium.launch(executable_path=found, args=FLAGS)
            firsts, completes = [], []
            for _ in range(OPENINGS):
                page, first, complete = opened(browser, f"{address}/r/{run['id']}")
                firsts.append(first)
                completes.append(complete)
                page.context.close()
            page, *_ = opened(browser, f"{address}/r/{run['id']}")
            page.wait_for_timeout(1_000)
            print(f"zooming {zooms} times", flush=True)
            took = zoomed(page, zooms)
            browser.close()
    whole = [one[0] for one in took]
    return {
        "events": run["events"],
        "preset": preset,
        "played_s": round(played_s, 1),
        "first_ms_median": round(statistics.median(firsts)),
        "first_ms": [round(first) for first in firsts],
        "complete_ms_median": round(statistics.median(completes)),
        "zooms": len(whole),
        "zoom_ms_p50": round(percentile(whole, 0.5)),
        "zoom_ms_p95": round(percentile(whole, 0.95)),
        "zoom_ms_max": round(max(whole)),
        "zoom_lines_ms_p95": round(percentile(whole[: len(whole) // 2], 0.95)),
        "zoom_rasters_ms_p95": round(percentile(whole[len(whole) // 2 :], 0.95)),
        "answer_ms_p50": round(percentile([one[1] for one in took], 0.5)),
        "answer_ms_p95": round(percentile([one[1] for one in took], 0.95)),
        "load_1min": round(os.getloadavg()[0], 2),
        "cpus": os.cpu_count(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--zooms", type=int, default=30)
    parser.add_argument("--preset", default="w1")
    asked = parser.parse_args()
    told = measure(asked.events, asked.zooms, asked.preset)
    LAST.write_text(json.dumps(told, indent=1) + "\n")
    rows = (("first picture, ms", "first_ms_median", FIRST_MS), ("zoom p95, ms", "zoom_ms_p95", ZOOM_P95_MS))
    for name, value in told.items():
        print(f"  {name:18} {value}")
    missed = [name for name, key, most in rows if told[key] > most]
    for name, key, most in rows:
        print(f"{name:18} {told[key]:>6}  limit {most:>6}  {'missed' if name in missed else 'kept'}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
