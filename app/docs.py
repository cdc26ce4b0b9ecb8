"""/docs: Swagger UI for our OpenAPI document, from local files and without inline scripts."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from app.files import asset

router = APIRouter(include_in_schema=False)

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>REST API - Folioscope</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{css}">
<link rel="stylesheet" href="{own}">
<script src="{bundle}" defer></script>
<script src="{start}" defer></script>
</head>
<body>
<header class="back">
<a href="/">Folioscope</a> <span>REST API</span> <a href="/openapi.json">OpenAPI document</a>
</header>
<main id="docs" data-description="/openapi.json"></main>
</body>
</html>
"""


@router.get("/docs", response_class=HTMLResponse)
async def docs() -> HTMLResponse:
    page = PAGE.format(
        css=asset("swagger/swagger-ui.css"),
        own=asset("css/docs.css"),
        bundle=asset("swagger/swagger-ui-bundle.js"),
        start=asset("js/docs.js"),
    )
    return HTMLResponse(page)
