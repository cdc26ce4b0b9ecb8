"""Compressed, damaged, hostile and foreign files."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import BadRecording
from engine.recordings import read_file
from engine.recordings.limits import LIMITS
from tests.engine.recordings.samples import ADDED, DATA, ROOT, ftrace, read_text

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = "".join(
    f"              wl-7       [000] .....  {1 + n / 1000:.6f}: {ADDED.format(pfn=n * 7919 % 4099, ofs=4096 * n)}\n"
    for n in range(3000)
).encode()
LINE = TEXT[: TEXT.index(b"\n") + 1]


def zstd_frame(text: bytes, window_log: int = 20) -> bytes:
    wanted = {zstd.CompressionParameter.window_log: window_log, zstd.CompressionParameter.checksum_flag: 1}
    return zstd.compress(text, options={int(name): value for name, value in wanted.items()})


def bomb(unit: bytes, total: int, window_log: int = 20) -> bytes:
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
    many = unit * ((1 << 20) // len(unit))
    parts = [compressor.compress(many) for _ in range(total >> 20)]
    return b"".join([*parts, compressor.flush()])


PACKERS: list[Callable[[bytes], bytes]] = [gzip.compress, zstd_frame]


@pytest.mark.parametrize("packed", PACKERS)
def test_a_compressed_recording_reads_as_the_plain_one(packed: Callable[[bytes], bytes]) -> None:
    archive = packed(TEXT)
    plain, opened = read_text(TEXT), read_text(archive)
    assert (plain.moves == opened.moves).all()
    assert opened.report.bytes_read == len(TEXT)
    assert opened.report.compressed == {gzip.compress: "gzip", zstd_frame: "zstd"}[packed]
    assert opened.sha256 == hashlib.sha256(archive).hexdigest()


@pytest.mark.parametrize("packed", PACKERS)
def test_several_pieces_one_after_the_other_are_one_text(packed: Callable[[bytes], bytes]) -> None:
    pieces = packed(TEXT[:100_000]) + packed(TEXT[100_000:])
    assert len(read_text(pieces).moves) == 3000


class Dribble(io.RawIOBase):
    """A stream that gives one byte at a time, as a slow pipe may."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, size: int = -1) -> bytes:
        self._at += 1
        return self._data[self._at - 1 : self._at]


@pytest.mark.parametrize("packed", [bytes, *PACKERS])
def test_a_stream_may_give_a_byte_at_a_time(packed: Callable[[bytes], bytes]) -> None:
    recording = read_file(Dribble(packed(TEXT[:20_000])))  # type: ignore[arg-type]
    assert recording.report.bytes_read == 20_000


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data[:12],
        lambda data: data + b"x",
        lambda data: data + b"\x00" * 512,
        lambda data: data + b"trailing junk",
        lambda data: data[:-6] + bytes([data[-6] ^ 1]) + data[-5:],
        lambda data: data[:-2] + bytes([data[-2] ^ 1]) + data[-1:],
        lambda data: data[:500] + bytes(40) + data[540:],
    ],
)
def test_a_damaged_archive_is_refused(packed: Callable[[bytes], bytes], damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BadRecording) as refusal:
        read_text(damage(packed(TEXT)))
    assert (refusal.value.status, refusal.value.code) == (422, "damaged_archive")


@pytest.mark.parametrize("outer", PACKERS)
@pytest.mark.parametrize("inner", PACKERS)
def test_an_archive_in_an_archive_is_refused(outer: Callable[[bytes], bytes], inner: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BadRecording, match="another archive") as refusal:
        read_text(outer(inner(TEXT)))
    assert (refusal.value.status, refusal.value.code) == (422, "damaged_archive")


def test_a_zstd_window_over_8_mib_is_refused() -> None:
    assert len(read_text(bomb(LINE, 1 << 20, window_log=23)).moves) > 1000
    with pytest.raises(BadRecording, match="window over 8 MiB") as refusal:
        read_text(bomb(LINE, 1 << 20, window_log=24))
    assert (refusal.value.status, refusal.value.code) == (422, "damaged_archive")


def test_very_many_pieces_are_refused() -> None:
    piece = gzip.compress(b"")
    with pytest.raises(BadRecording, match="pieces"):
        read_text(gzip.compress(TEXT) + piece * 70_000)


READ_AND_MEASURE = """
import resource, sys
from engine.errors import BadRecording
from engine.recordings import read_file

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_file(sys.argv[1])
except BadRecording as error:
    print(error.status, error.code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("unit", [LINE, b"\n", LINE + b"\n" * 400, b"x" * 1024])
def test_a_bomb_is_refused_early_and_in_little_memory(unit: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bomb.zst"
    path.write_bytes(bomb(LINE, 1 << 20) + bomb(unit, 512 << 20))
    child = subprocess.run(
        [sys.executable, "-c", READ_AND_MEASURE, path], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    status, code, grown_kib = child.stdout.split()
    assert (status, code) == ("413", "too_large_uncompressed")
    assert int(grown_kib) < 64 << 10


def test_text_longer_than_the_limit_is_refused() -> None:
    with pytest.raises(BadRecording, match="longer than 0 MiB") as refusal:
        read_text(TEXT, LIMITS._replace(text_bytes=len(TEXT) - 1))
    assert (refusal.value.status, refusal.value.code) == (413, "too_large_uncompressed")
    assert len(read_text(TEXT, LIMITS._replace(text_bytes=len(TEXT))).moves) == 3000


def test_decompression_may_not_take_for_ever() -> None:
    with pytest.raises(BadRecording, match="to decompress") as refusal:
        read_text(gzip.compress(TEXT), LIMITS._replace(decode_seconds=0.0))
    assert refusal.value.status == 413


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("../trace.txt")
        member.size = len(TEXT)
        archive.addfile(member, io.BytesIO(TEXT))
    return out.getvalue()


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../trace.txt", TEXT)
    return out.getvalue()


def _png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + size + chunk(b"IDAT", zlib.compress(b"\x00\x00")) + chunk(b"IEND", b"")


PERFETTO = b"".join(
    b"\x0a" + bytes([len(p)]) + p for p in (b"\x50\x01\x9a\x03\x02\x08\x01", b"\x08\x80\x02\x10\x00") * 40
)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x17\x08\x44tracing6\x00\x00", "trace.dat"),
        (b"PERFILE2" + bytes(96), "perf.data"),
        (b"\x7fELF\x02\x01\x01" + bytes(57), "ELF"),
        (_png(), "PNG"),
        (_tar(), "tar archive"),
        (_zip(), "zip archive"),
        (PERFETTO, "Perfetto"),
        (TEXT.decode().encode("utf-16"), "UTF-16"),
        (TEXT.decode().encode("utf-16-le"), "UTF-16"),
        (TEXT.decode().encode("utf-16-be"), "UTF-16"),
        (b'{"traceEvents":[]}', "JSON"),
        (b"<!DOCTYPE html><p>", "HTML"),
        (bytes(range(256)) * 4, "binary"),
        (bytes(4096), "UTF-16|binary"),
        (b"SQLite format 3\x00" + bytes(84), "SQLite"),
    ],
)
@pytest.mark.parametrize("packed", [bytes, *PACKERS])
def test_other_files_are_refused_by_what_they_look_like(
    data: bytes, what: str, packed: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(BadRecording, match=what) as refusal:
        read_text(packed(data))
    assert (refusal.value.status, refusal.value.code) == (415, "unsupported_format")


def test_a_byte_order_mark_of_utf_8_is_passed_over() -> None:
    assert len(read_text("\ufeff" + ftrace(ADDED.format(pfn=1, ofs=0))).moves) == 1


def test_the_name_begins_what_a_refusal_says() -> None:
    with pytest.raises(BadRecording, match=r"^night\.dat: This looks like a trace\.dat"):
        read_file(io.BytesIO(b"\x17\x08\x44tracing"), name="night.dat")


def test_a_path_and_a_stream_give_the_same() -> None:
    path = DATA / "hot-6.1.trace.txt.gz"
    with path.open("rb") as stream:
        by_stream = read_file(stream)
        assert not stream.closed
    by_path = read_file(str(path))
    assert by_path.sha256 == by_stream.sha256
    assert (by_path.moves == by_stream.moves).all()
