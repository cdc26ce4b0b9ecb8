"""What a recording lacks: probes without which a part of the page stays empty, as sentences for whoever imported it."""

from __future__ import annotations

from engine.recordings.moves import Report

QUEUED, WALKED, LEFT = ("qadd", "qlock"), ("walk_begin",), ("fin",)
CACHED = ("mm_filemap_add_to_page_cache", "mm_filemap_delete_from_page_cache")


def missing(report: Report) -> tuple[str, ...]:
    """Return a sentence for each kind of line that an import did not find and that others of its lines call for."""
    waits, walks, left, cached = (
        sum(report.used.get(name, 0) for name in names) for names in (QUEUED, WALKED, LEFT, CACHED)
    )
    found = []
    if not waits and not walks:
        found.append(
            "No qadd and no walk_begin lines: page waits and wake-ups are missing. Queues stay empty; page states and "
            "page histories are shown."
        )
    elif not waits:
        found.append(
            f"{walks:,} walk_begin lines but no qadd lines: waits are missing. Queues stay empty; nothing is visited."
        )
    elif not walks:
        found.append(f"{waits:,} qadd lines but no walk_begin lines: wake-ups are missing. Nothing visits the queues.")
    if waits and not left:
        found.append("No fin lines: ends of waits are missing. Tasks that were not woken stay queued to the end.")
    if (waits or walks) and not cached:
        found.append("No mm_filemap lines: when pages enter and leave the page cache is missing.")
    return tuple(found)
