"""The web server: create_app() lists every route."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import Depends, FastAPI
from fastapi.middleware.gzip import GZipMiddleware

from app import anatomy, designs, device_profiles, docs, explorations, forms, lists, matrix, pages, problems, sharing
from app import recordings as recordings_page
from app.api import catalogue, reading, recordings, runs, service, shares
from app.api import explorations as explorations_api
from app.api import matrix as matrix_api
from app.api.deps import open_share
from app.api.description import describe, operation_id
from app.files import Files
from app.guard import Guard
from app.limits import Limits, Quota, limits_of
from app.rendering import error_page, wants_html
from app.settings import Settings
from app.stepping import Stepper
from app.store import Store
from app.stream import Hub
from app.uploads import Uploads
from app.versions import product_version

V1 = "/api/v1"


def create_app(settings: Settings, store: Store, limits: Limits | None = None) -> FastAPI:
    """Return the application. The caller closes the store."""
    limits = limits or limits_of(settings)
    hub = Hub(store, limits, pages.status_line)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        hub.stop()
        app.state.stepper.stop()

    app = FastAPI(
        title="Folioscope",
        version=product_version(),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        generate_unique_id_function=operation_id,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.settings, app.state.store, app.state.limits, app.state.hub = settings, store, limits, hub
    app.state.uploads = Uploads(settings, limits)
    app.state.stepper = Stepper(settings)
    app.state.cancels = Quota(limits.cancels_per_minute)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]

    app.include_router(runs.router, prefix=V1)
    app.include_router(reading.router, prefix=V1 + "/runs/{run_id}")
    app.include_router(shares.router, prefix=V1)
    app.include_router(recordings.router, prefix=V1)
    app.include_router(explorations_api.router, prefix=V1)
    app.include_router(matrix_api.router, prefix=V1)
    app.include_router(catalogue.router, prefix=V1)
    app.include_router(service.router, prefix=V1)
    app.include_router(service.router, include_in_schema=False)
    app.include_router(
        reading.router,
        prefix=V1 + "/shared/{token}/runs/{run_id}",
        tags=["shared"],
        dependencies=[Depends(open_share)],
    )
    app.include_router(docs.router)
    app.include_router(lists.router)
    app.include_router(sharing.router)
    app.include_router(pages.router)
    app.include_router(designs.router)
    app.include_router(forms.router)
    app.include_router(recordings_page.router)
    app.include_router(explorations.router)
    app.include_router(matrix.router)
    app.include_router(anatomy.router)
    app.include_router(device_profiles.router)
    app.mount("/static", Files(), name="static")

    problems.install(app, page=lambda request, problem: error_page(request, problem) if wants_html(request) else None)
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=4)
    token = settings.token.get_secret_value() if settings.token else None
    app.add_middleware(Guard, hosts=[*settings.hosts, settings.host], token=token, limits=limits)
    return app
