"""What the tests of the pages do again and again: start runs by REST, wait for what is drawn, use the mouse."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx2
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page

WAIT_MS = 45_000


@dataclass(frozen=True)
class Site:
    """A running server: its address, and a client of its API."""

    address: str
    client: httpx2.Client

    def start(self, asked: dict[str, Any]) -> str:
        """Start a run and return its id."""
        answer = self.client.post("/api/v1/runs", json=asked)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/api/v1/runs/{run_id}").json()
        return found

    def played(self, asked: dict[str, Any], seconds: float = 90) -> str:
        """Start a run, wait for its end and return its id."""
        run_id = self.start(asked)
        self.ended(run_id, seconds)
        return run_id

    def ended(self, run_id: str, seconds: float = 90) -> None:
        """Wait for the end of a run."""
        self._ended(f"/api/v1/runs/{run_id}", seconds)

    def explored(self, asked: dict[str, Any], seconds: float = 90) -> str:
        """Ask for an exploration, wait for its end and return its id."""
        answer = self.client.post("/api/v1/explorations", json=asked)
        assert answer.status_code == 201, answer.text
        self._ended(answer.json()["links"]["self"], seconds)
        return str(answer.json()["id"])

    def _ended(self, path: str, seconds: float) -> None:
        """Ask again and again until what lies there is done; fail where it ends otherwise, or not in time."""
        deadline, pause = time.monotonic() + seconds, threading.Event()
        while (found := self.client.get(path).json())["state"] in {"queued", "running"}:
            assert time.monotonic() < deadline, f"{path} is still {found['state']}"
            pause.wait(0.1)
        assert found["state"] == "done", found

    def open(self, page: Page, path: str) -> None:
        """Open a page with charts and wait until they are drawn."""
        answer = page.goto(self.address + path)
        assert answer is not None
        assert answer.status == 200
        page.wait_for_selector("#run[data-complete]", timeout=WAIT_MS)


def drawn(page: Page) -> tuple[int, int]:
    """Return the window that is drawn, in nanoseconds."""
    t0, t1 = (page.get_attribute("#run", "data-drawn") or "").split()
    return int(t0), int(t1)


def zoomed_answer(url: str) -> bool:
    """Whether an answer from `url` is a window that does not begin where the run does: the overview's does."""
    return "/window" in url and "t0=0&" not in url


def wait_for_other_window(page: Page, before: tuple[int, int]) -> tuple[int, int]:
    """Wait until another window than `before` is drawn, and return it."""
    page.wait_for_function(
        "before => document.getElementById('run').dataset.drawn !== before",
        arg=f"{before[0]} {before[1]}",
        timeout=WAIT_MS,
    )
    return drawn(page)


def picture(page: Page, track: str) -> Locator:
    """Return the part of a track that hears the mouse, scrolled to the middle of the screen."""
    over = page.locator(f"#track-{track} .over").first
    over.evaluate("element => element.scrollIntoView({block: 'center'})")
    return over


def drag(page: Page, over: Locator, begin: float, end: float) -> None:
    """Drag over a picture from one share of its width to another."""
    box = over.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + begin * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], y, steps=4)
    page.mouse.up()


def faults(page: Page) -> str:
    """Return what axe finds wrong with a page as it stands, "" for nothing."""
    found = Axe().run(page)
    return str(found.generate_report()) if found.violations_count else ""
