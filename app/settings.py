"""Settings: the environment (FOLIOSCOPE_*) as one checked value. Nothing else of the project reads the environment,
but for the folder of compiled code (engine.jit).
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from engine.errors import AskedWrongly

PREFIX = "FOLIOSCOPE_"
ELSEWHERE = frozenset({"FOLIOSCOPE_CACHE"})
"""Variables of our prefix that are read before there are settings."""
MIB = 1 << 20


def _default_data() -> Path:
    """Where programs keep a user's data (XDG base directories), so that the working directory does not matter."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "folioscope"


def _split(value: object) -> object:
    """Let a list be written as words between commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = Annotated[list[str], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """One field a variable: FOLIOSCOPE_ and the field's name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    data: Path = Field(default_factory=_default_data, description="folder of the database and the ballast file")
    database_url: str | None = Field(None, description="sqlite:///path; folioscope.db in the data folder if absent")
    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8340, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    hosts: Names = Field([], description="further names that the Host header may hold, between commas")
    token: SecretStr | None = Field(None, min_length=16, description="asked of every request but share links'")
    workers: int = Field(1, ge=0, le=64, description="processes that play runs; 0 if they are started elsewhere")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    queue_max: int = Field(500, ge=1, le=100_000, description="runs, and explorations, that may wait for a worker")
    streams_per_address: int = Field(20, ge=1, description="streams that one address may hold open")
    streams_max: int = Field(500, ge=1, description="streams in all")
    body_bytes_max: int = Field(MIB, ge=1024, description="bytes of a request's body, uploads apart")
    recording_bytes_max: int = Field(150 * MIB, ge=1024, description="bytes of an uploaded recording, as sent")
    uploads_max: int = Field(4, ge=1, description="uploads at a time")
    run_seconds_max: int = Field(3600, ge=1, description="wall time that one run may take")
    run_bytes_max: int = Field(4096 * MIB, ge=MIB, description="memory of a worker while it plays one run")
    explore_states_max: int = Field(30_000_000, ge=1_000, le=2**31, description="states that one exploration may find")
    explore_bytes_max: int = Field(1536 * MIB, ge=MIB, description="memory that one exploration's states may take")
    explore_seconds_max: int = Field(300, ge=1, description="time that one exploration may take")
    free_bytes_min: int = Field(64 * MIB, ge=0, description="free space below which no run is started")
    ballast_bytes: int = Field(4 * MIB, ge=0, description="space kept in reserve, given up when the disk is full")
    cache_bytes: int = Field(256 * MIB, ge=MIB, description="decoded chunks and summaries that the server keeps")

    @property
    def url(self) -> str:
        """Return the database's URL."""
        return self.database_url or f"sqlite:///{self.data / 'folioscope.db'}"


def load_settings(**given: object) -> Settings:
    """Return the settings of this process; `given` wins over the environment.

    Raises AskedWrongly, in one line, for a variable that does not exist or a value that does not fit.
    """
    for name in os.environ:
        field = name.upper().removeprefix(PREFIX).lower()
        if name.upper().startswith(PREFIX) and name.upper() not in ELSEWHERE and field not in Settings.model_fields:
            near = difflib.get_close_matches(field, Settings.model_fields, 1)
            hint = f"did you mean {PREFIX}{near[0].upper()}?" if near else "unset it"
            raise AskedWrongly(f"there is no setting {name[:80]}: {hint}", code="unknown_setting", field=name[:80])
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        name = PREFIX + field.upper()
        raise AskedWrongly(f"{name} does not fit: {first['msg']}", code="bad_setting", field=name) from None
    if not settings.url.startswith("sqlite:///"):
        text = f"{PREFIX}DATABASE_URL does not fit: runs are kept in SQLite, so it must begin with sqlite:///"
        raise AskedWrongly(text, code="bad_setting", field=f"{PREFIX}DATABASE_URL")
    return settings
