"""The hash table's contents in one state, for the explorer's stories."""

from __future__ import annotations

from typing import Any

from engine.schedule_word import letters

NONE = 0xFFFFFFFF


def facts(w: Any) -> dict[str, str | int]:
    """Return name -> value, the same names in every state."""
    r, most = w.resizing, w.resizing.most[0]
    worker = "asleep" if not r.future[0] else f"moved {r.moved[0]} of {r.size[0]} buckets to a table of {r.future[0]}"
    values: dict[str, str | int] = {
        "table": f"{r.size[0]} buckets, {r.elements[0]} elements",
        "resize": "wanted" if r.wanted[0] else worker,
    }
    for half in range(2):
        for bucket in range(most):
            name = f"table {half}, bucket {bucket}"
            values[name] = _chain(w, half * most + bucket)
    for element in range(w.elements.page.array.size):
        page, readers = w.elements.page[element], w.elements.readers[element]
        state = f"page {page}" if w.elements.linked[element] else "free" if page == NONE else f"made for page {page}"
        values[f"element {element}"] = f"{state}, {readers} about to use it" if readers else state
    for task in range(w.rules.first_actor):
        seen, made = w.tasks.seen[task], w.tasks.made[task]
        values[f"{letters(task)}: element it is about to use"] = f"element {seen - 1}" if seen else "none"
        values[f"{letters(task)}: element allocated"] = "none" if made == NONE else f"element {made}"
    return values


def _chain(w: Any, bucket: int) -> str:
    elements, at = list[str](), w.buckets.head[bucket]
    while at != NONE:
        elements.append(str(at))
        at = w.elements.next[at]
    return "elements " + " ".join(elements) if elements else "empty"
