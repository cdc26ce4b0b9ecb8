"""The version of the product."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from engine import VERSION


def product_version() -> str:
    """Return the installed version, or the engine's in a checkout that is not installed."""
    try:
        return version("folioscope")
    except PackageNotFoundError:
        return VERSION
