"""Limits on one recording, and the errors for recordings that are rejected."""

from __future__ import annotations

from typing import NamedTuple

from engine.errors import BadRecording


class Limits(NamedTuple):
    """What a reader accepts; a test or a small machine may set lower limits."""

    text_bytes: int = 2 << 30
    """Bytes of text, after decompression."""
    ratio: int = 200
    """Text bytes per compressed byte, checked after ratio_from bytes of text; real traces reach about 20."""
    ratio_from: int = 16 << 20
    decode_seconds: float = 60.0
    """Time spent in the decompressor alone."""
    line_bytes: int = 64 << 10
    moves: int = 8_000_000
    """Rows of MOVE, 58 bytes each."""
    pages: int = 4_194_304
    tasks: int = 1_048_575
    files: int = 262_144
    marks: int = 65_536
    lines: int = 50_000_000
    """A recording's lines average 40 bytes or more."""
    bad_lines: int = 1_000_000
    """Bad lines after which a file is rejected if most of its lines are bad."""


LIMITS = Limits()


def too_large(text: str) -> BadRecording:
    """Return the error for a file above a limit; text names the limit and the remedy."""
    return BadRecording(text, code="too_large_uncompressed", field="file", status=413)


def damaged(text: str) -> BadRecording:
    """Return the error for an archive that does not decompress to exactly one text."""
    return BadRecording(text, code="damaged_archive", field="file")


def foreign(text: str) -> BadRecording:
    """Return the error for a file that is not tracer text; text names what it looks like."""
    return BadRecording(text, code="unsupported_format", field="file", status=415)


def unusable(text: str, code: str) -> BadRecording:
    """Return the error for a text with nothing to replay."""
    return BadRecording(text, code=code, field="file")
