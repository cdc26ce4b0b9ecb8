"""The worker: claims queued runs and explorations, and stores their results. `python -m app.runner`

The only process that loads the compiled engine. It may be killed at any moment: what it stored stays, and the next
worker plays the run again from the start, compares what was stored, and goes on behind it.
"""

from __future__ import annotations

import gc
import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from app.keeping import Halt, Keeper, held_run, limit_words
from app.searching import explore_one
from app.settings import load_settings
from app.store import Fenced, RunRow, Store, open_store
from app.store.events import cast_block
from app.store.jobs import RECOVER_S, worker_name
from app.writing import Writer
from engine import VERSION
from engine.errors import Damaged, UserError
from engine.events import FORMAT
from engine.recordings.moves import Recording
from engine.runs.play import Player
from engine.runs.play import open_run as open_engine
from engine.scenario import Scenario

log = logging.getLogger("folioscope.runner")

BUSY_S = 60.0
POLL_S = 0.1
"""Interval between polls for work; a poll takes about 10 microseconds."""
FLUSH_S = 0.25
"""Interval between chunks of a throttled run."""
NICE = 10
"""Workers yield the CPU to the server."""

OpenRun = Callable[[Scenario, Recording | None], Player]


def play_one(
    store: Store, run: RunRow, *, open_run: OpenRun = open_engine, stop: threading.Event | None = None
) -> None:
    """Play a claimed run to its end and store it; whatever happens, its state tells. Returns when it is not ours any
    more, or back in the queue because `stop` was set.
    """
    with Keeper(held_run(store, run.id, run.attempt), stop or threading.Event()) as keeper:
        writer: Writer | None = None
        try:
            scenario = run.to_play()
            _refuse_mixed(run)
            recording = store.load_recording(run.recording_id) if run.recording_id else None
            player = open_run(scenario, recording)
            store.set_cast(run.id, run.attempt, cast_block(run.id, player.cast))
            writer = Writer(store, run.id, run.attempt, player.cast, store.chunk_rows(run.id))
            if run.pace_ms_per_s:
                _play_paced(player, writer, keeper, run.pace_ms_per_s)
            else:
                _play(player, writer, keeper)
            _settle(store, run, writer, keeper.halt, player.progress)
        except Fenced as error:
            log.info("%s", error)
        except Exception as error:
            _abandon(store, run, writer, error)
        finally:
            if writer is not None:
                writer.drop()


def _refuse_mixed(run: RunRow) -> None:
    """Reject a run whose stored events are in an older format: this version would append another format."""
    if run.chunks and run.event_format != FORMAT:
        began = f"version {run.engine_version} started this run with event format {run.event_format}"
        text = f"{began}; this version writes format {FORMAT}: start the run again"
        raise UserError(text, code="other_format")


def _play(player: Player, writer: Writer, keeper: Keeper) -> None:
    for batch in player.batches():
        writer.add(batch, player.progress)
        if keeper.halt:
            return


def _play_paced(player: Player, writer: Writer, keeper: Keeper, ms_per_s: int) -> None:
    """Throttle playback to pace_ms_per_s of run time. Events stored by an earlier attempt are not throttled."""
    start: float | None = None
    for batch in player.batches():
        at = 0
        while at < len(batch):
            if keeper.halt:
                return
            if batch.first_seq + len(batch) <= writer.resumed_events:
                due = len(batch)
            else:
                if start is None:
                    seen = int(batch.time[0]) if writer.resumed_events else 0
                    start = time.monotonic() - seen / 1e6 / ms_per_s
                now_ns = int((time.monotonic() - start) * ms_per_s * 1e6)
                due = int(batch.time.searchsorted(now_ns, "right"))
            if due > at:
                writer.add(batch.cut(at, due), _watched(player, int(batch.time[due - 1])), flush=True)
                at = due
            else:
                keeper.wait(FLUSH_S)


def _watched(player: Player, time_ns: int) -> float:
    """Return the progress that viewers of a throttled run see: the player may be a batch ahead."""
    return player.progress if player.end_ns is None else min(1.0, time_ns / player.end_ns)


def _settle(store: Store, run: RunRow, writer: Writer, halt: Halt, progress: float) -> None:
    """End a run that was played to its end, or stopped."""
    if halt == "":
        seal, known = writer.finish()
        store.finish(run.id, run.attempt, "done", seal=seal, known=known)
        return
    if halt == "lost":
        raise Fenced(f"run {run.id} no longer belongs to attempt {run.attempt}")
    writer.close(progress)
    if halt == "stop":
        store.run_jobs.release(run.id, run.attempt)
    elif halt == "cancel":
        store.finish(run.id, run.attempt, "cancelled", reason="user")
    else:
        store.finish(run.id, run.attempt, "failed", reason=halt, detail=limit_words(halt, store))


def _abandon(store: Store, run: RunRow, writer: Writer | None, error: Exception) -> None:
    """End a failed run: report a user error with its message, an internal error with a reference into the log."""
    reason, detail = "error", str(error)
    if isinstance(error, MemoryError):
        reason, detail = "limit_memory", limit_words("limit_memory", store)
    elif isinstance(error, UserError) and error.code == "storage_full":
        reason = "disk_full"
        store.drop_ballast(half=True)
    elif not isinstance(error, UserError | Damaged):
        reference = secrets.token_hex(4)
        log.exception("run %s, fault %s", run.id, reference)
        detail = f"internal error: see {reference} in the worker's log"
        if run.engine_version != VERSION:
            detail += f"; the run was started by version {run.engine_version}, this is {VERSION}"
    try:
        if writer is not None and reason != "disk_full":
            writer.close(0.0)
    except Exception as second:
        log.info("run %s: the remaining events could not be stored: %s", run.id, second)
    try:
        store.finish(run.id, run.attempt, "failed", reason=reason, detail=detail)
    except Fenced as fenced:
        log.info("%s", fenced)


class Worker:
    """Claims runs and explorations until it is stopped.

    Alternates when both are queued: a run waits for at most one exploration, however many a matrix has queued, and an
    exploration for at most one run.
    """

    def __init__(self, store: Store, stop: threading.Event, open_run: OpenRun = open_engine) -> None:
        self._store, self._stop, self._open_run = store, stop, open_run
        self._name = worker_name(os.getpid())
        self._parent = os.getppid()
        self._turns: list[Callable[[], bool]] = [self._play, self._explore]

    def work(self) -> None:
        """Process the queue; when it is empty, poll it and recover the jobs of dead workers."""
        seen, recover_at = -1, 0.0
        self._store.clear_deleted()
        while not self._stop.is_set():
            found = False
            try:
                if time.monotonic() >= recover_at:
                    recover_at, seen = time.monotonic() + RECOVER_S, -1
                    self._store.recover()
                    self._store.checkpoint()
                version = self._store.changed()
                if version != seen:
                    found = next((True for take in list(self._turns) if take()), False)
                seen = -1 if found else version
            except UserError as error:
                log.warning("could not claim work from the store: %s", error)
            if not found:
                if os.getppid() != self._parent:
                    log.info("the server that started this worker is gone")
                    return
                self._stop.wait(POLL_S)

    def _play(self) -> bool:
        """Play a run if one is queued."""
        run = self._store.run_jobs.claim(self._name)
        if run is not None:
            self._turns = [self._explore, self._play]
            play_one(self._store, run, open_run=self._open_run, stop=self._stop)
        return run is not None

    def _explore(self) -> bool:
        """Run an exploration if one is queued."""
        row = self._store.exploration_jobs.claim(self._name)
        if row is not None:
            self._turns = [self._play, self._explore]
            explore_one(self._store, row, stop=self._stop)
        return row is not None


def spare_the_collector() -> None:
    """Exempt the modules loaded so far from garbage collection: each pass over them would cost a run tens of ms."""
    gc.collect()
    gc.freeze()


def main() -> int:
    """Work until SIGTERM or SIGINT."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    stop = threading.Event()

    def ask_to_stop(*_: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    try:
        settings = load_settings()
        logging.getLogger().setLevel(settings.log_level.upper())
        os.nice(NICE)
        store = open_store(settings, busy_s=BUSY_S)
        spare_the_collector()
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        Worker(store, stop).work()
    finally:
        store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
