"""The table of operations against the engine: first steps, arguments, and what each takes and leaves."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from engine.events import PG_WRITEBACK
from engine.mm import steps
from engine.operations import Op
from engine.program import OPERATIONS, Argument, Held, Operation
from tests.worlds import Stage, scenario

NUMBER = {Argument.PICK: ":0", Argument.SECOND_PAGE: ":1", Argument.MM: ":1", Argument.MEAN_NS: ":10"}
TEXT = {name: name + NUMBER.get(op.argument, "") for name, op in OPERATIONS.items()}

every_operation = pytest.mark.parametrize("op", OPERATIONS.values(), ids=OPERATIONS)


def before(op: Operation) -> list[str]:
    """Return the operations that bring what the operation needs, or what it drops."""
    used = op.needs | op.drops
    if Held.PIN in used:
        return ["pin"]
    if Held.PAGE in used:
        return ["protect"]
    if Held.WRITEBACK in used:
        return ["lock", "writeback_begin", "unlock"]
    if Held.REFERENCE in used:
        return ["lookup_locked"] if Held.LOCK in used else ["lookup"]
    return ["lock"] if Held.LOCK in used else []


def after(held: Held) -> list[str]:
    """Return the operations that drop what is held."""
    ends = {
        Held.LOCK: "unlock",
        Held.REFERENCE: "put",
        Held.WRITEBACK: "writeback_end",
        Held.PIN: "unpin",
        Held.PAGE: "unprotect",
    }
    return [ends[one] for one in Held if one in held]


def held_in(stage: Stage) -> Held:
    """Return what the first task holds, as the World shows it."""
    w = stage.world
    held = Held.NOTHING
    page = w.tasks.page[0]
    if w.pages.owner[page] == 0:
        held |= Held.LOCK
    if w.tasks.holds[0]:
        held |= Held.REFERENCE
    if w.pages.flags[page] >> PG_WRITEBACK & 1:
        held |= Held.WRITEBACK
    if w.rules.protects and w.protection.owner[page] == 0:
        held |= Held.PAGE
    elif w.rules.mapped and w.rmap.pinned[page]:
        held |= Held.PIN
    return held


def stage_of(op: Operation) -> Stage:
    """Return a world that plays what the operation needs, the operation, and what drops what it takes."""
    first, last = program_of(op)
    memory = {"maps": "shared", "children": 1} if op.mapped else None
    if op.name in ("ksm_scan", "unmerge", "migrate", "reclaim"):
        memory = {"maps": "anonymous", "contents": 1}
    more: dict[str, Any] = {"protect": {"design": "attachment"}} if op.mapped else {}
    if op.device:
        more["devices"] = ["gpu-pcie3"]
    return Stage(" ".join([*first, TEXT[op.name], *last]), pages=2, cached=op.name != "insert", memory=memory, **more)


def program_of(op: Operation) -> tuple[list[str], list[str]]:
    """Return what a program does before an operation, and after it."""
    first = before(op)
    left = Held.NOTHING
    for name in [*first, op.name]:
        left = left & ~OPERATIONS[name].drops | OPERATIONS[name].takes
    if op.argument is Argument.SECOND_PAGE:  # the new page must be in no file
        first = ["pick:1", "lookup_locked", "delete", "unlock", "put", "pick:0"]
    return first, [*after(left), "hold:1"]


@every_operation
def test_each_operation_has_a_first_step_and_a_task_begins_there(op: Operation) -> None:
    assert op.step in steps.NUMBERS
    first, _ = program_of(op)
    stage = stage_of(op)
    assert stage.world.program.step[len(first)] == steps.NUMBERS[op.step]


@every_operation
def test_when_an_operation_was_played_then_the_task_holds_what_the_table_says(op: Operation) -> None:
    first, _ = program_of(op)
    stage = stage_of(op)
    play_to(stage, len(first))
    was = held_in(stage)
    play_to(stage, len(first) + 1)
    assert held_in(stage) == was & ~op.drops | op.takes
    assert not stage.broke()


def play_to(stage: Stage, place: int) -> None:
    """Take steps until the task stands before the operation at a place of its program."""
    for _ in range(1_000):
        if stage.world.tasks.at[0] == place:
            return
        stage.play("0")
    raise AssertionError(f"the task never comes to place {place}")


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("unlock", ": unlock needs the page lock: put lock before it"),
        ("lock lock", ": lock while holding the lock waits for itself: unlock first"),
        ("lock wait_locked unlock", ": wait_locked while holding the lock waits for itself: unlock first"),
        ("lock pick:0 unlock", ": pick while holding a page lock would unlock another page: unlock first"),
        ("lookup pick:0 put", ": pick while it has a page looked up: put it first"),
        ("lookup write put", ": write while it has a page looked up: put it first"),
        ("lookup_locked put", ": lookup_locked without unlock and put: put them after it"),
        ("truncate lock unlock", ": truncate works through all pages: pick one again after it"),
        ("2/lock", " ends with the page locked and begins again: unlock at the end"),
        ("2/lookup", " ends with a page looked up and begins again: put it at the end"),
        ("~/lock unlock", " lets no time pass and never ends: add a think or a hold"),
    ],
)
def test_given_a_program_that_the_kernel_would_not_survive_then_it_is_refused_in_words(program: str, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        scenario(program, pages=2)
    assert f"group 't0'{says}" in str(refused.value)


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("lookup lock unlock", ": lookup without put: put them after it"),
        ("lock unlock", ": lock of a page that may be freed: look it up first"),
        ("lookup lock insert unlock put", ": insert needs pages that stay: leave pinned true"),
    ],
)
def test_given_pages_that_may_be_freed_when_used_without_a_reference_then_it_is_refused(
    program: str, says: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        scenario(program, pinned=False)
    assert f"group 't0'{says}" in str(refused.value)


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("dma", ": dma needs a page: put pin before it"),
        ("pin pin unpin", ": pin while it keeps the page of pin: unpin first"),
        ("pin pick:0 unpin", ": pick while it keeps the page of pin: unpin first"),
        ("2/pin", " keeps the page of pin and begins again: unpin at the end"),
        ("lock delete unlock", ": delete does not know page tables: use truncate"),
        ("fault", ": fault does not know page tables: use load or store"),
        ("fork:0", " forks to address space 0: the empty ones are 1 to 1; raise memory.children"),
    ],
)
def test_given_page_tables_when_a_program_makes_no_sense_then_it_is_refused_in_words(program: str, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        scenario(program, pages=2, memory={"maps": "shared", "children": 1})
    assert f"group 't0'{says}" in str(refused.value)


@pytest.mark.parametrize(
    ("memory", "more", "says"),
    [
        (None, {"mms": (1,)}, "group 't0' runs in address space 1: add workload.memory"),
        ({"maps": "shared"}, {"mms": (1,)}, "group 't0' runs in address space 1, but there are 1: raise mms"),
        ({"maps": "shared", "mms": 64, "children": 1}, {}, "65 address spaces; the limit is 64: lower memory.mms"),
        ({"maps": "shared"}, {"cached": False}, "memory maps pages of a file: leave cached true"),
        ({"maps": "shared", "mms": 5}, {"pages": 2**20}, "5242880 page table entries; the limit is 4194304: use fewer"),
        ({"maps": "anonymous", "mms": 3}, {}, "3 address spaces share 1 pages: each needs one; raise pages"),
        ({"maps": "anonymous"}, {"pages": 2, "program": "lock unlock"}, "lock is for pages of a file: memory.maps is"),
        ({"maps": "shared"}, {"program": "protect"}, "protect: no design protects pages; choose attachment"),
        (
            None,
            {"protect": {"design": "page_flag"}},
            "protect: page_flag protects pages that are mapped: add workload.",
        ),
        (
            {"maps": "shared"},
            {"protect": {"design": "attachment"}, "design": "page_wait", "wait": {"encoding": "E2"}},
            "page_wait takes every word of page->mapping with bit 0 for its own, and attachment sets that bit",
        ),
        (
            {"maps": "private"},
            {"design": "page_waiter", "wait": {"encoding": "E2"}},
            "page_waiter takes every word of page->mapping with bit 0 for its own, and anonymous pages set that bit",
        ),
        (
            {"maps": "anonymous", "mms": 2},
            {"pages": 5, "program": "pick:2 store"},
            "picks page 2, but there are 2 pages to pick from: raise pages or lower first and count",
        ),
        (
            {"maps": "shared"},
            {"protect": {"design": "exclusive_pte"}, "program": "protect"},
            "protect: exclusive_pte takes anonymous memory, and memory.maps is shared (EOPNOTSUPP)",
        ),
    ],
)
def test_given_address_spaces_that_are_not_there_then_it_is_refused_in_words(
    memory: dict[str, Any] | None, more: dict[str, Any], says: str
) -> None:
    given = dict(more)
    with pytest.raises(ValidationError) as refused:
        scenario(given.pop("program", "think:1"), memory=memory, **given)
    assert says in str(refused.value)


def test_every_operation_can_be_written_in_a_scenario_and_no_other() -> None:
    models = get_args(get_args(Op)[0])
    named = {model.__name__: set(get_args(model.model_fields["op"].annotation)) for model in models}
    assert set.union(*named.values()) == set(OPERATIONS)
    assert named["Plain"] == {name for name, op in OPERATIONS.items() if not op.parameters}
