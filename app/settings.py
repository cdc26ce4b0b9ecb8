"""Settings: the environment (FOLIOSCOPE_*) as one validated object. No other module reads the environment,
but for the folder of compiled code (engine.world.jit).
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from engine.errors import UserError

PREFIX = "FOLIOSCOPE_"
ELSEWHERE = frozenset({"FOLIOSCOPE_CACHE"})
"""Variables with our prefix that are read before the settings exist."""
MIB = 1 << 20


def _default_data() -> Path:
    """Return the user's data folder (XDG base directories), independent of the working directory."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "folioscope"


def _split(value: object) -> object:
    """Parse a comma-separated list."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = Annotated[list[str], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """One field per variable: FOLIOSCOPE_ and the field's name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    data: Path = Field(default_factory=_default_data, description="folder of the database and the ballast file")
    database_url: str | None = Field(None, description="sqlite:///path; folioscope.db in the data folder if absent")
    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8340, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    hosts: Names = Field([], description="additional names accepted in the Host header, comma-separated")
    token: SecretStr | None = Field(None, min_length=16, description="required of every request except share links")
    workers: int = Field(1, ge=0, le=64, description="worker processes; 0 if they are started separately")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    queue_max: int = Field(500, ge=1, le=100_000, description="max. runs, and max. explorations, waiting for a worker")
    streams_per_address: int = Field(20, ge=1, description="max. open streams per client address")
    streams_max: int = Field(500, ge=1, description="max. open streams in total")
    body_bytes_max: int = Field(MIB, ge=1024, description="max. bytes of a request body, except uploads")
    recording_bytes_max: int = Field(150 * MIB, ge=1024, description="max. bytes of an uploaded recording, as sent")
    uploads_max: int = Field(4, ge=1, description="max. concurrent uploads")
    run_seconds_max: int = Field(3600, ge=1, description="max. wall time of a run, seconds")
    run_bytes_max: int = Field(4096 * MIB, ge=MIB, description="max. memory of a worker during a run, bytes")
    explore_states_max: int = Field(30_000_000, ge=1_000, le=2**31, description="max. states of an exploration")
    explore_bytes_max: int = Field(1536 * MIB, ge=MIB, description="max. memory of an exploration's states, bytes")
    explore_seconds_max: int = Field(300, ge=1, description="max. time of an exploration, seconds")
    free_bytes_min: int = Field(64 * MIB, ge=0, description="free disk space below which no run starts, bytes")
    ballast_bytes: int = Field(
        16 * MIB, ge=0, description="disk space in reserve, released when the disk is full, bytes"
    )
    cache_bytes: int = Field(256 * MIB, ge=MIB, description="max. cache of decoded chunks and summaries, bytes")

    @property
    def url(self) -> str:
        """Return the database's URL."""
        return self.database_url or f"sqlite:///{self.data / 'folioscope.db'}"


def load_settings(**given: object) -> Settings:
    """Return the settings of this process; `given` overrides the environment.

    Raises UserError, in one line, for a variable that does not exist or a value that does not fit.
    """
    for name in os.environ:
        field = name.upper().removeprefix(PREFIX).lower()
        if name.upper().startswith(PREFIX) and name.upper() not in ELSEWHERE and field not in Settings.model_fields:
            near = difflib.get_close_matches(field, Settings.model_fields, 1)
            hint = f"did you mean {PREFIX}{near[0].upper()}?" if near else "unset it"
            raise UserError(f"unknown setting {name[:80]}: {hint}", code="unknown_setting", field=name[:80])
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        name = PREFIX + field.upper()
        raise UserError(f"{name} is invalid: {first['msg']}", code="bad_setting", field=name) from None
    if not settings.url.startswith("sqlite:///"):
        text = f"{PREFIX}DATABASE_URL is invalid: runs are stored in SQLite, so it must start with sqlite:///"
        raise UserError(text, code="bad_setting", field=f"{PREFIX}DATABASE_URL")
    return settings
