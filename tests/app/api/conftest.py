"""A store and an application of their own for each test module, asked in process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.limits import Limits
from app.main import create_app
from app.settings import Settings, load_settings
from app.store import Store, open_store

LOCAL = "http://127.0.0.1:8340"


@pytest.fixture(scope="module")
def server_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder: Path = tmp_path_factory.mktemp("data")
    return load_settings(data=folder, ballast_bytes=0, queue_max=100_000)


@pytest.fixture(scope="module")
def store(server_settings: Settings) -> Iterator[Store]:
    with closing(open_store(server_settings)) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(server_settings: Settings, store: Store) -> Iterator[TestClient]:
    """Limits that count per minute are wide here; tests of those limits make an application of their own."""
    limits = Limits(cancels_per_minute=10**6, guesses_per_minute=10**6)
    with TestClient(create_app(server_settings, store, limits), base_url=LOCAL) as opened:
        yield opened
