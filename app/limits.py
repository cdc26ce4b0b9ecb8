"""LIMITS: how much one client may ask of the server. Published in /api/v1/version; tests use smaller ones."""

from __future__ import annotations

import time
from typing import NamedTuple

from app.settings import Settings


class Limits(NamedTuple):
    """Bounds on requests and streams; times in seconds."""

    body_bytes: int = 1 << 20
    body_s: float = 30
    upload_bytes: int = 150_000_000
    upload_s: float = 600
    uploads: int = 4
    """Uploads read at once."""
    streams: int = 500
    streams_each: int = 20
    """Streams of one address."""
    stuck_s: float = 30
    """A viewer that takes nothing for so long is dropped."""
    ping_s: float = 15
    frame_s: float = 0.1
    """Shortest time between two frames of a stream."""
    cancels_per_minute: int = 60
    guesses_per_minute: int = 20
    """Share tokens that name nothing, from one address."""
    header_bytes: int = 1 << 16
    headers: int = 100
    header_s: float = 10
    path_bytes: int = 2_048
    query_bytes: int = 1 << 14


LIMITS = Limits()


def limits_of(settings: Settings) -> Limits:
    """Return the limits with those that the settings name."""
    return Limits(
        body_bytes=settings.body_bytes_max,
        upload_bytes=settings.recording_bytes_max,
        uploads=settings.uploads_max,
        streams=settings.streams_max,
        streams_each=settings.streams_per_address,
    )


ADDRESSES = 10_000
"""Addresses that a quota remembers; the oldest are forgotten first."""


class Quota:
    """So many a minute for each address: a bucket that fills evenly and holds one minute's worth."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._buckets: dict[str, tuple[float, float]] = {}  # address -> (what is left, when that was)

    def left(self, address: str) -> float:
        """Return how many this address may still do now."""
        left, then = self._buckets.get(address, (float(self.per_minute), time.monotonic()))
        return min(self.per_minute, left + (time.monotonic() - then) * self.per_minute / 60)

    def take(self, address: str) -> bool:
        """Count one; False, and nothing is counted, where none is left."""
        left = self.left(address)
        if left < 1:
            return False
        self._buckets.pop(address, None)
        self._buckets[address] = (left - 1, time.monotonic())
        if len(self._buckets) > ADDRESSES:
            del self._buckets[next(iter(self._buckets))]
        return True
