"""The codec of events: whatever goes in comes out, and damage only ever raises Damaged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chunks import COUNT_MAX, States, decode, decode_what, decode_with_states, encode
from app.packing import DIGEST, pack, seal, unpack, unseal
from engine.errors import Damaged
from engine.events import COLUMNS, Batch
from tests.app.synthetic import Log

WORD = st.integers(-(2**63), 2**63 - 1)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Any columns at all: mostly alike, as events are, with any bits in between."""
    n = draw(st.integers(1, 300))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    columns = []
    for _, kind in COLUMNS:
        dtype = np.dtype(kind)
        info = np.iinfo(dtype)
        any_bits = random.integers(int(info.min), int(info.max), n, dtype, endpoint=True)
        share = draw(st.sampled_from((0.0, 0.1, 1.0)))
        columns.append(np.where(random.random(n) < share, any_bits, random.integers(0, 3, n)).astype(dtype))
    return Batch(draw(st.integers(0, 2**62)), *columns)


def same(one: Batch, other: Batch) -> bool:
    kinds = [name for name, _ in COLUMNS]
    return one.first_seq == other.first_seq and all(
        getattr(one, name).dtype == getattr(other, name).dtype
        and np.array_equal(getattr(one, name), getattr(other, name))
        for name in kinds
    )


def some_states(batch: Batch) -> States:
    """Return states that depend on the kind, mostly, as the real ones do."""
    states: States = batch.kind % 5 + (batch.page % 7 == 0)
    return states


@settings(max_examples=150, deadline=None)
@given(batches())
def test_given_any_events_when_stored_then_they_come_back_exactly(batch: Batch) -> None:
    states = some_states(batch)
    data = encode(batch, states)
    back, their_states = decode_with_states(data)
    assert same(back, batch)
    assert their_states is not None
    assert their_states.tolist() == states.tolist()
    what = decode_what(data)
    assert np.array_equal(what.time, batch.time)
    assert np.array_equal(what.b, batch.b)


def test_a_full_chunk_of_a_made_up_run_comes_back_exactly() -> None:
    batch = Log(1, COUNT_MAX, pages=200, tasks=100, queues=32, truth=False).batch()
    data = encode(batch, some_states(batch))
    assert same(decode(data), batch)
    assert len(data) < 6.5 * len(batch), "such a log, with every kind in it, packs to about six bytes an event"


def test_more_events_than_a_chunk_holds_are_refused() -> None:
    batch = Log(1, 10).batch()
    with pytest.raises(AssertionError, match="a chunk of 0 events"):
        encode(batch.cut(0, 0), some_states(batch))
    with pytest.raises(AssertionError, match="9 states for 10 events"):
        encode(batch, some_states(batch)[:9])


CHUNK = encode(Log(3, 300, truth=False).batch(), np.arange(300).astype(np.uint8))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_given_damaged_bytes_when_read_then_only_damaged_is_raised(data: st.DataObject) -> None:
    whole = bytearray(CHUNK)
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for damaged in (bytes(whole), bytes(whole[:cut])):
        try:
            batch = decode(damaged)
        except Damaged:
            continue
        assert len(batch) == len(batch.time), "what can be read has whole columns"


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=400), st.data())
def test_a_block_is_only_taken_where_and_as_it_was_stored(raw: bytes, data: st.DataObject) -> None:
    block = seal("run a, chunk 1", raw)
    assert unseal("run a, chunk 1", block) == raw
    with pytest.raises(Damaged, match="chunk 2"):
        unseal("run a, chunk 2", block)
    flipped = bytearray(block)
    bit = data.draw(st.integers(0, 8 * len(block) - 1))
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Damaged):
        unseal("run a, chunk 1", bytes(flipped))
    with pytest.raises(Damaged):
        unseal("run a, chunk 1", block[: data.draw(st.integers(0, DIGEST + len(raw) - 1))])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.one_of(st.integers(0, 300), WORD), max_size=30), max_size=8))
def test_packed_arrays_come_back_with_their_values(arrays: list[list[int]]) -> None:
    back = unpack(b"TEST", 1, pack(b"TEST", 1, [np.array(values, np.int64) for values in arrays]))
    assert [part.tolist() for part in back] == arrays


def test_packed_arrays_of_another_kind_or_version_are_refused() -> None:
    data = pack(b"TEST", 1, [np.arange(3)])
    for magic, version in ((b"REST", 1), (b"TEST", 2)):
        with pytest.raises(Damaged, match="another kind or version"):
            unpack(magic, version, data)
