"""Reading a run: itself, cast, events, windows, pages, streams. Included twice: open, and behind a share token."""

from __future__ import annotations

import functools
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from app import windows
from app.api.deps import FoundRun, PageRow, Size, address_of, hub_of, json_answer, pass_of, problems, store_of
from app.api.event_models import EventList, History, QueueMoment, Window
from app.api.models import Run
from app.refusals import Refusal
from app.sse import EventStream
from app.strict import LAST, StrictRoute, Whole
from engine.cast import Cast
from engine.events import Kind

router = APIRouter(tags=["reading"], route_class=StrictRoute)

STREAM_BATCH = 500
"""Events of one message of a stream."""


def _known_kind(name: str) -> str:
    if name not in Kind.__members__:
        raise PydanticCustomError("no_kind", "is no kind of event")
    return name


KindName = Annotated[
    str, AfterValidator(_known_kind), WithJsonSchema({"type": "string", "enum": [kind.name for kind in Kind]})
]
T0 = Annotated[Whole | None, Query(ge=0, le=LAST, description="begin of the window, ns; the run's begin if absent")]
T1 = Annotated[Whole | None, Query(ge=0, le=LAST, description="end of the window, ns; the run's end so far if absent")]
Row = Annotated[Whole | None, Query(ge=0, lt=2**32 - 1)]


def bounds(run: Any, t0: int | None, t1: int | None) -> tuple[int, int]:
    """Return the window that is asked for. Raises Refusal where it is empty."""
    begin = 0 if t0 is None else t0
    end = max(run.time_ns + 1, begin + 1) if t1 is None else t1
    if begin >= end:
        raise Refusal(422, "empty_window", f"the window is empty: t0 is {begin}, t1 is {end}", field="t1")
    return begin, end


@router.get("", responses=problems(404, 429))
def read_run(run: FoundRun) -> Run:
    """Return a run with its scenario and key figures."""
    return Run.of(run)


@router.get("/cast", responses=problems(404, 409, 429))
def read_cast(request: Request, run: FoundRun) -> Cast:
    """Return the names behind the row numbers of the events."""
    return store_of(request).cast(run.id)


@router.get("/events", response_model=None, responses={200: {"model": EventList}, **problems(404, 409, 422, 429)})
def list_events(
    request: Request,
    run: FoundRun,
    t0: T0 = None,
    t1: T1 = None,
    after_seq: Annotated[Whole | None, Query(ge=-1, le=LAST, description="only events after this one")] = None,
    kind: Annotated[list[KindName] | None, Query(max_length=30, description="may be repeated")] = None,
    task: Annotated[
        list[Annotated[Whole, Field(ge=0, lt=2**32 - 1)]] | None, Query(max_length=500, description="may be repeated")
    ] = None,
    page: Row = None,
    queue: Annotated[Whole | None, Query(ge=0, lt=2**32, description="waits and walks of this queue")] = None,
    count: Annotated[Whole, Query(ge=0, le=1, description="1: also return how many events fit")] = 0,
    size: Size = 100,
) -> Response:
    """Return events of a window in order: of some kinds, of some tasks, of one page, of one queue."""
    begin, end = bounds(run, t0, t1)
    kinds = [Kind[name] for name in kind] if kind else None
    wanted = windows.Filter(begin, end if t1 is not None else None, kinds, task, page, queue)
    store = store_of(request)
    found = windows.events(store, run.id, after_seq, wanted, size)
    answer = {"events": found, "next_after_seq": found.next_after_seq}
    return json_answer(answer | ({"total": windows.count(store, run.id, wanted)} if count else {}))


@router.get("/window", response_model=None, responses={200: {"model": Window}, **problems(404, 409, 422, 429)})
def read_window(
    request: Request,
    run: FoundRun,
    t0: T0 = None,
    t1: T1 = None,
    px: Annotated[Whole, Query(ge=1, le=5_000, description="columns of the picture")] = 1_000,
    parts: Annotated[
        str,
        Query(
            pattern="^(series|heat|lanes|totals)(,(series|heat|lanes|totals)){0,2}$",
            description="what to return, up to three",
        ),
    ] = "series",
    queue: Annotated[Whole | None, Query(ge=0, lt=2**32, description="a queue to be told of by itself")] = None,
    pages: Annotated[
        str,
        Query(
            pattern="^(hot:[0-9]{1,3}|file:[0-9]{1,9}|list:[0-9]{1,9}(,[0-9]{1,9}){0,255})$",
            description="pages of the lanes: the n hottest, a file's, or rows",
        ),
    ] = "hot:48",
) -> Response:
    """Return what a picture of a stretch of the run needs, px columns wide, whatever the number of events."""
    begin, end = bounds(run, t0, t1)
    asked = tuple(dict.fromkeys(parts.split(",")))
    return json_answer(windows.window(store_of(request), run, begin, end, px, asked, queue, pages))


@router.get(
    "/pages/{page}/history",
    response_model=None,
    responses={200: {"model": History}, **problems(404, 409, 422, 429)},
)
def read_history(
    request: Request, run: FoundRun, page: PageRow, t0: T0 = None, t1: T1 = None, size: Size = 200
) -> Response:
    """Return what happened to one page, with its mapping word and flags before and after each event."""
    begin, end = bounds(run, t0, t1)
    return json_answer(windows.history(store_of(request), run.id, page, begin, end, size))


@router.get(
    "/queues/{queue}",
    response_model=None,
    responses={200: {"model": QueueMoment}, **problems(404, 409, 422, 429)},
)
def read_queue(
    request: Request,
    run: FoundRun,
    queue: Annotated[Whole, Path(ge=0, lt=2**32, description="number of the queue")],
    t: Annotated[
        Whole | None, Query(ge=0, le=LAST, description="the instant, ns; the run's end so far if absent")
    ] = None,
    until: Annotated[
        Whole | None,
        Query(ge=0, le=LAST, description="take the instant from t to this one (ns) at which the queue is longest"),
    ] = None,
) -> Response:
    """Return which tasks stand in a queue at an instant, for which pages, first in line first."""
    time = run.time_ns if t is None else t
    return json_answer(windows.queue_at(store_of(request), run.id, queue, time, until))


@router.get(
    "/stream",
    status_code=200,
    response_class=EventStream,
    response_model=None,
    responses={
        200: {
            "description": "frames: an unnamed message (HTML) and `advance`; with events=1: `events`. "
            "`reset` for an id that is not known, `end` when the run has ended, `stop` when the server stops, `gone` "
            "when the run or the link is no more, `damaged` where stored events do not match their checksum.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **problems(404, 409, 422, 429),
    },
)
async def follow_run(
    request: Request,
    run: FoundRun,
    events: Annotated[Whole, Query(ge=0, le=1, description="1: every event, in order, resumable")] = 0,
    last_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=100)] = None,
) -> EventStream:
    """Follow a run as server-sent events: what is now, or every event in order."""
    hub, by = hub_of(request), pass_of(request)
    if events:
        store_of(request).event_format(run.id)  # newer events are refused before the stream begins
        read = functools.partial(_next_events, request, run.id)
        return hub.open(hub.events(run.id, read, last_id, by), address_of(request))
    return hub.open(hub.frames(run.id, last_id, by), address_of(request))


def _next_events(request: Request, run_id: str, after: int) -> list[dict[str, Any]]:
    return windows.events(store_of(request), run_id, after_seq=after, limit=STREAM_BATCH)
