"""A recording as bytes."""

from __future__ import annotations

import hashlib
import json
import struct
import sys

import numpy as np
import pytest

from engine.errors import Damaged
from engine.recordings import pack, read_file, unpack
from engine.recordings.moves import MOVE
from tests.engine.recordings.samples import DATA, ftrace, read_text

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

RECORDING = read_file(DATA / "hot-6.1.trace.txt.gz")
PACKED = pack(RECORDING)
HEAD = struct.Struct("<8sH16sI")


def repacked(change: dict[str, object]) -> bytes:
    """Return the packed recording with its table changed and its checksum right."""
    magic, version, _, told = HEAD.unpack_from(PACKED)
    table = json.loads(zstd.decompress(PACKED[HEAD.size : HEAD.size + told])) | change
    squeezed = zstd.compress(json.dumps(table).encode())
    body = squeezed + PACKED[HEAD.size + told :]
    return HEAD.pack(magic, version, hashlib.blake2b(body, digest_size=16).digest(), len(squeezed)) + body


def test_unpacking_gives_what_was_packed() -> None:
    again = unpack(PACKED)
    assert again.moves.dtype == MOVE
    assert (again.moves == RECORDING.moves).all()
    assert (again.pfns == RECORDING.pfns).all()
    assert again._replace(moves=RECORDING.moves, pfns=RECORDING.pfns) == RECORDING


def test_a_packed_recording_is_small() -> None:
    assert len(PACKED) < RECORDING.moves.nbytes / 4


def test_a_recording_that_only_lost_events_and_marks_can_be_packed() -> None:
    recording = read_text("CPU:0 [LOST EVENTS]\n" + ftrace("tracing_mark_write: <&> \u00e9"))
    assert unpack(pack(recording)).marks == ["<&> \u00e9"]
    assert len(unpack(pack(recording)).pfns) == 0


@pytest.mark.parametrize("place", [0, 9, 12, 27, 31, 100, len(PACKED) // 2, len(PACKED) - 1])
def test_every_flipped_bit_is_found(place: int) -> None:
    torn = bytearray(PACKED)
    torn[place] ^= 1
    with pytest.raises(Damaged):
        unpack(bytes(torn))


@pytest.mark.parametrize("length", [0, 5, 29, 30, 400, len(PACKED) - 1])
def test_a_cut_recording_is_found(length: int) -> None:
    with pytest.raises(Damaged):
        unpack(PACKED[:length])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"moves": 10**12}, "larger than the limits for recordings"),
        ({"moves": -1}, "larger than the limits for recordings"),
        ({"pages": 10**12}, "larger than the limits for recordings"),
        ({"moves": 3}, "has the wrong length"),
        ({"moves": len(RECORDING.moves) + 1}, "has the wrong length"),
        ({"pages": 0}, "has the wrong length"),
        ({"columns": {}}, "lacks columns"),
        ({"tasks": "nobody"}, "table is invalid"),
        ({"surplus": 1}, "table is invalid"),
        ({"columns": {"pfns": 5} | dict.fromkeys(MOVE.names or (), 0)}, "does not decompress|wrong length"),
    ],
)
def test_a_table_that_does_not_fit_its_columns_is_found(change: dict[str, object], why: str) -> None:
    assert unpack(repacked({})).tasks == RECORDING.tasks
    with pytest.raises(Damaged, match=why):
        unpack(repacked(change))


def test_another_version_is_named() -> None:
    other = PACKED[:8] + struct.pack("<H", 99) + PACKED[10:]
    with pytest.raises(Damaged, match="99"):
        unpack(other)


def test_times_survive_as_they_are() -> None:
    moves = RECORDING.moves.copy()
    moves["time"] = np.linspace(0, 2**62, len(moves)).astype(np.int64)
    assert (unpack(pack(RECORDING._replace(moves=moves))).moves == moves).all()
