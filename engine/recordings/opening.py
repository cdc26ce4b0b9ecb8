"""Open a recording (plain, gzip or zstd, detected by magic bytes) as a stream of text blocks, within limits.

At most a few blocks are in memory, whatever the file.
"""

from __future__ import annotations

import hashlib
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from engine.recordings.limits import LIMITS, Limits, damaged, too_large
from engine.recordings.looks import refuse_foreign

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

INPUT_BYTES = 32 << 10
"""Bytes read at a time: few, so that a decompression bomb is detected early."""
BLOCK = 1 << 20
"""Max. bytes of decompressed text at a time."""
SNIFF_BYTES = 4096
FRAMES_MAX = 65_536
"""Max. gzip members or zstd frames in one file: tools that compress in parallel write about one per MiB."""
WINDOW_LOG_MAX = 23
"""Max. zstd window, 8 MiB: it bounds the decoder's memory (RFC 8878 recommends this limit)."""

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"


class _Decoder(Protocol):
    """The common interface of the standard library's decompressors."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gunzip:
    """zlib's decompressor with the interface of bz2, lzma and zstd: it keeps unused input inside."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)  # 31: a gzip header is required, and its CRC and length are checked
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        text = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self.needs_input = not self._zlib.unconsumed_tail and len(text) < max_length
        return text


def _unzstd() -> _Decoder:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG_MAX})


def _begins_gzip(data: bytes) -> bool:
    return data.startswith(GZIP)


def _begins_zstd(data: bytes) -> bool:
    # Skippable frames may come between frames (RFC 8878, 3.1.2); pzstd and seekable files have them.
    return data.startswith(ZSTD) or (data[1:4] == b"\x2a\x4d\x18" and data[0] >> 4 == 5)


class Opening:
    """One recording being read.

    `compressed` is "", "gzip" or "zstd"; `text_bytes` counts what blocks() has yielded so far and `sha256` hashes the
    file as given; both are final once blocks() has ended.
    """

    def __init__(self, stream: BinaryIO, limits: Limits = LIMITS) -> None:
        self._stream, self._limits = stream, limits
        self._digest = hashlib.sha256()
        self._decoding = 0.0
        self.file_bytes = self.text_bytes = 0
        self._first = self._read()
        if _begins_gzip(self._first):
            self.compressed = "gzip"
        elif self._first.startswith(ZSTD):
            self.compressed = "zstd"
        else:
            self.compressed = ""

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def blocks(self) -> Iterator[bytes]:
        """Yield the text in blocks of at most 1 MiB, which may begin or end within a line.

        Raises BadRecording: 413 too_large_uncompressed, 415 if it is not tracer text, 422 damaged_archive.
        """
        head = b""
        sniffed = False
        for text in self._text():
            if sniffed:
                yield text
                continue
            head += text
            if len(head) >= SNIFF_BYTES:
                sniffed = True
                yield self._sniff(head)
        if not sniffed and head:
            yield self._sniff(head)

    def _sniff(self, head: bytes) -> bytes:
        if self.compressed and (_begins_gzip(head) or _begins_zstd(head)):
            raise damaged("The archive holds another archive. Decompress it once and give that.")
        refuse_foreign(head[:SNIFF_BYTES])
        return head.removeprefix(b"\xef\xbb\xbf")

    def _text(self) -> Iterator[bytes]:
        limits = self._limits
        if self.compressed == "gzip":
            texts = self._decode(_Gunzip, _begins_gzip)
        elif self.compressed == "zstd":
            texts = self._decode(_unzstd, _begins_zstd)
        else:
            texts = self._input()
        for text in texts:
            self.text_bytes += len(text)
            if self.text_bytes > limits.text_bytes:
                raise too_large(
                    f"The text is longer than {limits.text_bytes >> 20} MiB. Record for a shorter time, or cut it."
                )
            if self.compressed and limits.ratio_from < self.text_bytes > limits.ratio * self.file_bytes:
                raise too_large(
                    f"The archive expands more than {limits.ratio} times; traces do not. Decompress it and give that."
                )
            yield text

    def _read(self) -> bytes:
        data = self._stream.read(INPUT_BYTES)
        while data and len(data) < 4 and (more := self._stream.read(INPUT_BYTES)):  # a pipe may give a byte at a time
            data += more
        self._digest.update(data)
        self.file_bytes += len(data)
        return data

    def _input(self) -> Iterator[bytes]:
        data, self._first = self._first, b""
        while data:
            yield data
            data = self._read()

    def _decode(self, new_decoder: Callable[[], _Decoder], begins: Callable[[bytes], bool]) -> Iterator[bytes]:
        decoder: _Decoder | None = None
        data = b""
        frames = 0
        for more in self._input():
            data += more
            while data or decoder is not None:
                if decoder is None:
                    if len(data) < 4:
                        break
                    if not begins(data):
                        raise damaged(f"Other data follows the {self.compressed} data. Compress the text again.")
                    frames += 1
                    if frames > FRAMES_MAX:
                        raise damaged(f"The archive has more than {FRAMES_MAX} pieces. Compress the text again.")
                    decoder = new_decoder()
                text = self._timed(decoder, data)
                data = b""
                if text:
                    yield text
                if decoder.eof:
                    data, decoder = decoder.unused_data, None
                elif decoder.needs_input:
                    break
        while decoder is not None and (text := self._timed(decoder, b"")):
            yield text
            if decoder.eof:
                decoder = None
        if decoder is not None or data:
            raise damaged(f"The {self.compressed} data is cut off. Copy the file again.")

    def _timed(self, decoder: _Decoder, data: bytes) -> bytes:
        began = time.perf_counter()
        try:
            text = decoder.decompress(data, BLOCK)
        except (zlib.error, zstd.ZstdError, EOFError) as error:
            if "too much memory" in str(error):
                raise damaged("The zstd data needs a window over 8 MiB. Compress it again without --long.") from None
            raise damaged(f"The {self.compressed} data is damaged. Copy the file again.") from None
        self._decoding += time.perf_counter() - began
        if self._decoding > self._limits.decode_seconds:
            raise too_large(f"It took more than {self._limits.decode_seconds:.0f} s to decompress. Record less.")
        return text
