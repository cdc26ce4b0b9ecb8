"""A real server with a worker, a real browser, and a page whose console must stay clean."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import BrowserContext, Page

from tests.pages.looking import Site

WAITS = Path(__file__).parents[1] / "engine" / "recordings" / "data" / "waits-6.1.trace.txt.gz"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """The system's browser, or the one that CHROMIUM names; Playwright's own download is never used."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    assert found, "no Chromium: install it, or name it in CHROMIUM"
    return {"executable_path": found, "args": FLAGS}


@pytest.fixture(scope="session")
def browser_context_args() -> dict[str, Any]:
    return {"viewport": {"width": 1280, "height": 1000}, "color_scheme": "light"}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`folioscope serve` on a free port with a data folder of its own and one worker."""
    data: Path = tmp_path_factory.mktemp("data")
    command = [sys.executable, "-m", "app.cli", "serve", "--json", "--port", "0", "--data", str(data), "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        said: list[str] = []
        reader = threading.Thread(target=lambda: said.extend(server.stderr or ()))
        reader.start()
        line = server.stdout.readline()
        assert line, "the server said nothing"
        address = json.loads(line)["address"]
        try:
            with httpx2.Client(base_url=address, timeout=30) as client:
                yield Site(address, client)
        finally:
            server.terminate()
            server.wait(20)
            reader.join(5)
    assert not [text for text in said if "Traceback" in text], "".join(said)


def watched(page: Page) -> list[str]:
    """Return a list that fills with whatever goes wrong in a page; a broken rule of its policy is an error, too."""
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"{error}\n{error.stack}"))
    page.on("console", lambda told: wrong.append(told.text) if told.type in {"error", "warning"} else None)
    return wrong


@pytest.fixture
def console(page: Page) -> list[str]:
    """What went wrong in the page so far. A test that provokes a refusal takes its line out."""
    return watched(page)


@pytest.fixture(autouse=True)
def _clean_console(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test does with its page, nothing may go wrong there."""
    wrong: list[str] = request.getfixturevalue("console") if "page" in request.fixturenames else []
    yield
    assert wrong == []


@pytest.fixture
def stranger(browser: Any) -> Iterator[Callable[[], Page]]:
    """Make pages of a browser profile that has never been here."""
    profiles: list[BrowserContext] = []

    def make() -> Page:
        profiles.append(browser.new_context(viewport={"width": 1280, "height": 1000}))
        return profiles[-1].new_page()

    yield make
    for profile in profiles:
        profile.close()


@pytest.fixture(scope="session")
def recording_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording's first lines as a file to upload, with one line that is no event."""
    lines = gzip.decompress(WAITS.read_bytes()).decode().splitlines()[:1500]
    lines.insert(800, "this line is no event")
    path = tmp_path_factory.mktemp("recording") / "first-lines.trace.txt"
    path.write_text("\n".join(lines) + "\n")
    return path
