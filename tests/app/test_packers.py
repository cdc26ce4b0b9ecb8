"""What workers have compiled, against the plain way: the same bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from app import packing
from app.chunks import COUNT_MAX, decode, encode
from app.packing import EVENT_PLANES
from engine.events import Batch
from engine.summaries.planes import CompiledPlanes
from tests.app.synthetic import Log
from tests.app.test_chunks import batches, some_states

PLANES = CompiledPlanes(20)


@settings(max_examples=80, deadline=None)
@given(batches())
def test_given_any_events_then_workers_store_the_bytes_that_numpy_alone_makes(batch: Batch) -> None:
    states = some_states(batch)
    assert encode(batch, states, PLANES) == encode(batch, states)
    assert bytes(PLANES.records(batch)) == batch.records().tobytes()


def test_a_full_chunk_is_stored_as_numpy_alone_makes_it() -> None:
    batch = Log(1, COUNT_MAX, tasks=20, truth=False).batch()
    states = some_states(batch)
    assert encode(batch, states, PLANES) == encode(batch, states)


def test_given_a_library_without_experimental_parameters_then_events_are_stored_and_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = Log(2, COUNT_MAX, tasks=20, truth=False).batch()
    states, skipped = some_states(batch), packing._compressor(EVENT_PLANES)
    entropy_coded = encode(batch, states)
    monkeypatch.setattr(packing, "LITERAL_COMPRESSION", 999_999)
    monkeypatch.setattr(packing, "_compressors", packing._Compressors())
    plain = encode(batch, states)
    assert plain != entropy_coded, "the parameter has an effect"
    assert decode(plain).records().tobytes() == decode(entropy_coded).records().tobytes() == batch.records().tobytes()
    raw = bytes(range(16)) * 4 + batch.records().tobytes()
    assert len(skipped.compress(raw, mode=skipped.FLUSH_FRAME)) < 0.9 * len(raw), "literals are compressed"
