"""Format numbers, counts and times for pages and plain text: every number shown passes through here."""

from __future__ import annotations

import time
from math import ceil, log10

DASH = "–"
_UNITS = ((10**9, "s"), (10**6, "ms"), (10**3, "µs"), (1, "ns"))


def whole(n: float | None) -> str:
    """Return a whole number with thousands separators."""
    return DASH if n is None else f"{round(n):,}"


def counted(n: float | None, one: str, many: str | None = None) -> str:
    """Return a count with its noun: "1 wake-up", "2 wake-ups". many: the plural, where it is irregular."""
    return f"{whole(n)} {plural(n, one, many)}"


def plural(n: float | None, one: str, many: str | None = None) -> str:
    """Return the noun alone, in the form that fits n."""
    return one if n == 1 else many or f"{one}s"


def figure(n: float | None) -> str:
    """Return a small number with three significant digits, a large one as a whole number."""
    if n is None:
        return DASH
    if abs(n) >= 100 or n == round(n):
        return whole(n)
    return f"{n:.3g}"


def quotient(n: float | None) -> str:
    """Return a quotient with three significant digits, trailing zeros kept: 1.00, 13.1, 120."""
    if n is None:
        return DASH
    return whole(n) if n >= 99.95 else f"{n:.{1 if n >= 9.995 else 2}f}"


def span(ns: float | None) -> str:
    """Return a duration in nanoseconds with three significant digits and a fitting unit."""
    if ns is None:
        return DASH
    size, name = next((unit for unit in _UNITS if abs(ns) >= unit[0]), _UNITS[-1])
    return f"{figure(ns / size)} {name}"


def percent(share: float | None) -> str:
    """Return a share (0..1) in percent: 0.3 %, 12 %; a nonzero share never reads as 0 %."""
    if share is None:
        return DASH
    points = share * 100
    if points == 0 or points >= 9.95:
        return f"{points:.0f} %"
    return f"{points:.1f} %" if points >= 0.05 else "<0.1 %"


def moment(ns: int, step: float, scale: float) -> str:
    """Return an instant in the unit that fits `scale` ns, with enough digits to tell it from one `step` ns away."""
    size, name = next((unit for unit in _UNITS if scale >= unit[0]), _UNITS[-1])
    digits = min(9, max(0, ceil(-log10(step / size) - 1e-9)))
    return f"{ns / size:.{digits}f} {name}"


def stretch(t0: int, t1: int) -> str:
    """Return a window as the page's bar has it: "1.9850 s to 2.0120 s"."""
    step = max((t1 - t0) / 1000, 1)
    return f"{moment(t0, step, t1)} to {moment(t1, step, t1)}"


def signed(n: float, text: str) -> str:
    """Return `text`, the magnitude of n as text, with the sign of n in front."""
    return "±0" if n == 0 else f"{'+' if n > 0 else '−'}{text}"


def ago(ns: int | None, now_ns: int | None = None) -> str:
    """Return the age of a UTC timestamp in nanoseconds: "3 min ago", or a date when it is 14 days or older."""
    if ns is None:
        return DASH
    seconds = ((time.time_ns() if now_ns is None else now_ns) - ns) / 1e9
    if seconds < 5:
        return "just now"
    for size, name, most in ((1, "s", 60), (60, "min", 60), (3600, "h", 24), (86_400, "d", 14)):
        if seconds < size * most:
            return f"{seconds / size:.0f} {name} ago"
    return time.strftime("%Y-%m-%d", time.gmtime(ns / 1e9))


def size(n: float | None) -> str:
    """Return a number of bytes in decimal units, three figures: "1.95 MB"; a dash for None."""
    if n is None:
        return DASH
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= step:
            return f"{n / step:.3g} {unit}"
    return f"{n:g} B"
