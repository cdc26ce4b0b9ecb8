"""Events, page->mapping and page->flags as the API's JSON has them: fields named, words taken apart."""

from __future__ import annotations

from typing import Any

from app.windows.states import PageWords
from engine.cast import Cast
from engine.designs import structure_at
from engine.events import (
    EVENTS,
    FLAG_NAMES,
    NONE,
    NOTIFIER_EVENTS,
    PAGE_BITS,
    PROTECT_REFUSALS,
    PTE_NAMES,
    REFUSALS,
    STOP_WORDS,
    STOPS,
    WQ_NAMES,
    Batch,
    Kind,
)
from engine.invariants import INVARIANTS
from engine.page_state import MARK_SWAPPED

MAPPING_WORDS = {
    which: frozenset(
        kind
        for kind, event in EVENTS.items()
        if any(field.form == "mapping" and field.word == which for field in event.words.stored.values())
    )
    for which in "ab"
}
"""Word -> kinds in which it is a word of page->mapping."""
TAGS = ("none", "PAGE_MAPPING_ANON", "PAGE_MAPPING_MOVABLE", "PAGE_MAPPING_KSM")
TAG_MASK, POINTER_MASK = 0x3, 0x7
"""Bits that hold the kernel's tags; bits that are clear in a pointer to a structure of a design."""


def event_json(batch: Batch, at: int, cast: Cast) -> dict[str, Any]:
    """Return one event as JSON has it."""
    kind = Kind(int(batch.kind[at]))
    task, page = int(batch.task[at]), int(batch.page[at])
    a, b = int(batch.a[at]), int(batch.b[at])
    words = EVENTS[kind].words
    values = dict(zip(words.fields, words.unpack(a, b), strict=True))
    task_name = cast.task_label(task)
    pfn = None if page == NONE else f"0x{cast.pfn(page):x}"
    names = {"task": task_name or "the kernel", "page": "a page" if pfn is None else f"page {pfn}"}
    said = {name: _said(words.fields[name].form, value, cast) for name, value in values.items()}
    return {
        "seq": batch.first_seq + at,
        "time_ns": int(batch.time[at]),
        "kind": kind.name,
        "cpu": int(batch.cpu[at]),
        "task": None if task == NONE else task,
        "task_name": task_name,
        "page": None if page == NONE else page,
        "pfn": pfn,
        "a": word(a) if kind in MAPPING_WORDS["a"] else a,
        "b": word(b) if kind in MAPPING_WORDS["b"] else b,
        "fields": {name: _shown(words.fields[name].form, value, cast) for name, value in values.items()},
        "says": EVENTS[kind].says.format(**names, **said),
    }


def _shown(form: str, value: int, cast: Cast) -> int | str | bool | list[str]:
    """Return a field's value as JSON has it."""
    match form:
        case "mapping":
            return word(value)
        case "flags":
            return flag_names(value)
        case "entry_flags":
            return [name for flag, name in WQ_NAMES.items() if value & flag]
        case "page_bit":
            return FLAG_NAMES.get(value, f"bit {value}")
        case "stop":
            return STOPS[value] if value < len(STOPS) else f"reason {value}"
        case "yes":
            return bool(value)
        case "invariant":
            return INVARIANTS[value].name if 0 <= value < len(INVARIANTS) else f"invariant {value}"
        case "pte":
            return [name for bit, name in PTE_NAMES.items() if value & bit]
        case "notifier":
            return NOTIFIER_EVENTS[value] if 0 <= value < len(NOTIFIER_EVENTS) else str(value)
        case "refusal":
            return REFUSALS[value] if 0 <= value < len(REFUSALS) else f"reason {value}"
        case "protect_refusal":
            return PROTECT_REFUSALS[value] if 0 <= value < len(PROTECT_REFUSALS) else f"reason {value}"
        case "mark":
            return cast.marks[value] if 0 <= value < len(cast.marks) else f"mark {value}"
    return value


def _said(form: str, value: int, cast: Cast) -> str:
    """Return a field's value as a sentence has it."""
    match form:
        case "page_bit":
            return PAGE_BITS.get(value, f"bit {value}")
        case "stop" if 0 <= value < len(STOP_WORDS):
            return STOP_WORDS[value]
        case "invariant" if 0 <= value < len(INVARIANTS):
            return INVARIANTS[value].says
        case "mark" if not 0 <= value < len(cast.marks):
            return "a mark"
        case "pte":
            return ", ".join(name for bit, name in PTE_NAMES.items() if value & bit) or "nothing"
        case "number":
            return f"{value:,}"
    return str(_shown(form, value, cast))


def word(value: int) -> str:
    """Return a word as 16 hex digits."""
    return f"0x{value & (1 << 64) - 1:016x}"


def page_json(page: PageWords, cast: Cast, *, seen: bool = True) -> dict[str, Any]:
    """Return a page at one instant as JSON has it; seen: whether the recording has named it by then."""
    mapping = mapping_json(page.mapping, bool(page.marks & MARK_SWAPPED), cast)
    if not seen:
        mapping["means"] = "not known: the recording has not named this page yet"
    return {"mapping": mapping, "flags": {"word": word(page.flags), "names": flag_names(page.flags)}}


def mapping_json(value: int, swapped: bool, cast: Cast) -> dict[str, Any]:
    """Return a word of page->mapping taken apart: tag, pointer, what that points to, bits (highest first).

    swapped: the design has put its own structure there. The word alone does not tell: encoding E1 tags it with the bit
    that means an anonymous page otherwise, E3 with a bit that has no other meaning.
    """
    bits = value & (1 << 64) - 1
    mask = POINTER_MASK if swapped else TAG_MASK
    pointer = value & ~mask
    tag = "PAGE_MAPPING_WAIT" if swapped else TAGS[value & TAG_MASK]
    file = next((file.name for file in cast.files if value and file.address == value), None)
    structure = (structure_at(pointer) if swapped else None) or f"pointer {word(pointer)}"
    if not value:
        means = "NULL: not in the page cache"
    elif tag == "none":
        means = f"struct address_space{f' ({file})' if file else ''}"
    else:
        means = f"{tag} + {structure}"
    decoded = {
        "word": word(value),
        "pointer": word(pointer),
        "tag": tag,
        "tag_bits": mask.bit_count(),
        "means": means,
        "bits": [bits >> place & 1 for place in range(63, -1, -1)],
    }
    return decoded | ({"file": file} if file else {})


def flag_names(value: int) -> list[str]:
    """Return the names of the bits of page->flags that are set."""
    return [FLAG_NAMES.get(place, f"bit {place}") for place in range(64) if value >> place & 1]
