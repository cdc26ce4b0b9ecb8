"""REST: health, versions and limits of the server."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.deps import problems, store_of
from app.api.models import Health, Version
from app.strict import StrictRoute
from app.versions import product_version
from engine import VERSION
from engine.events import FORMAT as EVENT_FORMAT
from engine.operations import PAGES_MAX
from engine.scenario import EVENTS_MAX, TIME_MAX_NS
from engine.scenario import FORMAT as SCENARIO_FORMAT
from engine.workloads import TASKS_MAX

router = APIRouter(tags=["service"], route_class=StrictRoute)


@router.get("/health", responses={503: {"model": Health, "description": "degraded"}})
def read_health(request: Request, response: Response) -> Health:
    """Report whether runs can be read and started; 503 with the reason if not."""
    trouble = trouble_of(request)
    response.status_code = 503 if trouble else 200
    return Health(status="degraded" if trouble else "ok", detail=trouble)


def trouble_of(request: Request) -> str | None:
    """Return what keeps runs from being read or started, in one line; None if nothing does."""
    try:
        return store_of(request).trouble() or None
    except Exception as error:
        return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


@router.get("/version", responses=problems())
def read_version(request: Request) -> Version:
    """Report the versions, and the limits on requests and scenarios."""
    limits = request.app.state.limits._asdict()
    most = {"scenario_events": EVENTS_MAX, "scenario_pages": PAGES_MAX, "scenario_tasks": TASKS_MAX}
    return Version(
        version=product_version(),
        engine=VERSION,
        event_format=EVENT_FORMAT,
        scenario_format=SCENARIO_FORMAT,
        limits={**limits, **most, "scenario_time_ns": TIME_MAX_NS},
    )
