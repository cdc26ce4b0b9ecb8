"""What workers have compiled, against the plain way: the same bytes."""

from __future__ import annotations

from hypothesis import given, settings

from app.chunks import COUNT_MAX, encode
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
