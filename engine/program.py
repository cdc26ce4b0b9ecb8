"""OPERATIONS: what a task can do, one row per operation.

Scenario checks, the player, the shrinker, litmus tests and this project's tests read it. The steps of an operation are
in engine/mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, Flag, auto
from types import MappingProxyType
from typing import Any, NamedTuple


class Held(Flag):
    """What a task may hold between two operations."""

    NOTHING = 0
    LOCK = auto()
    REFERENCE = auto()
    WRITEBACK = auto()
    PIN = auto()
    """A reference taken by get_user_pages()."""
    PAGE = auto()
    """A page that a device has protected."""


class Page(Enum):
    """Which page an operation works on."""

    CHOSEN = auto()
    CHOOSES = auto()
    """The operation chooses the page for those after it."""
    ALL = auto()
    """It works through all pages of the file; no page is chosen afterwards."""
    NONE = auto()


class Argument(Enum):
    """What the argument word of an operation's first step holds (engine.world.state.Program.arg)."""

    NOTHING = auto()
    MEAN_NS = auto()
    PICK = auto()
    """Row of the table of picks."""
    SECOND_PAGE = auto()
    MM = auto()
    """An address space."""
    COUNT = auto()
    """A number of pages."""
    BYTES = auto()
    """Size of a word."""
    PUT = auto()
    """Index of the put that ends the lookup: the task continues after it if the lookup finds no page."""
    PUT_IF_FREEABLE = auto()
    """Like PUT, in workloads whose pages may be freed."""


class Operation(NamedTuple):
    """An operation; step: the name of its first step in engine.mm.steps."""

    name: str
    step: str
    needs: Held = Held.NOTHING
    """What must be held, or the kernel would hit a BUG_ON. A reference is needed only where pages may be freed."""
    forbids: Held = Held.NOTHING
    """What must not be held: the task would wait for itself, or lose track of a page."""
    takes: Held = Held.NOTHING
    drops: Held = Held.NOTHING
    argument: Argument = Argument.NOTHING
    page: Page = Page.CHOSEN
    pinned: bool = False
    """Only for workloads whose pages are pinned."""
    mapped: bool | None = None
    """True: only for workloads with address spaces; False: only for those without."""
    device: bool | None = None
    """True: only for groups that are a device; False: only for those that are none."""
    mapped_step: str = ""
    """Its first step in workloads with address spaces, if it is another one there."""

    @property
    def parameters(self) -> bool:
        """Whether it has parameters besides its name in a scenario."""
        return self.argument in {
            Argument.MEAN_NS,
            Argument.PICK,
            Argument.SECOND_PAGE,
            Argument.MM,
            Argument.COUNT,
            Argument.BYTES,
        }

    @property
    def pauses(self) -> bool:
        """Whether it only lets time pass."""
        return self.argument is Argument.MEAN_NS


LOCK, REFERENCE, WRITEBACK, PIN = Held.LOCK, Held.REFERENCE, Held.WRITEBACK, Held.PIN
PROTECTED = Held.PAGE
BOTH = LOCK | REFERENCE

_ROWS = (
    Operation("think", "THINK", argument=Argument.MEAN_NS, page=Page.NONE),
    Operation("pick", "PICK", forbids=BOTH, argument=Argument.PICK, page=Page.CHOOSES),
    Operation("hold", "HOLD", argument=Argument.MEAN_NS, page=Page.NONE),
    Operation("migrate_page", "MIGRATE", forbids=BOTH, argument=Argument.SECOND_PAGE, mapped=False),
    Operation("lock", "LOCK_PAGE", needs=REFERENCE, forbids=LOCK, takes=LOCK),
    Operation("unlock", "UNLOCK_PAGE", needs=BOTH, drops=LOCK),
    Operation("wait_locked", "WAIT_ON_LOCKED", needs=REFERENCE, forbids=LOCK),
    Operation("wait_writeback", "WAIT_ON_WRITEBACK", needs=REFERENCE),
    Operation("writeback_begin", "WRITEBACK_BEGIN", needs=BOTH, takes=WRITEBACK, mapped_step="WRITEBACK_MAPPED"),
    Operation("writeback_end", "WRITEBACK_END", drops=WRITEBACK),
    Operation("dirty", "SET_DIRTY", needs=REFERENCE),
    Operation("insert", "INSERT", needs=LOCK, pinned=True, mapped=False),
    Operation("delete", "DELETE", needs=BOTH, mapped=False),
    Operation("lookup", "LOOKUP", forbids=REFERENCE, takes=REFERENCE, argument=Argument.PUT_IF_FREEABLE),
    Operation("put", "PUT", drops=REFERENCE),
    Operation("truncate_page", "TRUNCATE", needs=REFERENCE, forbids=LOCK, mapped=False),
    Operation("lookup_locked", "LOOKUP_LOCKED", forbids=BOTH, takes=BOTH, argument=Argument.PUT),
    Operation("write", "WRITE", forbids=BOTH, device=False),
    Operation("fault", "FAULT", forbids=BOTH, mapped=False),
    Operation("truncate", "TRUNCATE_RANGE", forbids=BOTH | PIN | PROTECTED, page=Page.ALL, device=False),
    Operation("load", "LOAD", forbids=BOTH, mapped=True, device=False),
    Operation("store", "STORE", forbids=BOTH, mapped=True, device=False),
    Operation("pin", "PIN", forbids=BOTH | PIN | PROTECTED, takes=PIN, mapped=True),
    Operation("dma", "DMA", needs=PIN, mapped=True),
    Operation("unpin", "UNPIN", needs=PIN, drops=PIN, mapped=True),
    Operation("protect", "PROTECT", forbids=BOTH | PIN | PROTECTED, takes=PROTECTED, mapped=True),
    Operation("device_write", "DEVICE_WRITE", needs=PROTECTED, mapped=True),
    Operation("device_read", "DEVICE_READ", forbids=BOTH | PIN | PROTECTED, mapped=True, device=True),
    Operation("prefetch", "PREFETCH", forbids=BOTH | PIN | PROTECTED, mapped=True, device=True),
    Operation("atomic", "ATOMIC", forbids=BOTH | PIN, argument=Argument.BYTES, mapped=True, device=True),
    Operation("emulated_atomic", "EMULATED_ATOMIC", forbids=BOTH | PIN, mapped=True, device=True),
    Operation("unprotect", "UNPROTECT", needs=PROTECTED, forbids=BOTH, drops=PROTECTED, mapped=True),
    Operation("fork", "FORK", forbids=BOTH, argument=Argument.MM, page=Page.NONE, mapped=True, device=False),
    Operation("migrate", "MIGRATE_ANON", forbids=BOTH | PIN | PROTECTED, mapped=True, device=False),
    Operation("reclaim", "RECLAIM", forbids=BOTH | PIN | PROTECTED, argument=Argument.COUNT, mapped=True, device=False),
    Operation("ksm_scan", "KSM_SCAN", argument=Argument.COUNT, page=Page.ALL, mapped=True, device=False),
    Operation("unmerge", "KSM_UNMERGE", forbids=BOTH, mapped=True, device=False),
)
OPERATIONS: MappingProxyType[str, Operation] = MappingProxyType({row.name: row for row in _ROWS})
"""Name -> operation."""


OF_MOVABLE = frozenset({"think", "pick", "hold", "lock", "unlock", "wait_locked", "migrate_page"})
"""Operations on a driver's movable pages."""


def of_files(name: str) -> bool:
    """Return whether an operation is for pages of a file only."""
    return OPERATIONS[name].mapped is not True and OPERATIONS[name].page is not Page.NONE and name != "pick"


PLAIN = tuple(row.name for row in _ROWS if not row.parameters)
"""Operations written as a name only."""


def put_after(program: Sequence[str], place: int) -> int:
    """Return the index of the put that ends the lookup at index `place` of a program, given as names."""
    return program.index("put", place + 1)


def ends_with_put(name: str, *, pinned: bool) -> bool:
    """Return whether an operation takes as its argument the put that ends it."""
    argument = OPERATIONS[name].argument
    return argument is Argument.PUT or (argument is Argument.PUT_IF_FREEABLE and not pinned)


_KEPT = ((PIN, "pin", "unpin"), (PROTECTED, "protect", "unprotect"))
"""What is kept across operations on other pages, the operation that takes it, and the one that drops it."""
_INSTEAD = {
    "migrate_page": "use migrate, for anonymous memory",
    "insert": "pages stay in their file, so leave it out",
    "delete": "use truncate",
    "truncate_page": "use truncate",
    "fault": "use load or store",
}
"""Operation without page tables -> the remedy where there are some."""


def check_program(
    label: str, program: Sequence[str], *, repeat: int | None, pages: int, pinned: bool, mapped: bool = False
) -> None:
    """Reject a program, given as names, that would hit a BUG_ON in the kernel or sleep forever.

    label: begins each message; repeat: times through the program, None for ever; mapped: whether the workload has
    address spaces. Raises ValueError.
    """
    for name in program:
        if OPERATIONS[name].mapped is True and not mapped:
            raise ValueError(f"{label}: {name} goes through page tables: add workload.memory")
        if OPERATIONS[name].mapped is False and mapped:
            raise ValueError(f"{label}: {name} does not know page tables: {_INSTEAD[name]}")
    _check_held(label, program, repeat)
    _check_references(label, program, pages=pages, pinned=pinned)


def _check_held(label: str, program: Sequence[str], repeat: int | None) -> None:
    held = Held.NOTHING
    for name in program:
        op = OPERATIONS[name]
        if REFERENCE in op.forbids & held:
            raise ValueError(f"{label}: {name} while it has a page looked up: put it first")
        if LOCK in op.needs & ~held:
            raise ValueError(f"{label}: {name} needs the page lock: put lock before it")
        if LOCK in op.forbids & held and op.page is not Page.CHOOSES:
            raise ValueError(f"{label}: {name} while holding the lock waits for itself: unlock first")
        if LOCK in op.forbids & held:
            raise ValueError(f"{label}: {name} while holding a page lock would unlock another page: unlock first")
        for kept, took, drops in _KEPT:
            if kept in op.needs & ~held:
                raise ValueError(f"{label}: {name} needs a page: put {took} before it")
            if kept in held and (kept in op.forbids or op.page is Page.CHOOSES):
                raise ValueError(f"{label}: {name} while it keeps the page of {took}: {drops} first")
        held = held & ~op.drops | op.takes
    for kept, took, drops in _KEPT:
        if kept in held and repeat != 1:
            raise ValueError(f"{label} keeps the page of {took} and begins again: {drops} at the end")
    if REFERENCE in held and repeat != 1:
        raise ValueError(f"{label} ends with a page looked up and begins again: put it at the end")
    if LOCK in held and repeat != 1:
        raise ValueError(f"{label} ends with the page locked and begins again: unlock at the end")
    if repeat is None and not any(OPERATIONS[name].pauses for name in program):
        raise ValueError(f"{label} lets no time pass and never ends: add a think or a hold")


def _check_references(label: str, program: Sequence[str], *, pages: int, pinned: bool) -> None:
    held, chosen = Held.NOTHING, True
    for i, name in enumerate(program):
        op = OPERATIONS[name]
        held = held & ~op.drops | op.takes
        if ends_with_put(name, pinned=pinned):
            unlocks, rest = LOCK in op.takes, program[i + 1 :]
            if "put" not in rest or (unlocks and "unlock" not in rest[: rest.index("put")]):
                raise ValueError(f"{label}: {name} without {'unlock and put' if unlocks else 'put'}: put them after it")
        if not pinned and REFERENCE in op.needs & ~held:
            raise ValueError(f"{label}: {name} of a page that may be freed: look it up first")
        if not pinned and op.pinned:
            raise ValueError(f"{label}: {name} needs pages that stay: leave pinned true")
        chosen = op.page is Page.CHOOSES or (chosen and op.page is not Page.ALL)
        if pages > 1 and not chosen and op.page not in (Page.ALL, Page.NONE):
            raise ValueError(f"{label}: truncate works through all pages: pick one again after it")


# --- programs in one line --------------------------------------------------------------------------------------------


def group_of(name: str, text: str, *, mean_ns: int = 1_000) -> dict[str, Any]:
    """Return a scenario's group of tasks from one line: "3*2/lock hold:10 unlock" is three tasks, twice each.

    "~/" repeats for ever. The number after an operation is its mean in ns (mean_ns if absent), the page to migrate to,
    the address space to fork to, the pages to scan, or the page to pick; a pick without one takes any page.
    """
    tasks, _, rest = text.rpartition("*")
    rounds, _, operations = rest.rpartition("/")
    repeat = None if rounds == "~" else int(rounds or 1)
    program = [_operation(one, mean_ns) for one in operations.split()]
    return {"name": name, "tasks": int(tasks or 1), "repeat": repeat, "program": program}


def _operation(text: str, mean_ns: int) -> dict[str, Any]:
    name, _, number = text.partition(":")
    match OPERATIONS[name].argument:
        case Argument.MEAN_NS:
            return {"op": name, "mean_ns": int(number or mean_ns)}
        case Argument.SECOND_PAGE | Argument.MM:
            return {"op": name, "to": int(number)}
        case Argument.BYTES:
            return {"op": name, **({"bytes": int(number)} if number else {})}
        case Argument.COUNT:
            return {"op": name, **({"pages": int(number)} if number else {})}
        case Argument.PICK:
            return {"op": name, "zipf": 0.0, **({"first": int(number), "count": 1} if number else {})}
    return {"op": name}
