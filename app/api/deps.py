"""Dependencies of the API's handlers: the store, the run of a path, declared errors."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request, Response
from pydantic_core import to_json

from app.problems import Problem
from app.refusals import Refusal
from app.store import RunRow, ShareRow, Store
from app.stream import Hub, Pass
from app.strict import Whole

RUN_ID = r"^[0-9a-f]{12}$"
RunId = Annotated[str, Path(pattern=RUN_ID, description="12 hex digits", examples=["3f9c0a51b7e2"])]
Token = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{20,80}$", description="secret of a share link")]
PageRow = Annotated[Whole, Path(ge=0, lt=2**32 - 1, description="row of the cast's pages")]
Size = Annotated[int, Query(alias="_size", ge=1, le=1_000, description="max. items in the response")]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the declaration of errors for OpenAPI."""
    return {status: {"model": Problem} for status in statuses}


def store_of(request: Request) -> Store:
    """Return the store of this server."""
    store: Store = request.app.state.store
    return store


def hub_of(request: Request) -> Hub:
    """Return the streams of this server."""
    hub: Hub = request.app.state.hub
    return hub


def address_of(request: Request) -> str:
    """Return the client address, by which limits are counted."""
    return request.client.host if request.client else "-"


def count_cancel(request: Request) -> None:
    """Take one token from the address's bucket for cancellations and deletions, whether by API or by form.

    Raises Refusal when the bucket is empty.
    """
    cancels = request.app.state.cancels
    if not cancels.take(address_of(request)):
        detail = f"too many cancellations and deletions: at most {cancels.per_minute} per minute"
        raise Refusal(429, "too_many_cancels", detail, limit=cancels.per_minute)


CountedCancel = Depends(count_cancel)


def open_share(request: Request, token: Token) -> None:
    """Admit the holder of a share link; wrong, revoked and expired tokens get the same 404 (the guard counts them)."""
    share = store_of(request).by_token(token)
    if share is None:
        raise no_share()
    request.state.share = share


def no_share() -> Refusal:
    return Refusal(404, "not_found", "no such address")


def find_run(request: Request, run_id: RunId) -> RunRow:
    """Return the run of the path; behind a token, only a run shared by it."""
    shared = "token" in request.path_params
    if shared:
        # A malformed token is never looked up: then there is no share.
        share: ShareRow | None = getattr(request.state, "share", None)
        if share is None or run_id not in shared_ids(share):
            raise no_share()
    row = store_of(request).run(run_id)
    if row is None:
        raise no_share() if shared else Refusal(404, "no_run", f"there is no run {run_id}", field="run_id")
    return row


def shared_ids(share: ShareRow) -> list[str]:
    """Return the runs shared by a link."""
    return [name for name in share.names if "/" not in name]


def pass_of(request: Request) -> Pass | None:
    """Return the pass that a stream behind a token must recheck, None for a stream without a token."""
    if "token" not in request.path_params:
        return None
    token, run_id, store = request.path_params["token"], request.path_params["run_id"], store_of(request)

    def good() -> bool:
        share = store.by_token(token)
        return share is not None and run_id in shared_ids(share)

    return Pass(f"{request.state.share.id}/{run_id}", good)


def json_answer(value: Any, headers: dict[str, str] | None = None) -> Response:
    """Return a large response as JSON without validating it against its model; NaN becomes null."""
    return Response(to_json(value, inf_nan_mode="null"), media_type="application/json", headers=headers)


FoundRun = Annotated[RunRow, Depends(find_run)]
