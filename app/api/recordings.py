"""REST: upload, list and read recordings of real kernels."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from app.api.deps import CountedCancel, problems, store_of
from app.api.models import Recording, RecordingList
from app.refusals import Refusal
from app.strict import StrictRoute
from app.uploads import RAW, Uploads

router = APIRouter(tags=["recordings"], route_class=StrictRoute)

RecordingId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="the first 12 hex digits of its SHA-256")]
BINARY = {"schema": {"type": "string", "format": "binary"}}
FORM = {
    "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}, "required": ["file"]}
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "ftrace, trace-cmd report, perf script or bpftrace text; plain, .gz or .zst",
        "content": {"multipart/form-data": FORM, **dict.fromkeys(RAW, BINARY)},
    }
}


@router.post(
    "/recordings",
    status_code=201,
    openapi_extra=BODY,
    responses=problems(400, 403, 408, 413, 415, 422, 429, 503, 507),
)
async def add_recording(
    request: Request,
    response: Response,
    name: Annotated[str | None, Query(min_length=1, max_length=200, description="the file's name if absent")] = None,
) -> Recording:
    """Import a recording and return a report of what was used, skipped and lost. The same file gives the same id."""
    uploads: Uploads = request.app.state.uploads
    recording_id = await uploads.take(request, name)
    row = store_of(request).recording(recording_id)
    assert row is not None, "what was just stored is there"
    response.headers["Location"] = f"/api/v1/recordings/{row.id}"
    return Recording.of(row)


@router.delete(
    "/recordings/{recording_id}",
    status_code=204,
    response_class=Response,
    responses=problems(403, 404, 409, 429),
    dependencies=[CountedCancel],
)
def delete_recording(request: Request, recording_id: RecordingId) -> Response:
    """Delete a recording. Runs of it that have ended stay, but cannot be played again."""
    store_of(request).delete_recording(recording_id)
    return Response(status_code=204)


@router.get("/recordings")
def list_recordings(request: Request) -> RecordingList:
    """List the recordings, newest first."""
    return RecordingList(recordings=[Recording.of(row) for row in store_of(request).recordings()])


@router.get("/recordings/{recording_id}", responses=problems(404))
def read_recording(request: Request, recording_id: RecordingId) -> Recording:
    """Return a recording's report."""
    row = store_of(request).recording(recording_id)
    if row is None:
        raise Refusal(404, "no_recording", f"there is no recording {recording_id}", field="recording_id")
    return Recording.of(row)
