"""Which version of the product this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from engine import VERSION


def product_version() -> str:
    """Return the version that is installed, or the engine's in a checkout that is not."""
    try:
        return version("folioscope")
    except PackageNotFoundError:
        return VERSION
