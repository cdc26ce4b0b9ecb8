"""Profiles of devices as JSON, CSV and a page."""

from __future__ import annotations

import csv
import io

from fastapi.testclient import TestClient

from app.device_profiles import COLUMNS, atomic_sizes
from engine.devices import DEVICES


def test_given_the_devices_when_listed_then_each_number_has_unit_range_kind_and_source(client: TestClient) -> None:
    found = {one["name"]: one for one in client.get("/api/v1/devices").json()}
    assert list(found) == list(DEVICES)
    for name, one in found.items():
        for column, number in zip(COLUMNS, one["numbers"], strict=True):
            given = getattr(DEVICES[name], column.field)
            assert number["value"] * column.divisor == given.value
            assert number["low"] <= number["value"] <= number["high"]
            assert (number["kind"], number["source"]) == (given.kind, given.source)
    rows = list(csv.DictReader(io.StringIO(client.get("/devices.csv").text)))
    assert len(rows) == len(DEVICES) * len(COLUMNS)


def test_the_page_of_devices_tells_the_size_of_an_atomic_from_that_of_a_write(client: TestClient) -> None:
    page = client.get("/devices").text
    assert f"carries {', '.join(map(str, atomic_sizes()))} bytes" in page
    assert "256 bytes at most" in page
    assert all(f'id="{name}"' in page for name in DEVICES)
