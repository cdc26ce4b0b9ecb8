"""The REST API, /api/v1: one router of all its parts, and the description that OpenAPI gives of it."""
