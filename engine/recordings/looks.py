"""Identify a file that is not tracer text by its first bytes, so that the error can name its type."""

from __future__ import annotations

import re

from engine.recordings.limits import foreign

_TEXT = "Give the text output of `cat trace`, `trace-cmd report`, `perf script` or bpftrace."

# offset, magic bytes, type of file, remedy
_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x17\x08\x44tracing", "a trace.dat of trace-cmd", "Give the output of `trace-cmd report`."),
    (0, b"PERFILE2", "a perf.data", "Give the output of `perf script`."),
    (0, b"2ELIFREP", "a perf.data of a big-endian machine", "Give the output of `perf script`."),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture", _TEXT),
    (0, b"\xff\xd8\xff", "a JPEG picture", _TEXT),
    (0, b"GIF8", "a GIF picture", _TEXT),
    (0, b"\x7fELF", "an ELF program or library", _TEXT),
    (0, b"PK\x03\x04", "a zip archive", "Give the text inside, plain or as .gz or .zst."),
    (0, b"PK\x05\x06", "an empty zip archive", _TEXT),
    (257, b"ustar", "a tar archive", "Give the text inside, plain or as .gz or .zst."),
    (0, b"BZh", "a bzip2 file", "Compress with gzip or zstd instead."),
    (0, b"\xfd7zXZ\x00", "an xz file", "Compress with gzip or zstd instead."),
    (0, b"\x04\x22\x4d\x18", "an lz4 file", "Compress with gzip or zstd instead."),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Compress with gzip or zstd instead."),
    (0, b"SQLite format 3\x00", "an SQLite database", _TEXT),
    (0, b"%PDF-", "a PDF", _TEXT),
    (0, b"\xc1\x1f\xfc\xc1", "a CTF stream", _TEXT),
    (0, b"\xff\xfe", "UTF-16 text", "Save it as UTF-8."),
    (0, b"\xfe\xff", "UTF-16 text", "Save it as UTF-8."),
)
_JSON = re.compile(rb'\s*(\{\s*"|\[\s*[\{\]])')
_MARKUP = re.compile(rb"\s*<(!doctype|html|\?xml|svg)", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def refuse_foreign(head: bytes) -> None:
    """Raise BadRecording (415) if the first bytes (4 KiB, or the whole file) are not tracer text."""
    for place, magic, what, remedy in _MAGIC:
        if head[place : place + len(magic)] == magic:
            raise foreign(f"This looks like {what}. {remedy}")
    if _JSON.match(head):
        raise foreign(f"This looks like JSON, perhaps a Chrome trace. {_TEXT}")
    if _MARKUP.match(head):
        raise foreign(f"This looks like HTML or XML. {_TEXT}")
    if head[1::2].count(0) * 3 > len(head) or head[0::2].count(0) * 3 > len(head):
        raise foreign("This looks like UTF-16 text. Save it as UTF-8.")
    controls = len(_CONTROL.findall(head))
    if b"\x00" in head or controls * 50 > len(head):
        if head.startswith(b"\x0a"):  # field 1 of perfetto.protos.Trace, length-delimited: the start of each packet
            raise foreign(f"This looks like a Perfetto trace. {_TEXT}")
        raise foreign(f"This looks like binary data. {_TEXT}")
