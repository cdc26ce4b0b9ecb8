"""LIMITS: limits per client. Published in /api/v1/version; tests use smaller ones."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import NamedTuple

from app.settings import Settings


class Limits(NamedTuple):
    """Limits on requests and streams; times in seconds."""

    body_bytes: int = 1 << 20
    body_s: float = 30
    upload_bytes: int = 150_000_000
    upload_s: float = 600
    idle_s: float = 15
    idle_bytes: int = 1 << 14
    """A body is given up while it is waited for idle_s seconds without so many further bytes."""
    uploads: int = 4
    """Concurrent uploads."""
    streams: int = 500
    streams_each: int = 20
    """Open streams per client address."""
    stuck_s: float = 30
    """Time after which a stalled viewer is disconnected."""
    ping_s: float = 15
    frame_s: float = 0.1
    """Min. interval between frames of a stream."""
    cancels_per_minute: int = 60
    guesses_per_minute: int = 20
    """Invalid share tokens per client address."""
    header_bytes: int = 1 << 16
    headers: int = 100
    header_s: float = 10
    path_bytes: int = 2_048
    query_bytes: int = 1 << 14


LIMITS = Limits()


def limits_of(settings: Settings) -> Limits:
    """Return the limits, overridden by the settings."""
    return Limits(
        body_bytes=settings.body_bytes_max,
        upload_bytes=settings.recording_bytes_max,
        uploads=settings.uploads_max,
        streams=settings.streams_max,
        streams_each=settings.streams_per_address,
    )


RECEIVED_AT: ContextVar[float | None] = ContextVar("received_at", default=None)
"""When the body of the request being handled was there (time.monotonic()); None outside of requests."""
ADDRESSES = 10_000
"""Max. client addresses tracked by a quota; the oldest are evicted first."""


class Quota:
    """A token bucket per client address: refills evenly at per_minute, and holds one minute's tokens."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._buckets: dict[str, tuple[float, float]] = {}  # address -> (tokens left, time of that count)

    def left(self, address: str) -> float:
        """Return the number of tokens left for an address."""
        left, then = self._buckets.get(address, (float(self.per_minute), time.monotonic()))
        return min(self.per_minute, left + (time.monotonic() - then) * self.per_minute / 60)

    def take(self, address: str) -> bool:
        """Take one token; return False, and take none, if the bucket is empty."""
        left = self.left(address)
        if left < 1:
            return False
        self._buckets.pop(address, None)
        self._buckets[address] = (left - 1, time.monotonic())
        if len(self._buckets) > ADDRESSES:
            del self._buckets[next(iter(self._buckets))]
        return True
