"""Settings of those who run it: encryption, telemetry, health, capacity, versions, retention."""

import re
from typing import Annotated, Final

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from engross.keyring import parse_keys

_Port = Annotated[int, Field(ge=1, le=65535)]
_BUILD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class OperationsSettings(BaseSettings):
    """A part of `engross.settings.Settings`."""

    # Encryption
    encryption_keys: SecretStr | None = Field(
        None,
        description="Master keys as id:base64 of 32 bytes, separated by commas: the first one encrypts, all of them"
        " read. `engross keys new` makes one. Unset, nothing is encrypted",
    )
    codec_host: str = Field("127.0.0.1", description="Address that `engross codec-server` listens on")
    codec_port: _Port = Field(6395, description="`engross codec-server`, which lets the Web UI show encrypted payloads")
    web_ui_url: str | None = Field(
        None, description="Address of Temporal's Web UI, where it is not that of the embedded stack"
    )

    # Telemetry
    otlp_endpoint: str | None = Field(
        None, description="OpenTelemetry collector that gets traces by OTLP over HTTP: http://collector:4318"
    )
    metric_tenants: int = Field(50, ge=0, le=10_000, description="Tenants with metrics of their own; others are added")
    health_host: str = Field("127.0.0.1", description="Address of a worker's health page; 0.0.0.0 in a container")

    # Capacity of one worker process
    activity_slots: int = Field(100, ge=1, le=10_000, description="Steps that a worker does at a time, per queue")
    workflow_slots: int = Field(100, ge=2, le=10_000, description="Workflow tasks that a worker does at a time")
    pollers: int = Field(5, ge=2, le=100, description="Polls that a worker holds open, per queue and kind of task")
    cached_runs: int = Field(1000, ge=0, le=100_000, description="Runs that a worker keeps in memory between tasks")
    drain_seconds: float = Field(
        30, gt=0, le=3600, description="Time that running steps get when a worker is told to stop"
    )

    # Versions
    deployment: str = Field("engross", description="Name of this worker deployment in Temporal")
    build_id: str | None = Field(
        None,
        description="Version of this build: runs stay on the build they began on. Unset, workers are not versioned",
    )

    # Retention
    result_days: float | None = Field(
        None, gt=0, description="Ended runs, with their answers, are kept so many days; unset, for ever"
    )
    blob_days: float = Field(
        7, ge=1, description="What no run, result or approval needs is deleted by `engross gc` after so many days"
    )

    @field_validator("encryption_keys")
    @classmethod
    def _keys_are_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_keys(value.get_secret_value())
        return value

    @field_validator("otlp_endpoint", "web_ui_url")
    @classmethod
    def _endpoints_are_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("https://", "http://")):
            raise ValueError("must begin with https:// (or http://)")
        return value.rstrip("/") if value else value

    @field_validator("deployment", "build_id")
    @classmethod
    def _versions_are_names(cls, value: str | None) -> str | None:
        if value is not None and not _BUILD.fullmatch(value):
            raise ValueError('must be letters, digits, ".", "_" and "-", 100 at most')
        return value
