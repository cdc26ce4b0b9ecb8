"""Devices: the profiles that a group of tasks can name, with the unit, range, kind and source of each number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, get_args

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, Field

from app.rendering import PageRoute, render
from app.representations import csv_answer, csv_line
from engine.devices import DEVICES, Number, Profile
from engine.operations import Atomic

router = APIRouter(include_in_schema=False, route_class=PageRoute, default_response_class=HTMLResponse)


class Column(NamedTuple):
    """A number of a profile. unit: as displayed; divisor: from the profile's own unit to it."""

    field: str
    words: str
    unit: str
    divisor: int


COLUMNS = (
    Column("link_mb_s", "Link", "GB/s", 1_000),
    Column("link_ns", "Round trip", "ns", 1),
    Column("local_mb_s", "Own memory", "GB/s", 1_000),
    Column("local_ns", "Own latency", "ns", 1),
    Column("in_flight", "Requests in flight", "", 1),
    Column("payload_bytes", "Write payload", "bytes", 1),
)


class DeviceNumber(BaseModel):
    """A number of a device. low, high: the range in which it may lie."""

    field: str
    label: str
    unit: str
    value: float
    low: float
    high: float
    kind: str = Field(description="measured, vendor or estimate")
    source: str


class DeviceProfile(BaseModel):
    """A class of devices."""

    name: str
    title: str
    atomics: bool = Field(description="whether it issues PCIe atomic operations")
    numbers: list[DeviceNumber]


def described(name: str, profile: Profile) -> DeviceProfile:
    """Return a profile as it is served."""
    return DeviceProfile(
        name=name,
        title=profile.title,
        atomics=profile.atomics,
        numbers=[_number(column, getattr(profile, column.field)) for column in COLUMNS],
    )


def _number(column: Column, given: Number) -> DeviceNumber:
    value, low, high = (number / column.divisor for number in (given.value, given.low, given.high))
    return DeviceNumber(
        field=column.field,
        label=column.words,
        unit=column.unit,
        value=value,
        low=low,
        high=high,
        kind=given.kind,
        source=given.source,
    )


def atomic_sizes() -> list[int]:
    """Return the sizes of the word of a PCIe atomic operation, in bytes."""
    return list(get_args(Atomic.model_fields["bytes"].annotation))


@router.get("/devices")
def devices(request: Request) -> Response:
    """Show the profiles of devices."""
    context = {
        "here": "/designs",
        "columns": COLUMNS,
        "profiles": [described(name, profile) for name, profile in DEVICES.items()],
        "sizes": atomic_sizes(),
        "payloads": sorted({profile.payload_bytes.value for profile in DEVICES.values()}),
    }
    return render(request, "devices.html", context)


@router.get("/devices.csv")
def devices_csv() -> Response:
    """Return every number of every profile as CSV."""

    def lines() -> Iterator[str]:
        yield csv_line(["device", "number", "unit", "value", "low", "high", "kind", "source"])
        for name, profile in DEVICES.items():
            for one in described(name, profile).numbers:
                yield csv_line([name, one.field, one.unit, one.value, one.low, one.high, one.kind, one.source])

    return csv_answer(lines(), "devices.csv")
