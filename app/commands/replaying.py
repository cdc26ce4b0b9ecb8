"""`folioscope replay`: predict each wake-up of a recording, and compare it with what the kernel did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.designs import DESIGNS
from engine.errors import BadRecording, BadScenario, UserError
from engine.kernels import KERNELS
from engine.recordings import read_file
from engine.recordings.shipped import shipped_recordings
from engine.recordings.truth import kind_of_truth, read_truth

if TYPE_CHECKING:
    from engine.recordings.moves import Recording
    from engine.recordings.truth import Wake as TrueWake
    from engine.runs.replay import Wake


def load(given: str) -> Recording:
    """Load a recording from a file, or by its id from the store. Raises UserError if there is neither."""
    if given in shipped_recordings():
        return shipped_recordings()[given].read()
    path = Path(given)
    if path.is_file():
        return read_file(path, path.name)
    from app.settings import load_settings
    from app.store import open_store

    try:
        return open_store(load_settings()).load_recording(given)
    except UserError:
        known = ", ".join(shipped_recordings())
        text = f"no file or recording {given[:80]!r}: give a path, an id printed by `import`, or {known}"
        raise BadRecording(text, code="no_recording", field="recording", status=404) from None


def refuse_unknown(field: str, given: str, known: Iterable[str]) -> None:
    """Raise BadScenario for an unknown name, with the known names."""
    if given not in known:
        text = f"unknown {field} {given[:80]!r}; known: {', '.join(known)}"
        raise BadScenario(text, code="unknown_value", field=field)


def replay_recording(
    given: str, truth: Path | None, *, design: str, bits: int | None, kernel: str | None
) -> dict[str, Any]:
    """Return totals over the predicted wakes of a recording under a design, and how many match the truth.

    A shipped recording has its own truth. Raises BadRecording for an unreadable file, BadScenario for an unknown name.
    """
    from engine.runs.replay import predict

    refuse_unknown("design", design, DESIGNS)
    if kernel is not None:
        refuse_unknown("kernel", kernel, KERNELS)
    if given in shipped_recordings() and truth is None:
        truth = shipped_recordings()[given].truth
    if truth is not None and not truth.is_file():
        raise BadRecording(f"there is no file {str(truth)[:80]!r}", code="no_file", field="truth", status=404)
    if truth is not None and (kind := kind_of_truth(truth)) != "wakes":
        if kind == "snapshots":
            return snapshots(load(given), truth, design)
        text = f"{truth.name} lists waits, which are part of the input: give a table of wakes or of snapshots"
        raise BadRecording(text, code="wrong_truth", field="truth")
    wakes, counts = predict(load(given), design=design, bits=bits, kernel=kernel)
    result: dict[str, Any] = {"design": design}
    options = {"design": design} if bits is None else {"design": design, "bits": bits}
    if queues := DESIGNS[design].shared_queues(DESIGNS[design].options.model_validate(options)):
        result["queues"] = queues
    result |= totals(wakes) | counts
    return result if truth is None else {**agreement(wakes, read_truth(truth)), **result}


def snapshots(recording: Recording, truth: Path, design: str) -> dict[str, Any]:
    """Return in how many of the recording's snapshots the replay agrees with the kernel on the page."""
    from engine.recordings.truth import read_snapshots
    from engine.runs.play import open_run
    from engine.scenario import Scenario
    from engine.snapshots import compare_snapshots

    workload = {"kind": "recording", "recording": "demo"}
    run = open_run(
        Scenario.model_validate({"name": "replay", "wait": {"design": design}, "workload": workload}), recording
    )
    return compare_snapshots(run.cast, run.batches(), read_snapshots(truth))


def totals(wakes: Sequence[Wake]) -> dict[str, int]:
    """Return totals over all wakes, to compare designs."""
    return {
        "walked": sum(wake.walked for wake in wakes),
        "matched": sum(wake.matched for wake in wakes),
        "woken": sum(wake.woken for wake in wakes),
        "other_bit": sum(wake.other_bit for wake in wakes),
        "strangers": sum(wake.walked - wake.matched - wake.other_bit for wake in wakes),
        "longest_walk": max((wake.walked for wake in wakes), default=0),
    }


def agreement(predicted: Sequence[Wake], true: Sequence[TrueWake]) -> dict[str, int]:
    """Return for each figure the number of wakes predicted correctly; an unpaired wake counts as wrong."""
    pairs = list(zip(predicted, true, strict=False))
    return {
        "wakes": len(true),
        "wakes_foretold": len(predicted),
        "walked_equal": sum(ours.walked == theirs.walked for ours, theirs in pairs),
        "passes_equal": sum(ours.passes == list(theirs.batches) for ours, theirs in pairs),
        "matched_equal": sum(ours.matched == theirs.matched for ours, theirs in pairs),
        "woken_equal": sum(ours.woken == theirs.woken for ours, theirs in pairs),
        "stop_equal": sum(ours.stop == theirs.stop for ours, theirs in pairs),
        "order_equal": sum(ours.waiters == list(theirs.waiters) for ours, theirs in pairs),
    }
