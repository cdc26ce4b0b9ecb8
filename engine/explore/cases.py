"""The matrix "breaks under": which design breaks which invariant, and what each litmus test shows, kernel by kernel.

ROWS are designs with their options, COLUMNS are questions, each with the smallest scenario that can answer it. A cell
is one exploration; columns that ask different things of the same scenario share it. What kernel developers expect of a
cell stands beside it where it is known: a verdict that differs is told, not hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from engine.designs import DESIGNS
from engine.designs.card import Card
from engine.invariants import INVARIANTS, WITNESSES
from engine.kernels import KERNELS as PROFILES

NEVER, SOMETIMES, NOT_EXPLORED = "Never", "Sometimes", "not explored"
KERNELS = tuple(PROFILES)
OLD = ("4.13", "4.16")
ONCE = ("5.9-rc", "5.9", "5.10")
"""Kernels that wait for writeback once, and do not look again."""
DEFAULT_KERNEL = "6.1"
PLAN = {"search": "bfs", "reduction": "all"}


_AT_END = {one.name for one in INVARIANTS if one.at_end}
"""Seen where a way has ended: they cut nothing off."""


class Row(NamedTuple):
    """A design with its options, as parts of a scenario."""

    title: str
    axes: dict[str, Any]

    @property
    def card(self) -> Card:
        """The wait design's card."""
        return DESIGNS[self.axes["wait"]["design"]]

    @property
    def swaps(self) -> bool:
        """Whether a structure is swapped into page->mapping."""
        return self.card.tag_bits(self._options) != 0

    @property
    def hands_over(self) -> bool:
        """Whether the page lock is waited for on the design's own path, and handed over there."""
        return self.card.lock_step is not None

    @property
    def shares(self) -> bool:
        """Whether waiters of different pages sit in one queue, those for the lock too."""
        return self.card.shared_queues(self._options) > 0 and not self.hands_over

    @property
    def _options(self) -> Any:
        return self.card.options.model_validate(self.axes["wait"])


class Column(NamedTuple):
    """A question, and the programs that can answer it: a task each, "3*" for three of them, "2/" for two rounds.

    asks: an invariant or a witness. expected: the verdict that is known for a row and a kernel, None where none is.
    """

    title: str
    source: str
    asks: str
    programs: tuple[str, ...]
    more: dict[str, Any]
    applies: Callable[[Row], bool]
    expected: Callable[[Row, str], str | None]

    @property
    def question(self) -> str:
        """The question in words."""
        return says(self.asks)

    @property
    def error(self) -> bool:
        """Whether what is asked for is an error; a litmus test may ask for what is allowed."""
        return any(one.name == self.asks for one in INVARIANTS)


class Cell(NamedTuple):
    """One exploration and what is asked of it. subject: a scenario; question: an invariant or a witness."""

    subject: dict[str, Any]
    plan: dict[str, Any]
    question: str
    expected: str | None


class Verdict(NamedTuple):
    """A cell's word; why: what it rests on, or why it is not known; schedule: to what was asked for, as a word."""

    word: str
    expected: str | None
    why: str
    schedule: str | None
    loop: str | None = None

    @property
    def surprising(self) -> bool:
        """Whether another verdict was expected."""
        return self.expected is not None and self.word in {NEVER, SOMETIMES} and self.word != self.expected


@cache
def says(name: str) -> str:
    """Return what an invariant or a witness says, in words."""
    known = {one.name: one.says for one in INVARIANTS} | dict(WITNESSES)
    return known[name]


# --- rows ------------------------------------------------------------------------------------------------------------


def _rows() -> dict[str, Row]:
    """Return the rows that the cards of the wait axis ask for."""
    return {
        key: Row(title, {"wait": {"design": name, **options}, "truncate": {"design": truncate}})
        for name, card in DESIGNS.items()
        for key, title, truncate, options in card.matrix
    }


ROWS: dict[str, Row] = _rows()


# --- columns ---------------------------------------------------------------------------------------------------------


def _always(row: Row) -> bool:
    return True


def _swaps(row: Row) -> bool:
    return row.swaps


def _shares(row: Row) -> bool:
    return row.shares


def _woken(row: Row) -> bool:
    return not row.hands_over


def _is(word: str) -> Callable[[Row, str], str | None]:
    return lambda row, kernel: word


def _in(*kernels: str, elsewhere: str | None = NEVER) -> Callable[[Row, str], str | None]:
    """Sometimes in these kernels, with any wait design of the kernel's own kind."""
    return lambda row, kernel: SOMETIMES if kernel in kernels else elsewhere


_WRITER = "lock writeback_begin unlock writeback_end"
_MIXED = ("write", "truncate", "lock unlock")
"""A writer, a truncation and one who only waits: what the invariants are looked for in."""


def _invariant(name: str, programs: tuple[str, ...] = _MIXED) -> Column:
    def expected(row: Row, kernel: str) -> str | None:
        return None if row.swaps else NEVER

    return Column(name.replace("_", " "), "invariant", name, programs, {}, _always, expected)


def _raw_null_fails(row: Row, kernel: str) -> str | None:
    """A raw word that is not NULL is no proof where a structure is swapped in, nor a mapping that came back."""
    if row.axes["wait"].get("variant") == "posted":
        return SOMETIMES
    return SOMETIMES if row.swaps and row.axes["truncate"]["design"] == "raw_null" else NEVER


def _restarts(row: Row, kernel: str) -> str | None:
    """A tagged word differs from the file's address as long as anybody waits. Before 5.9 the lock alone can starve."""
    if kernel in OLD or row.hands_over:
        return None
    reads = row.axes["truncate"]["design"] == "compare" or row.axes["wait"].get("encoding", "E1") != "E1"
    return SOMETIMES if row.swaps and reads else NEVER


def _only(**option: str) -> Callable[[Row, str], str | None]:
    """Sometimes where the wait design has this option, Never with the design at its best, elsewhere not known."""
    ((name, value),) = option.items()

    def expected(row: Row, kernel: str) -> str | None:
        if row.axes["wait"].get(name) == value:
            return SOMETIMES
        return NEVER if not set(row.axes["wait"]) - {"design", "bits", "variant"} else None

    return expected


def _stolen(row: Row, kernel: str) -> str | None:
    """5.9-rc hands the lock over always, and so do the posted structures but for one window."""
    if row.hands_over:
        return None
    return NEVER if kernel == "5.9-rc" else SOMETIMES


def _posted_loses(row: Row, kernel: str) -> str | None:
    return SOMETIMES if row.axes["wait"].get("variant") == "posted" else NEVER


def _unreachable(row: Row, kernel: str) -> str | None:
    """The text as posted loses wake-ups whoever writes."""
    return SOMETIMES if row.axes["wait"].get("variant") == "posted" else _only(writers="plain")(row, kernel)


COLUMNS: dict[str, Column] = {
    **{
        name: _invariant(name)
        for name in (
            "lost_wakeup",
            "use_after_free",
            "mapping_lost",
            "truncated_written",
            "two_owners",
            "counts",
            "leak",
            "queue_length",
            "page_survives",
            "wrong_identity",
        )
    },
    "L-1": Column(
        "L-1 lost wake-up at the lock", "litmus", "lost_wakeup", ("3*lock unlock",), {}, _always, _posted_loses
    ),
    "L-2": Column("L-2 stealing", "litmus", "lock_stolen", ("2/lock unlock", "2*lock unlock"), {}, _always, _stolen),
    "L-2 often": Column(
        "L-2 more than five steals",
        "litmus",
        "stolen_often",
        ("8/lock unlock", "lock unlock"),
        {},
        _always,
        _in(*OLD),
    ),
    "L-3": Column(
        "L-3 re-queue at the tail",
        "litmus",
        "requeued_at_tail",
        ("2/lock unlock", "2*lock unlock"),
        {},
        _woken,
        _in(*OLD, "5.9", "5.10", "6.1", "6.7+"),
    ),
    "L-4": Column(
        "L-4 shared waiter, bit taken again",
        "litmus",
        "returned_bit_set",
        ("2/lock unlock", "wait_locked"),
        {},
        _always,
        _in(*ONCE, "6.1", "6.7+"),
    ),
    "L-5": Column(
        "L-5 mixed queue",
        "litmus",
        "lost_wakeup",
        ("lock unlock", "2*wait_locked", "lock unlock"),
        {},
        _always,
        _posted_loses,
    ),
    "L-6": Column(
        "L-6 strangers in the queue",
        "litmus",
        "walk_met_strangers",
        ("2*pick:0 lock unlock", "2*pick:2 lock unlock"),
        {"pages": 3},
        _always,
        lambda row, kernel: SOMETIMES if row.shares else NEVER,
    ),
    "L-7": Column(
        "L-7 stale PG_waiters",
        "litmus",
        "stale_waiters_flag",
        ("2*pick:0 lock unlock", "2*pick:2 lock unlock"),
        {"pages": 3},
        _shares,
        _is(SOMETIMES),
    ),
    "W-1": Column("W-1 writeback wake race", "litmus", "bug_on", (f"3*{_WRITER}",), {}, _always, _in(*ONCE)),
    "T-1": Column(
        "T-1 lookup against truncation",
        "litmus, claims 9, 10 and 11",
        "wrong_identity",
        ("lookup_locked unlock put", "truncate_page", "lock unlock"),
        {},
        _always,
        _raw_null_fails,
    ),
    "T-2": Column(
        "T-2 fault against truncation", "litmus", "stranded_pte", ("fault", "truncate"), {}, _always, _is(NEVER)
    ),
    "T-3": Column(
        "T-3 lockers behind a truncation that waits",
        "litmus",
        "wait_holding_lock",
        (_WRITER, "truncate", "lock unlock"),
        {},
        _always,
        _is(SOMETIMES),
    ),
    "T-3 restart": Column(
        "T-3 truncation restarts for ever",
        "litmus, claim 33",
        "starvation",
        ("~/lock unlock think", "truncate"),
        {},
        _always,
        _restarts,
    ),
    "W-2": Column(
        "W-2 page freed before its waiters are woken",
        "litmus",
        "use_after_free",
        ("lookup lock writeback_begin unlock put writeback_end", "truncate"),
        {"pinned": False},
        _shares,
        _in("4.13", "4.16", "5.9-rc", "5.9"),
    ),
    "GW-1": Column(
        "GW-1 unlock against a waiter that publishes",
        "litmus, claim 34",
        "lost_wakeup",
        ("2*lock unlock",),
        {},
        _swaps,
        _only(variant="posted"),
    ),
    "GW-2": Column(
        "GW-2 a plain store over the tagged word",
        "litmus, claim 3",
        "lost_wakeup",
        ("truncate_page", "lock unlock"),
        {},
        _swaps,
        _unreachable,
    ),
    "GW-3": Column(
        "GW-3 followers restore their own copy",
        "litmus, claim 3",
        "mapping_resurrected",
        ("truncate_page", "2*lock unlock"),
        {},
        _swaps,
        _only(variant="posted"),
    ),
    "GW-4": Column(
        "GW-4 migration copies the tagged word",
        "litmus, claim 3",
        "shared_wait",
        ("pick:1 lookup_locked delete unlock put pick:0 migrate_page:1", "pick:0 lock unlock"),
        {"pages": 2},
        _swaps,
        _only(writers="plain"),
    ),
    "GW-5": Column(
        "GW-5 two attach at once",
        "litmus, claim 3",
        "leak",
        ("lock unlock", "2*lock unlock"),
        {},
        _swaps,
        _is(NEVER),
    ),
    "GW-6": Column(
        "GW-6 the last waiter leaves as another comes",
        "litmus, claim 3",
        "use_after_free",
        ("lock unlock", "2*lock unlock"),
        {},
        _swaps,
        _only(free="early"),
    ),
}


def _place(name: str) -> int:
    """What decides the debate stands first; the invariants, each asked of one mixed scenario, last."""
    return next((at for at, kind in enumerate(("T-", "GW-", "W-", "L-")) if name.startswith(kind)), 4)


COLUMNS = {name: COLUMNS[name] for name in sorted(COLUMNS, key=_place)}


# --- cells -----------------------------------------------------------------------------------------------------------


def cell(row: str, column: str, kernel: str) -> Cell | None:
    """Return a cell's exploration, None where the question makes no sense for the design. Raises KeyError."""
    asked, design = COLUMNS[column], ROWS[row]
    if not asked.applies(design):
        return None
    groups = [_group(number, text) for number, text in enumerate(asked.programs)]
    pages = asked.more.get("pages", 1)
    workload = {"kind": "tasks", "pages": pages, "groups": groups, **asked.more, "cached": True}
    subject = {
        "format": "scenario/2",
        "name": f"{'; '.join(asked.programs)} · {design.title} · {kernel}",
        "kernel": kernel,
        **design.axes,
        "workload": workload,
    }
    plan = PLAN | {"promises": asked.asks == "starvation"}
    return Cell(subject, plan, asked.asks, asked.expected(design, kernel))


def _group(number: int, text: str) -> dict[str, Any]:
    """Return a group of tasks: "3*2/lock unlock" is three tasks that go through it twice, "~/" for ever."""
    tasks, _, rest = text.rpartition("*")
    rounds, _, ops = rest.rpartition("/")
    repeat = None if rounds == "~" else int(rounds or 1)
    program = [_op(op) for op in ops.split()]
    return {"name": _NAMES[number], "tasks": int(tasks or 1), "repeat": repeat, "program": program}


_NAMES = ("first", "second", "third", "fourth", "fifth")


def _op(text: str) -> dict[str, Any]:
    name, _, number = text.partition(":")
    if name == "pick":
        return {"op": name, "zipf": 0.0, "first": int(number), "count": 1}
    if name == "migrate_page":
        return {"op": name, "to": int(number)}
    return {"op": name, "mean_ns": 1} if name == "think" else {"op": name}


def judged(asked: Cell, answer: dict[str, Any]) -> Verdict:
    """Return the verdict of a cell, from the answer of its exploration."""
    bounds, broken = answer["bounds"], answer["broken"]
    within = (
        f"{answer['states']:,} states, {bounds['processes']} tasks, {bounds['search']}, reduction {bounds['reduction']}"
    )
    if asked.question == "starvation":
        live = answer["liveness"]
        if live is not None and live["loop"]:
            return Verdict(SOMETIMES, asked.expected, within, live["stem"], live["loop"])
        if live is not None and live["holds"] and not broken:
            return Verdict(NEVER, asked.expected, within, None)
    elif seen := {**broken, **answer["witnessed"]}.get(asked.question):
        return Verdict(SOMETIMES, asked.expected, f"in {seen['steps']} steps; {within}", seen["schedule"])
    if not bounds["complete"]:
        return Verdict(NOT_EXPLORED, asked.expected, f"cut by the limit of {bounds['stopped_by']}; {within}", None)
    cuts = [name for name in broken if name not in _AT_END] or list(broken) * (asked.question == "starvation")
    if cuts:
        first = min(cuts, key=lambda name: int(broken[name]["steps"])).replace("_", " ")
        return Verdict(
            NOT_EXPLORED, asked.expected, f"no way is followed past another failure ({first}); {within}", None
        )
    if asked.question == "starvation":
        return Verdict(NOT_EXPLORED, asked.expected, f"not looked for; {within}", None)
    return Verdict(NEVER, asked.expected, within, None)
