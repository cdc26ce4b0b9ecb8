"""The part of a summary that only runs with page tables have: key figures, gauges and counters of faults, protection,
devices and KSM. Compiled; engine.summaries.tally calls it for the kinds from fault_taken on.
"""

from __future__ import annotations

from engine.events import TRANSFER, UNPROTECTED, Kind
from engine.mm.page_table import PROTECTED
from engine.nodes import MAPPED_COUNTERS, MAPPED_GAUGES
from engine.page_state import MARK_MERGED, MARK_PROTECTED
from engine.summaries.state import (
    B_MORE,
    F_ATOMIC_NS,
    F_ATOMIC_RETRIES,
    F_BLOCKED,
    F_BLOCKED_MAX,
    F_BLOCKED_NS,
    F_CLEANED,
    F_COPIES,
    F_COPIES_DROPPED,
    F_COPIES_MADE,
    F_CPUS,
    F_FAULTS,
    F_FAULTS_REFUSED,
    F_FLUSHES,
    F_KSM_SCANS,
    F_KSM_SHARED,
    F_KSM_SHARING,
    F_LINK_ATOMICS,
    F_LINK_BYTES,
    F_LOCAL_ATOMICS,
    F_LOCAL_BYTES,
    F_MERGED,
    F_MIGRATED,
    F_PROTECT_REFUSED,
    F_PROTECTED,
    F_PROTECTED_ENDED,
    F_PROTECTED_NS,
    F_RESUMED,
    F_TAKEN_BACK,
    F_UNMERGED,
    MARKS,
    State,
    wait_step,
)
from engine.world.jit import inlined, jit
from engine.world.packers import reader

K_FAULT, K_REFUSED, K_FLUSHED, K_MKCLEANED, K_COPIED, K_PROTECTED, K_UNPROTECTED, K_PROTECT_REFUSED = (
    int(k)
    for k in (
        Kind.fault_taken,
        Kind.fault_refused,
        Kind.tlb_flushed,
        Kind.page_mkcleaned,
        Kind.page_copied,
        Kind.page_protected,
        Kind.page_unprotected,
        Kind.protect_refused,
    )
)
K_BLOCKED, K_RESUMED = int(Kind.fault_blocked), int(Kind.fault_resumed)
K_READ, K_MADE, K_DROPPED = int(Kind.device_read), int(Kind.copy_made), int(Kind.copy_dropped)
K_ATOMIC, K_RETRIED = int(Kind.device_atomic), int(Kind.atomic_retried)
K_MIGRATED = int(Kind.page_migrated)
K_MERGED, K_UNMERGED, K_SCANNED = int(Kind.page_merged), int(Kind.page_unmerged), int(Kind.ksm_scanned)
K_PTE_SET, K_PTE_CLEARED = int(Kind.pte_set), int(Kind.pte_cleared)

_bytes, _local, _device = reader(TRANSFER, "bytes"), reader(TRANSFER, "local"), reader(TRANSFER, "device")
_taken_back, _held_ns = (reader(UNPROTECTED, name) for name in ("broken", "held_ns"))

G_PROTECTED, G_COPIES, G_BLOCKED, G_KSM_PAGES, G_KSM_SHARING = range(len(MAPPED_GAUGES))
C_FAULTS, C_FLUSHES, C_CPUS, C_COPIED, C_ATOMICS, C_ATOMIC_NS = range(len(MAPPED_COUNTERS))
M_LOW, M_HIGH, M_AREA, M_SUM = (B_MORE + part * len(MAPPED_GAUGES) for part in range(4))
"""Columns of State.bins. The counters of MAPPED_COUNTERS come first, then two of each device: over its link, local."""
M_DEVICES = M_SUM + len(MAPPED_COUNTERS)


@inlined
def open_more(s: State, bin: int, span: int) -> None:
    """Start a bin of the further series with the current gauge values."""
    for which in range(len(MAPPED_GAUGES)):
        s.bins[bin, M_LOW + which] = s.more[which]
        s.bins[bin, M_HIGH + which] = s.more[which]
        s.bins[bin, M_AREA + which] = s.more[which] * span
    for which in range(M_SUM, s.bins.shape[1]):
        s.bins[bin, which] = 0


@inlined
def _gauge(s: State, which: int, bin: int, change: int, time: int, place: int) -> None:
    """Change one of the further gauges, as engine.summaries.tally does with the others."""
    if change == 0:
        return
    after = s.more[which] + change
    s.more[which] = after
    s.bins[bin, M_AREA + which] += change * (s.edges[bin + 1] - time)
    s.bins[bin, M_HIGH + which] = max(s.bins[bin, M_HIGH + which], after)
    s.bins[bin, M_LOW + which] = min(s.bins[bin, M_LOW + which], after)
    n = s.more_changed[which]
    s.more_changes[which, 0, n], s.more_changes[which, 1, n] = place, after
    s.more_changed[which] = n + 1


@jit
def note_marks(s: State, page: int, before: int, after: int, time: int, bin: int, place: int) -> None:
    """Count the pages that are protected, and those that KSM shares with their entries, as a page's marks change."""
    protected = (after & MARK_PROTECTED != 0) - (before & MARK_PROTECTED != 0)
    _gauge(s, G_PROTECTED, bin, protected, time, place)
    merged = (after & MARK_MERGED != 0) - (before & MARK_MERGED != 0)
    _gauge(s, G_KSM_PAGES, bin, merged, time, place)
    _gauge(s, G_KSM_SHARING, bin, merged * max(s.mapcounts[page] - 1, 0), time, place)


@jit
def _note_series(s: State, kind: int, page: int, a: int, b: int, time: int, bin: int, place: int) -> None:
    row = s.bins[bin]
    if kind in (K_PTE_SET, K_PTE_CLEARED):
        if s.pages[page, MARKS] & MARK_MERGED:
            _gauge(s, G_KSM_SHARING, bin, max(b - 1, 0) - max(s.mapcounts[page] - 1, 0), time, place)
        s.mapcounts[page] = b
    elif kind == K_FAULT:
        row[M_SUM + C_FAULTS] += 1
    elif kind == K_FLUSHED:
        row[M_SUM + C_FLUSHES] += 1
        row[M_SUM + C_CPUS] += b
    elif kind == K_COPIED:
        row[M_SUM + C_COPIED] += 1
    elif kind == K_BLOCKED:
        _gauge(s, G_BLOCKED, bin, 1, time, place)
    elif kind == K_RESUMED or (kind == K_REFUSED and a == PROTECTED):
        _gauge(s, G_BLOCKED, bin, -1, time, place)
    elif kind == K_MADE:
        _gauge(s, G_COPIES, bin, 1, time, place)
    elif kind == K_DROPPED:
        _gauge(s, G_COPIES, bin, -1, time, place)
    elif kind in (K_READ, K_ATOMIC, K_RETRIED):
        row[M_DEVICES + 2 * _device(a, b) + _local(a, b)] += _bytes(a, b)
        if kind == K_ATOMIC:
            row[M_SUM + C_ATOMICS] += 1
            row[M_SUM + C_ATOMIC_NS] += b


@jit
def note_tables(s: State, kind: int, page: int, a: int, b: int, time: int, bin: int, place: int) -> None:
    """Count an event of page tables, protection, devices or KSM in the figures and, with page tables, in its bin."""
    if len(s.more):
        _note_series(s, kind, page, a, b, time, bin, place)
    f = s.figures
    if kind == K_FAULT:
        f[F_FAULTS] += 1
    elif kind == K_REFUSED:
        f[F_FAULTS_REFUSED] += 1
    elif kind == K_FLUSHED:
        f[F_FLUSHES] += 1
        f[F_CPUS] += b
    elif kind == K_MKCLEANED:
        f[F_CLEANED] += a
    elif kind == K_COPIED:
        f[F_COPIES] += 1
    elif kind == K_PROTECTED:
        f[F_PROTECTED] += 1
    elif kind == K_UNPROTECTED:
        f[F_PROTECTED_ENDED] += 1
        f[F_TAKEN_BACK] += _taken_back(a, b)
        f[F_PROTECTED_NS] += _held_ns(a, b)
    elif kind == K_PROTECT_REFUSED:
        f[F_PROTECT_REFUSED] += 1
    elif kind == K_BLOCKED:
        f[F_BLOCKED] += 1
    elif kind == K_RESUMED:
        f[F_RESUMED] += 1
        f[F_BLOCKED_NS] += a
        f[F_BLOCKED_MAX] = max(f[F_BLOCKED_MAX], a)
        s.blocked[wait_step(a)] += 1
    elif kind == K_READ:
        f[F_LOCAL_BYTES if _local(a, b) else F_LINK_BYTES] += _bytes(a, b)
    elif kind == K_MADE:
        f[F_COPIES_MADE] += 1
    elif kind == K_DROPPED:
        f[F_COPIES_DROPPED] += 1
    elif kind == K_ATOMIC:
        f[F_LOCAL_ATOMICS if _local(a, b) else F_LINK_ATOMICS] += 1
        f[F_ATOMIC_NS] += b
    elif kind == K_MERGED:
        f[F_MERGED] += 1
    elif kind == K_UNMERGED:
        f[F_UNMERGED] += 1
    elif kind == K_MIGRATED:
        f[F_MIGRATED] += 1
    elif kind == K_RETRIED:
        f[F_ATOMIC_RETRIES] += 1
    elif kind == K_SCANNED:
        f[F_KSM_SCANS] += 1
        f[F_KSM_SHARED] = a
        f[F_KSM_SHARING] = b
